"""What the estimators do beside fitting and predicting as scikit-learn's."""

import copy
import json
import pickle

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import schuss
from schuss import SchussClassifier, SchussRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def fitted(digits, **parameters):
    return SchussClassifier(**{"max_iter": 5, "random_state": 0, **parameters}).fit(*digits)


def bits(model):
    return model.network_.weights_sha256()


def test_the_same_bits_on_any_number_of_threads(digits):
    models = [fitted(digits, n_threads=n, hidden_layer_sizes=(300, 200), dtype="float32") for n in (1, 2, 5)]
    assert len({bits(model) for model in models}) == 1
    assert bits(models[0]) != bits(fitted(digits, random_state=1, hidden_layer_sizes=(300, 200), dtype="float32"))


def test_a_row_alone_is_predicted_as_among_others(digits):
    model = fitted(digits)
    whole = model.predict_proba(digits[0][:50])
    alone = np.vstack([model.predict_proba(digits[0][i : i + 1]) for i in range(50)])
    np.testing.assert_array_equal(whole, alone)


def check_input(digits, convert):
    """Another container of the same numbers makes the same model, and the same predictions."""
    X, y = digits
    reference, model = fitted(digits), fitted((convert(X), y))
    assert bits(reference) == bits(model)
    np.testing.assert_array_equal(reference.predict(X), model.predict(convert(X)))


def test_containers(digits):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    names = [f"pixel{i}" for i in range(64)]
    for convert in (
        np.asfortranarray,
        lambda X: np.repeat(X, 2, axis=0)[::2],
        lambda X: X[::-1][::-1],
        lambda X: X.astype(">f8"),
        lambda X: X.tolist(),
        scipy.sparse.csr_array,
        scipy.sparse.csc_matrix,
        lambda X: pandas.DataFrame(X, columns=names),
        lambda X: polars.DataFrame(X, schema=names),
    ):
        check_input(digits, convert)


def test_arrow_tables(digits):
    pyarrow = pytest.importorskip("pyarrow")
    X, y = digits
    table = pyarrow.table({f"pixel{i}": X[:, i] for i in range(X.shape[1])})
    check_input(digits, lambda X: table.slice(0, len(X)))


def test_names_of_features_are_kept(digits):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(digits[0], columns=[f"pixel{i}" for i in range(64)])
    model = fitted((X, digits[1]))
    assert model.feature_names_in_.tolist() == X.columns.tolist() and model.n_features_in_ == 64
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X[X.columns[::-1]])


def test_bytes_are_read_as_they_are(digits):
    pixels = (digits[0] * 16).astype(np.uint8)
    assert bits(fitted((pixels, digits[1]))) == bits(fitted((pixels.astype(float), digits[1])))


def test_input_is_lent_read_only_and_given_back(digits):
    X, y = digits[0].astype(np.float32), digits[1]
    seen = []

    class Order(np.random.RandomState):
        def shuffle(self, x):
            seen.append(X.flags.writeable)
            super().shuffle(x)

    before = X.copy()
    SchussClassifier(max_iter=3, random_state=Order(0)).fit(X, y)
    # The first order is drawn before the data are lent.
    assert seen == [True, False, False]
    assert X.flags.writeable
    np.testing.assert_array_equal(X, before)


def test_class_names_are_of_any_kind(digits):
    X, y = digits
    for names in (np.array([f"digit {i}" for i in range(10)]), np.arange(10) - 5, np.arange(10) * 0.5 + 1):
        kind = names[y]
        if kind.dtype.kind == "f":
            kind = kind.astype(str)
        model = fitted((X, kind))
        assert model.classes_.tolist() == np.unique(kind).tolist()
        assert model.score(X, kind) > 0.7
        assert model.network_.class_names == [str(name) for name in model.classes_]


def test_labels_and_several_numbers(labels, diabetes):
    X, Y = labels
    model = SchussClassifier(random_state=0).fit(X, Y)
    assert model.score(X, Y) > 0.9 and model.predict(X).shape == Y.shape
    np.testing.assert_array_equal(model.predict(X), model.predict_proba(X) > 0.5)
    X, y = diabetes
    model = SchussRegressor(random_state=0, max_iter=400).fit(X, np.c_[y, -y])
    assert model.predict(X).shape == (len(X), 2) and model.score(X, np.c_[y, -y]) > 0.4


def test_losses_of_numbers(diabetes):
    X, y = diabetes
    y = np.where(np.arange(len(y)) % 20 == 0, 100.0, y)
    errors = {}
    for loss in ("squared_error", "absolute_error", "huber"):
        model = SchussRegressor(loss=loss, random_state=0, max_iter=300).fit(X, y)
        errors[loss] = np.median(np.abs(model.predict(X) - y))
    # What is far off moves a mean, not a median.
    assert max(errors["absolute_error"], errors["huber"]) < errors["squared_error"] / 2, errors


def test_weights_of_rows_and_classes(digits):
    X, y = digits
    parameters = {"max_iter": 20, "random_state": 0, "batch_size": len(X)}
    # A row that counts twice stands there twice.
    twice = SchussClassifier(**{**parameters, "batch_size": 2 * len(X)}, dtype="float64", solver="lbfgs").fit(
        np.r_[X, X[:500]], np.r_[y, y[:500]]
    )
    weighted = SchussClassifier(**parameters, dtype="float64", solver="lbfgs").fit(X, y, np.where(np.arange(len(y)) < 500, 2.0, 1.0))
    np.testing.assert_allclose(twice.predict_proba(X), weighted.predict_proba(X), atol=1e-3)
    # One that counts nothing is not there.
    without = fitted((X[y != 3], y[y != 3]))
    nothing = SchussClassifier(max_iter=5, random_state=0).fit(X, y, (y != 3).astype(float))
    assert 3 in nothing.classes_ and not (nothing.predict(X) == 3).any()
    assert 3 not in without.classes_
    # Classes that count more are found more often.
    rare = np.where(y == 8, 8, 0)
    plain, balanced = (fitted((X, rare), class_weight=weight, max_iter=3) for weight in (None, "balanced"))
    assert (balanced.predict(X) == 8).sum() > (plain.predict(X) == 8).sum() + 50
    by_hand = SchussClassifier(max_iter=3, random_state=0).fit(X, rare, np.where(rare == 8, 2.5, 0.5))
    by_class = fitted((X, rare), class_weight={0: 0.5, 8: 2.5}, max_iter=3)
    assert bits(by_hand) == bits(by_class)


def test_partial_fit_goes_on(digits):
    X, y = digits
    whole = SchussClassifier(random_state=None, shuffle=False, max_iter=6, n_iter_no_change=100)
    whole.set_params(random_state=0).fit(X, y)
    parts = SchussClassifier(random_state=0, shuffle=False)
    for i in range(6):
        parts.partial_fit(X, y, classes=np.arange(10))
        # What the optimizer remembers survives.
        parts = pickle.loads(pickle.dumps(parts))
    assert bits(whole) == bits(parts) and parts.t_ == 6 * len(X) and parts.n_iter_ == 1
    assert parts.loss_curve_ == whole.loss_curve_
    with pytest.raises(ValueError, match="classes"):
        parts.partial_fit(X, y + 1)
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'"):
        SchussClassifier(solver="lbfgs").partial_fit


def test_partial_fit_knows_classes_to_come(digits):
    X, y = digits
    model = SchussClassifier(random_state=0).partial_fit(X[:2], y[:2], classes=np.arange(10))
    assert model.predict_proba(X[:3]).shape == (3, 10)


def test_warm_start_goes_on_with_parameters(digits):
    model = fitted(digits, warm_start=True)
    first = model.loss_
    model.fit(*digits)
    assert model.loss_curve_[5] < first and len(model.loss_curve_) == 10
    with pytest.raises(ValueError, match="warm_start can only be used where"):
        model.fit(digits[0], digits[1] % 5)


def test_early_stopping_keeps_the_best(digits):
    model = fitted(digits, early_stopping=True, max_iter=60, n_iter_no_change=3, learning_rate_init=0.02)
    assert model.best_validation_score_ == max(model.validation_scores_) and model.best_loss_ is None
    assert len(model.validation_curve_) == len(model.validation_scores_) == model.n_iter_ < 60
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
        SchussClassifier(early_stopping=True).partial_fit(*digits, classes=np.arange(10))


def test_pickles(digits):
    model = fitted(digits)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(model.predict_proba(digits[0]), other.predict_proba(digits[0]))
        assert bits(other) == bits(model) and other.get_params() == model.get_params()
    state = {**model.__getstate__(), "_schuss_state": 999}
    with pytest.raises(ValueError, match="expected state of version 1, got 999: another version of schuss"):
        SchussClassifier.__new__(SchussClassifier).__setstate__(state)
    state = {**model.network_.__getstate__(), "version": 0}
    with pytest.raises(ValueError, match="expected state of version 1, got 0"):
        schuss.Network.__new__(schuss.Network).__setstate__(state)
    with pytest.raises(NotFittedError):
        clone(model).predict(digits[0])


def test_searches_and_pipelines(digits):
    X, y = digits
    search = GridSearchCV(SchussClassifier(max_iter=10, random_state=0), {"hidden_layer_sizes": [(2,), (30,)]}, cv=2, n_jobs=2)
    assert search.fit(X, y).best_params_ == {"hidden_layer_sizes": (30,)}
    pipeline = make_pipeline(StandardScaler(), SchussClassifier(max_iter=10, random_state=0))
    assert cross_val_score(pipeline, X, y, cv=2).min() > 0.8
    pandas = pytest.importorskip("pandas")
    pipeline.set_output(transform="pandas").fit(pandas.DataFrame(X, columns=[f"pixel{i}" for i in range(64)]), y)
    assert pipeline[-1].feature_names_in_[0] == "pixel0"


def test_models_of_one_class_know_it(digits):
    X, y = digits
    model = fitted((X, np.zeros_like(y)))
    assert (model.predict(X) == 0).all() and (model.predict_proba(X) == 1).all()


def test_predictions_are_json(digits):
    assert json.loads(json.dumps(fitted(digits).predict_proba(digits[0])[0, 0])) >= 0


def test_the_html_has_curves(digits):
    model = fitted(digits, early_stopping=True)
    page = model._repr_html_()
    assert "SchussClassifier" in page and page.count("<polyline") == 2 and "validation" in page
    assert model._repr_mimebundle_()["text/html"].count("<polyline") == 2
    assert "<svg xmlns" not in SchussClassifier()._repr_html_() or "<polyline" not in SchussClassifier()._repr_html_()


def check_raises(error, match, act):
    with pytest.raises(error, match=match) as caught:
        act()
    assert "Panic" not in type(caught.value).__name__


def test_errors_are_scikit_learns(digits):
    X, y = digits
    model = fitted(digits)
    missing, infinite = X.copy(), X.copy()
    missing[3, 4], infinite[3, 4] = np.nan, np.inf
    new = SchussClassifier
    for error, match, act in (
        (ValueError, "Input X contains NaN", lambda: new().fit(missing, y)),
        (ValueError, "Input X contains infinity", lambda: new().fit(infinite, y)),
        (ValueError, "Input X contains NaN", lambda: model.predict(missing)),
        (ValueError, "X has 63 features, but SchussClassifier is expecting 64 features", lambda: model.predict(X[:, 1:])),
        (ValueError, "X has 63 features", lambda: model.partial_fit(X[:, 1:], y)),
        (ValueError, "could not convert string to float", lambda: new().fit(np.array([["a"], ["b"]], dtype=object), [0, 1])),
        (ValueError, r"Found array with 0 sample\(s\)", lambda: new().fit(X[:0], y[:0])),
        (ValueError, r"Found array with 0 sample\(s\)", lambda: model.predict(X[:0])),
        (ValueError, r"Found array with 0 feature\(s\)", lambda: new().fit(X[:, :0], y)),
        (ValueError, "inconsistent numbers of samples", lambda: new().fit(X, y[1:])),
        (ValueError, "Unknown label type", lambda: new().fit(X, y + 0.5)),
        (ValueError, "requires y to be passed", lambda: new().fit(X, None)),
        (ValueError, "Expected 2D array, got 1D array", lambda: new().fit(X[0], y[:64])),
        (ValueError, "The 'alpha' parameter of SchussClassifier must be", lambda: new(alpha=-1).fit(X, y)),
        (ValueError, "The 'solver' parameter", lambda: new(solver="adamax").fit(X, y)),
        (ValueError, "hidden_layer_sizes must be > 0", lambda: new(hidden_layer_sizes=(0,)).fit(X, y)),
        (ValueError, "sample_weight", lambda: new().fit(X, y, np.ones(3))),
        (ValueError, "[Nn]egative values in data passed to `sample_weight`", lambda: new().fit(X, y, -np.ones(len(y)))),
        (ValueError, "at least one non-zero", lambda: new().fit(X, y, np.zeros(len(y)))),
        (ValueError, "validation set is too small", lambda: new(early_stopping=True, validation_fraction=0.1).fit(X[:6], y[:6])),
        (ValueError, "Input y contains NaN", lambda: SchussRegressor().fit(X, np.where(y == 3, np.nan, y))),
        (ValueError, "0 or more", lambda: SchussRegressor(loss="poisson").fit(X, y - 5.0)),
        (NotFittedError, "not fitted yet", lambda: new().predict(X)),
        (AttributeError, "not fitted yet", lambda: new().coefs_),
        (ValueError, "read-only", lambda: model.coefs_[0].fill(0)),
    ):
        check_raises(error, match, act)


def test_what_diverges_is_said(diabetes):
    X, y = diabetes
    model = SchussRegressor(solver="sgd", learning_rate_init=1e6)
    check_raises(schuss.DivergedError, "Solver produced non-finite parameter weights", lambda: model.fit(X, y))
    assert issubclass(schuss.DivergedError, ValueError)
