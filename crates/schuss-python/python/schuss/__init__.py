"""Dense neural networks on CPUs, close to the hardware's limit, with the same bits on any number of threads.

``SchussClassifier`` and ``SchussRegressor`` are scikit-learn estimators with the parameters of ``MLPClassifier`` and
``MLPRegressor``. Below them, a ``Network`` is layers, a loss and a task, and a ``Trainer`` trains it; ``load`` and ``save``
share model files with the command ``schuss``; ``import_model`` reads networks of PyTorch, scikit-learn (ONNX) and Keras.
"""

from importlib.metadata import version as _version

from ._network import Network, import_model, load, save
from ._schuss import DivergedError
from ._trainer import History, Trainer

__version__ = _version("schuss")
__all__ = [
    "DivergedError",
    "History",
    "Network",
    "SchussClassifier",
    "SchussRegressor",
    "Trainer",
    "import_model",
    "load",
    "save",
]

_ESTIMATORS = ("SchussClassifier", "SchussRegressor")


def __getattr__(name):
    # scikit-learn takes a second to import, which a program that only predicts with a Network need not wait for.
    if name in _ESTIMATORS:
        from . import _estimators

        return getattr(_estimators, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
