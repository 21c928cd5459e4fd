"""Training steps, densities and samples a second of three generators, each next to a package of PyTorch's, in one run.

``python -m venv PEERS && PEERS/bin/pip install -r benchmarks/generator_peers.txt`` makes an environment of the peers'
own; ``taskset -c 0 python benchmarks/generators.py PEERS/bin/python``, or without the last word ours alone.
`flow_matching` and `diffusion` have three layers of 64 units, `transformer` two layers of 32 numbers with four heads
and mixtures of 16; 4 dimensions, batches of 1024 with the data on the device, single precision, 20 steps of the
midpoint rule and the exact trace, 100 steps of DDIM. Processor seconds, the best of three; the peers run before and
after ours: the machine may be busier at one end. Densities and samples come 256 at a time, as the workflow draws them
on CPUs, of the peers all at once. `coupling_flow.py` does the same for `spline_flow`.
"""

import os
import sys
from collections.abc import Callable

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from side_by_side import peers, seconds, show

from saggiatore.compilation import WIDE
from saggiatore.models.density import AbstractDensity
from saggiatore.models.diffusion import DiffusionSpec
from saggiatore.models.flow_matching import FlowMatchingSpec
from saggiatore.models.transformer import TransformerSpec

DIM, BATCH, N_STEPS, N_EVENTS, IN_CACHE = 4, 1024, 100, 16384, 256
NONE = jnp.zeros(0)
SPECS = {
    "flow_matching": FlowMatchingSpec(solver="midpoint", n_steps=20),
    "diffusion": DiffusionSpec(sampling="ddim", n_sampling=100, solver="midpoint", n_steps=20),
    "transformer": TransformerSpec(width=32, depth=2, n_heads=4, n_components=16),
}


def training(model: AbstractDensity) -> tuple[Callable, object, object]:
    """Steps of Adam on one batch, with noise of their own."""
    leaves, rest = eqx.partition(model, eqx.is_inexact_array)
    optimiser = optax.flatten(optax.adam(1e-3))
    batch = jax.random.normal(jax.random.key(1), (BATCH, DIM))

    def loss(leaves: object, keys: jax.Array) -> jax.Array:
        return jnp.mean(jax.vmap(lambda x, key: eqx.combine(leaves, rest).loss(x, NONE, key=key))(batch, keys))

    @jax.jit
    def steps(leaves: object, memory: object) -> tuple:
        def step(carry: tuple, number: jax.Array) -> tuple:
            keys = jax.random.split(jax.random.key(number), BATCH)
            updates, memory = optimiser.update(jax.grad(loss)(carry[0], keys), carry[1], carry[0])
            return (optax.apply_updates(carry[0], updates), memory), None

        return jax.lax.scan(step, (leaves, memory), jnp.arange(N_STEPS))[0]

    return steps, leaves, optimiser.init(leaves)


def each(function: Callable, options: dict[str, int]) -> Callable:
    """`function` of every row, a few of them at a time, compiled with the workflow's options."""
    return jax.jit(lambda rows: jax.lax.map(function, rows, batch_size=IN_CACHE), compiler_options=options)


def ours() -> None:
    """All rates, and what compiling took."""
    events = jax.random.normal(jax.random.key(2), (N_EVENTS, DIM))
    keys = jax.random.split(jax.random.key(3), N_EVENTS)
    for kind, spec in SPECS.items():
        model = spec.build(tuple("abcd"), (), key=jax.random.key(0))
        cases = {
            "training steps": (N_STEPS, *training(model)),
            "densities": (N_EVENTS, each(lambda x, m=model: m.log_prob(x, NONE), {}), events),
            "samples": (N_EVENTS, each(lambda key, m=model: m.sample(NONE, key=key), WIDE), keys),
        }
        for name, (n, function, *arguments) in cases.items():
            first, best = seconds(function, *arguments)
            show(kind, name, n / best, f"compilation {first - best:5.1f} s")


def main() -> None:
    """Peers, ours, peers."""
    environments = sys.argv[1:]
    for python in environments:
        peers(python, "generator_peers.py")
    ours()
    for python in environments:
        peers(python, "generator_peers.py")


if __name__ == "__main__":
    main()
