"""Diffusion of a normal distribution, where the network is known: sampling, log density and data score are exact."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest, norm

from saggiatore.models.base import Event
from saggiatore.models.diffusion import FIRST, DiffusionSpec, at_time
from saggiatore.models.standardise import Affine
from saggiatore.models.transport import TransportSpec

VARIANCE = 0.25  # of the events in the coordinate of the diffusion
SCALE, SHIFT = 3.0, -1.0  # of the feature
NONE = jnp.zeros(0)


class Exact(eqx.Module):
    """What the network of a perfectly trained diffusion of N(0, VARIANCE) gives."""

    def __call__(self, inputs):
        z, _, cos, sin = inputs
        return (z * sin * cos * (1 - VARIANCE) / (cos**2 * VARIANCE + sin**2))[None]


def exact(**options):
    model = DiffusionSpec.model_validate(options).build(("x",), (), key=jax.random.key(0))
    line = dataclasses.replace(model.frame.coordinates[0], affine=Affine(jnp.array([SHIFT]), jnp.array([SCALE])))
    frame = dataclasses.replace(model.frame, coordinates=(line,))
    return eqx.tree_at(lambda m: (m.frame, m.net), model, (frame, Exact()))


@pytest.mark.parametrize("sampling", [pytest.param("ode", marks=pytest.mark.thorough), "ddim", "ancestral"])
def test_samples_follow_the_events(sampling):
    """4000 samples, Kolmogorov-Smirnov, p > 1e-4; steps and the noise that is left cost less than that sees."""
    model = exact(sampling=sampling, n_sampling=200)
    keys = jax.random.split(jax.random.key(1), 4000)
    drawn = np.asarray(jax.jit(jax.vmap(lambda key: model.sample(NONE, key=key)))(keys))[:, 0]
    assert kstest(drawn, norm(SHIFT, SCALE * VARIANCE**0.5).cdf).pvalue > 1e-4


@pytest.mark.parametrize("options", [{"rtol": 1e-8, "atol": 1e-8}, {"solver": "heun", "n_steps": 200}], ids=str)
def test_the_log_density_is_that_of_the_first_noise(options):
    x = jnp.linspace(-5, 4, 7)
    found = jax.jit(jax.vmap(lambda v: exact(**options).log_prob(v[None], NONE)))(x)
    width = SCALE * np.sqrt(np.cos(FIRST) ** 2 * VARIANCE + np.sin(FIRST) ** 2)
    np.testing.assert_allclose(found, norm(SHIFT, width).logpdf(x), atol=2e-3)  # one per cent of the event is left


def test_the_data_score_is_that_of_smeared_events_and_the_mean_of_the_joint_one():
    """Along the line: the slope of the joint data score over 20,000 smeared events, 5 standard errors."""
    model, time = exact(), 0.3
    smear = SCALE * np.tan(at_time(time))
    slope = -1 / (SCALE**2 * VARIANCE + smear**2)
    x = jnp.linspace(-5, 4, 7)
    found = jax.vmap(lambda v: model.data_score(v[None], jnp.asarray(time), NONE))(x)[:, 0]
    np.testing.assert_allclose(found, slope * (x - SHIFT), rtol=1e-6)
    events = SHIFT + SCALE * VARIANCE**0.5 * jax.random.normal(jax.random.key(2), (20_000, 1))
    keys = jax.random.split(jax.random.key(3), len(events))
    there, joint = jax.vmap(lambda v, k: model.smeared(v, jnp.asarray(time), key=k))(events, keys)
    away = np.asarray(there)[:, 0] - SHIFT
    products = away * (np.asarray(joint)[:, 0] - slope * away)
    assert abs(products.mean()) < 5 * products.std() / len(products) ** 0.5
    assert np.std(away) == pytest.approx((-1 / slope) ** 0.5, rel=0.03)


@pytest.mark.thorough
def test_a_feature_with_an_edge_has_the_data_score_of_its_mapped_density():
    """Against the gradient of the log density of the smeared feature: normal in log(x - edge)."""
    model = exact(lower={"x": 2.0})
    line = dataclasses.replace(model.frame.coordinates[0], edge=model.frame.coordinates[0].edge)
    time, x = 0.3, jnp.linspace(2.1, 5, 6)
    width = jnp.sqrt(VARIANCE + jnp.tan(at_time(time)) ** 2)

    def log_density(value):
        z, log_jacobian = line.forward(value)
        return jax.scipy.stats.norm.logpdf(z, scale=width) + log_jacobian

    found = jax.vmap(lambda v: model.data_score(v[None], jnp.asarray(time), NONE))(x)[:, 0]
    np.testing.assert_allclose(found, jax.vmap(jax.grad(log_density))(x), rtol=1e-6)


def test_an_angle_without_a_network_is_uniform():
    spec = DiffusionSpec(width=4, depth=1, periodic=("x",))
    model = spec.build(("x",), (), key=jax.random.key(0)).standardise(
        Event(jnp.zeros((3, 1)), jnp.zeros((3, 0)), jnp.zeros((3, 0)), jnp.ones(3))
    )
    model = eqx.tree_at(lambda m: m.net, model, lambda inputs: jnp.zeros(1))
    x = jnp.linspace(-3, 3, 5)
    found = jax.vmap(lambda v: model.log_prob(v[None], NONE))(x)
    np.testing.assert_allclose(found, -np.log(2 * np.pi), rtol=1e-6)


MATRIX = jnp.array([[0.5, -1.0], [2.0, 0.3]])


@pytest.mark.thorough
def test_hutchinsons_trace_has_the_right_mean_and_is_a_function_of_the_point():
    """2000 points of a linear field, whose trace is 0.8 at each; 5 standard errors."""
    points = jax.random.normal(jax.random.key(4), (2000, 2))
    field = lambda t, z: MATRIX @ z  # noqa: E731
    transport = TransportSpec(trace="hutchinson", solver="heun", n_steps=4).transport()
    found = jax.jit(jax.vmap(lambda z: transport.with_divergence(field, z, 0.0, 1.0)))
    there, gained = found(points)
    exact, (same, _) = TransportSpec(solver="heun", n_steps=4).transport(), found(points)
    assert abs(gained.mean() - 0.8) < 5 * gained.std() / 2000**0.5
    assert gained.std() > 0.1
    np.testing.assert_array_equal(found(points)[1], gained)
    np.testing.assert_allclose(there, jax.vmap(lambda z: exact(field, z, 0.0, 1.0))(points), rtol=1e-10)
    np.testing.assert_array_equal(there, same)


def test_euler_needs_steps():
    with pytest.raises(ValueError, match="n_steps"):
        TransportSpec(solver="euler").transport()
