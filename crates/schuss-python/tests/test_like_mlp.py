"""The estimators beside scikit-learn's: same numbers where arithmetic and optimiser are the same, scores as good elsewhere."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor

from schuss import SchussClassifier, SchussRegressor

SGD = {"solver": "sgd", "learning_rate_init": 0.05, "max_iter": 30}


def check_same(ours, theirs, X, y, sample_weight=None, tolerance=1e-9, **parameters):
    """In double precision every loss, parameter and prediction is scikit-learn's."""
    ours = ours(random_state=0, dtype="float64", **parameters).fit(X, y, sample_weight)
    theirs = theirs(random_state=0, **parameters).fit(X, y, sample_weight)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=tolerance)
    for own, other in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        np.testing.assert_allclose(own, other, rtol=tolerance, atol=tolerance)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_", "best_loss_"):
        own, other = getattr(ours, name), getattr(theirs, name)
        assert own == other if isinstance(other, (str, int, type(None))) else np.isclose(own, other), name
    if parameters.get("early_stopping"):
        np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=tolerance)
        assert len(ours.validation_curve_) == ours.n_iter_
    own, other = ours.predict(X), theirs.predict(X)
    assert own.shape == other.shape and own.dtype.kind == other.dtype.kind
    np.testing.assert_allclose(own, other, rtol=1e-6)
    if hasattr(theirs, "predict_proba"):
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=tolerance)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "parameters",
    [
        SGD,
        {**SGD, "activation": "tanh", "hidden_layer_sizes": (30, 20), "alpha": 1.0, "batch_size": 64},
        {**SGD, "activation": "logistic", "momentum": 0.5, "nesterovs_momentum": False},
        {**SGD, "activation": "identity", "shuffle": False, "momentum": 0.0},
        {**SGD, "early_stopping": True, "validation_fraction": 0.2, "n_iter_no_change": 3},
    ],
)
def test_classes_as_scikit_learn(digits, parameters):
    check_same(SchussClassifier, MLPClassifier, *digits, **parameters)
    check_same(SchussClassifier, MLPClassifier, digits[0], np.where(digits[1] > 4, "high", "low") == "high", **parameters)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_numbers_as_scikit_learn(diabetes, loss):
    X, y = diabetes
    parameters = {**SGD, "learning_rate_init": 0.005, "loss": loss}
    check_same(SchussRegressor, MLPRegressor, X, y, **parameters)
    check_same(SchussRegressor, MLPRegressor, X, np.c_[y, y**2 / 4], **parameters, early_stopping=True)
    # Of a whole data set, weights are those of scikit-learn; of batches, see the core's losses.
    weights = np.random.RandomState(0).randint(0, 4, len(y)).astype(float)
    weights[weights == 0] = 0.5
    check_same(SchussRegressor, MLPRegressor, X, y, weights, **parameters, batch_size=len(y), alpha=1.0)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_labels_as_scikit_learn(labels):
    check_same(SchussClassifier, MLPClassifier, *labels, **SGD)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_adam_as_scikit_learn_but_for_epsilon(digits):
    # Its ε is beside √v̂, scikit-learn's beside √v: the same where ε is next to nothing.
    check_same(SchussClassifier, MLPClassifier, *digits, tolerance=1e-3, epsilon=1e-14, max_iter=10)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_scores_are_as_good(digits, solver):
    X, X_test, y, y_test = train_test_split(*digits, random_state=0, stratify=digits[1])
    rate = {"learning_rate_init": 0.05} if solver == "sgd" else {}
    seeds = range(3)
    ours, theirs = (
        [model(solver=solver, random_state=seed, max_iter=60, **rate).fit(X, y).score(X_test, y_test) for seed in seeds]
        for model in (SchussClassifier, MLPClassifier)
    )
    # 450 rows: two of them are within the noise of the seeds.
    assert np.mean(ours) >= np.mean(theirs) - 2 / 450, (ours, theirs)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_scores_of_numbers_are_as_good(diabetes, solver):
    X, X_test, y, y_test = train_test_split(*diabetes, random_state=0)
    parameters = {"solver": solver, "alpha": 10.0, "max_iter": 100}
    ours, theirs = (
        np.mean([model(random_state=seed, **parameters).fit(X, y).score(X_test, y_test) for seed in range(5)])
        for model in (SchussRegressor, MLPRegressor)
    )
    assert ours >= theirs - 0.03, (ours, theirs)


def test_every_parameter_of_scikit_learn_is_there():
    for ours, theirs in ((SchussClassifier, MLPClassifier), (SchussRegressor, MLPRegressor)):
        own, other = ours().get_params(), theirs().get_params()
        assert {name: own.get(name) for name in other} == other
        arguments = ours.__init__.__code__.co_varnames
        assert arguments[: len(other) + 1] == theirs.__init__.__code__.co_varnames[: len(other) + 1]


def test_a_run_that_ends_too_early_says_so(digits):
    for parameters in ({"max_iter": 2}, {"solver": "lbfgs", "max_iter": 2}):
        with pytest.warns(ConvergenceWarning, match="2"):
            SchussClassifier(random_state=0, **parameters).fit(*digits)


def test_adaptive_rate_falls(digits, capsys):
    model = SchussClassifier(
        solver="sgd", learning_rate="adaptive", learning_rate_init=0.2, tol=1e-3, n_iter_no_change=2, verbose=True, max_iter=500
    )
    model.fit(*digits)
    said = capsys.readouterr().out
    assert "Setting learning rate to 0.04" in said and "Learning rate too small. Stopping." in said
    assert said.count("Iteration ") == model.n_iter_ and "Iteration 1, loss = " in said
