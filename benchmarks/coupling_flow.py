"""Training steps, densities and samples a second of `spline_flow` next to zuko and nflows, on one core, in one run.

``python -m venv PEERS && PEERS/bin/pip install -r benchmarks/flow_peers.txt`` makes an environment of the peers' own;
``taskset -c 0 python benchmarks/coupling_flow.py PEERS/bin/python``, or without the last word ours alone. 8 blocks, 16
bins, two layers of 64 units, 4 dimensions, batches of 1024 with the data on the device, single precision; processor
seconds, the best of three. The peers run before and after ours: the machine may be busier at one end.
"""

import os
import sys

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from side_by_side import peers, seconds, show

from saggiatore.models.spline_flow import SplineFlowSpec

DIM, BATCH, N_STEPS, N_EVENTS = 4, 1024, 30, 16384
NONE = jnp.zeros(0)


def ours() -> None:
    """All three rates, and what compiling took."""
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
        show("saggiatore", name, n / best, f"compilation {first - best:5.1f} s")


def main() -> None:
    """Peers, ours, peers."""
    environments = sys.argv[1:]
    for python in environments:
        peers(python, "flow_peers.py")
    ours()
    for python in environments:
        peers(python, "flow_peers.py")


if __name__ == "__main__":
    main()
