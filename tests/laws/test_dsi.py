"""Laws of deep sets with invariants: identical legs, Lorentz invariance, a linear last layer, features that fit."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.errors import StudyError, TrainingError
from saggiatore.models.base import Event
from saggiatore.models.dsi import DSISpec
from saggiatore.models.leg import invariant_name, momentum_name, pairs
from saggiatore.physics.kinematics import COMPONENTS, invariants

TYPES = ("quark", "antiquark", "gluon", "gluon", "gluon", "boson")
N_LEGS, N = len(TYPES), 64
INVARIANTS = tuple(invariant_name(i, j) for i, j in pairs(N_LEGS))
MOMENTA = tuple(momentum_name(leg, part) for leg in range(N_LEGS) for part in COMPONENTS)


def momenta(seed=0):
    """Massless legs in all directions; no momentum need be conserved."""
    random = np.random.default_rng(seed)
    space = random.normal(size=(N, N_LEGS, 3)) * 10 ** random.uniform(0, 2, (N, N_LEGS, 1))
    return np.concatenate([np.linalg.norm(space, axis=2, keepdims=True), space], axis=2)


@functools.cache
def measure():
    return jax.jit(jax.vmap(invariants))


def features(legs, names):
    parts = [np.asarray(measure()(legs))] + [legs.reshape(N, -1)] * (names != INVARIANTS)
    return jnp.asarray(np.concatenate(parts, axis=1))


@functools.cache
def network(names):
    x = features(momenta(), names)
    events = Event(x, jnp.zeros((N, 0)), jnp.log(x[:, :1]) - 7, jnp.ones(N))
    spec = DSISpec(types=TYPES, embedding=5, width=6, depth=2)
    return eqx.filter_jit(spec.build)(names, key=jax.random.key(1)).standardise(events)


def evaluate(names, legs):
    """Score, noise and last hidden layer of every event."""
    model = network(names)
    return _compiled(names)(model, features(legs, names))


@functools.cache
def _compiled(names):
    return eqx.filter_jit(lambda m, x: jax.vmap(lambda at: (m.score(at), m.noise(at), m.hidden(at)))(x))


def boosted(legs, velocity=0.9):
    """Along a fixed direction, and turned about another axis."""
    gamma = (1 - velocity**2) ** -0.5
    axis = np.array([1.0, 2.0, -2.0]) / 3
    along = legs[..., 1:] @ axis
    energy = gamma * (legs[..., 0] + velocity * along)
    space = legs[..., 1:] + ((gamma - 1) * along + gamma * velocity * legs[..., 0])[..., None] * axis
    turned = space @ np.array([[0.6, 0.8, 0.0], [-0.8, 0.6, 0.0], [0.0, 0.0, 1.0]])
    return np.concatenate([energy[..., None], turned], axis=-1)


@pytest.mark.parametrize(
    "names",
    [INVARIANTS, pytest.param((*INVARIANTS, *MOMENTA), marks=pytest.mark.thorough)],
    ids=["invariants", "with momenta"],
)
def test_identical_legs_can_be_exchanged_and_others_not(names):
    legs = momenta()
    plain = evaluate(names, legs)
    for order in ([0, 1, 3, 2, 4, 5], [0, 1, 4, 2, 3, 5]):
        for one, other in zip(plain, evaluate(names, legs[:, order]), strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-11, atol=1e-13)
    for order in ([1, 0, 2, 3, 4, 5], [0, 1, 5, 3, 4, 2]):
        assert float(jnp.abs(evaluate(names, legs[:, order])[0] - plain[0]).max()) > 1e-3


@pytest.mark.thorough
def test_a_network_of_invariants_knows_no_frame_and_one_of_momenta_does():
    legs = momenta()
    for one, other in zip(evaluate(INVARIANTS, legs), evaluate(INVARIANTS, boosted(legs)), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-8, atol=1e-10)
    names = (*INVARIANTS, *MOMENTA)
    assert float(jnp.abs(evaluate(names, legs)[0] - evaluate(names, boosted(legs))[0]).max()) > 1e-3


def test_the_last_layer_is_linear_and_starts_at_the_mean_of_the_target():
    model = network(INVARIANTS)
    score, _, hidden = evaluate(INVARIANTS, momenta())
    np.testing.assert_allclose(score, model.scale * hidden @ model.last_layer, rtol=1e-10)
    assert np.asarray(hidden[:, -1]) == pytest.approx(float(model.target.constant))
    shift = float(model.scale * model.last_layer[-1] * model.target.constant)
    assert shift == pytest.approx(float(jnp.mean(jnp.log(features(momenta(), INVARIANTS)[:, 0]) - 7)))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (INVARIANTS[1:], "missing are s_01,"),
        ((*INVARIANTS, *MOMENTA[:4]), "missing are leg1_e,"),
        ((*INVARIANTS, "pt_v"), "does not read pt_v"),
    ],
)
def test_other_features_are_refused(names, message):
    with pytest.raises(StudyError, match=message):
        DSISpec(types=TYPES).build(names, key=jax.random.key(0))


def test_invariants_must_be_positive():
    x = features(momenta(), INVARIANTS).at[3, 2].set(-1.0)
    model = network(INVARIANTS)
    with pytest.raises(TrainingError, match="expected 2 p_i p_j > 0"):
        model.standardise(Event(x, jnp.zeros((N, 0)), jnp.ones((N, 1)), jnp.ones(N)))
