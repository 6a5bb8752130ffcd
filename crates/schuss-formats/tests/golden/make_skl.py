"""Networks by skl2onnx, and what they give: `pip install skl2onnx safetensors; python make_skl.py`.

Beside each `skl_*.onnx` there is a `skl_*.safetensors` with rows `x` and scikit-learn's predictions for them, `y`:
probabilities of classes, numbers of a regression.
"""

import pathlib
import warnings

import numpy as np
from safetensors.numpy import save_file
from skl2onnx import to_onnx
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

HERE = pathlib.Path(__file__).parent


def main():
    warnings.simplefilter("ignore")
    generator = np.random.default_rng(0)
    x = generator.normal(3.0, 2.0, (200, 4)).astype(np.float32)
    score = x[:, 0] + np.sin(x[:, 1]) - x[:, 2]
    three = np.digitize(score, [2.0, 4.0])
    classifier = lambda activation: MLPClassifier(hidden_layer_sizes=(8, 6), activation=activation, max_iter=30, random_state=0)
    regressor = MLPRegressor(hidden_layer_sizes=(8,), activation="tanh", max_iter=30, random_state=0)
    networks = {
        "classes": (classifier("relu"), three),
        "names": (make_pipeline(StandardScaler(), classifier("tanh")), np.array(["low", "middle", "high"])[three]),
        "two": (classifier("logistic"), three > 0),
        "zipmap": (make_pipeline(MinMaxScaler(), classifier("relu")), three),
        "number": (make_pipeline(StandardScaler(), regressor), score),
        "numbers": (regressor, np.stack([score, -2 * score], axis=1)),
        "labels": (classifier("relu"), np.stack([score > 2, score > 4, x[:, 3] > 3], axis=1).astype(int)),
    }
    for name, (network, y) in networks.items():
        network.fit(x, y)
        options = {} if name == "zipmap" or not hasattr(network, "predict_proba") else {"zipmap": False}
        options = {id(network): options} if options else None
        proto = to_onnx(network, x[:1], options=options)
        (HERE / f"skl_{name}.onnx").write_bytes(proto.SerializeToString())
        values = network.predict_proba(x[:7]) if hasattr(network, "predict_proba") else network.predict(x[:7])
        values = np.ascontiguousarray(np.asarray(values, np.float32).reshape(7, -1))
        save_file({"x": x[:7], "y": values}, HERE / f"skl_{name}.safetensors")


if __name__ == "__main__":
    main()
