"""Keras's files: `.keras` (a zip archive of its configuration and its weights) and legacy `.h5`."""

import io
import json
import re
import zipfile

import numpy as np

# Larger ones are refused before they take memory.
_MOST_JSON = 1 << 24
_MOST_BYTES = 1 << 30
_MOST_NUMBERS = 1 << 27

_ACTIVATIONS = {
    "linear": "identity",
    "relu": "relu",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "gelu": "gelu",
    "selu": "selu",
    "silu": "swish",
    "swish": "swish",
    "mish": "mish",
    "softplus": "softplus",
    "softmax": "softmax",
}
_UNDERSTOOD = (
    "InputLayer, Dense, Activation, ReLU, LeakyReLU, Softmax, Dropout, BatchNormalization, LayerNormalization, Flatten, Rescaling"
)


def read(path):
    """The layers of a Keras file, as the binding takes them: (kind, arrays, number) each.

    Raises
    ------
    ImportError
        h5py is missing.
    ValueError
        It is no such file, or has a layer that no dense network is made of; the message names it.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError(f"{path}: Keras's files are read with h5py; pip install h5py") from error
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                config = json.loads(_member(archive, "config.json", _MOST_JSON))
                weights = io.BytesIO(_member(archive, "model.weights.h5", _MOST_BYTES))
            with h5py.File(weights, "r") as file:
                return _layers(config, _Weights(h5py, file))
        with h5py.File(path, "r") as file:
            if "model_config" not in file.attrs:
                raise ValueError("no model_config in it: weights alone say nothing of the layers; save the whole model")
            config = file.attrs["model_config"]
            if len(config) > _MOST_JSON:
                raise ValueError(f"a configuration of {len(config)} bytes")
            return _layers(json.loads(config), _LegacyWeights(h5py, file))
    except FileNotFoundError:
        raise
    # What h5py and zipfile raise at damaged files.
    except (ValueError, OSError, KeyError, TypeError, AttributeError, IndexError, RuntimeError, EOFError, OverflowError,
            RecursionError, MemoryError, NotImplementedError, zipfile.BadZipFile, zipfile.zlib.error) as error:
        problem = f"no {error} in it" if isinstance(error, KeyError) else str(error) or type(error).__name__
        raise ValueError(f"{path}: not a readable Keras file of a dense network: {problem}") from error


def _member(archive, name, most):
    with archive.open(name) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{name}: larger than {most} bytes")
    return content


class _Weights:
    """Arrays of layers in `model.weights.h5`."""

    def __init__(self, h5py, file):
        self.h5py, self.left = h5py, _MOST_NUMBERS
        self.groups, self.counts = {}, {}
        self.layers = self.child(file, "layers")
        for name in self.layers:
            group = self.child(self.child(self.layers, name), "vars")
            if "name" in group.attrs:
                self.groups[str(group.attrs["name"])] = group

    def child(self, group, name):
        # No link leads to another file.
        if not isinstance(group.get(name, getlink=True), self.h5py.HardLink):
            raise ValueError(f"no plain {name!r} in {group.name}")
        return group[name]

    def array(self, group, name):
        dataset = self.child(group, name)
        if dataset.external or dataset.is_virtual:
            raise ValueError(f"{dataset.name}: its numbers are in another file")
        self.left -= dataset.size
        if self.left < 0 or dataset.dtype.kind != "f":
            raise ValueError(f"{dataset.name}: {dataset.size} numbers of {dataset.dtype}; expected {_MOST_NUMBERS} floats at most")
        # What is damaged need not be a number.
        with np.errstate(invalid="ignore"):
            array = np.asarray(dataset[()], np.float64)
        if not np.isfinite(array).all():
            raise ValueError(f"{dataset.name}: numbers that are not finite")
        return array

    def of(self, kind, name):
        # Older versions number the layers of a kind and do not say their names.
        snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", kind).lower()
        count = self.counts[snake] = self.counts.get(snake, -1) + 1
        group = self.groups.get(name)
        if group is None:
            group = self.child(self.child(self.layers, f"{snake}_{count}" if count else snake), "vars")
        return [self.array(group, str(i)) for i in range(len(group))]


class _LegacyWeights(_Weights):
    """Arrays of layers in a whole model's `.h5`."""

    def __init__(self, h5py, file):
        self.h5py, self.left = h5py, _MOST_NUMBERS
        self.layers = self.child(file, "model_weights")

    def of(self, kind, name):
        group = self.child(self.layers, name)
        names = [name.decode() if isinstance(name, bytes) else str(name) for name in group.attrs["weight_names"]]
        arrays = []
        for path in names:
            *folders, last = path.split("/")
            parent = group
            for folder in folders:
                parent = self.child(parent, folder)
            arrays.append(self.array(parent, last))
        return arrays


def _layers(config, weights):
    if config["class_name"] not in ("Sequential", "Functional", "Model"):
        raise ValueError(f"a {config['class_name']}; expected a Sequential or Functional model")
    layers, before, shape = [], None, None
    described = config["config"]
    for layer in described["layers"] if isinstance(described, dict) else described:
        kind, about = layer["class_name"], layer["config"]
        name = about["name"]
        sources = _sources(layer.get("inbound_nodes", []))
        if sources - {before}:
            raise ValueError(f"layer {name!r} ({kind}) comes after {sorted(sources)}: a network with branches")
        before = name
        shape = about.get("batch_shape") or about.get("batch_input_shape") or shape
        if kind == "InputLayer":
            continue
        made = _layer(kind, about, weights, name, shape)
        if kind in ("Flatten", "Dense") and shape:
            if kind == "Dense" and len(shape) != 2:
                raise ValueError(f"layer {name!r}: a Dense layer on the last of several axes; put a Flatten before it")
            shape = [None, int(np.prod(shape[1:]))] if kind == "Flatten" else [None, about["units"]]
        layers += made
    return layers


def _sources(node):
    """Names of the layers that a layer comes after."""
    if isinstance(node, dict):
        if "keras_history" in node:
            return {node["keras_history"][0]}
        return set().union(*map(_sources, node.values())) if node else set()
    if isinstance(node, list):
        # Of Keras 2: [name, node, tensor, arguments].
        if len(node) >= 3 and isinstance(node[0], str) and isinstance(node[1], int):
            return {node[0]}
        return set().union(*map(_sources, node)) if node else set()
    return set()


def _activation(function, name):
    known = _ACTIVATIONS.get(function) if isinstance(function, str) else None
    if known is None:
        raise ValueError(f"layer {name!r}: activation {function!r}; expected one of {', '.join(_ACTIVATIONS)}")
    return [] if known == "identity" else [(known, [], 0.0)]


def _layer(kind, about, weights, name, shape):
    if kind in ("Dropout", "Flatten"):
        return []
    if kind == "Dense":
        kernel, *bias = weights.of(kind, name)
        if kernel.ndim != 2:
            raise ValueError(f"layer {name!r}: a kernel of the shape {kernel.shape}")
        bias = bias[0] if bias else np.zeros(kernel.shape[1])
        return [("dense", [kernel.T.ravel(), bias.ravel()], 0.0), *_activation(about["activation"], name)]
    if kind == "Activation":
        return _activation(about["activation"], name)
    if kind == "Softmax":
        return [("softmax", [], 0.0)]
    if kind == "ReLU" and not about.get("max_value") and not about.get("negative_slope") and not about.get("threshold"):
        return [("relu", [], 0.0)]
    if kind == "LeakyReLU":
        slope = about.get("negative_slope", about.get("alpha", 0.3))
        if abs(slope - 0.01) > 1e-8:
            raise ValueError(f"layer {name!r}: a slope of {slope}; expected 0.01")
        return [("leaky-relu", [], 0.0)]
    if kind in ("BatchNormalization", "LayerNormalization"):
        arrays = weights.of(kind, name)
        statistics = 2 if kind == "BatchNormalization" else 0
        given = iter(arrays[: len(arrays) - statistics])
        size = arrays[-1].size if arrays else 0
        scale = next(given) if about.get("scale", True) else np.ones(size)
        shift = next(given) if about.get("center", True) else np.zeros(size)
        rest = arrays[len(arrays) - statistics :]
        arrays = [array.ravel() for array in [scale, shift, *rest]]
        return [("batch-norm" if statistics else "layer-norm", arrays, float(about["epsilon"]))]
    if kind == "Rescaling":
        inputs = int(np.prod(shape[1:])) if shape else 0
        rows = [np.atleast_1d(np.asarray(about[part], np.float64)).ravel() for part in ("scale", "offset")]
        if any(row.size > 1 for row in rows) and shape and len(shape) > 2:
            raise ValueError(f"layer {name!r}: numbers for each channel; expected one for all")
        return [("affine", rows, float(inputs))]
    raise ValueError(f"layer {name!r}: {kind} is not understood here; of a network, these are: {_UNDERSTOOD}")
