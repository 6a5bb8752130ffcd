"""JAX: the whole step in one jit, its parameters donated."""

from common import LEARNING_RATE, ROW, data, main
import jax
import jax.numpy as jnp
import jaxlib

ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh}


def parameters():
    keys = jax.random.split(jax.random.key(0), len(ROW.sizes) - 1)
    return [
        (jax.random.normal(key, (inputs, outputs)) * (2 / inputs) ** 0.5, jnp.zeros(outputs))
        for key, inputs, outputs in zip(keys, ROW.sizes, ROW.sizes[1:])
    ]


def product(x, weights):
    if ROW.precision == "bf16":
        x, weights = x.astype(jnp.bfloat16), weights.astype(jnp.bfloat16)
    return jnp.matmul(x, weights, preferred_element_type=jnp.float32)


def forward(network, x):
    for weights, biases in network[:-1]:
        x = ACTIVATIONS[ROW.activation](product(x, weights) + biases)
    weights, biases = network[-1]
    return product(x, weights) + biases


def loss(network, x, targets):
    outputs = forward(network, x)
    if ROW.loss == "mse":
        return jnp.mean((outputs - targets) ** 2)
    log_probabilities = jax.nn.log_softmax(outputs)
    return -jnp.mean(jnp.take_along_axis(log_probabilities, targets[:, None], axis=1))


def sgd(network, state, gradients):
    return jax.tree.map(lambda p, g: p - LEARNING_RATE * g, network, gradients), state


def adam(network, state, gradients):
    """Adam, with AdamW's decay of 0.01 where the row asks for it."""
    time, first, second = state
    time = time + 1
    decay = 0.01 if ROW.optimizer == "adamw" else 0.0
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradients)
    second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradients)

    def update(p, m, v):
        step = m / (1 - 0.9**time) / (jnp.sqrt(v / (1 - 0.999**time)) + 1e-8)
        return p - LEARNING_RATE * (step + decay * p)

    return jax.tree.map(update, network, first, second), (time, first, second)


def prepare():
    batches = [(jnp.asarray(inputs), jnp.asarray(targets)) for inputs, targets in data()]
    return predict(batches) if ROW.work == "predict" else train(batches)


def start():
    """The network and the state of its optimiser before the first step."""
    network = parameters()
    if ROW.optimizer == "sgd":
        return network, ()
    zeros = [jax.tree.map(jnp.zeros_like, network) for _ in range(2)]
    return network, (jnp.float32(0), *zeros)


def one_step(network, state, x, targets):
    update = sgd if ROW.optimizer == "sgd" else adam
    return update(network, state, jax.grad(loss)(network, x, targets))


def train(batches):
    network, state = start()
    step = jax.jit(one_step, donate_argnums=(0, 1))

    def run(steps):
        nonlocal network, state
        for i in range(steps):
            network, state = step(network, state, *batches[i % len(batches)])
        jax.block_until_ready(network)

    return run


def predict(batches):
    network = parameters()
    probabilities = jax.jit(lambda network, x: jax.nn.softmax(forward(network, x)))

    def run(calls):
        for _ in range(calls):
            jax.block_until_ready([probabilities(network, x) for x, _ in batches])

    return run


VERSIONS = {"jax": jax.__version__, "jaxlib": jaxlib.__version__}

if __name__ == "__main__":
    main(prepare, VERSIONS)
