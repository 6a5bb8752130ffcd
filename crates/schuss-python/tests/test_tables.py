"""Tables with words, times and missing values: what the model makes of them is the same whatever they come in."""

import pathlib
import pickle

import numpy as np
import pytest
import schuss
from schuss import SchussClassifier, SchussRegressor, Trainer

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")
pyarrow = pytest.importorskip("pyarrow")

ROWS = 240


def table(rows=ROWS, seed=0):
    """A number with gaps, a word with gaps, a time; the class follows from the first two."""
    random = np.random.default_rng(seed)
    number = random.normal(size=rows)
    word = random.choice(["ash", "beech", "oak"], rows)
    day = np.datetime64("2024-01-01", "s") + random.integers(0, 10**7, rows).astype("timedelta64[s]")
    y = np.where((word == "oak") ^ (number > 0), "high", "low")
    frame = pandas.DataFrame({"number": number, "word": word.astype(object), "day": day.astype("datetime64[ns]"), "id": np.arange(rows) % 7})
    frame.loc[::17, "number"] = np.nan
    frame.loc[::23, "word"] = None
    return frame, y


def fitted(X, y):
    return SchussClassifier(random_state=0, max_iter=60, learning_rate_init=0.01).fit(X, y)


CONVERSIONS = {
    "categories": lambda frame: frame.astype({"word": "category"}),
    "strings": lambda frame: frame.astype({"word": "string"}),
    "nullable": lambda frame: frame.convert_dtypes(),
    "polars": polars.from_pandas,
    "polars categories": lambda frame: polars.from_pandas(frame).with_columns(polars.col("word").cast(polars.Categorical)),
    "arrow": lambda frame: pyarrow.Table.from_pandas(frame, preserve_index=False),
}


def test_words_and_gaps_are_learned():
    X, y = table()
    assert fitted(X, y).score(*table(seed=1)) > 0.85


@pytest.mark.parametrize("name", CONVERSIONS)
def test_the_same_of_every_library(name):
    X, y = table()
    convert = CONVERSIONS[name]
    expected, model = fitted(X, y), fitted(convert(X), y)
    np.testing.assert_array_equal(model.network_.parameters, expected.network_.parameters)
    test, _ = table(seed=1)
    np.testing.assert_array_equal(model.predict_proba(convert(test)), expected.predict_proba(test))
    # A row has the same prediction alone.
    np.testing.assert_array_equal(model.predict_proba(convert(test.iloc[5:6])), expected.predict_proba(test)[5:6])


def test_what_was_not_there_in_training():
    X, y = table()
    model = fitted(X, y)
    test, _ = table(seed=1)
    unknown, nothing = test.assign(word="elm"), test.assign(word=None)
    with pytest.warns(UserWarning, match="column 'word': unknown categories, such as 'elm'"):
        assert np.isfinite(model.predict_proba(unknown)).all()
    assert np.isfinite(model.predict_proba(nothing)).all()
    gap = test.assign(id=np.nan)
    np.testing.assert_allclose(model.predict_proba(gap), model.predict_proba(test.assign(id=X["id"].mean())), atol=1e-9)


def test_pickle_and_clone():
    from sklearn.base import clone
    from sklearn.model_selection import cross_val_score

    X, y = table()
    model = fitted(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(clone(model).fit(X, y).network_.parameters, model.network_.parameters)
    assert cross_val_score(model, X, y, cv=3).mean() > 0.75


def test_a_plain_table_is_left_as_it_is():
    X, y = table()
    numbers = X[["id"]].assign(number=X["number"].fillna(0.0))
    expected = fitted(numbers.to_numpy(dtype=float), y)
    np.testing.assert_array_equal(fitted(numbers, y).network_.parameters, expected.network_.parameters)


def test_numbers_of_a_table():
    X, y = table()
    target = np.where(y == "high", 1.0, 0.0) + X["number"].fillna(0.0).to_numpy()
    model = SchussRegressor(random_state=0, max_iter=100, learning_rate_init=0.01).fit(X, target)
    assert model.score(X, target) > 0.8


def test_bad_tables():
    X, y = table()
    model = fitted(X, y)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X.drop(columns="word"))
    with pytest.raises(ValueError, match="expected a table with the columns 'number', 'word'"):
        model.predict(np.zeros((3, 4)))
    with pytest.raises(ValueError, match="infinity in column 'number'"):
        model.predict(X.assign(number=np.inf))
    with pytest.raises(ValueError, match="another type"):
        model.predict(X.assign(number="much"))
    with pytest.raises(ValueError, match='categories of column "name"'):
        fitted(pandas.DataFrame({"name": [f"name {i}" for i in range(2000)]}), np.arange(2000) % 2)
    with pytest.raises(ValueError, match="NaN"):
        fitted(np.array([[0.0, np.nan], [1.0, 2.0]]), [0, 1])


GOLDEN = pathlib.Path(__file__).parent / "golden"


def trained_by_the_command():
    """An ensemble of three networks, its table, and what `schuss predict` gives."""
    network = schuss.load(GOLDEN / "table.safetensors")
    frame = pandas.read_csv(GOLDEN / "table.csv", parse_dates=["day"])
    written = pandas.read_csv(GOLDEN / "table_predictions.csv")
    return network, frame, written[[f"probability_{name}" for name in network.class_names]].to_numpy()


RAW = {**CONVERSIONS, "pandas": lambda frame: frame, "shuffled": lambda frame: frame[frame.columns[::-1]].assign(more=1)}
RAW["categories"] = lambda frame: frame.astype({"tree": "category", "room": "category", "new": "category"})
RAW["strings"] = lambda frame: frame.astype({"tree": "string", "room": "string", "new": "string"})
RAW["polars categories"] = lambda frame: polars.from_pandas(frame).with_columns(polars.col("tree").cast(polars.Categorical))


@pytest.mark.parametrize("name", RAW)
def test_raw_tables_of_a_model_that_the_command_trained(name):
    network, frame, expected = trained_by_the_command()
    table = RAW[name](frame)
    np.testing.assert_allclose(network.predict(table), expected, rtol=2e-6, atol=1e-7)
    np.testing.assert_array_equal(network.predict(table[3:4]), network.predict(frame)[3:4])


def test_an_ensemble(tmp_path):
    network, frame, expected = trained_by_the_command()
    assert repr(network).endswith("3 networks, whose predictions are averaged, of " + repr(network.members[0]).split(": ")[-1])
    assert network.columns == ["number", "tree", "room", "new", "day"]
    assert sorted(network.class_names) == ["high", "low", "middle"]
    np.testing.assert_allclose(np.mean([member.predict(frame) for member in network.members], axis=0), expected, atol=1e-6)
    metrics = network.evaluate(frame, frame["class"])
    accuracy = np.mean([network.class_names[place] == name for place, name in zip(network.classify(frame), frame["class"])])
    assert metrics["accuracy"] == pytest.approx(accuracy) and metrics["accuracy"] > 0.6
    assert len({member.weights_sha256() for member in network.members} | {network.weights_sha256()}) == 4
    assert set(network.members[1].tensors()) == {name[10:] for name in network.tensors() if name.startswith("members.1.")}
    for other in (pickle.loads(pickle.dumps(network)), schuss.load(_saved(network, tmp_path))):
        np.testing.assert_array_equal(other.predict(frame), network.predict(frame))
    for end in ("onnx", "npz", "h", "rs"):
        assert network.export(tmp_path / f"network.{end}")["file"] > 0
    with pytest.raises(ValueError, match="ensemble"):
        network.export(tmp_path / "network.safetensors", to="torch")


def _saved(network, folder):
    schuss.save(network, folder / "again.safetensors")
    return folder / "again.safetensors"


def test_what_an_ensemble_cannot_do():
    network, frame, _ = trained_by_the_command()
    x = np.zeros((2, network.sizes[0]), dtype=np.float32)
    with pytest.raises(ValueError, match="single network.*ensemble of 3"):
        Trainer(network, epochs=1).fit(frame, frame["class"])
    for refused in (
        lambda: network.parameters,
        lambda: setattr(network, "parameters", network.members[0].parameters),
        lambda: network.forward(x),
    ):
        with pytest.raises(ValueError, match="ensemble of 3: take one of its `members`"):
            refused()
    member = network.members[0]
    before = member.evaluate(frame, frame["class"])["loss"]
    Trainer(member, epochs=3).fit(frame, frame["class"])
    assert member.evaluate(frame, frame["class"])["loss"] < before


def test_bad_tables_of_a_model():
    network, frame, _ = trained_by_the_command()
    with pytest.raises(ValueError, match="the columns 'tree' are missing"):
        network.predict(frame.drop(columns="tree"))
    with pytest.raises(ValueError, match="'day': expected times"):
        network.predict(frame.assign(day="2024-01-01"))
    with pytest.raises(ValueError, match="another type"):
        network.predict(frame.assign(number="much"))
    with pytest.raises(ValueError, match="expected one of the classes 'high', .* got 'higher'"):
        network.evaluate(frame, frame["class"].replace("high", "higher"))
    with pytest.raises(ValueError, match="infinity in column 'number'"):
        network.predict(frame.assign(number=np.inf))
    with pytest.warns(UserWarning, match="column 'tree': unknown categories, such as 'pine', are taken as none"):
        assert np.isfinite(network.predict(frame.assign(tree="pine"))).all()


def test_classes_that_are_numbers():
    from schuss._arrays import goals
    from schuss._tables import class_words

    def places(y, names):
        return goals(class_words(np.array(y), names), "classification", names).tolist()

    assert places([5, 3, 5], ["3", "5"]) == [1, 0, 1]
    assert places([5.0, 3.0], ["3", "5"]) == [1, 0]
    assert places([1, 0], ["no", "yes"]) == [1, 0]
    assert places(["yes"], ["no", "yes"]) == [1]
    with pytest.raises(ValueError, match="expected one of the classes '3', '5', got '4'"):
        places([4], ["3", "5"])
