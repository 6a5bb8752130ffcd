"""The network below the estimators, and its trainer."""

import math
import pickle
import signal
import threading
import time

import numpy as np
import pytest

import schuss
from schuss import Network, Trainer


def data(rows=400, seed=0):
    """Two features; the class says in which quadrant they are, the number is their product."""
    x = np.random.RandomState(seed).randn(rows, 2).astype(np.float32)
    return x, (2 * (x[:, 0] > 0) + (x[:, 1] > 0)).astype(int), x[:, 0] * x[:, 1]


def test_training_and_predicting():
    x, y, z = data()
    network = Network([2, 32, 4])
    history = Trainer(network, epochs=30, learning_rate=0.01).fit(x, y, test=data(seed=1)[:2])
    assert network.evaluate(x, y)["accuracy"] > 0.95 and history.summary["test"]["accuracy"] > 0.9
    probabilities = network.predict(x)
    assert probabilities.dtype == np.float32 and probabilities.shape == (400, 4)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(network.classify(x), probabilities.argmax(axis=1))
    regression = Network([2, 32, 1], task="regression", activation="tanh").standardize(x, z)
    Trainer(regression, epochs=60, learning_rate=0.01).fit(x, z)
    assert regression.evaluate(x, z)["r2"] > 0.9
    assert abs(np.corrcoef(regression.predict(x)[:, 0], z)[0, 1]) > 0.95


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_row_alone_has_the_bits_of_one_among_others(dtype):
    x = data()[0]
    network = Network([2, 50, 20, 3], dtype=dtype)
    np.testing.assert_array_equal(network.predict(x), np.vstack([network.predict(row) for row in x]))


def test_parameters_and_forward_are_the_formula():
    x, _, _ = data()
    network = Network([2, 3, 1], activation="tanh", task="regression", dtype="float64")
    tensors = network.tensors()
    hidden = np.tanh(x @ tensors["layers.0.weight"].T + tensors["layers.0.bias"])
    expected = hidden @ tensors["layers.1.weight"].T + tensors["layers.1.bias"]
    np.testing.assert_allclose(network.predict(x), expected, atol=1e-12)
    np.testing.assert_allclose(network.forward(x), expected, atol=1e-12)
    parameters = network.parameters
    assert parameters.size == 3 * 2 + 3 + 3 + 1
    network.parameters = 2 * parameters
    np.testing.assert_array_equal(network.tensors()["layers.0.weight"], 2 * tensors["layers.0.weight"])


def test_backward_is_the_gradient():
    network = Network([3, 5, 2], activation="tanh", task="regression", dtype="float64")
    x, direction = np.random.RandomState(0).randn(4, 3), np.random.RandomState(1).randn(4, 2)
    parameters = network.parameters

    def loss(parameters, x):
        network.parameters = parameters
        return (network.forward(x) * direction).sum()

    loss(parameters, x)
    gradient, d_input = network.backward(direction)
    step = 1e-6
    for i in range(parameters.size):
        nudge = step * np.eye(parameters.size)[i]
        slope = (loss(parameters + nudge, x) - loss(parameters - nudge, x)) / (2 * step)
        assert math.isclose(gradient[i], slope, rel_tol=1e-6, abs_tol=1e-8)
    for i in np.ndindex(x.shape):
        nudge = np.zeros_like(x)
        nudge[i] = step
        slope = (loss(parameters, x + nudge) - loss(parameters, x - nudge)) / (2 * step)
        assert math.isclose(d_input[i], slope, rel_tol=1e-6, abs_tol=1e-8)


def test_model_files(tmp_path):
    x, y, _ = data()
    network = Network([2, 8, 4], norm="batch", dropout=0.1, class_names=["a", "b", "c", "d"]).standardize(x)
    Trainer(network, epochs=2).fit(x, y)
    path = tmp_path / "model.safetensors"
    schuss.save(network, path)
    for other in (schuss.load(path), pickle.loads(pickle.dumps(network))):
        np.testing.assert_array_equal(other.predict(x), network.predict(x))
        assert other.class_names == ["a", "b", "c", "d"] and other.weights_sha256() == network.weights_sha256()
        assert repr(other) == repr(network)
    assert schuss.load(path, dtype="float64").dtype == np.float64
    estimator = schuss.SchussClassifier(max_iter=2).fit(x, y)
    schuss.save(estimator, path)
    np.testing.assert_array_equal(schuss.load(path).predict(x), estimator.network_.predict(x))


def test_callbacks_see_every_epoch_and_may_stop():
    x, y, _ = data()
    network = Network([2, 16, 4])
    seen = []

    def callback(record):
        seen.append((record["epoch"], network.weights_sha256(), record.get("loss")))
        return record["epoch"] == 3

    history = Trainer(network, epochs=50).fit(x, y, callback=callback)
    assert [epoch for epoch, _, _ in seen] == [-1, 0, 1, 2, 3]
    assert len({bits for _, bits, _ in seen}) == 5 and seen[-1][1] == network.weights_sha256()
    assert history.summary["stopped"] and history.summary["steps"] == 4 * 13
    assert seen[-1][2] < seen[1][2] and history.epochs[-1]["seconds"] > 0
    # Without metrics, too.
    seen.clear()
    Trainer(network, epochs=50, evaluate="at-end").fit(x, y, callback=callback)
    assert [epoch for epoch, _, _ in seen] == [0, 1, 2, 3]


def test_an_error_in_a_callback_ends_the_run():
    x, y, _ = data()
    network = Network([2, 16, 4])

    def callback(record):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        Trainer(network).fit(x, y, callback=callback)
    assert x.flags.writeable and network.predict(x).shape == (400, 4)


def test_settings_reach_the_core():
    x, y, _ = data()
    valid = data(seed=2)[:2]

    def trained(**settings):
        network = Network([2, 16, 4])
        history = Trainer(network, **{"epochs": 4, **settings}).fit(x, y, valid=valid)
        return network.weights_sha256(), history

    reference = trained()[0]
    assert trained()[0] == reference
    for settings in (
        {"optimizer": "sgd", "constants": {"momentum": 0.9, "nesterov": True}},
        {"optimizer": "muon"},
        {"constants": {"beta1": 0.8}},
        {"schedule": "one-cycle"},
        {"warm_up": 5},
        {"weight_decay": 0.1},
        {"l2": 0.01},
        {"clip_norm": 0.01},
        {"clip_value": 0.001},
        {"average": 0.99},
        {"batch_size": 50},
        {"steps": 7},
        {"shuffle": False},
        {"mixup": 0.3},
        {"label_smoothing": 0.1},
        {"class_weight": [1, 2, 3, 4]},
        {"calibrate": True},
        {"seed": 1},
    ):
        assert trained(**settings)[0] != reference, settings
    assert trained(steps=7)[1].summary["steps"] == 7
    assert trained(threads=3)[0] == reference
    history = trained(epochs=200, patience=1, keep="best", learning_rate=0.05)[1]
    assert history.summary["stopped"] and history.summary["kept_epoch"] < history.epochs[-1]["epoch"]
    curve = history.curve("valid", "accuracy")
    assert curve.max() == history.summary["valid"]["accuracy"] and history.curve("test").size == len(history.epochs)
    assert history._repr_html_().count("<polyline") == 2


def test_weights_of_rows():
    x, y, z = data()
    weights = np.where(y == 0, 5.0, 1.0)
    by_row, by_class = (Network([2, 8, 4]) for _ in range(2))
    Trainer(by_row).fit(x, y, sample_weight=weights)
    Trainer(by_class, class_weight=[5, 1, 1, 1]).fit(x, y)
    assert by_row.weights_sha256() == by_class.weights_sha256()


def test_other_threads_go_on():
    x = np.random.RandomState(0).rand(2000, 300).astype(np.float32)
    y = (x[:, 0] > 0.5).astype(int)
    counts, is_over = [0], threading.Event()

    def count():
        while not is_over.is_set():
            counts[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        # One epoch, one call: no callback lets others in.
        begin = time.monotonic()
        Trainer(Network([300, 500, 500, 2]), epochs=1, batch_size=20, evaluate="at-end").fit(x, y)
        seconds = time.monotonic() - begin
    finally:
        is_over.set()
        thread.join()
    assert counts[0] > 20 * seconds, f"{counts[0]} turns in {seconds} s"


def check_interrupt(fit):
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    begin = time.monotonic()
    try:
        fit()
    finally:
        timer.cancel()
    # Without it, each of these goes on for minutes.
    assert time.monotonic() - begin < 20


def test_ctrl_c_ends_a_run_after_its_step():
    x = np.random.RandomState(0).rand(2000, 100).astype(np.float32)
    y = (x[:, 0] > 0.5).astype(int)
    network = Network([100, 200, 2])
    before = network.weights_sha256()

    def fit():
        with pytest.raises(KeyboardInterrupt):
            Trainer(network, epochs=100_000, evaluate="at-end").fit(x, y)

    check_interrupt(fit)
    assert network.weights_sha256() != before and x.flags.writeable
    model = schuss.SchussClassifier(max_iter=100_000, n_iter_no_change=100_000, hidden_layer_sizes=(300, 300))

    def fit():
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            model.fit(x, y)

    check_interrupt(fit)
    assert model.predict(x).shape == y.shape


def check_raises(error, match, act):
    with pytest.raises(error, match=match):
        act()


def test_errors_say_what_is_wrong(tmp_path):
    x, y, z = data()
    network = Network([2, 4])
    missing = np.where(np.arange(len(x))[:, None] == 3, np.nan, x)
    (tmp_path / "no.safetensors").write_bytes(b"no model")
    for error, match, act in (
        (ValueError, "features of an example.*expected 2, got 3", lambda: network.predict(np.ones((5, 3)))),
        (ValueError, "features of an example.*expected 2, got 3", lambda: network.predict(np.ones(3))),
        (TypeError, "expected numbers, got an array of dtype object", lambda: network.predict(np.array([["a", "b"]], dtype=object))),
        (ValueError, "row 3, column 0.*expected a finite number", lambda: Trainer(network).fit(missing, y)),
        (ValueError, "number of targets: expected 400, got 399", lambda: Trainer(network).fit(x, y[1:])),
        (ValueError, "at least one example", lambda: Trainer(network).fit(x[:0], y[:0])),
        (ValueError, "label of row", lambda: Trainer(network).fit(x, y + 1)),
        (ValueError, "classes counted from 0", lambda: Trainer(network).fit(x, y - 1)),
        (TypeError, "expected classes, integers", lambda: Trainer(network).fit(x, z)),
        (ValueError, "optimizer: expected one of sgd", lambda: Trainer(network, optimizer="adamax").fit(x, y)),
        (ValueError, "a constant of adam: expected one of beta1", lambda: Trainer(network, constants={"mu": 1}).fit(x, y)),
        (ValueError, "learning rate: expected a finite number above 0", lambda: Trainer(network, learning_rate=0).fit(x, y)),
        (ValueError, "keep: expected", lambda: Trainer(network, keep="best").fit(x, y)),
        (ValueError, "evaluate: expected one of each-epoch, at-end, got never", lambda: Trainer(network, evaluate="never").fit(x, y)),
        (ValueError, "network sizes", lambda: Network([2])),
        (ValueError, "network sizes", lambda: Network([2, 0, 3])),
        (ValueError, "activation: expected one of identity", lambda: Network([2, 3], activation="step")),
        (ValueError, "norm: expected", lambda: Network([2, 3, 3], norm="group")),
        (ValueError, "task: expected", lambda: Network([2, 3], task="ranking")),
        (ValueError, "dtype: expected", lambda: Network([2, 3], dtype="float16")),
        (ValueError, "number of parameters: expected 12, got 1", lambda: setattr(network, "parameters", [1.0])),
        (ValueError, "parameter 0: expected a finite number", lambda: setattr(network, "parameters", np.full(12, np.nan))),
        (ValueError, "backward: expected a forward pass before it", lambda: network.backward(np.ones((1, 4)))),
        (FileNotFoundError, "no/such/file", lambda: schuss.load("no/such/file")),
        (OSError, "no/such/folder", lambda: network.save("no/such/folder/model")),
        (ValueError, "no.safetensors: not a readable safetensors file", lambda: schuss.load(tmp_path / "no.safetensors")),
    ):
        check_raises(error, match, act)


def test_what_diverges_leaves_the_last_good_parameters():
    x, _, z = data()
    network = Network([2, 8, 1], task="regression")
    with pytest.raises(schuss.DivergedError, match="not finite at step"):
        Trainer(network, optimizer="sgd", learning_rate=1e9).fit(x, z)
    assert np.isfinite(network.parameters).all()


def test_nothing_is_copied_that_need_not_be():
    from schuss import _arrays

    for dtype in (np.float32, np.float64, np.uint8):
        x = np.ones((3, 4), dtype=dtype)
        assert _arrays.rows(x) is x
    pictures = np.ones((5, 28, 28), dtype=np.uint8)
    assert np.shares_memory(_arrays.rows(pictures), pictures) and _arrays.rows(pictures).shape == (5, 784)
    packed = np.zeros(4, dtype=[("a", "u1"), ("x", "<f4", 3)])["x"]
    assert not packed.flags.aligned and Network([3, 2]).predict(packed).shape == (4, 2)


def test_a_bar_in_a_terminal(monkeypatch, capsys):
    x, y, _ = data()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    Trainer(Network([2, 4]), epochs=3, verbose=True).fit(x, y)
    shown = capsys.readouterr().out
    assert "█" * 24 + " 3/3 loss = " in shown and shown.endswith("\n")


def test_a_curve_has_what_it_is_given():
    from schuss import _curves

    assert _curves.svg({"loss": [1.0]}) == "" and _curves.svg({"loss": [np.nan, np.nan]}) == ""
    picture = _curves.svg({"loss": [1.0, 0.1, 0.01], "other": [np.nan, 0.5, 0.2]}, first=1)
    assert picture.count("<polyline") == 2 and "logarithmic" in picture and ">0.01<" in picture and ">3<" in picture
    # The highest value is at the top, the lowest at the bottom.
    first = picture.split('points="')[1].split('"')[0].split()
    assert [float(point.split(",")[1]) for point in first] == [12.0, 88.0, 164.0]
