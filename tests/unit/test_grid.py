"""Tables of samplers: what was written comes back, and what does not fit is refused with advice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.errors import EventError, SchemaError
from saggiatore.integrate import vegas_batch
from saggiatore.integrate.grid import GRID, grid_arrays, grid_columns
from saggiatore.integrate.madnis import MadnisSpec
from saggiatore.integrate.multichannel import Multichannel, MultichannelSpec, improve
from saggiatore.integrate.vegas import Vegas
from saggiatore.physics.asymmetry import AsymmetrySpec
from saggiatore.physics.mapping import Identity
from saggiatore.tables import read_table, write_table

SPEC = MultichannelSpec(grid={"n_bins": 4, "max_cubes": 1})


def written(path, arrays):
    write_table(path, GRID, grid_columns(arrays), {})
    return read_table(path, "grid")


def arrays():
    """A multi-channel sampler of the oracle, which has one mapping, before adaptation."""
    grid = jax.tree.map(lambda array: array[None], SPEC.grid.build(2))
    return Multichannel((Identity(),), (0,), jnp.ones(1), grid).arrays()


def test_arrays_come_back_in_two_dimensions(tmp_path):
    numbers = np.arange(24.0)
    found = grid_arrays(written(tmp_path / "grid.parquet", {"a": numbers.reshape(2, 3, 4), "b": numbers[:5]}))
    np.testing.assert_array_equal(found["a"], numbers.reshape(2, 12))
    np.testing.assert_array_equal(found["b"], numbers[:5, None])


def test_a_sampler_comes_back(tmp_path):
    found = SPEC.restore(written(tmp_path / "grid.parquet", arrays()), AsymmetrySpec().build())
    for name, array in found.arrays().items():
        np.testing.assert_array_equal(array, arrays()[name])


def test_a_start_that_training_fell_back_to_comes_back(tmp_path):
    found = MadnisSpec(start=SPEC).restore(written(tmp_path / "grid.parquet", arrays()), AsymmetrySpec().build())
    assert isinstance(found, Multichannel)


@pytest.mark.parametrize(
    "change",
    [
        {"shares": np.array([0.5])},
        {"shares": np.array([-1.0])},
        {"shares": np.array([0.5, 0.5])},
        {"edges": np.zeros((1, 2, 5))},
        {"edges": np.zeros((1, 3, 5))},
    ],
    ids=["sum", "negative", "number", "order", "dimension"],
)
def test_what_is_no_sampler_of_the_process_is_refused(tmp_path, change):
    table = written(tmp_path / "grid.parquet", arrays() | change)
    with pytest.raises(SchemaError, match="Re-run the sampler"):
        SPEC.restore(table, AsymmetrySpec().build())


def test_batches_of_numpy_are_mapped_as_single_points():
    """Uneven bins and cubes; 500 points."""
    rng = np.random.default_rng(2)
    edges, cumulative = (np.sort(rng.uniform(size=shape), axis=-1) for shape in ((3, 11), (1, 65)))
    for rows in (edges, cumulative):
        rows[:, 0], rows[:, -1] = 0, 1
    grid = Vegas(jnp.asarray(edges), jnp.asarray(cumulative[0]), 4)
    v = rng.uniform(size=(500, 3))
    u, log_det = (np.asarray(part) for part in jax.jit(jax.vmap(grid.propose))(v))
    found, log_found = vegas_batch.propose(grid, v)
    np.testing.assert_allclose(found, u, atol=1e-14)
    np.testing.assert_allclose(log_found, log_det, atol=1e-12)
    np.testing.assert_allclose(vegas_batch.log_density(grid, u), -log_det, atol=1e-9)


def test_shares_move_towards_equal_moments():
    """a_i sqrt(W_i), normalised; a mapping whose points met nothing keeps a hundredth of an equal share."""
    np.testing.assert_allclose(improve(jnp.array([0.5, 0.5]), np.array([4.0, 1.0])), [0.665, 0.335], atol=1e-12)
    np.testing.assert_allclose(improve(jnp.array([0.5, 0.5]), np.array([4.0, 0.0])), [0.995, 0.005], atol=1e-12)
    with pytest.raises(EventError, match=r"no finite number .* tighten the cuts, or fix the scale"):
        improve(jnp.array([0.5, 0.5]), np.array([np.inf, 1.0]))
