"""Laws that every registered sampler obeys: its map is a density, and it is read back as it was written."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.errors import SchemaError
from saggiatore.integrate.base import propose_batch, sample_weights
from saggiatore.integrate.mixture import AbstractMixture, inverses
from saggiatore.integrate.mixture_batch import draw_batch
from saggiatore.integrate.multichannel import MultichannelSpec
from saggiatore.integrate.vegas import VegasSpec
from saggiatore.physics.asymmetry import AsymmetrySpec
from saggiatore.physics.mapping import CollinearMapping, PermutedMapping
from saggiatore.physics.process import AbstractProcess, weight
from saggiatore.registry import REGISTRY, load
from saggiatore.tables import read_table, write_table

N_POINTS = 20_000
ORDERS = ((0, 1, 2), (0, 2, 1), (1, 2, 0))
_COARSE = {"n_iterations": 5, "n_points": 20_000, "max_cubes": 64, "n_cube_points": 20_000}
# Settings that adapt in a second or two; samplers that are not named here are tested as they come.
CHEAP = {
    "vegas": {},
    "multichannel": {"grid": _COARSE},
    "madnis": {
        "start": {"grid": {**_COARSE, "alpha": 0.7}},
        "n_bins": 6,
        "width": 8,
        "depth": 1,
        "training": {"n_rounds": 2, "n_points": 16_384, "n_steps": 200, "batch_size": 512},
        "n_test": 16_384,
    },
}


THOROUGH = ("madnis",)  # half a minute of compilation


def samplers():
    """Every registered sampler."""
    for name in sorted(REGISTRY["sampler"]):
        yield pytest.param(name, marks=[pytest.mark.thorough] if name in THOROUGH else [])


@pytest.fixture(scope="module", params=samplers())
def spec(request):
    return load("sampler", request.param).model_validate(CHEAP.get(request.param, {}))


@pytest.fixture(scope="module")
def sampler(spec):
    return spec.adapt(AsymmetrySpec().build(), jnp.array([0.6]), key=jax.random.key(3))


@pytest.fixture(scope="module")
def points(sampler):
    v = jax.random.uniform(jax.random.key(4), (N_POINTS, sampler.dim))
    return v, *jax.jit(jax.vmap(sampler.propose))(v)


def test_points_stay_in_the_hypercube(points):
    _, u, log_det = points
    assert jnp.all((u >= 0) & (u <= 1))
    assert jnp.all(jnp.isfinite(log_det))


def test_log_det_is_that_of_the_map(sampler, points):
    v, _, log_det = points
    jacobian = jax.jit(jax.vmap(jax.jacfwd(lambda point: sampler.propose(point)[0])))(v[:200])
    np.testing.assert_allclose(jnp.linalg.slogdet(jacobian)[1], log_det[:200], atol=1e-9)


def test_the_density_at_a_point_is_that_of_the_map(sampler, points):
    """What a mixture needs of its parts: the density at any u, from u alone."""
    _, u, log_det = points
    np.testing.assert_allclose(jax.jit(jax.vmap(sampler.log_density))(u), -log_det, atol=1e-9)


def test_the_map_covers_all_of_the_hypercube(points):
    """Integrals of known functions: 20k points, within five standard errors."""
    _, u, log_det = points
    for function, exact in ((jnp.ones_like(u[:, 0]), 1.0), (u[:, 0] ** 2, 1 / 3), (u[:, 0] * u[:, 1], 1 / 4)):
        terms = function * jnp.exp(log_det)
        error = terms.std() / N_POINTS**0.5
        assert error < 0.02
        assert jnp.abs(terms.mean() - exact) < 5 * error + 1e-12


def test_a_sampler_follows_the_rate(points):
    """Weights at the theta of the adaptation fluctuate less than without a map, and their mean is the same 1 pb."""
    process, theta = AsymmetrySpec().build(), jnp.array([0.6])
    v, u, log_det = points
    weigh = jax.jit(jax.vmap(lambda point: weight(process, point, theta)))
    weights, flat = weigh(u) * jnp.exp(log_det), weigh(v)
    assert weights.std() / weights.mean() < 0.1 * flat.std() / flat.mean()
    assert jnp.abs(weights.mean() - 1) < 5 * weights.std() / N_POINTS**0.5


def test_a_sampler_is_read_back_as_it_was_written(spec, sampler, tmp_path):
    schema, columns = sampler.table()
    write_table(tmp_path / "grid.parquet", schema, columns, {})
    again = spec.restore(read_table(tmp_path / "grid.parquet", "grid"), AsymmetrySpec().build())
    assert bool(eqx.tree_equal(again, sampler))


def test_adaptation_is_reproducible(spec, sampler):
    again = spec.adapt(AsymmetrySpec().build(), jnp.array([0.6]), key=jax.random.key(3))
    assert bool(eqx.tree_equal(again, sampler))


@pytest.mark.thorough
@pytest.mark.parametrize("spec", ["multichannel", "madnis"], indirect=True)
def test_an_adaptation_draws_what_the_map_draws(sampler):
    """Its batches are numpy's and of small programs; networks are evaluated in single precision there."""
    process, theta, key = AsymmetrySpec().build(), jnp.array([0.6]), jax.random.key(6)
    assert isinstance(sampler, AbstractMixture)
    drawn = draw_batch(process, theta, sampler, key, 1)
    _, u, log_inverse = propose_batch(sampler, key, jnp.asarray(1))
    np.testing.assert_allclose(drawn.points.u, u, atol=1e-12)
    np.testing.assert_allclose(drawn.log_mixture, -log_inverse, atol=1e-5)


@pytest.mark.parametrize("break_", [{"n_bins": 63}, {"value": 0.5}, {"rows": slice(0, -1)}])
def test_vegas_refuses_what_is_not_its_grid(tmp_path, break_):
    spec = VegasSpec(n_bins=16, max_cubes=1)
    schema, columns = spec.build(2).table()
    columns = dict(columns)
    if "value" in break_:
        columns["value"] = np.full_like(columns["value"], 0.5)
    columns = {name: column[break_.get("rows", slice(None))] for name, column in columns.items()}
    write_table(tmp_path / "grid.parquet", schema, columns, {})
    other = VegasSpec(n_bins=break_.get("n_bins", 16), max_cubes=1)
    with pytest.raises(SchemaError, match="Re-run the sampler"):
        other.restore(read_table(tmp_path / "grid.parquet", "grid"), AsymmetrySpec().build())


def test_there_are_as_many_cubes_as_fit():
    assert [VegasSpec(max_cubes=4096).n_strata(dim) for dim in (1, 2, 7, 12, 13)] == [4096, 64, 3, 2, 1]


class ThreeJets(AbstractProcess):
    """A rate that is the sum of the densities of three mappings, which permutations of jets relate."""

    dim: ClassVar[int] = 10
    parameters: tuple[str, ...] = ("none",)
    quadratic: tuple[str, ...] = ("none",)
    channels: tuple[tuple[int, ...], ...] = ((),)
    observables = legs = colour_flows = ()

    @property
    def mappings(self):
        return tuple(PermutedMapping(CollinearMapping(5.0, 0.4, (3, 4), 7), order) for order in ORDERS)

    @property
    def mapping_classes(self):
        return (0, 0, 0)

    def momenta(self, u):
        return u[None], jnp.zeros(())

    def accepts(self, momenta):
        return jnp.asarray(True)

    def rate(self, momenta, theta):
        return jnp.sum(jnp.exp(inverses(self.mappings, momenta[0])[1]))

    def channel_rate(self, momenta, channel, theta):
        return self.rate(momenta, theta)


@pytest.mark.thorough
def test_mappings_of_one_class_share_a_density():
    """Bare, they make up the whole rate: every weight is three. With the edges of one grid moved, the mean still is.

    What an adaptation draws of them is what the map draws.
    """
    process, theta, key = ThreeJets(), jnp.zeros(1), jax.random.key(5)
    bare = MultichannelSpec(grid=None).adapt(process, theta, key=key)
    assert bare.densities.edges.shape[0] == 1
    np.testing.assert_allclose(bare.mapping_shares, 1 / 3)
    np.testing.assert_allclose(sample_weights(process, theta, bare, 1000, key=key), 3, rtol=1e-9)
    moved = eqx.tree_at(lambda s: s.densities.edges, bare, bare.densities.edges**1.2)
    weights = sample_weights(process, theta, moved, 1000, key=key)
    assert weights.std() > 0.1
    assert abs(weights.mean() - 3) < 5 * weights.std() / len(weights) ** 0.5
    drawn = draw_batch(process, theta, moved, key, 0)
    np.testing.assert_allclose(drawn.weight, weights[: len(drawn.weight)], rtol=1e-9)
