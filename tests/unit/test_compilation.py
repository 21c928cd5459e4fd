"""What the compiler must get right, whatever release of it is installed."""

import jax
import jax.numpy as jnp
import numpy as np

import saggiatore


def test_sums_of_small_matrix_products_are_right():
    """jaxlib 0.10.2 on a CPU is wrong from 16,385 rows on, unless the package turns a pass off (jax issue 39103)."""
    assert saggiatore.__version__
    number = jnp.arange(16_385, dtype=float)
    rows, matrix = jnp.stack([number, 0 * number, 0 * number], axis=1), jnp.eye(3)
    found = jax.jit(jax.vmap(lambda row: jnp.sum((matrix @ row) ** 2)))(rows)
    assert np.array_equal(found, np.arange(16_385.0) ** 2)
