"""How long the Python package takes, beside scikit-learn and beside the command, everything in turn; medians.

    python crates/schuss-python/benches/measure.py [PATH OF THE COMMAND]

With the command, the notebook's network on MNIST is trained by both, to the same bits.
"""

import gzip
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
from sklearn.datasets import make_classification
from sklearn.neural_network import MLPClassifier

import schuss

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]


def seconds(act):
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def of_row(act, repeats=500):
    times = [seconds(act) for _ in range(repeats)]
    return f"{statistics.median(times[20:]) * 1e6:.1f} µs"


def fits(rounds=7, epochs=20):
    X, y = make_classification(n_samples=10_000, n_features=20, n_informative=15, n_classes=4, random_state=0)
    times, models = {MLPClassifier: [], schuss.SchussClassifier: []}, {}
    for seed in range(rounds):
        for kind in times:
            models[kind] = kind(max_iter=epochs, random_state=seed)
            times[kind].append(seconds(lambda: models[kind].fit(X, y)))
    theirs, ours = (statistics.median(times[kind]) / epochs for kind in times)
    print(f"an epoch of the default classifier on 10,000 x 20 float64: scikit-learn {theirs * 1e3:.2f} ms,", end=" ")
    print(f"schuss {ours * 1e3:.2f} ms, {theirs / ours:.1f} times as fast;", end=" ")
    print(", ".join(f"loss {model.loss_:.4f}" for model in models.values()))
    theirs, ours = models.values()
    for name in ("predict", "predict_proba"):
        print(f"{name} of one row: scikit-learn {of_row(lambda: getattr(theirs, name)(X[:1]))},", end=" ")
        print(f"schuss {of_row(lambda: getattr(ours, name)(X[:1]))}")
    print(f"Network.predict of that row: {of_row(lambda: ours.network_.predict(X[:1]))}")


def pixels(name):
    with gzip.open(REPOSITORY / "data/mnist" / f"{name}-images-idx3-ubyte.gz") as file:
        return np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)


def labels(name):
    with gzip.open(REPOSITORY / "data/mnist" / f"{name}-labels-idx1-ubyte.gz") as file:
        return np.frombuffer(file.read(), np.uint8, offset=8)


def mnist(command, rounds=3, epochs=3):
    x, y = pixels("train"), labels("train")
    sizes = [784, 500, 200, 100, 30, 30, 30, 10]
    times = {"command": [], "Python": []}
    hashes = set()
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            run = [command, "notebook", "cce", "mnist", "--epochs", str(epochs), "--no-report", "--json", "--out", f"{folder}/run"]
            lines = subprocess.run(run, check=True, capture_output=True, text=True, cwd=REPOSITORY).stdout.splitlines()
        done = json.loads(lines[-1])
        times["command"].append(done["train_seconds"])
        network = schuss.Network(sizes, init="normal:0.1")
        trainer = schuss.Trainer(network, optimizer="sgd", learning_rate=0.01, batch_size=1000, epochs=epochs)
        times["Python"].append(trainer.fit(x, y).summary["seconds"])
        hashes |= {done["weights_sha256"], network.weights_sha256()}
    command, python = (statistics.median(times[name]) for name in times)
    print(f"the notebook's network, {epochs} epochs of MNIST: command {command:.2f} s, Python {python:.2f} s,", end=" ")
    print(f"{(python / command - 1) * 100:+.1f} %; {'the same bits' if len(hashes) == 1 else 'OTHER BITS'}")
    one = x[:1].astype(np.float32) / 255
    dense = np.random.RandomState(0).rand(1, 784).astype(np.float32)
    print(f"Network.predict of one row of it: dense {of_row(lambda: network.predict(dense))}, a digit {of_row(lambda: network.predict(one))}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(f"schuss {schuss.__version__}")
    fits()
    if len(sys.argv) > 1:
        mnist(sys.argv[1])
