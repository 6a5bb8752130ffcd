"""Networks by Keras, and what they give: `pip install keras h5py torch; python make_keras.py`.

Each `keras_*.keras`, and the same as legacy `.h5`, has rows `x` and Keras's predictions `y` beside it in `keras_*.npz`.
"""

import os
import pathlib

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
from keras import layers

HERE = pathlib.Path(__file__).parent


def networks():
    yield "mlp", keras.Sequential(
        [keras.Input((5,)), layers.Dense(8, activation="relu"), layers.Dense(6, "tanh"), layers.Dense(3, "softmax")]
    ), None
    yield "pictures", keras.Sequential(
        [
            keras.Input((6, 4)),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(8, use_bias=False),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Dropout(0.3),
            layers.Dense(4, name="logits"),
            layers.Softmax(),
        ]
    ), 255
    inputs = keras.Input((4,), name="features")
    x = layers.Dense(7, "gelu", name="b_first")(inputs)
    x = layers.BatchNormalization(name="a_norm")(x)
    x = layers.LeakyReLU(negative_slope=0.01)(x)
    yield "functional", keras.Model(inputs, layers.Dense(2, name="first")(x)), None
    yield "binary", keras.Sequential([keras.Input((3,)), layers.Dense(5, "selu"), layers.Dense(1, "sigmoid")]), None


def main():
    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    for name, network, most in networks():
        network.set_weights([generator.uniform(0.3, 1.2, w.shape) * generator.choice([-1, 1], w.shape) if w.ndim > 1
                             else generator.uniform(0.2, 1.0, w.shape) for w in network.get_weights()])
        shape = (7, *network.input_shape[1:])
        x = generator.integers(0, most + 1, shape) if most else generator.normal(0, 1, shape)
        x = x.astype(np.float32)
        network.save(HERE / f"keras_{name}.keras")
        network.save(HERE / f"keras_{name}.h5")
        np.savez(HERE / f"keras_{name}.npz", x=x, y=network.predict(x, verbose=0))


if __name__ == "__main__":
    main()
