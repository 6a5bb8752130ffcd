"""Keras 3 on TensorFlow: compiled by XLA, many steps per execution, `fit` over a prefetched tf.data."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

from common import LEARNING_RATE, ROW, THREADS, data, main  # noqa: E402
import keras  # noqa: E402
import tensorflow  # noqa: E402

#: Steps that TensorFlow runs without coming back to Python: many of the small ones.
STEPS_PER_EXECUTION = 16 if ROW.batch >= 1000 else 64
LOSSES = {
    "cross-entropy": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    "mse": keras.losses.MeanSquaredError(),
}
OPTIMIZERS = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}


def network():
    keras.utils.set_random_seed(0)
    if ROW.precision == "bf16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    hidden = [keras.layers.Dense(size, activation=ROW.activation) for size in ROW.sizes[1:-1]]
    last = keras.layers.Dense(ROW.sizes[-1], activation="softmax" if ROW.work == "predict" else None)
    return keras.Sequential([keras.Input((ROW.sizes[0],)), *hidden, last])


def prepare():
    tensorflow.config.threading.set_intra_op_parallelism_threads(THREADS)
    tensorflow.config.threading.set_inter_op_parallelism_threads(THREADS)
    batches = [(tensorflow.constant(inputs), tensorflow.constant(targets)) for inputs, targets in data()]
    return predict(network(), batches) if ROW.work == "predict" else train(network(), batches)


def train(model, batches):
    model.compile(
        optimizer=OPTIMIZERS[ROW.optimizer](LEARNING_RATE),
        loss=LOSSES[ROW.loss],
        jit_compile=True,
        steps_per_execution=STEPS_PER_EXECUTION,
    )
    inputs, targets = (tensorflow.stack(arrays) for arrays in zip(*batches))
    dataset = tensorflow.data.Dataset.from_tensor_slices((inputs, targets))
    dataset = dataset.cache().repeat().prefetch(STEPS_PER_EXECUTION)

    def run(steps):
        model.fit(dataset, steps_per_epoch=steps, verbose=0)

    return run


def predict(model, batches):
    probabilities = tensorflow.function(model, jit_compile=True)

    def run(calls):
        for _ in range(calls):
            for inputs, _ in batches:
                probabilities(inputs).numpy()

    return run


if __name__ == "__main__":
    versions = {"keras": keras.__version__, "tensorflow": tensorflow.__version__}
    main(prepare, versions, chunk=0.5, multiple=STEPS_PER_EXECUTION)
