"""scikit-learn's MLPClassifier and MLPRegressor, in float32."""

import warnings

from common import LEARNING_RATE, ROW, data, main, unsupported
import numpy
import sklearn
from sklearn.neural_network import MLPClassifier, MLPRegressor


def estimator(epochs):
    kind = MLPRegressor if ROW.loss == "mse" else MLPClassifier
    return kind(
        hidden_layer_sizes=ROW.sizes[1:-1],
        activation=ROW.activation,
        solver=ROW.optimizer,
        alpha=0.0,
        batch_size=ROW.batch,
        learning_rate_init=LEARNING_RATE,
        max_iter=epochs,
        shuffle=False,
        random_state=0,
        tol=0.0,
        n_iter_no_change=epochs + 1,
        momentum=0.0,
        nesterovs_momentum=False,
    )


def prepare():
    if ROW.precision == "bf16":
        unsupported("no bf16")
    if ROW.optimizer == "adamw":
        unsupported("no AdamW")
    warnings.filterwarnings("ignore", category=sklearn.exceptions.ConvergenceWarning)
    batches = data()
    return predict(batches) if ROW.work == "predict" else train(batches)


def train(batches):
    inputs, targets = (numpy.concatenate(arrays) for arrays in zip(*batches))

    def run(steps):
        estimator(steps // ROW.batches).fit(inputs, targets)

    return run


def predict(batches):
    rows = 10 * ROW.sizes[-1]
    model = estimator(1).set_params(batch_size=rows)
    model.fit(numpy.ones((rows, ROW.sizes[0]), numpy.float32), numpy.arange(rows) % ROW.sizes[-1])

    def run(calls):
        for _ in range(calls):
            for inputs, _ in batches:
                model.predict_proba(inputs)

    return run


if __name__ == "__main__":
    versions = {"scikit-learn": sklearn.__version__, "numpy": numpy.__version__}
    main(prepare, versions, chunk=0.5, multiple=ROW.batches)
