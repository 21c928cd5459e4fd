"""Training beats the VEGAS that it starts from where peaks lie on a diagonal, and is not used where it does not."""

import logging
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.integrate import polygon, spline
from saggiatore.integrate.base import sample_weights
from saggiatore.integrate.madnis import MadnisSpec
from saggiatore.integrate.madnis_training import (
    MadnisTraining,
    Stored,
    Trainable,
    _loss,
    _optimiser,
    draw,
    relative_std,
)
from saggiatore.integrate.spline_mixture import SplineMixture
from saggiatore.integrate.triangular import Triangular
from saggiatore.physics.mapping import AbstractMapping, Identity
from saggiatore.physics.process import AbstractProcess

SPEC = MadnisSpec(
    start={"grid": {"n_iterations": 4, "n_points": 16_384, "max_cubes": 1}},
    n_bins=8,
    width=16,
    training={"n_rounds": 1, "n_points": 65_536, "n_steps": 300, "batch_size": 512},
    n_test=65_536,
)
N_POINTS = 65_536


class Camel(AbstractProcess):
    """Two Gaussian humps on the diagonal of the square, each of integral one half: no product of axes follows them."""

    dim: ClassVar[int] = 2
    parameters: tuple[str, ...] = ("none",)
    quadratic: tuple[str, ...] = ("none",)
    channels: tuple[tuple[int, ...], ...] = ((),)
    observables = legs = colour_flows = ()

    @property
    def mappings(self) -> tuple[AbstractMapping, ...]:
        return (Identity(),)

    def momenta(self, u):
        return u[None], jnp.zeros(())

    def accepts(self, momenta):
        return jnp.asarray(True)

    def rate(self, momenta, theta):
        humps = [jnp.sum((momenta[0] - place) ** 2) / (2 * 0.06**2) for place in (0.3, 0.7)]
        return (jnp.exp(-humps[0]) + jnp.exp(-humps[1])) / (4 * jnp.pi * 0.06**2)

    def channel_rate(self, momenta, channel, theta):
        return self.rate(momenta, theta)


thorough = pytest.mark.thorough  # half a minute each; the laws of samplers train a smaller one at every run


@pytest.fixture(scope="module")
def trained():
    return SPEC.adapt(Camel(), jnp.zeros(1), key=jax.random.key(1))


@thorough
def test_training_beats_vegas(trained):
    """65k points: the weights' spread is less than a third of the start's.

    VEGAS cannot go below 1: half of its points lie in the empty corners. What points of the start say of the trained
    sampler is what its own points say, within a tenth.
    """
    theta, key = jnp.zeros(1), jax.random.key(2)
    start = SPEC.start.adapt(Camel(), theta, key=jax.random.fold_in(jax.random.key(1), 0))
    weights = [sample_weights(Camel(), theta, sampler, N_POINTS, key=key) for sampler in (start, trained)]
    before, after = (each.std() / each.mean() for each in weights)
    assert isinstance(trained, SplineMixture)
    assert before > 0.95
    assert after < before / 3
    found = relative_std(trained, draw(Camel(), theta, start, trained, N_POINTS, key=jax.random.key(3)))
    assert found == pytest.approx(after, rel=0.1)


@thorough
def test_the_trained_integral_is_right(trained):
    """The humps lie inside the square but for 6e-7 of them; five standard errors of 20k points: one failure in 2e6."""
    v = jax.random.uniform(jax.random.key(3), (20_000, 2))
    u, log_inverse = jax.jit(jax.vmap(trained.propose))(v)
    weights = jax.vmap(lambda point: Camel().rate(point[None], jnp.zeros(1)))(u) * jnp.exp(log_inverse)
    assert jnp.abs(weights.mean() - 1) < 5 * weights.std() / len(weights) ** 0.5 + 1e-6


@thorough
def test_a_training_that_went_wrong_is_not_used(caplog):
    """With a learning rate far too high the start is kept, and the log says so."""
    wrong = SPEC.model_copy(update={"training": SPEC.training.model_copy(update={"learning_rate": 1e3, "n_steps": 20})})
    with caplog.at_level(logging.WARNING):
        found = wrong.adapt(Camel(), jnp.zeros(1), key=jax.random.key(1))
    start = SPEC.start.adapt(Camel(), jnp.zeros(1), key=jax.random.fold_in(jax.random.key(1), 0))
    assert bool(eqx.tree_equal(found, start))
    assert "is used instead" in caplog.text


def test_the_density_of_a_triangular_map_is_that_of_its_points():
    """With numbers far from those of the identity, and with events along a further axis."""
    dim = 3
    identity = Triangular.build(dim, 8, 2, 5, key=jax.random.key(4))
    z = jax.random.uniform(jax.random.key(5), (500, dim))
    forward = jax.jit(jax.vmap(lambda triangular, point: triangular.forward(point), (None, 0)))
    v, log_det = forward(identity, z)
    np.testing.assert_allclose(v, z, atol=1e-14)
    np.testing.assert_allclose(log_det, 0, atol=1e-13)
    rng = np.random.default_rng(6)
    bent = jax.tree.map(lambda a: jnp.asarray(np.asarray(a) + rng.normal(size=a.shape)), identity)
    v, log_det = (np.asarray(part) for part in forward(bent, z))
    assert ((v >= 0) & (v <= 1)).all()
    assert np.abs(log_det).mean() > 0.3
    np.testing.assert_allclose(jax.jit(lambda points: bent.log_density(points))(v.T), -log_det, atol=1e-9)


def test_a_polygon_is_normalised_and_its_quantiles_are_those_of_its_density():
    heights = polygon.from_numbers(jnp.asarray([0.0, 3.0, -20.0, 1.0, -1.0]))
    z = np.linspace(0.0, 1.0, 4001)
    x, log_slope = (np.asarray(part) for part in jax.jit(jax.vmap(lambda part: polygon.quantile(heights, part)))(z))
    log_density = jax.jit(jax.vmap(lambda point: polygon.log_density(heights, point)))
    assert (x[0], x[-1]) == (0, 1)
    np.testing.assert_allclose(log_density(x), -log_slope, atol=1e-9)
    density = np.exp(-log_slope)
    below = np.concatenate([[0.0], np.cumsum(np.diff(x) * (density[1:] + density[:-1]) / 2)])
    np.testing.assert_allclose(below, z, atol=1e-3)  # trapezia, exact but where a knot lies between


def test_the_noise_of_the_loss_vanishes_where_the_density_is_right():
    """Elsewhere it is the variance of the weights: 20k points, within five standard errors."""
    n_points = 20_000
    maps = Triangular.build(2, 4, 1, 5, key=jax.random.key(8))
    rng = np.random.default_rng(9)
    maps = jax.tree.map(lambda a: np.asarray(a) + rng.normal(size=a.shape), maps)
    trainable = Trainable(np.zeros(1), jax.tree.map(lambda a: a[None], maps))
    v = rng.uniform(size=(1, 2, n_points))
    density = np.asarray(jax.jit(lambda triangular, points: jnp.exp(triangular.log_density(points)))(maps, v[0]))
    right = Stored(v, np.zeros((1, n_points)), density)
    evaluate = jax.jit(jax.value_and_grad(lambda trainable, stored: _loss(trainable, stored, (0,))))
    loss, slope = evaluate(trainable, right)
    assert float(loss) == pytest.approx(0, abs=1e-20)
    assert all(np.abs(leaf).max() < 1e-12 for leaf in jax.tree.leaves(slope))
    flat = right._replace(weight=np.ones(n_points))
    variance, error = (1 / density).mean() - 1, density.std() / n_points**0.5
    assert abs(np.expm1(evaluate(trainable, flat)[0]) - variance) < 5 * error


def test_slopes_of_splines_are_finite_in_single_precision():
    """Bins up to a thousand times steeper than their ends: there the textbook root leaves its bin by rounding."""
    rng = np.random.default_rng(11)
    numbers = (12 * rng.normal(size=(spline.n_numbers(6), 65_536))).astype(np.float32)
    y = rng.uniform(size=65_536).astype(np.float32)

    def total(numbers):
        x, log_slope = spline.inverse(spline.from_numbers(numbers), y)
        return jnp.sum(x + log_slope)

    value, slope = jax.jit(jax.value_and_grad(total))(numbers)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()


def test_the_smooth_grid_goes_through_its_edges():
    edges = jnp.asarray([0.0, 0.4, 0.5, 0.55, 1.0])
    places = jnp.linspace(0.0, 1.0, 5)
    np.testing.assert_allclose(jax.vmap(lambda x: spline.smooth_forward(edges, x)[0])(places), edges, atol=1e-15)
    x = jax.random.uniform(jax.random.key(7), (1000,))
    y, log_slope = jax.vmap(lambda each: spline.smooth_forward(edges, each))(x)
    back, log_inverse = jax.vmap(lambda each: spline.smooth_inverse(edges, each))(y)
    np.testing.assert_allclose(back, x, atol=1e-12)
    np.testing.assert_allclose(log_inverse, -log_slope, atol=1e-9)


def test_a_step_without_a_finite_gradient_is_left_out():
    optimiser = _optimiser(MadnisTraining())
    update, _ = optimiser.update(jnp.array([jnp.nan, 1.0]), optimiser.init(jnp.ones(2)))
    np.testing.assert_array_equal(update, 0)
