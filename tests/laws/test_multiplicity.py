"""Laws of a density with a varying number of features: normalised over both, samples follow it, absence is not read."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pydantic import ValidationError
from scipy.interpolate import CubicSpline
from scipy.stats import chisquare, kstest

from saggiatore.errors import StudyError
from saggiatore.models.base import Event, trainable
from saggiatore.models.multiplicity import MultiplicitySpec
from saggiatore.models.store import load_model, save

FEATURES = ("n", "x", "y", "z")
SPEC = MultiplicitySpec(
    number="n",
    low=1,
    high=3,
    needs={"y": 2, "z": 3},
    width=4,
    transformer={"width": 8, "depth": 1, "n_heads": 2, "n_components": 3, "lower": {"x": 0.5, "y": 2.0}},
)
THETA = jnp.array([0.4])


def events():
    """600 events, a third with each number; what does not exist is zero, and outside of the edge of y."""
    rng = np.random.default_rng(1)
    n = np.repeat([1.0, 2.0, 3.0], 200)
    x, y, z = 0.5 + rng.exponential(size=600), 2 + rng.exponential(size=600), rng.normal(size=600)
    features = np.stack([n, x, np.where(n > 1, y, 0), np.where(n > 2, z, 0)], axis=1)
    return Event(*map(jnp.asarray, (features, rng.normal(size=(600, 1)), np.zeros((600, 0)), np.ones(600))))


@pytest.fixture(scope="module")
def bent():
    """A density whose every weight was moved, standardised to the events."""
    model = eqx.filter_jit(SPEC.build)(FEATURES, ("a",), key=jax.random.key(5)).standardise(events())
    leaves, rest = eqx.partition(model, trainable(model))
    rng = np.random.default_rng(6)
    return eqx.combine(jax.tree.map(lambda leaf: leaf + 0.3 * rng.normal(size=leaf.shape), leaves), rest)


def along(model, n_points=51):
    """Places along the mapped features, and there the densities of the last feature that exists, for each number."""
    places = np.linspace(-7, 7, n_points)
    coordinates = model.transformer.frame.coordinates
    grids = [np.asarray(coordinate.inverse(jnp.asarray(places))) for coordinate in coordinates]
    slopes = [np.exp(-np.asarray(mapped(model, i, grid)[1])) * np.ones(n_points) for i, grid in enumerate(grids)]
    log_prob = jax.jit(lambda rows: jax.lax.map(lambda row: model.log_prob(row, THETA), rows, batch_size=2601))
    found = []
    for n in (1, 2, 3):
        mesh = np.meshgrid(*grids[:n], indexing="ij")
        rows = np.zeros((n_points**n, len(FEATURES)))
        rows[:, 0], rows[:, 1 : n + 1] = n, np.stack([each.ravel() for each in mesh], axis=1)
        density = np.exp(np.asarray(log_prob(jnp.asarray(rows)))).reshape([n_points] * n)
        for slope in slopes[: n - 1]:
            density = np.trapezoid(np.moveaxis(density, 0, -1) * slope, places)
        found.append(density * slopes[n - 1])
    return places, found


def mapped(model, i, values):
    """The place of feature i on the line, and the logarithm of the slope."""
    return model.transformer.frame.coordinates[i].forward(jnp.asarray(values))


@pytest.mark.thorough
def test_it_is_normalised_and_its_samples_follow_it(bent):
    """Probabilities of numbers add up to one; 3000 samples: chi2 of the numbers and Kolmogorov-Smirnov, p > 1e-4."""
    places, densities = along(bent)
    probabilities = np.array([np.trapezoid(each, places) for each in densities])
    np.testing.assert_allclose(probabilities, np.exp(bent.log_probabilities(THETA)), rtol=5e-3)
    assert probabilities.min() > 0.05
    keys = jax.random.split(jax.random.key(7), 3000)
    drawn = np.asarray(jax.jit(jax.vmap(lambda key: bent.sample(THETA, key=key)))(keys))
    counts = np.array([(drawn[:, 0] == n).sum() for n in (1, 2, 3)])
    assert chisquare(counts, 3000 * probabilities / probabilities.sum()).pvalue > 1e-4
    for n, density in zip((1, 2, 3), densities, strict=True):
        events_of_n = drawn[drawn[:, 0] == n]
        cumulative = CubicSpline(places, density).antiderivative()
        levels = cumulative(np.asarray(mapped(bent, n - 1, events_of_n[:, n])[0])) / cumulative(places[-1])
        assert kstest(levels, "uniform").pvalue > 1e-4
        assert (events_of_n[:, n + 1 :] == 0).all()


@pytest.mark.thorough
def test_what_does_not_exist_is_not_read_and_other_numbers_cannot_be(bent):
    at = jnp.array([[2.0, 1.0, 3.0, 0.0], [2.0, 1.0, 3.0, 9.0], [1.5, 1.0, 3.0, 9.0], [4.0, 1.0, 3.0, 9.0]])
    found = jax.jit(jax.vmap(bent.log_prob, (0, None)))(at, THETA)
    assert found[0] == found[1]
    assert np.isneginf(found[2:]).all()


@pytest.mark.thorough
def test_gradients_are_finite_where_a_feature_does_not_exist(bent):
    """Zero is no value of y, whose logarithm above the edge is read; no gradient comes from there."""
    leaves, rest = eqx.partition(bent, trainable(bent))
    data = events()

    @jax.jit
    @jax.grad
    def gradient(leaves):
        net = eqx.combine(leaves, rest)
        return -jnp.mean(jax.vmap(net.log_prob)(data.features, data.context))

    found = jax.tree.leaves(gradient(leaves))
    assert all(np.isfinite(leaf).all() and float(jnp.max(jnp.abs(leaf))) > 0 for leaf in found)


@pytest.mark.thorough
def test_save_and_load_is_the_identity(bent, tmp_path):
    columns = [[{"name": n, "unit": "1", "label": n} for n in names] for names in (FEATURES, ("a",))]
    header = {"kind": "multiplicity", "spec": SPEC.model_dump(mode="json")}
    save(tmp_path / "m.eqx", bent, header | {"features": columns[0], "context": columns[1]})
    loaded, _ = load_model(tmp_path / "m.eqx")
    assert jax.tree.structure(loaded) == jax.tree.structure(bent)
    assert all(np.array_equal(*pair) for pair in zip(jax.tree.leaves(bent), jax.tree.leaves(loaded), strict=True))


def test_what_does_not_fit_is_refused():
    with pytest.raises(StudyError, match="in the order of the number that they need"):
        SPEC.build(("n", "y", "x", "z"), (), key=jax.random.key(0))
    with pytest.raises(StudyError, match="number: n not among the features"):
        SPEC.build(("x", "y", "z"), (), key=jax.random.key(0))
    with pytest.raises(ValidationError, match="expected numbers above low = 1 and up to high = 3"):
        MultiplicitySpec(number="n", high=3, needs={"y": 4})
    few = jax.tree.map(lambda column: column[:400], events())
    with pytest.raises(StudyError, match=r"numbers are \[1. 2.\], expected each of \[1 2 3\]"):
        eqx.filter_eval_shape(SPEC.build, FEATURES, ("a",), key=jax.random.key(0)).standardise(few)
