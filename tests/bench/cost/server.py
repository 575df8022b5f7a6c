"""The demo's server, which keeps connections open for clients that want it so.

usage: server.py MODEL PORT
"""
import serve

serve.Handler.protocol_version = "HTTP/1.1"
# Its answers are two writes, the second of which would wait for a delayed acknowledgement.
serve.Handler.disable_nagle_algorithm = True
serve.main()
