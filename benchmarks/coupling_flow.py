"""Training steps, densities and samples a second of `spline_flow`, on one core.

``taskset -c 0 python benchmarks/coupling_flow.py``: 8 blocks, 16 bins, two layers of 64 units, 4 dimensions, batches of
1024 with the data on the device, single precision; processor seconds.
"""

import os
import time
from collections.abc import Callable

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from saggiatore.models.spline_flow import SplineFlowSpec

DIM, BATCH, N_STEPS, N_EVENTS = 4, 1024, 30, 16384
NONE = jnp.zeros(0)


def seconds(function: Callable, *arguments: object) -> tuple[float, float]:
    """Processor seconds of the first call, which compiles, and of the best of three further ones."""
    found = []
    for _ in range(4):
        start = time.process_time()
        jax.block_until_ready(function(*arguments))
        found.append(time.process_time() - start)
    return found[0], min(found[1:])


def main() -> None:
    """All three."""
    flow = SplineFlowSpec(n_blocks=8, n_bins=16).build(tuple("abcd"), (), key=jax.random.key(0))
    leaves, rest = eqx.partition(flow, eqx.is_inexact_array)
    optimiser = optax.flatten(optax.adam(1e-3))
    batch = jax.random.normal(jax.random.key(1), (BATCH, DIM))

    def loss(leaves: object) -> jax.Array:
        return -jnp.mean(jax.vmap(lambda x: eqx.combine(leaves, rest).log_prob(x, NONE))(batch))

    @jax.jit
    def steps(leaves: object, memory: object) -> tuple:
        def step(carry: tuple, _: None) -> tuple:
            updates, memory = optimiser.update(jax.grad(loss)(carry[0]), carry[1], carry[0])
            return (optax.apply_updates(carry[0], updates), memory), None

        return jax.lax.scan(step, (leaves, memory), None, length=N_STEPS)[0]

    events = jax.random.normal(jax.random.key(2), (N_EVENTS, DIM))
    keys = jax.random.split(jax.random.key(3), N_EVENTS)
    cases = {
        "training steps": (N_STEPS, steps, leaves, optimiser.init(leaves)),
        "densities": (N_EVENTS, jax.jit(jax.vmap(lambda x: flow.log_prob(x, NONE))), events),
        "samples": (N_EVENTS, jax.jit(jax.vmap(lambda key: flow.sample(NONE, key=key))), keys),
    }
    for name, (n, function, *arguments) in cases.items():
        first, best = seconds(function, *arguments)
        print(f"{name:15s} compilation {first - best:5.1f} s   {n / best:8.0f} a second", flush=True)


if __name__ == "__main__":
    main()
