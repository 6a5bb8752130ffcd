"""Traces of the notebook's arithmetic, in float64.

Run with NumPy, safetensors and scikit-learn; writes the .safetensors files beside it. Data: the UCI digits.

Each file: x_train, label_train, x_test, label_test; settings (learning_rate, l2, batch_size); the initial parameters
(initial.layers.i.*); the order of the examples, (epochs, rows); the gradient of the first batch with the penalty
(first_batch.layers.i.*) and its loss; metrics before training and after each epoch (loss, loss_test, acc, acc_test);
the final parameters (final.layers.i.*).
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from sklearn.datasets import load_digits

EPSILON = 1e-8


def relu(x):
    return np.maximum(0, x)


def softmax(x):
    s = np.exp(x - x.max(axis=1, keepdims=True))
    s /= s.sum(axis=1, keepdims=True)
    return (1 - EPSILON) * s + EPSILON / x.shape[1]


def softmax_jacobian(p):
    """diag(p) - p pT at the smoothed p, (batch, n, n)."""
    return np.einsum("bi,ij->bij", p, np.eye(p.shape[1])) - p[:, :, None] * p[:, None, :]


def cross_entropy(p, y):
    return -np.sum(y * np.log(p)) / len(y), -y / p / len(y)


def mse(p, y):
    return np.sum((y - p) ** 2) / (2 * len(y)), (p - y) / len(y)


def forward(layers, x):
    activations = [x]
    for i, (weight, bias) in enumerate(layers):
        z = activations[-1] @ weight.T + bias
        activations.append(softmax(z) if i + 1 == len(layers) else relu(z))
    return activations


def gradients(layers, x, y, loss, l2):
    activations = forward(layers, x)
    value, d = loss(activations[-1], y)
    result = []
    for i in reversed(range(len(layers))):
        a = activations[i + 1]
        if i + 1 == len(layers):
            d = np.einsum("bij,bj->bi", softmax_jacobian(a), d)
        else:
            d = d * (a > 0)
        weight, bias = layers[i]
        result.insert(0, (d.T @ activations[i] + 2 * l2 * weight, d.sum(axis=0) + 2 * l2 * bias))
        d = d @ weight
    return value, result


def metrics(layers, loss, *parts):
    outputs = [(forward(layers, x)[-1], label) for x, label in parts]
    losses = [loss(p, np.eye(p.shape[1])[label])[0] for p, label in outputs]
    accuracies = [np.mean(p.argmax(axis=1) == label) for p, label in outputs]
    return losses + accuracies


def trace(seed, scale, hidden, loss, learning_rate, l2, batch_size, epochs=5):
    random = np.random.default_rng(seed)
    digits = load_digits()
    rows = random.permutation(len(digits.data))
    train, test = rows[:1437], rows[1437:]
    # Sixteenths are exact in single precision, which is enough to store them.
    x = (digits.data / scale).astype(np.uint8 if scale == 1 else np.float32)
    label = digits.target.astype(np.int64)
    sizes = [64, *hidden, 10]
    layers = [(random.normal(0, 0.1, (o, i)), random.normal(0, 0.1, o)) for i, o in zip(sizes, sizes[1:])]

    file = {
        "x_train": x[train], "label_train": label[train], "x_test": x[test], "label_test": label[test],
        "learning_rate": np.array(learning_rate), "l2": np.array(l2), "batch_size": np.array(batch_size),
    }  # fmt: skip
    name = lambda prefix, values: {
        f"{prefix}.layers.{i}.{kind}": value
        for i, pair in enumerate(values)
        for kind, value in zip(["weight", "bias"], pair)
    }
    file |= name("initial", layers)
    order = np.stack([random.permutation(len(train)) for _ in range(epochs)])
    x_train, y_train = x[train].astype(float), np.eye(10)[label[train]]
    parts = (x_train, label[train]), (x[test].astype(float), label[test])
    lines = [metrics(layers, loss, *parts)]
    for epoch, permutation in enumerate(order):
        for batch in range(0, len(train), batch_size):
            rows = permutation[batch : batch + batch_size]
            value, gradient = gradients(layers, x_train[rows], y_train[rows], loss, l2)
            if epoch == batch == 0:
                file |= name("first_batch", gradient) | {"first_batch.loss": np.array(value)}
            layers = [
                (weight - learning_rate * dw, bias - learning_rate * db)
                for (weight, bias), (dw, db) in zip(layers, gradient)
            ]
        lines.append(metrics(layers, loss, *parts))
    file |= name("final", layers) | {"order": order, "metrics": np.array(lines)}
    return {key: np.ascontiguousarray(value) for key, value in file.items()}


if __name__ == "__main__":
    runs = {
        "cross_entropy": trace(1, 1, [50, 20], cross_entropy, 0.01, 0.0, 100),
        "deep_cross_entropy": trace(2, 16, [50, 20, 10, 10, 10, 10], cross_entropy, 0.05, 0.001, 1000),
        "mse": trace(3, 1, [50, 20], mse, 0.03, 0.0, 100),
        "mse_l2": trace(4, 1, [40, 30, 20], mse, 0.03, 0.05, 128),
    }
    for run, file in runs.items():
        save_file(file, Path(__file__).parent / f"{run}.safetensors")
