"""A small model server, as its user would write it: load the model, then listen.

usage: serve.py MODEL [PORT]     (or MODEL and PORT in the environment)
"""
import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def load(path):
    """Returns predict(rows) -> list of class numbers."""
    if path.endswith(".pt"):
        import torch

        model = torch.load(path)
        if isinstance(model, dict):
            model = perceptron(model)
        model.eval()
        return lambda rows: model(torch.tensor(rows)).argmax(dim=1).tolist()
    import joblib

    model = joblib.load(path)
    return lambda rows: [int(value) for value in model.predict(rows)]


def perceptron(state):
    """The network that a state dict was saved from, by the shapes in it."""
    from torch import nn

    hidden, features = state["0.weight"].shape
    model = nn.Sequential(
        nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, len(state["2.bias"]))
    )
    model.load_state_dict(state)
    return model


class Handler(BaseHTTPRequestHandler):
    predict = None

    def do_GET(self):
        if self.path == "/healthz":
            self.answer(200, {"status": "ok"})
        else:
            self.answer(404, {"error": "try GET /healthz or POST /predict"})

    def do_POST(self):
        if self.path != "/predict":
            self.answer(404, {"error": "try GET /healthz or POST /predict"})
            return
        try:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            classes = type(self).predict([json.loads(body)["x"]])
        except Exception as error:
            self.answer(400, {"error": repr(error)})
        else:
            self.answer(200, {"class": classes[0]})

    def answer(self, status, value):
        body = (json.dumps(value) + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main():
    # The first process of a container dies of no signal that it has no handler for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    model = sys.argv[1] if len(sys.argv) > 1 else os.environ["MODEL"]
    port = int(sys.argv[2] if len(sys.argv) > 2 else os.environ.get("PORT", "8080"))
    Handler.predict = staticmethod(load(model))
    print(f"serving {model} on port {port}", flush=True)
    ThreadingHTTPServer(("0.0.0.0", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
