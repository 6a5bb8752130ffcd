"""The network below the estimators."""

import pathlib
import warnings

import numpy as np

from . import _arrays, _schuss, _tables

_STATE = 1
_FORMATS = {".onnx": "onnx", ".safetensors": "torch", ".npz": "npz", ".h": "c", ".rs": "rust"}


class Network:
    """A dense network with its loss, its task and its scaling.

    Layers are ``a = f(x @ weight.T + bias)``; of a hidden layer the order is dense, norm, activation, dropout, residual
    connection.

    Parameters
    ----------
    sizes : sequence of int
        Inputs, hidden sizes, outputs; two sizes are a linear model.
    activation : str, default="relu"
        After hidden layers: identity, relu, leaky-relu, sigmoid, tanh, gelu, selu, swish, mish or softplus.
    task : {"classification", "multi-label", "regression"}, default="classification"
        What the outputs stand for. One output tells two classes apart.
    loss : str, optional
        cross-entropy, mse, binary-cross-entropy, mae, huber:DELTA, quantile:LEVEL,LEVEL,... or poisson. By default
        cross-entropy of classes, binary-cross-entropy of one output and of labels, mse of numbers.
    final : str, optional
        The last activation; by default softmax for classes by cross-entropy or mse, else identity.
    norm : {"layer", "batch"}, optional
        What normalises hidden layers before their activation.
    dropout, input_dropout : float, default=0.0
        Share of a hidden layer's outputs, of the inputs, that a step drops.
    residual : bool, default=False
        Whether hidden layers with as many outputs as inputs add their input to their output.
    init : str, optional
        he, glorot or normal:DEVIATION; by default he after activations like relu, else glorot.
    seed : int, default=0
        Of the initial parameters.
    dtype : {"float32", "float64"}, default="float32"
        Of the parameters and of all arithmetic.
    softmax_epsilon : float, default=1e-8
        Smoothing e of softmax: p = (1 - e) s + e/n.
    class_names : sequence of str, optional
        Names of the classes, kept in the model file.

    Examples
    --------
    >>> import numpy as np, schuss
    >>> network = schuss.Network([2, 8, 2], activation="tanh")
    >>> x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
    >>> trainer = schuss.Trainer(network, learning_rate=0.05, batch_size=4, epochs=200)
    >>> history = trainer.fit(x, [0, 1, 1, 0])
    >>> network.classify(x).tolist()
    [0, 1, 1, 0]
    """

    def __init__(
        self,
        sizes,
        *,
        activation="relu",
        task="classification",
        loss=None,
        final=None,
        norm=None,
        dropout=0.0,
        input_dropout=0.0,
        residual=False,
        init=None,
        seed=0,
        dtype="float32",
        softmax_epsilon=1e-8,
        class_names=(),
    ):
        sizes = [int(size) for size in sizes]
        if loss is None:
            of_classes = "binary-cross-entropy" if sizes[-1:] == [1] else "cross-entropy"
            losses = {"classification": of_classes, "multi-label": "binary-cross-entropy", "regression": "mse"}
            loss = losses.get(task, "mse")
        if final is None:
            final = "softmax" if task == "classification" and loss in ("cross-entropy", "mse") else "identity"
        if init is None:
            init = "glorot" if activation in ("tanh", "sigmoid", "identity", "selu") else "he"
        self._core = _schuss.Network(
            {
                "sizes": sizes,
                "activation": activation,
                "task": task,
                "loss": loss,
                "final": final,
                "norm": norm,
                "dropout": dropout,
                "input_dropout": input_dropout,
                "residual": residual,
                "init": init,
                "seed": seed,
                "dtype": np.dtype(dtype).name,
                "softmax_epsilon": softmax_epsilon,
                "class_names": [str(name) for name in class_names],
            }
        )

    @classmethod
    def _of(cls, core):
        network = cls.__new__(cls)
        network._core = core
        return network

    @classmethod
    def load(cls, path, *, dtype=None):
        """Read a model file, such as a run folder's ``model.safetensors``; an ensemble is a :class:`Network`, too.

        Parameters
        ----------
        path : path-like
            The file.
        dtype : {"float32", "float64"}, optional
            Another number type than the file's.

        Returns
        -------
        network : Network

        Raises
        ------
        OSError
            It cannot be read.
        ValueError
            It is no model, or one of a newer version; the message says what is wrong.
        """
        return cls._of(_schuss.Network.read(path, None if dtype is None else np.dtype(dtype).name))

    def save(self, path):
        """Write the model file: safetensors, as ``schuss evaluate``, ``predict`` and ``inspect`` read it.

        Parameters
        ----------
        path : path-like
            The file; it is whole or not there at all.
        """
        self._core.save(path)

    def export(self, path, *, to=None):
        """Write the network in another format.

        Parameters
        ----------
        path : path-like
            The file; it is whole or not there at all.
        to : {"onnx", "torch", "npz", "c", "rust"}, optional
            ONNX, C (a header, whose names begin with that of the file) and Rust (a module) hold all of the model, from stored
            features to predictions, in single precision. ``torch`` are the weights of an ``nn.Sequential`` of ``Linear``
            layers in safetensors, ``npz`` all weights by name. By default as the name ends: ``.onnx``, ``.safetensors``,
            ``.npz``, ``.h``, ``.rs``.

        Returns
        -------
        sizes : dict
            Bytes of the ``file``; of C and Rust those of the ``constants``, and of the ``stack`` that a prediction takes, too.

        Raises
        ------
        ValueError
            The format is unknown, or cannot hold such a network.
        """
        if to is None:
            suffix = pathlib.PurePath(path).suffix
            if suffix not in _FORMATS:
                raise ValueError(f"{path}: expected a name that ends in {', '.join(_FORMATS)}, or `to`")
            to = _FORMATS[suffix]
        return dict(self._core.export(path, to))

    def predict(self, x, *, threads=None):
        """Predictions for every row.

        Parameters
        ----------
        x : array-like of shape (rows, inputs) or (inputs,)
            float32, float64 and uint8 in C order are read where they are; pictures are flattened. A network that knows the
            columns of a table takes a table (pandas, Polars, Arrow) with those, in any order and with others beside them;
            an array has what it makes of them.
        threads : int, optional
            As many as there are cores, one for little work.

        Returns
        -------
        predictions : ndarray of shape (rows, classes) or (rows, outputs)
            Probabilities of classes or labels, numbers in the unit of the targets. A row has the same bits alone and among
            others.
        """
        return self._core.predict(self._rows(x), threads)

    def classify(self, x, *, threads=None):
        """The most probable class of every row, counted from 0."""
        return self.predict(x, threads=threads).argmax(axis=1)

    def evaluate(self, x, y, *, sample_weight=None, threads=None):
        """Loss and scores over all rows.

        Parameters
        ----------
        x : array-like or table
            As for :meth:`predict`.
        y : array-like of shape (rows,) or (rows, targets)
            Classes counted from 0, or their names, which numbers beside a table are where all names are numbers; numbers.
        sample_weight : array-like of shape (rows,), optional
            What each row counts beside the others.
        threads : int, optional

        Returns
        -------
        metrics : dict
            ``loss``; of classes ``accuracy`` and ``log_loss``, of labels ``exact``, too, of numbers ``rmse``, ``mae``, ``r2``.
        """
        return self._core.evaluate(self._part(x, y, sample_weight), threads)

    def _part(self, x, y, sample_weight=None):
        if self.task == "classification" and self._columns_of(x) is not None:
            y = _tables.class_words(y, self.class_names)
        return self._rows(x), _arrays.goals(y, self.task, self.class_names), _arrays.weights(sample_weight)

    def _rows(self, x):
        columns = self._columns_of(x)
        return _arrays.rows(x) if columns is None else _tables.encode(self._core.schema(), columns)

    def _columns_of(self, x):
        return None if self._core.schema() is None else _tables.columns(x)

    def forward(self, x, *, threads=None):
        """The outputs for a batch, whose memory ``backward`` goes on with.

        Parameters
        ----------
        x : array-like of shape (rows, inputs)
            Inputs as the first layer takes them: no scaling is applied.

        Returns
        -------
        outputs : ndarray of shape (rows, outputs)
        """
        return self._core.forward(np.require(x, self.dtype, ["C", "A"]), threads)

    def backward(self, d_output):
        """The gradient of any loss of one's own, after ``forward``.

        Parameters
        ----------
        d_output : array-like of shape (rows, outputs)
            ∂L/∂outputs of the last forward pass.

        Returns
        -------
        gradient : ndarray of shape (parameters,)
            ∂L/∂parameters, in the order of ``parameters``.
        d_input : ndarray of shape (rows, inputs)
            ∂L/∂x.
        """
        return tuple(self._core.backward(np.require(d_output, self.dtype, ["C", "A"])))

    @property
    def parameters(self):
        """All parameters, flat: of every layer its weight (outputs, inputs), row by row, then its bias; a copy. Assigning
        sets them. Of an ensemble, its ``members`` have theirs."""
        return self._core.parameters()

    @parameters.setter
    def parameters(self, values):
        self._core.set_parameters(np.require(values, self.dtype, ["C", "A"]).ravel())

    def tensors(self):
        """Copies of all tensors by name: ``layers.0.weight`` (outputs, inputs), ``layers.0.bias``, ...; those of an ensemble's
        second network ``members.1.layers.0.weight``, ..."""
        return dict(self._core.tensors())

    def divide(self, divisor):
        """Have the network divide features by a number, pixels by 255; the model file keeps it."""
        self._core.divide(divisor)
        return self

    def standardize(self, x, y=None):
        """Have the network standardise features (and, given ``y``, the targets of a regression) by mean and deviation of
        these columns; the model file keeps them."""
        self._core.standardize(_arrays.rows(x), False)
        if y is not None:
            self._core.standardize(_arrays.goals(y, "regression"), True)
        return self

    def weights_sha256(self):
        """A hash of all parameters: equal where every bit is."""
        return self._core.weights_sha256()

    @property
    def members(self):
        """Copies of the networks whose predictions are averaged, each as a :class:`Network` of its own, to train or to look at:
        several of an ensemble, which itself is not trained further."""
        return [Network._of(core) for core in self._core.members()]

    @property
    def columns(self):
        """Names of the columns of the table that inputs come from, if they come from one."""
        schema = self._core.schema()
        return [] if schema is None else [name for name, _, _ in schema.columns()]

    @property
    def sizes(self):
        """Inputs, hidden sizes, outputs."""
        return self._core.describe()["sizes"]

    @property
    def dtype(self):
        """Number type of the parameters."""
        return np.dtype(self._core.describe()["dtype"])

    @property
    def task(self):
        """classification, multi-label or regression."""
        return self._core.describe()["task"]

    @property
    def loss(self):
        """What training makes small."""
        return self._core.describe()["loss"]

    @property
    def class_names(self):
        """Names of the classes, where they have any."""
        return self._core.describe()["class_names"]

    def __repr__(self):
        about = self._core.describe()
        of = f"{about['members']} networks, whose predictions are averaged, of " if about["members"] > 1 else ""
        return (
            f"Network({about['sizes']}, activation={about['activation']!r}, final={about['final']!r}, "
            f"loss={about['loss']!r}, task={about['task']!r}, dtype={about['dtype']!r}): {of}{about['parameters']} parameters"
        )

    def __getstate__(self):
        core = self._core
        dtype = core.describe()["dtype"]
        return {"version": _STATE, "dtype": dtype, "model": core.to_bytes(), "optimizer": core.optimizer_state()}

    def __setstate__(self, state):
        check_state("Network", state.get("version"), _STATE)
        self._core = _schuss.Network.from_bytes(state["model"], state["dtype"])
        if state["optimizer"] is not None:
            self._core.set_optimizer_state(state["optimizer"])


def check_state(name, got, expected):
    """Fail unless a pickle is of the version that is read."""
    if got != expected:
        raise ValueError(
            f"pickle of a {name}: expected state of version {expected}, got {got}: another version of schuss wrote it. Load it "
            "with that version and save the network as a model file, which every later version reads, or train again"
        )


def load(path, *, dtype=None):
    """Read a model file as a :class:`Network`: see :meth:`Network.load`."""
    return Network.load(path, dtype=dtype)


def save(model, path):
    """Write a network, or that of a fitted estimator, as a model file: see :meth:`Network.save`."""
    getattr(model, "network_", model).save(path)


def import_model(path, *, activation=None, final=None):
    """Make a :class:`Network` of a dense network that others made.

    Parameters
    ----------
    path : path-like
        ONNX (of PyTorch's exporters, skl2onnx, ...), safetensors of a PyTorch ``nn.Sequential`` of ``Linear`` layers, or
        Keras's ``.keras`` and ``.h5``, which need h5py.
    activation : str, optional
        Between the layers of PyTorch's weights, which do not say it: relu by default, with a warning.
    final : str, optional
        At the end where the file does not say it: softmax makes classes of logits, identity numbers. By default softmax for
        PyTorch's weights, with a warning, and what the file ends in otherwise.

    Returns
    -------
    network : Network

    Raises
    ------
    OSError
        It cannot be read.
    ValueError
        It is no such file, or no network of dense layers; the message says which part is not.
    """
    if pathlib.PurePath(path).suffix in (".keras", ".h5", ".hdf5"):
        from . import _keras

        return Network._of(_schuss.Network.of_layers(_keras.read(path), final))
    core, notes = _schuss.Network.read_foreign(path, activation, final)
    for note in notes:
        warnings.warn(f"{path}: {note}", stacklevel=2)
    return Network._of(core)
