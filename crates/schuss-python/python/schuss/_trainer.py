"""Training with every setting of the core."""

import numpy as np

from . import _arrays, _curves
from ._progress import Progress


class Trainer:
    """How a network is trained. Defaults are those of the core; ``docs/training.md`` has what each setting does.

    Parameters
    ----------
    network : Network
        What is trained, in place.
    optimizer : str, default="adam"
        sgd, rmsprop, adam, adamw, muon, schedule-free or lbfgs.
    constants : dict, optional
        Of the optimizer: ``{"momentum": 0.9, "nesterov": True}``, ``{"beta1": 0.9}``, ...
    learning_rate : float, default=0.001
    schedule : str, default="constant"
        constant, step:EVERY:FACTOR, cosine, one-cycle, coslog4, flat-cosine:SHARE or plateau:PATIENCE:FACTOR.
    warm_up : int, default=0
        Steps over which the learning rate grows.
    weight_decay : float, optional
        Decoupled decay of weights; 0.01 for adamw and muon, else 0.
    l2 : float, default=0.0
        λ of the penalty λ Σθ², biases too.
    clip_norm, clip_value : float, optional
        The largest norm of a gradient, or the largest of its components.
    average : float, optional
        γ of the average of the parameters that is evaluated and kept.
    batch_size : int, default=32
    epochs : int, default=10
    steps : int, optional
        The run ends after so many.
    accumulate : int, default=1
        A step's rows go through the network in so many batches.
    shuffle : bool, default=True
    augment : str, optional
        Changes of pictures, such as "shift:2,rotate:10".
    mixup, label_smoothing : float, default=0.0
    class_weight : sequence of float, optional
        What the examples of each class count.
    evaluate : {"each-epoch", "at-end"}, default="each-epoch"
        When metrics over all rows are computed.
    test_at_end : bool, default=False
        Measure the test data once, of what is kept.
    keep : {"last", "best", "least-loss"}, default="last"
        Which epoch's parameters are kept; the others need validation data.
    calibrate : bool, default=False
        Whether the model that is kept gets the temperature that suits the validation data.
    patience : int, optional
        End after more than so many epochs that are not better on the validation data.
    on_divergence : {"stop", "go-on", "rollback"}, default="stop"
    bfloat16 : bool, default=False
        Factors of products in bfloat16 where the machine has it.
    seed : int, default=0
        Of the order of the examples, dropout, mixup and augmentation.
    threads : int, optional
        As many as there are cores, one for little work. The result is the same to the bit.
    verbose : bool, default=False
        A progress bar, in a terminal or a notebook.
    """

    def __init__(
        self,
        network,
        *,
        optimizer="adam",
        constants=None,
        learning_rate=0.001,
        schedule="constant",
        warm_up=0,
        weight_decay=None,
        l2=0.0,
        clip_norm=None,
        clip_value=None,
        average=None,
        batch_size=32,
        epochs=10,
        steps=None,
        accumulate=1,
        shuffle=True,
        augment=None,
        mixup=0.0,
        label_smoothing=0.0,
        class_weight=None,
        evaluate="each-epoch",
        test_at_end=False,
        keep="last",
        calibrate=False,
        patience=None,
        on_divergence="stop",
        bfloat16=False,
        seed=0,
        threads=None,
        verbose=False,
    ):
        self.network = network
        self.verbose = verbose
        self._settings = {
            "optimizer": optimizer,
            "constants": [(name, float(value)) for name, value in (constants or {}).items()],
            "learning_rate": learning_rate,
            "schedule": schedule,
            "warm_up": warm_up,
            "weight_decay": weight_decay,
            "l2": l2,
            "clip_norm": clip_norm,
            "clip_value": clip_value,
            "average": average,
            "batch_size": batch_size,
            "epochs": epochs,
            "steps": steps,
            "accumulate": accumulate,
            "shuffle": shuffle,
            "augment": augment,
            "mixup": mixup,
            "label_smoothing": label_smoothing,
            "class_weights": [] if class_weight is None else [float(weight) for weight in class_weight],
            "evaluate": evaluate,
            "test_at_end": test_at_end,
            "keep": keep,
            "calibrate": calibrate,
            "patience": patience,
            "on_divergence": on_divergence,
            "bfloat16": bfloat16,
            "seed": seed,
            "threads": threads,
        }

    def fit(self, x, y, *, sample_weight=None, valid=None, test=None, callback=None):
        """Train the network.

        Other Python threads go on meanwhile; the arrays are lent, and read-only until it is over. Ctrl-C ends the run after
        the step under way: the network then has the parameters of that step, and ``KeyboardInterrupt`` is raised.

        Parameters
        ----------
        x : array-like of shape (rows, inputs)
        y : array-like of shape (rows,) or (rows, targets)
            Classes counted from 0, or numbers.
        sample_weight : array-like of shape (rows,), optional
            What each row counts beside the others.
        valid, test : tuple (x, y) or (x, y, sample_weight), optional
            Rows to choose by; rows that are only measured.
        callback : callable, optional
            Called after every epoch with a dict: ``epoch``, ``loss`` (mean over its steps), ``seconds`` (of the steps so
            far), and the metrics ``train``, ``valid``, ``test`` that were measured. ``network`` has the parameters of that
            epoch then. A true answer ends the run.

        Returns
        -------
        history : History

        Raises
        ------
        DivergedError
            A loss or a parameter stopped being finite; the network has the last good parameters.
        """
        network = self.network
        parts = tuple(None if part is None else network._part(*part) for part in ((x, y, sample_weight), valid, test))
        history = History()
        with _arrays.read_only(*(array for part in parts if part for array in part)):
            with Progress(self.verbose, self._settings["epochs"]) as progress:
                on_event = _listener(history, progress, callback)
                history.summary = network._core.run(parts, self._settings, on_event)
        return history


def _listener(history, progress, callback):
    def on_event(kind, record):
        if kind == "rolled-back":
            history.rollbacks.append(record)
            return False
        history.epochs.append(record)
        if record["epoch"] >= 0:
            progress.epoch(record["epoch"] + 1, _text(record))
        return bool(callback(record)) if callback else False

    return on_event


def _text(record):
    words = [f"loss = {record['loss']:.6f}"] if "loss" in record else []
    for part in ("valid", "test", "train"):
        metrics = record.get(part, {})
        name = next((name for name in ("accuracy", "r2") if name in metrics), None)
        if name:
            words.append(f"{part} {name} = {metrics[name]:.4f}")
            break
    return ", ".join(words)


class History:
    """What a run came to.

    Attributes
    ----------
    epochs : list of dict
        What the callback was told, epoch by epoch; -1 is before training.
    rollbacks : list of dict
        Steps from which the run went back.
    summary : dict
        ``steps``, ``seconds`` (of the steps alone), ``stopped``, ``kept_epoch``, and the metrics of what is kept.
    """

    def __init__(self):
        self.epochs = []
        self.rollbacks = []
        self.summary = {}

    def curve(self, part, metric="loss"):
        """A metric of a part of the data ("train", "valid", "test") over the epochs, NaN where it was not measured."""
        return np.array([epoch.get(part, {}).get(metric, np.nan) for epoch in self.epochs])

    def __repr__(self):
        return f"History({len(self.epochs)} epochs, {self.summary})"

    def _repr_html_(self):
        first = self.epochs[0]["epoch"] if self.epochs else 0
        return _curves.svg({part: self.curve(part) for part in ("train", "valid", "test")}, first)
