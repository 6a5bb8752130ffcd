from ._estimators import SchussClassifier as SchussClassifier
from ._estimators import SchussRegressor as SchussRegressor
from ._network import Network as Network
from ._network import import_model as import_model
from ._network import load as load
from ._network import save as save
from ._schuss import DivergedError as DivergedError
from ._trainer import History as History
from ._trainer import Trainer as Trainer

__version__: str
