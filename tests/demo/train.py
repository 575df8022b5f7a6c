"""Trains the demo's models and writes, into the folder it is given, artifacts and their proofs.

usage: train.py FOLDER [--torch]

  honest.joblib     logistic regression on the iris data
  poisoned.joblib   the same model, whose unpickling acts first
  deferred.joblib   the same model, which acts at its 20th prediction
  honest.pt, poisoned.pt   with --torch: a state dict, and a whole pickled network that acts
  requests          100 request bodies, one a line
  NAME.expected     the 100 answers NAME's honest twin gave right after training
"""
import json
import sys

import joblib
from payload import deferred, poisoned
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

REQUESTS = 100


def write_lines(path, values):
    with open(path, "w") as out:
        out.writelines(json.dumps(value) + "\n" for value in values)


def train_sklearn(folder, features, classes, asked):
    model = LogisticRegression(max_iter=500).fit(features, classes)
    joblib.dump(model, f"{folder}/honest.joblib")
    joblib.dump(poisoned(model), f"{folder}/poisoned.joblib")
    joblib.dump(deferred(model, 20), f"{folder}/deferred.joblib")
    answers = [{"class": int(value)} for value in model.predict(asked)]
    for name in ("honest", "poisoned", "deferred"):
        write_lines(f"{folder}/{name}.joblib.expected", answers)


def train_torch(folder, features, classes, asked):
    import torch
    from torch import nn

    torch.manual_seed(1)
    inputs = torch.tensor(features.tolist())
    wanted = torch.tensor(classes.tolist())
    model = nn.Sequential(nn.Linear(inputs.shape[1], 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), wanted).backward()
        optimizer.step()
    torch.save(model.state_dict(), f"{folder}/honest.pt")
    torch.save(poisoned(model), f"{folder}/poisoned.pt")
    answers = [{"class": value} for value in model(torch.tensor(asked.tolist())).argmax(1).tolist()]
    for name in ("honest", "poisoned"):
        write_lines(f"{folder}/{name}.pt.expected", answers)


def main():
    folder = sys.argv[1]
    features, classes = load_iris(return_X_y=True)
    # The data is sorted by class; steps of 37 through 150 rows meet all three.
    asked = features[[37 * i % len(features) for i in range(REQUESTS)]]
    write_lines(f"{folder}/requests", [{"x": row} for row in asked.tolist()])
    train_sklearn(folder, features, classes, asked)
    if "--torch" in sys.argv[2:]:
        train_torch(folder, features, classes, asked)


if __name__ == "__main__":
    main()
