"""Laws of the toys: each density of two numbers is normalised, and its gradient is what its file says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.registry import load

TOYS = ("gaussian", "kicker", "ramp", "ring")


def toy(name):
    return load("process", name)().build()


@pytest.mark.parametrize("name", TOYS)
@pytest.mark.parametrize("value", [0.0, 0.4])
def test_the_density_is_normalised(name, value):
    """By the midpoint rule; the kicker's vertical end costs it 1e-4."""
    process, n = toy(name), 800
    place = (np.arange(n) + 0.5) / n
    x, y = (low + (high - low) * place for low, high in zip(process.low, process.high, strict=True))
    density = jax.jit(jax.vmap(jax.vmap(lambda a, b: process.density(a, b, jnp.array([value])), (None, 0)), (0, None)))(
        jnp.asarray(x), jnp.asarray(y)
    )
    area = np.prod(np.subtract(process.high, process.low))
    assert float(density.mean() * area) == pytest.approx(1, abs=2e-4)


@pytest.mark.parametrize("name", ["gaussian", "ring"])
def test_the_data_score_is_the_stated_one(name):
    process = toy(name)
    x, y = jax.random.normal(jax.random.key(0), (2, 50)) + 2
    found = jax.vmap(jax.grad(lambda a, b: jnp.log(process.density(a, b, jnp.zeros(1))), (0, 1)))(x, y)
    if name == "ring":
        factor = (process.radius / jnp.hypot(x, y) - 1) / process.width**2
        expected = (x * factor, y * factor)
    else:
        rho = process.correlation
        expected = tuple(-(a - rho * b) / (1 - rho**2) for a, b in ((x, y), (y, x)))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
