"""One step of training of a spline flow: this project's triangular map next to the package flowjax.

``pip install flowjax`` into an environment of its own on top of this project's, then
``taskset -c 0 python benchmarks/spline_flows.py``. Four dimensions, three densities at once (mappings of Drell-Yan),
ten bins from networks with two layers of 24 units for each dimension, single precision: processor seconds of
compilation and milliseconds of the gradient of the mean log density of 2048 points.
"""

import os
import time
from collections.abc import Callable

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"

import equinox as eqx
import flowjax.bijections
import flowjax.distributions
import flowjax.flows
import jax
import jax.numpy as jnp

from saggiatore.integrate.triangular import Triangular

DIM, N_DENSITIES, N_POINTS, N_BINS, WIDTH, DEPTH = 4, 3, 2048, 10, 24, 2


def measure(name: str, loss: Callable, model: object, points: jax.Array) -> None:
    """Compilation and best of ten runs of the gradient of `loss`."""
    step = eqx.filter_jit(eqx.filter_grad(loss))
    start = time.process_time()
    jax.block_until_ready(step(model, points))
    compilation = time.process_time() - start
    times = []
    for _ in range(10):
        start = time.process_time()
        jax.block_until_ready(step(model, points))
        times.append(time.process_time() - start)
    print(f"{name:30s} compilation {compilation:5.1f} s   step {min(times) * 1e3:6.1f} ms", flush=True)


def main() -> None:
    """Both, the package as autoregressive and as coupling flow of one and of two layers."""
    keys = jax.random.split(jax.random.key(0), N_DENSITIES)
    points = jax.random.uniform(jax.random.key(1), (N_DENSITIES, DIM, N_POINTS))
    maps = [Triangular.build(DIM, WIDTH, DEPTH, N_BINS, key=key) for key in keys]
    ours = jax.tree.map(lambda *parts: jnp.stack(parts), *maps)
    measure("triangular", lambda maps, v: jax.vmap(lambda m, x: m.log_density(x))(maps, v).mean(), ours, points)

    spline = flowjax.bijections.RationalQuadraticSpline(knots=N_BINS, interval=(0.0, 1.0))
    base = flowjax.distributions.Uniform(jnp.zeros(DIM), jnp.ones(DIM))
    rows = jnp.moveaxis(points, 1, 2)
    # a masked network holds all dimensions at once: as wide as four separate ones together
    options = {"base_dist": base, "transformer": spline, "nn_width": WIDTH * DIM, "nn_depth": DEPTH, "invert": True}
    for name, build, n_layers in (
        ("flowjax, autoregressive, 1", flowjax.flows.masked_autoregressive_flow, 1),
        ("flowjax, coupling, 2", flowjax.flows.coupling_flow, 2),
    ):

        @eqx.filter_vmap
        def several(key: jax.Array, build: Callable = build, n_layers: int = n_layers) -> object:
            return build(key, flow_layers=n_layers, **options)

        def loss(flows: object, x: jax.Array) -> jax.Array:
            return eqx.filter_vmap(lambda flow, each: flow.log_prob(each))(flows, x).mean()

        measure(name, loss, several(keys), rows)


if __name__ == "__main__":
    main()
