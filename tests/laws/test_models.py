"""Laws of models: exact parity, linear last layer, coordinates that go there and back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.learn.loop import TrainingSpec, train
from saggiatore.models.base import Event, scores
from saggiatore.models.coordinate import BothEdges, Circle, Line, LowerEdge, NoEdge
from saggiatore.models.mlp import MLPSpec
from saggiatore.models.standardise import Affine
from saggiatore.tasks.joint_score import JointScore

NAMES = ("p", "q", "phi", "psi")
P_MIN = 0.1


def regression_events(n=500):
    rng = np.random.default_rng(0)
    p, q = rng.lognormal(size=n) + P_MIN, rng.normal(size=n)
    phi, psi = rng.uniform(-np.pi, np.pi, (2, n))
    features = jnp.stack([p, q, phi, psi], axis=1)
    return Event(features, jnp.zeros((n, 0)), jnp.asarray(p * q * np.sin(phi))[:, None], jnp.ones(n))


@pytest.mark.parametrize("odd_in", [("phi",), ("q",), ("q", "phi"), ()])
def test_parity_is_exact_and_the_last_layer_linear(odd_in):
    events = regression_events()
    spec = MLPSpec(width=8, depth=2, odd_in=odd_in, log=("p",), periodic=("phi", "psi"))
    model = spec.build(NAMES, key=jax.random.key(1)).standardise(events)
    sign = jnp.array([-1.0 if name in odd_in else 1.0 for name in NAMES])
    evaluate = jax.jit(jax.vmap(lambda x: (model.score(x), model.noise(x), model.hidden(x))))
    score, noise, hidden = evaluate(events.features)
    mirrored_score, mirrored_noise, mirrored_hidden = evaluate(events.features * sign)
    parity = -1 if odd_in else 1
    assert np.array_equal(mirrored_score, parity * score)
    assert np.array_equal(mirrored_hidden, parity * hidden)
    assert np.array_equal(mirrored_noise, noise)
    assert float(jnp.std(score)) > 1e-3
    np.testing.assert_allclose(score, model.scale * hidden @ model.last_layer, rtol=1e-10, atol=1e-12)
    assert np.array_equal(hidden[:, -1], np.ones(len(score))) == (not odd_in)


def test_one_variance_is_that_of_the_target_about_the_mean():
    """2000 events: the variance is known to 3 %, and 10 % are allowed."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 1))
    data = Event(*map(jnp.asarray, (x, np.zeros((2000, 0)), x + 0.3 * rng.normal(size=(2000, 1)), np.ones(2000))))
    model = MLPSpec(width=8, depth=1, odd_in=("x",), noise="constant").build(("x",), key=jax.random.key(1))
    training = TrainingSpec(n_epochs=20, batch_size=50, learning_rate=0.02)
    model, _ = train(model.standardise(data), JointScore(("a",)), data, training, seed=2)
    noise = np.asarray(jax.vmap(model.noise)(data.features[:50]))
    assert np.ptp(noise) == 0
    assert noise[0] == pytest.approx(0.09, rel=0.1)


def test_a_full_turn_changes_nothing():
    events = regression_events()
    model = MLPSpec(width=8, depth=2, periodic=("phi", "psi")).build(NAMES, key=jax.random.key(1)).standardise(events)
    turned = events.features + 2 * jnp.pi * jnp.array([0.0, 0.0, 1.0, -1.0])
    np.testing.assert_allclose(scores(model, turned), scores(model, events.features), atol=1e-10)


@pytest.mark.parametrize(
    "coordinate",
    [
        Line(NoEdge(), Affine(jnp.array([0.3]), jnp.array([2.0]))),
        Line(LowerEdge(P_MIN), Affine(jnp.array([0.3]), jnp.array([2.0]))),
        Line(BothEdges(-1.0, 3.0), Affine(jnp.array([0.3]), jnp.array([2.0]))),
        Circle(),
    ],
    ids=["line", "lower", "bounded", "circle"],
)
def test_coordinates_go_there_and_back_with_their_jacobian(coordinate):
    x = jnp.linspace(0.11, 2.9, 40)
    z, log_jacobian = jax.vmap(coordinate.forward)(x)
    np.testing.assert_allclose(jax.vmap(coordinate.inverse)(z), x, rtol=1e-9)
    slope = jax.vmap(jax.grad(lambda v: coordinate.forward(v)[0]))(x)
    np.testing.assert_allclose(log_jacobian, jnp.log(slope), atol=1e-9)
    levels = jnp.linspace(0.05, 0.95, 19)  # the quantile inverts the integral of the base density
    inverse_slope = jax.vmap(jax.grad(coordinate.base_quantile))(levels)
    base = jax.vmap(lambda u: coordinate.base_log_prob(coordinate.base_quantile(u)))(levels)
    np.testing.assert_allclose(base, -jnp.log(inverse_slope), atol=1e-9)
