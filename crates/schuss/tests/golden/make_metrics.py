#!/usr/bin/env python3
"""Metrics by scikit-learn in float64: metrics.json beside this file.

Made with scikit-learn 1.9.1 and NumPy; run it again with `python make_metrics.py`. A case is its kind, its name, what is
true, predicted and weighed (null: all rows the same), and `expected`, where null stands for what is undefined. What
scikit-learn has no name for is done here by hand: the calibration error, and the mean over those classes for which an
area is defined.
"""
import json
import warnings
from pathlib import Path

import numpy as np
import sklearn
from sklearn import metrics

warnings.simplefilter("ignore")
assert sklearn.__version__ in __doc__, sklearn.__version__
rng = np.random.default_rng(5)
cases = []


def plain(value):
    """As JSON has it; what is not finite is null."""
    if isinstance(value, dict):
        return {key: plain(x) for key, x in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(x) for x in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    if isinstance(value, (np.integer, np.bool_)):
        return value.item()
    return value


def put(kind, name, expected, **given):
    cases.append(plain({"kind": kind, "name": name, **given, "expected": expected}))


def areas(truth, scores, weights):
    """ROC AUC and average precision; nothing where a class is absent among rows that count."""
    there = truth if weights is None else truth[weights > 0]
    if there.all() or not there.any():
        return None
    return [metrics.roc_auc_score(truth, scores, sample_weight=weights),
            metrics.average_precision_score(truth, scores, sample_weight=weights)]


def mean_areas(of_classes):
    of_classes = [area for area in of_classes if area is not None]
    return np.mean(of_classes, axis=0) if of_classes else [None, None]


def calibration_error(confidence, is_right, weights, bins=15):
    weights = np.ones(len(confidence)) if weights is None else weights
    bin_of = np.clip(np.ceil(confidence * bins).astype(int), 1, bins) - 1
    gaps = [np.sum(weights[bin_of == b] * (is_right - confidence)[bin_of == b]) for b in range(bins)]
    return np.sum(np.abs(gaps)) / weights.sum()


def prf(y, predicted, average, weights, **options):
    return metrics.precision_recall_fscore_support(
        y, predicted, average=average, sample_weight=weights, zero_division=0, **options)


def averages(y, predicted, weights):
    return {how: prf(y, predicted, how, weights)[:3] for how in ["macro", "weighted", "micro"]}


def classes_case(name, labels, probabilities, weights=None):
    labels, k = np.asarray(labels), probabilities.shape[1]
    predicted = probabilities.argmax(axis=1)
    every = list(range(k))
    roc_auc, pr_auc = mean_areas([areas(labels == c, probabilities[:, c], weights) for c in ([1] if k == 2 else every)])
    average = averages(labels, predicted, weights)
    options = dict(sample_weight=weights, labels=every)
    expected = {
        "confusion": metrics.confusion_matrix(labels, predicted, **options),
        "each": prf(labels, predicted, None, weights, labels=every),
        "averages": average,
        "top_2_accuracy": None if k == 2 else metrics.top_k_accuracy_score(labels, probabilities, k=2, **options),
        "accuracy": metrics.accuracy_score(labels, predicted, sample_weight=weights),
        "balanced_accuracy": metrics.balanced_accuracy_score(labels, predicted, sample_weight=weights),
        "precision_macro": average["macro"][0],
        "recall_macro": average["macro"][1],
        "f1_macro": average["macro"][2],
        "matthews": metrics.matthews_corrcoef(labels, predicted, sample_weight=weights),
        "roc_auc": roc_auc,
        "pr_auc": pr_auc,
        "log_loss": metrics.log_loss(labels, probabilities, **options),
        "brier": metrics.brier_score_loss(labels, probabilities if k > 2 else probabilities[:, 1], **options),
        "calibration_error": calibration_error(probabilities.max(axis=1), predicted == labels, weights),
    }
    if k > 5:
        expected["top_3_accuracy"] = metrics.top_k_accuracy_score(labels, probabilities, k=3, **options)
    put("classes", name, expected, labels=labels, predictions=probabilities, weights=weights)


def labels_case(name, targets, probabilities, weights=None):
    predicted = (probabilities > 0.5).astype(int)
    each = range(targets.shape[1])
    roc_auc, pr_auc = mean_areas([areas(targets[:, j] > 0, probabilities[:, j], weights) for j in each])
    average = averages(targets, predicted, weights)
    repeated = None if weights is None else np.repeat(weights, targets.shape[1])
    expected = {
        "accuracy": 1 - metrics.hamming_loss(targets, predicted, sample_weight=weights),
        "exact": metrics.accuracy_score(targets, predicted, sample_weight=weights),
        **{f"{score}_{how}": average[how][i]
           for how in ["macro", "micro"] for i, score in enumerate(["precision", "recall", "f1"])},
        "roc_auc": roc_auc,
        "pr_auc": pr_auc,
        "log_loss": np.mean([metrics.log_loss(targets[:, j], probabilities[:, j], sample_weight=weights, labels=[0, 1])
                             for j in each]),
        "brier": np.mean([metrics.brier_score_loss(targets[:, j], probabilities[:, j], sample_weight=weights,
                                                   labels=[0, 1]) for j in each]),
        "calibration_error": calibration_error(np.maximum(probabilities, 1 - probabilities).ravel(),
                                               (predicted == targets).ravel(), repeated),
    }
    put("labels", name, expected, targets=targets, predictions=probabilities, weights=weights)


def ranking_case(name, truth, scores, weights=None):
    truth, scores = np.asarray(truth, bool), np.asarray(scores, float)
    both = areas(truth, scores, weights)
    expected = {"roc_auc": None, "pr_auc": None, "roc": None, "precision_recall": None}
    if both is not None:
        x, y, _ = metrics.roc_curve(truth, scores, sample_weight=weights, drop_intermediate=False)
        precision, recall, _ = metrics.precision_recall_curve(truth, scores, sample_weight=weights)
        expected = {"roc_auc": both[0], "pr_auc": both[1], "roc": np.stack([x, y], axis=1),
                    "precision_recall": np.stack([recall, precision], axis=1)[::-1]}
    put("ranking", name, expected, truth=truth, scores=scores, weights=weights)


def numbers_case(name, predictions, targets, weights=None):
    options = dict(sample_weight=weights)
    expected = {
        # Of all outputs together.
        "rmse": np.sqrt(metrics.mean_squared_error(targets, predictions, **options)),
        "mae": metrics.mean_absolute_error(targets, predictions, **options),
        "r2": metrics.r2_score(targets, predictions, **options),
        "pinball": {level: metrics.mean_pinball_loss(targets, predictions, alpha=float(level), **options)
                    for level in ["0.1", "0.5", "0.9"]},
    }
    put("numbers", name, expected, predictions=predictions, targets=targets, weights=weights)


def softmax(z):
    p = np.exp(z - z.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def weights_of(rows):
    """Some of them 0."""
    return np.where(rng.random(rows) < 0.2, 0.0, rng.exponential(size=rows))


def random_classes(rows, k, signal=2.0):
    labels = rng.integers(k, size=rows)
    return labels, softmax(signal * np.eye(k)[labels] + rng.normal(size=(rows, k)))


for k in [2, 3, 7]:
    labels, p = random_classes(40, k)
    classes_case(f"{k} classes", labels, p)
    classes_case(f"{k} classes, weighted", labels, p, weights_of(40))
labels, p = random_classes(30, 4)
classes_case("a class absent", np.where(labels == 3, 0, labels), p)
classes_case("a class neither there nor predicted", np.where(labels == 3, 0, labels), softmax(p * [9, 9, 9, 0]))
classes_case("a class that weighs nothing", labels, p, (labels != 2).astype(float))
classes_case("one class", np.ones(6, int), random_classes(6, 3)[1])
classes_case("one of two classes", np.zeros(6, int), random_classes(6, 2)[1])
classes_case("two rows", [0, 1], np.array([[0.75, 0.25], [0.625, 0.375]]))
classes_case("perfect", labels, np.eye(4)[labels])
classes_case("wrong and sure", (labels + 1) % 4, np.eye(4)[labels])
classes_case("constant", labels, np.tile([0.4, 0.3, 0.2, 0.1], (30, 1)))
labels, p = random_classes(60, 3)
classes_case("ties", labels, np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.25, 0.25, 0.5]])[p.argmax(axis=1)])

targets = (rng.random((40, 3)) < [0.5, 0.2, 0.7]).astype(int)
p = 1 / (1 + np.exp(-(3 * targets - 1.5 + rng.normal(size=(40, 3)))))
labels_case("labels", targets, p)
labels_case("labels, weighted", targets, p, weights_of(40))
labels_case("a label always there", np.maximum(targets, [0, 0, 1]), p)
labels_case("labels, perfect", targets, targets.astype(float))

truth = rng.random(50) < 0.4
scores = truth + rng.normal(size=50)
ranking_case("scores", truth, scores)
ranking_case("scores, weighted", truth, scores, weights_of(50))
ranking_case("ties", truth, np.round(scores))
ranking_case("ties, weighted", truth, np.round(scores), weights_of(50))
ranking_case("constant", truth, np.zeros(50))
ranking_case("perfect", truth, truth.astype(float))
ranking_case("all wrong", truth, -truth.astype(float))
ranking_case("no positives", np.zeros(5, bool), scores[:5])
ranking_case("no negatives", np.ones(5, bool), scores[:5])
ranking_case("positives that weigh nothing", truth, scores, (~truth).astype(float))
ranking_case("two rows", [False, True], [0.5, 0.25])
ranking_case("zeros of both signs", [False, True, True], [0.0, -0.0, 1.0])

targets = rng.normal(size=(30, 2)) * [1, 10] + [0, 5]
predictions = targets + rng.normal(size=(30, 2))
numbers_case("numbers", predictions, targets)
numbers_case("numbers, weighted", predictions, targets, weights_of(30))
numbers_case("one output", predictions[:, :1], targets[:, :1])
numbers_case("numbers, perfect", targets, targets)
numbers_case("a constant output", predictions, targets * [1, 0] + [0, 2])
numbers_case("constant and perfect", np.full((5, 1), 2.0), np.full((5, 1), 2.0))
numbers_case("constant where it counts", predictions[:4], np.array([[1, 1], [1, 1], [1, 1], [4, 9.0]]),
             np.array([1, 1, 1, 0.0]))
numbers_case("two rows", predictions[:2], targets[:2])
numbers_case("one row", predictions[:1], targets[:1])

made_with = f"scikit-learn {sklearn.__version__}, NumPy {np.__version__}"
text = ",\n".join(json.dumps(case) for case in cases)
path = Path(__file__).parent / "metrics.json"
path.write_text(f'{{"made_with": "{made_with}", "cases": [\n{text}\n]}}\n')
