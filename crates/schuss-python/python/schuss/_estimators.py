"""scikit-learn estimators with the parameters, the attributes and the random numbers of its multilayer perceptrons."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, check_X_y, column_or_1d, compute_sample_weight
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import _check_feature_names, _check_sample_weight, check_is_fitted, validate_data

from . import __version__, _arrays, _curves, _tables
from ._network import Network, check_state
from ._progress import Progress

_STATE = 1
_ACTIVATIONS = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
_LOSSES = {"squared_error": "mse", "poisson": "poisson", "absolute_error": "mae", "huber": "huber"}
# SciPy's L-BFGS-B stops where a step changes the loss by less than this share.
_LBFGS_CHANGE = 2.2e-9

# Rows times parameters up to which an epoch in double precision takes a millisecond or so.
_LITTLE_WORK = 10**6

_PARAMETERS = """
    hidden_layer_sizes : array-like of shape (n_layers - 2,), default=(100,)
        Sizes of the hidden layers.
    activation : {"identity", "logistic", "tanh", "relu"}, default="relu"
        After every hidden layer.
    solver : {"lbfgs", "sgd", "adam"}, default="adam"
        "lbfgs" takes the gradient of all rows in every step, and halves a step until the loss falls enough.
    alpha : float, default=0.0001
        α of the L2 penalty α/2 Σ W²/m over all weights, biases exempt: m is the number of rows of the batch, or what they
        count on average.
    batch_size : int or "auto", default="auto"
        Rows of a step; "auto" is min(200, n_samples).
    learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
        How the learning rate of "sgd" changes: not; as learning_rate_init / t**power_t over t rows seen; divided by 5
        whenever `n_iter_no_change` epochs bring nothing.
    learning_rate_init : float, default=0.001
    power_t : float, default=0.5
    max_iter : int, default=200
        Epochs, or steps of "lbfgs", at most.
    shuffle : bool, default=True
        Whether every epoch has an order of its own.
    random_state : int, RandomState instance or None, default=None
        Of initial parameters, validation split and order; used as scikit-learn's networks use it, so that the same number
        gives the same ones.
    tol : float, default=1e-4
        What an epoch must bring; for "lbfgs" the gradient's largest component at which it ends.
    verbose : bool, default=False
        A progress bar in a terminal or a notebook, a line an epoch elsewhere.
    warm_start : bool, default=False
        Whether `fit` goes on from the last one's parameters.
    momentum : float, default=0.9
        Of "sgd".
    nesterovs_momentum : bool, default=True
        Whether that is Nesterov's.
    early_stopping : bool, default=False
        Whether a part of the rows is held out, training ends when its score no longer rises, and the best parameters are
        kept.
    validation_fraction : float, default=0.1
        That part.
    beta_1, beta_2, epsilon : float, default=0.9, 0.999, 1e-8
        Of "adam".
    n_iter_no_change : int, default=10
        Epochs that may bring less than `tol`.
    max_fun : int, default=15000
        Steps of "lbfgs", at most.
{more}    dtype : {"auto", "float32", "float64"}, default="auto"
        Of parameters and arithmetic; "auto" is float64 where n_samples times the number of parameters is a million at most,
        which takes no time, else float32. Predictions have X's, as scikit-learn's.
    n_threads : int, default=None
        As many as there are cores, one for little work. The result is the same to the bit.
"""

_ATTRIBUTES = """
    loss_ : float
        The loss of the last epoch, its penalty included.
    best_loss_ : float or None
        The least loss of all epochs; None with `early_stopping`.
    loss_curve_ : list of float
        The loss of every epoch (of every step of "lbfgs").
    validation_scores_, validation_curve_ : list of float or None
        Score and loss of the validation part after every epoch, with `early_stopping`.
    best_validation_score_ : float or None
    t_ : int
        Rows seen.
    n_iter_ : int
        Epochs of the last fit.
    coefs_, intercepts_ : list of ndarray
        Weights (inputs, outputs) and biases of every layer: read-only copies.
    network_ : Network
        The network, to save or to use by itself.
    n_features_in_, n_layers_, n_outputs_ : int
    out_activation_ : str
    feature_names_in_ : ndarray of str
        Where X had names.
"""


class _Schuss(BaseEstimator):
    """What both estimators share."""

    _parameter_constraints = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(_ACTIVATIONS))],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dtype": [StrOptions({"auto", "float32", "float64"}), Options(type, {np.float32, np.float64})],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    }

    def _keep_parameters(self, arguments):
        """Keeps the arguments of ``__init__`` as they are, as scikit-learn asks for."""
        for name in self._get_param_names():
            setattr(self, name, arguments[name])

    @property
    def network_(self):
        check_is_fitted(self)
        return self._network

    @property
    def coefs_(self):
        return self._tensors("weight")

    @property
    def intercepts_(self):
        return self._tensors("bias")

    def _tensors(self, kind):
        if not hasattr(self, "_network"):
            raise AttributeError(f"This {type(self).__name__} instance is not fitted yet.")
        tensors = [values.T for name, values in self._network.tensors().items() if name.endswith(kind)]
        for tensor in tensors:
            tensor.flags.writeable = False
        return tensors

    def _fit(self, X, y, sample_weight, incremental):
        self._validate_params()
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        goes_on = hasattr(self, "_network") and (self.warm_start or incremental)
        X, y = self._validate(X, y, goes_on, incremental)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
            if not sample_weight.any():
                raise ValueError("Sample weights must contain at least one non-zero number.")
        sample_weight = self._count_classes(y, sample_weight)
        if sample_weight is not None and not sample_weight.all():
            # What counts nothing is not there.
            counts = sample_weight > 0
            X, y, sample_weight = X[counts], y[counts], sample_weight[counts]
        self._random_state = check_random_state(self.random_state)
        if not goes_on:
            self._begin(X, y)
        self._train(X, y, sample_weight, incremental)
        return self

    def _validated_features(self, X, y="no_validation", reset=True, **more):
        columns = _tables.columns(X) if reset or getattr(self, "_schema", None) else None
        if reset:
            self._schema = _tables.fit(columns)
        if getattr(self, "_schema", None):
            return self._encoded(X, columns, y, reset, **more)
        validated = validate_data(
            self,
            X,
            y,
            reset=reset,
            accept_sparse=["csr", "csc"],
            dtype=(np.float64, np.float32, np.uint8),
            order="C",
            **more,
        )
        X, *rest = validated if isinstance(validated, tuple) else (validated,)
        X = _arrays.as_is(X.toarray(order="C") if hasattr(X, "toarray") else X)
        return (X, *rest) if rest else X

    def _encoded(self, X, columns, y, reset, **more):
        """The inputs that the schema makes of a table, and y."""
        _check_feature_names(self, X, reset=reset)
        if reset:
            self.n_features_in_ = X.shape[1]
        X = _tables.encode(self._schema, columns)
        return X if isinstance(y, str) else check_X_y(X, y, **more)

    def _outputs(self, X):
        """What the network predicts, in the number type of X as in scikit-learn."""
        check_is_fitted(self)
        X = self._validated_features(X, reset=False)
        outputs = self._network._core.predict(X, self.n_threads)
        return outputs.astype(np.float32 if X.dtype == np.float32 else np.float64, copy=False)

    def _begin(self, X, y):
        """A new network with the initial parameters that scikit-learn draws."""
        hidden = self.hidden_layer_sizes
        hidden = list(hidden) if hasattr(hidden, "__iter__") else [hidden]
        if any(size <= 0 for size in hidden):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden}.")
        sizes = [X.shape[1], *hidden, self.n_outputs_]
        self.n_layers_ = len(sizes)
        dtype = self.dtype
        if dtype == "auto":
            parameters = sum((inputs + 1) * outputs for inputs, outputs in zip(sizes, sizes[1:]))
            dtype = "float64" if len(X) * parameters <= _LITTLE_WORK else "float32"
        self._network = Network(sizes, activation=_ACTIVATIONS[self.activation], dtype=dtype, **self._end())
        if self._schema is not None:
            self._network._core.set_schema(self._schema)
        factor = 2.0 if self.activation == "logistic" else 6.0
        parameters = []
        for inputs, outputs in zip(sizes, sizes[1:]):
            bound = np.sqrt(factor / (inputs + outputs))
            weight = self._random_state.uniform(-bound, bound, (inputs, outputs))
            parameters += [weight.T.ravel(), self._random_state.uniform(-bound, bound, outputs)]
        self._network.parameters = np.concatenate(parameters)
        self.n_iter_ = self.t_ = self._no_improvement_count = 0
        self.loss_curve_ = []
        held_out = self.early_stopping and self.solver != "lbfgs"
        self.validation_scores_ = [] if held_out else None
        self.validation_curve_ = [] if held_out else None
        self.best_validation_score_ = -np.inf if held_out else None
        self.best_loss_ = None if held_out else np.inf

    def _train(self, X, y, sample_weight, incremental):
        early_stopping = self.early_stopping and self.solver != "lbfgs"
        valid = None
        if early_stopping:
            stratify = y if is_classifier(self) and self.n_outputs_ == 1 else None
            arrays = [X, y] if sample_weight is None else [X, y, sample_weight]
            parts = train_test_split(
                *arrays, random_state=self._random_state, test_size=self.validation_fraction, stratify=stratify
            )
            X, y, sample_weight = *parts[:4:2], parts[4] if len(parts) > 4 else None
            valid = (*map(_arrays.as_is, parts[1:4:2]), parts[5] if len(parts) > 5 else None)
            if len(valid[0]) < 2:
                raise ValueError(
                    "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
                )
        training = _Training(self, len(X), incremental)
        train = (_arrays.as_is(X), _arrays.as_is(y), sample_weight)
        constant = self._loss_constant(y, sample_weight)
        with _arrays.read_only(*train, *(valid or ())), Progress(self.verbose, training.max_iter) as progress:
            try:
                self._network._core.epochs(
                    train,
                    valid,
                    training.recipe,
                    lambda loss, of_valid, slope: training.epoch(loss + constant, of_valid, slope, progress),
                )
            except KeyboardInterrupt:
                warnings.warn("Training interrupted by user.")

    def _loss_constant(self, y, sample_weight):
        """What the loss has beside what depends on the network."""
        return 0.0

    def _count_classes(self, y, sample_weight):
        return sample_weight

    def _repr_html_inner(self):
        return super()._repr_html_inner() + self._picture()

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle:
            bundle["text/html"] += self._picture()
        return bundle

    def _picture(self):
        curves = {"loss": getattr(self, "loss_curve_", []), "validation": getattr(self, "validation_curve_", None) or []}
        return _curves.svg(curves, first=1)

    def __getstate__(self):
        return {**super().__getstate__(), "_schuss_state": _STATE, "_schuss_version": __version__}

    def __setstate__(self, state):
        state = dict(state)
        writer = state.pop("_schuss_version", "an unknown version")
        check_state(f"{type(self).__name__} of schuss {writer}", state.pop("_schuss_state", None), _STATE)
        super().__setstate__(state)

    def _is_stochastic(self):
        if self.solver == "lbfgs":
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class _Training:
    """The epochs of one fit: what the binding is told to do, and what follows from what it tells."""

    def __init__(self, estimator, rows, incremental):
        self.estimator = estimator
        self.rows = rows
        self.incremental = incremental
        self.is_lbfgs = estimator.solver == "lbfgs"
        self.max_iter = min(estimator.max_iter, estimator.max_fun) if self.is_lbfgs else estimator.max_iter
        self.order = np.arange(rows)
        if not (incremental and hasattr(estimator, "_learning_rate")):
            estimator._learning_rate = 1.0 if self.is_lbfgs else float(estimator.learning_rate_init)
        estimator.n_iter_ = 0
        batch_size = estimator.batch_size
        if self.is_lbfgs:
            batch_size = rows
        elif batch_size == "auto":
            batch_size = min(200, rows)
        elif batch_size > rows:
            warnings.warn("Got `batch_size` less than 1 or larger than sample size. It is going to be clipped")
            batch_size = rows
        self.recipe = {
            **self._optimizer(),
            "batch_size": int(batch_size),
            "alpha": float(estimator.alpha),
            "threads": estimator.n_threads,
            "goes_on": incremental,
            "first": self._next(),
        }

    def _optimizer(self):
        estimator = self.estimator
        if self.is_lbfgs:
            return {"optimizer": "lbfgs", "constants": []}
        if estimator.solver == "sgd":
            momentum = float(estimator.momentum)
            nesterov = float(estimator.nesterovs_momentum and momentum > 0)
            return {"optimizer": "sgd", "constants": [("momentum", momentum), ("nesterov", nesterov)]}
        names = {"beta1": estimator.beta_1, "beta2": estimator.beta_2, "epsilon": estimator.epsilon}
        return {"optimizer": "adam", "constants": [(name, float(value)) for name, value in names.items()]}

    def _next(self):
        """Learning rate and order of the next epoch."""
        estimator = self.estimator
        if not estimator.shuffle or self.is_lbfgs:
            return estimator._learning_rate, None
        permutation = np.arange(self.rows)
        estimator._random_state.shuffle(permutation)
        self.order = self.order[permutation]
        return estimator._learning_rate, self.order

    def epoch(self, loss, of_valid, slope, progress):
        """An epoch is over: the next one, or None."""
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.loss_ = loss
        estimator.t_ += self.rows
        estimator.loss_curve_.append(loss)
        text = f"loss = {loss:.8f}"
        if of_valid is not None:
            estimator.validation_curve_.append(of_valid[0])
            estimator.validation_scores_.append(of_valid[1])
            text += f", validation score = {of_valid[1]:.6f}"
        progress.epoch(estimator.n_iter_, text)
        is_over = self._lbfgs_is_over(slope) if self.is_lbfgs else self._is_over(progress)
        if is_over or self.incremental:
            return None
        if estimator.n_iter_ >= self.max_iter:
            warnings.warn(self._limit(), ConvergenceWarning)
            return None
        return self._next()

    def _limit(self):
        if self.is_lbfgs:
            return (
                f"lbfgs failed to converge after {self.max_iter} iteration(s): TOTAL NO. OF ITERATIONS REACHED LIMIT. "
                "Increase the number of iterations (max_iter) or scale the data as shown in: "
                "https://scikit-learn.org/stable/modules/preprocessing.html"
            )
        return (
            f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't converged yet."
        )

    def _lbfgs_is_over(self, slope):
        losses = self.estimator.loss_curve_[-2:]
        self.estimator.best_loss_ = min(self.estimator.best_loss_, losses[-1])
        noise = max(_LBFGS_CHANGE, np.finfo(self.estimator._network.dtype).eps)
        is_flat = len(losses) == 2 and losses[0] - losses[1] <= noise * max(abs(losses[0]), abs(losses[1]), 1.0)
        return slope <= self.estimator.tol or (is_flat and self.estimator.n_iter_ > 1)

    def _is_over(self, progress):
        """Whether so many epochs brought so little that training ends; the rate of "adaptive" may fall instead."""
        estimator = self.estimator
        if estimator.validation_scores_:
            score = estimator.validation_scores_[-1]
            is_better = not score < estimator.best_validation_score_ + estimator.tol
            estimator.best_validation_score_ = max(score, estimator.best_validation_score_)
        else:
            loss = estimator.loss_curve_[-1]
            is_better = not loss > estimator.best_loss_ - estimator.tol
            estimator.best_loss_ = min(loss, estimator.best_loss_)
        estimator._no_improvement_count = 0 if is_better else estimator._no_improvement_count + 1
        is_sgd = estimator.solver == "sgd"
        if is_sgd and estimator.learning_rate == "invscaling":
            estimator._learning_rate = estimator.learning_rate_init / (estimator.t_ + 1) ** estimator.power_t
        if estimator._no_improvement_count <= estimator.n_iter_no_change:
            return False
        what = "Validation score" if estimator.validation_scores_ else "Training loss"
        message = (
            f"{what} did not improve more than tol={estimator.tol:f} for {estimator.n_iter_no_change} consecutive epochs."
        )
        if not is_sgd or estimator.learning_rate != "adaptive":
            progress.say(f"{message} Stopping.")
            return True
        if estimator._learning_rate <= 1e-6:
            progress.say(f"{message} Learning rate too small. Stopping.")
            return True
        estimator._learning_rate /= 5.0
        estimator._no_improvement_count = 0
        progress.say(f"{message} Setting learning rate to {estimator._learning_rate:f}")
        return False


class SchussClassifier(ClassifierMixin, _Schuss):
    __doc__ = (
        """Dense network for classes, or for several labels, trained to make the log-loss small.

    Takes the place of :class:`sklearn.neural_network.MLPClassifier`: the same parameters, attributes and random numbers.

    Parameters
    ----------"""
        + _PARAMETERS.replace(
            "{more}",
            """    class_weight : dict, "balanced" or None, default=None
        What the rows of each class count, beside their `sample_weight`; "balanced" is n_samples / (n_classes * count).
""",
        )
        + """
    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)"""
        + _ATTRIBUTES
        + """
    Examples
    --------
    >>> from schuss import SchussClassifier
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> model = SchussClassifier(random_state=0).fit(X / 16, y)
    >>> float(model.score(X / 16, y)) > 0.99
    True
    """
    )

    _parameter_constraints = {**_Schuss._parameter_constraints, "class_weight": [dict, list, StrOptions({"balanced"}), None]}

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        class_weight=None,
        dtype="auto",
        n_threads=None,
    ):
        self._keep_parameters(locals())

    def fit(self, X, y, sample_weight=None):
        """Train on all rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            float32, float64 and uint8 in C order are read where they are; a sparse matrix is laid out densely. Of a table
            (pandas, Polars, Arrow) with words, times or missing values the model makes inputs itself: numbers are
            standardised, what is missing becomes their mean and is marked, each category has a column of 0 and 1, times
            have their places in the day, the week and the year.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Classes, or a 0 or 1 for each label.
        sample_weight : array-like of shape (n_samples,), default=None
            What each row counts beside the others.

        Returns
        -------
        self : SchussClassifier

        Raises
        ------
        ValueError
            Data or parameters that do not fit, in scikit-learn's words; :class:`schuss.DivergedError`, which is one, where
            parameters stop being finite.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    @available_if(lambda self: self._is_stochastic())
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Train for one epoch, going on with the parameters and the optimizer's memory.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
        classes : array-like of shape (n_classes,), default=None
            All classes there will be; needed in the first call.

        Returns
        -------
        self : SchussClassifier
        """
        if _check_partial_fit_first_call(self, classes):
            self._is_multilabel = type_of_target(y, raise_unknown=True).startswith("multilabel")
            if self._is_multilabel:
                self.classes_ = np.arange(np.shape(y)[1])
        return self._fit(X, y, sample_weight, incremental=True)

    def _validate(self, X, y, goes_on, incremental):
        X, y = self._validated_features(X, y, reset=not goes_on, multi_output=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        kind = type_of_target(y)
        if kind == "multiclass-multioutput":
            raise ValueError("Multioutput target data is not supported with label binarization")
        if not (goes_on or incremental):
            self._is_multilabel = kind == "multilabel-indicator"
            self.classes_ = np.arange(y.shape[1]) if self._is_multilabel else unique_labels(y)
        else:
            self._check_classes(unique_labels(y), incremental)
        if self._is_multilabel:
            y = y.toarray() if hasattr(y, "toarray") else y
            if y.ndim != 2 or y.shape[1] != len(self.classes_):
                raise ValueError(f"y: expected a 0 or 1 for each of {len(self.classes_)} labels, got shape {y.shape}")
            encoded = np.ascontiguousarray(y != 0, dtype=np.float64)
        else:
            encoded = np.searchsorted(self.classes_, y).astype(np.uint32)
        self.n_outputs_ = len(self.classes_) if self._is_multilabel or len(self.classes_) > 2 else 1
        self.out_activation_ = "logistic" if self._is_multilabel or self.n_outputs_ == 1 else "softmax"
        return X, encoded

    def _check_classes(self, classes, incremental):
        if self.warm_start and not incremental and set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously got "
                f"{self.classes_}, `y` has {classes}"
            )
        if len(np.setdiff1d(classes, self.classes_)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    def _count_classes(self, y, sample_weight):
        if self.class_weight is None:
            return sample_weight
        if self._is_multilabel:
            of_class = compute_sample_weight(self.class_weight, y)
        else:
            of_class = compute_sample_weight(self.class_weight, self.classes_[y])
        return of_class if sample_weight is None else sample_weight * of_class

    def _end(self):
        if self._is_multilabel:
            return {"task": "multi-label", "loss": "binary-cross-entropy"}
        loss = "binary-cross-entropy" if self.n_outputs_ == 1 else "cross-entropy"
        names = list(self.classes_) if len(self.classes_) > 1 else []
        return {"task": "classification", "loss": loss, "softmax_epsilon": 0.0, "class_names": names}


    def predict(self, X):
        """The most probable class of every row, or the labels that are more probable than not.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        probabilities = self._outputs(X)
        if self._is_multilabel:
            return (probabilities > 0.5).astype(int)
        if len(self.classes_) == 1:
            return np.repeat(self.classes_, len(probabilities))
        return self.classes_[probabilities.argmax(axis=1)]

    def predict_proba(self, X):
        """Probabilities of the classes, in the order of `classes_`, or of the labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
        """
        probabilities = self._outputs(X)
        if len(self.classes_) == 1 and not self._is_multilabel:
            return np.ones((len(probabilities), 1), dtype=probabilities.dtype)
        return probabilities

    def predict_log_proba(self, X):
        """The logarithm of :meth:`predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class SchussRegressor(RegressorMixin, _Schuss):
    __doc__ = (
        """Dense network for numbers, one or several a row.

    Takes the place of :class:`sklearn.neural_network.MLPRegressor`: the same parameters, attributes and random numbers.

    Parameters
    ----------
    loss : {"squared_error", "poisson", "absolute_error", "huber"}, default="squared_error"
        Half the squared error; half the Poisson deviance, of rates exp(output); the absolute error; half the squared error
        up to 1, then the absolute error less 1/2."""
        + _PARAMETERS.replace("{more}", "")
        + """
    Attributes
    ----------"""
        + _ATTRIBUTES
        + """
    Examples
    --------
    >>> from schuss import SchussRegressor
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(n_samples=200, n_features=5, random_state=0)
    >>> model = SchussRegressor(solver="lbfgs", max_iter=1000, random_state=0).fit(X, y / 100)
    >>> float(model.score(X, y / 100)) > 0.99
    True
    """
    )

    _parameter_constraints = {**_Schuss._parameter_constraints, "loss": [StrOptions(set(_LOSSES))]}

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        dtype="auto",
        n_threads=None,
    ):
        self._keep_parameters(locals())

    def fit(self, X, y, sample_weight=None):
        """Train on all rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            float32, float64 and uint8 in C order are read where they are; a sparse matrix is laid out densely. Of a table
            (pandas, Polars, Arrow) with words, times or missing values the model makes inputs itself: numbers are
            standardised, what is missing becomes their mean and is marked, each category has a column of 0 and 1, times
            have their places in the day, the week and the year.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Numbers; 0 or more for the loss "poisson".
        sample_weight : array-like of shape (n_samples,), default=None
            What each row counts beside the others.

        Returns
        -------
        self : SchussRegressor

        Raises
        ------
        ValueError
            Data or parameters that do not fit, in scikit-learn's words; :class:`schuss.DivergedError`, which is one, where
            parameters stop being finite.
        """
        return self._fit(X, y, sample_weight, incremental=False)

    @available_if(lambda self: self._is_stochastic())
    def partial_fit(self, X, y, sample_weight=None):
        """Train for one epoch, going on with the parameters and the optimizer's memory.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : SchussRegressor
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def _validate(self, X, y, goes_on, incremental):
        X, y = self._validated_features(X, y, reset=not goes_on, multi_output=True, y_numeric=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        y = np.ascontiguousarray(y if y.ndim == 2 else y[:, np.newaxis], dtype=np.float64)
        if goes_on and y.shape[1] != self.n_outputs_:
            raise ValueError(f"y: expected {self.n_outputs_} outputs as in the previous call, got {y.shape[1]}")
        self.n_outputs_ = y.shape[1]
        self.out_activation_ = "exp" if self.loss == "poisson" else "identity"
        return X, y

    def _end(self):
        return {"task": "regression", "loss": _LOSSES[self.loss]}

    def _loss_constant(self, y, sample_weight):
        if self.loss != "poisson":
            return 0.0
        constant = np.where(y > 0, y * np.log(np.where(y > 0, y, 1.0)), 0.0) - y
        return float(np.average(constant, weights=sample_weight, axis=0).sum())

    def predict(self, X):
        """Predicted numbers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        y = self._outputs(X)
        return y.ravel() if self.n_outputs_ == 1 else y
