"""What the compiler must get right, whatever release of it is installed."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saggiatore


def test_sums_of_small_matrix_products_are_right():
    """jaxlib 0.10.2 on a CPU is wrong from 16,385 rows on, unless the package turns a pass off (jax issue 39103)."""
    assert saggiatore.__version__
    number = jnp.arange(16_385, dtype=float)
    rows, matrix = jnp.stack([number, 0 * number, 0 * number], axis=1), jnp.eye(3)
    found = jax.jit(jax.vmap(lambda row: jnp.sum((matrix @ row) ** 2)))(rows)
    assert np.array_equal(found, np.arange(16_385.0) ** 2)


@pytest.mark.parametrize("flags", ["", "--xla_dump_to=here", "intra_op_parallelism_threads=1", "a_word --more"])
def test_the_pass_is_turned_off_before_anything_that_ends_xlas_reading(flags):
    """XLA reads its flags up to the first word that is none."""
    tell = "import saggiatore, os; print(os.environ['XLA_FLAGS'])"
    environment = os.environ | {"XLA_FLAGS": flags}
    found = subprocess.run([sys.executable, "-c", tell], env=environment, capture_output=True, text=True).stdout
    assert found.split() == ["--xla_cpu_experimental_ynn_fusion_type=", *flags.split()]


def test_a_choice_of_the_user_about_the_pass_stays():
    chosen = "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_DOT"
    tell = "import saggiatore, os; print(os.environ['XLA_FLAGS'])"
    found = subprocess.run([sys.executable, "-c", tell], env=os.environ | {"XLA_FLAGS": chosen}, capture_output=True)
    assert found.stdout.decode().strip() == chosen
