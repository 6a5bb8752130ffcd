"""JAX: many steps in one jit by lax.scan, so that a small step does not wait for Python."""

from common import ROW, data, main, unsupported
import jax
import jax.numpy as jnp
from jax_jit import VERSIONS, one_step, start

#: Steps in one call.
STEPS = 16


def prepare():
    if ROW.work == "predict":
        unsupported("trains only")
    inputs, targets = (jnp.stack(arrays) for arrays in zip(*data()))
    network, state = start()

    def many_steps(network, state):
        def step(carry, batch):
            return one_step(*carry, inputs[batch], targets[batch]), None

        return jax.lax.scan(step, (network, state), jnp.arange(STEPS) % ROW.batches)[0]

    many_steps = jax.jit(many_steps, donate_argnums=(0, 1))

    def run(steps):
        nonlocal network, state
        for _ in range(steps // STEPS):
            network, state = many_steps(network, state)
        jax.block_until_ready(network)

    return run


if __name__ == "__main__":
    main(prepare, VERSIONS, multiple=STEPS)
