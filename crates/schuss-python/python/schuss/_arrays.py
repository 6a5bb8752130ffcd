"""Arrays as the binding takes them."""

from contextlib import contextmanager

import numpy as np

_FEATURES = tuple(np.dtype(name) for name in ("float32", "float64", "uint8"))


def rows(x, name="x"):
    """Features as (rows, columns) of float32, float64 or uint8, the array itself where it is one; a row alone is one row."""
    x = np.asarray(x)
    if x.dtype not in _FEATURES:
        if x.dtype.kind not in "buif":
            raise TypeError(f"{name}: expected numbers, got an array of dtype {x.dtype}; encode categories as numbers")
        x = x.astype(np.float64)
    if x.ndim == 1:
        x = x[np.newaxis]
    if x.ndim > 2:
        # Pictures: one flat row each.
        x = x.reshape(len(x), -1)
    if x.ndim != 2:
        raise ValueError(f"{name}: expected (rows, columns), got an array of shape {x.shape}")
    return as_is(x)


def as_is(x):
    """The array itself if it is C-contiguous, aligned and in the machine's order of bytes, else a copy that is."""
    flags = x.flags
    if flags.c_contiguous and flags.aligned and x.dtype.isnative:
        return x
    return np.require(x, dtype=x.dtype.newbyteorder("="), requirements=["C", "A"])


def goals(y, task, class_names=(), name="y"):
    """Targets of a task: uint32 classes counted from 0 (rows,), or float64 numbers (rows, targets). Words are names of classes."""
    y = np.asarray(y)
    if class_names and y.ndim == 1 and y.dtype.kind in "OTU" and all(isinstance(value, str) for value in y.tolist()):
        places = {class_name: place for place, class_name in enumerate(class_names)}
        unknown = sorted(set(y.tolist()) - set(places))
        if unknown:
            raise ValueError(f"{name}: expected one of the classes {', '.join(map(repr, class_names))}, got {unknown[0]!r}")
        y = np.array([places[value] for value in y.tolist()], dtype=np.uint32)
    if y.dtype.kind not in "buif":
        raise TypeError(f"{name}: expected numbers, got an array of dtype {y.dtype}; classes are counted from 0")
    if task == "classification" and y.ndim == 1:
        if y.dtype.kind == "f":
            raise TypeError(f"{name}: expected classes, integers counted from 0, got an array of dtype {y.dtype}")
        if y.size and (y.min() < 0 or y.max() > np.iinfo(np.uint32).max):
            raise ValueError(f"{name}: expected classes counted from 0, got {y.min()} to {y.max()}")
        return np.ascontiguousarray(y, dtype=np.uint32)
    y = np.asarray(y, dtype=np.float64)
    if y.ndim == 1:
        y = y[:, np.newaxis]
    if y.ndim != 2:
        raise ValueError(f"{name}: expected (rows, targets), got an array of shape {y.shape}")
    return as_is(y)


def weights(sample_weight):
    """What rows count, as float64 (rows,)."""
    return None if sample_weight is None else np.ascontiguousarray(sample_weight, dtype=np.float64)


@contextmanager
def read_only(*arrays):
    """Marks arrays read-only for as long as they are lent to a training that has let the interpreter go."""
    lent = [array for array in arrays if array is not None and array.flags.writeable]
    for array in lent:
        array.flags.writeable = False
    try:
        yield
    finally:
        for array in lent:
            array.flags.writeable = True
