"""A committee of networks is a model of their kind, and what it states is the mean of its members'."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import norm

from saggiatore.infer.committee import MeanRatio, MeanRegression, Mixture, mean_of
from saggiatore.infer.weights import flatten, with_weights
from saggiatore.models.base import AbstractRegression, Event
from saggiatore.models.density import AbstractDensity
from saggiatore.models.dsi import DSISpec
from saggiatore.models.frame import Frame, FrameSpec
from saggiatore.models.leg import invariant_name, pairs
from saggiatore.models.mlp import MLPSpec
from saggiatore.models.ratio_mlp import RatioMLPSpec
from saggiatore.types import Array, Float

N_MEMBERS, N_EVENTS = 3, 50
TYPES = ("quark", "antiquark", "gluon")
BUILT = {
    "odd mlp": (MLPSpec(width=4, depth=2, odd_in=("x",), log=("z",)), ("x", "y", "z")),
    "mlp": (MLPSpec(width=4, depth=1, noise="constant"), ("x", "y", "z")),
    "dsi": (DSISpec(types=TYPES, embedding=3, width=4, depth=2), tuple(invariant_name(i, j) for i, j in pairs(3))),
}


@pytest.fixture(scope="module", params=BUILT)
def network_and_events(request) -> tuple[AbstractRegression, Event]:
    spec, names = BUILT[request.param]
    features = jnp.asarray(np.random.default_rng(1).lognormal(size=(N_EVENTS, 3)))
    events = Event(features, jnp.zeros((N_EVENTS, 0)), 5 * jnp.log(features[:, :1]), jnp.ones(N_EVENTS))
    return spec.build(names, key=jax.random.key(0)).standardise(events), events


def stated(network: AbstractRegression, events: Event) -> tuple[np.ndarray, ...]:
    """Score, noise and variance, and the score from the last layer."""

    def at(x):
        mean = network.scale * (network.hidden(x) @ network.last_layer)
        return network.score(x), network.noise(x), jnp.exp(network.log_variance(x)), mean

    return tuple(np.asarray(each) for each in jax.jit(jax.vmap(at))(events.features))


def test_a_committee_states_the_mean_of_its_members(network_and_events):
    network, events = network_and_events
    committee = MeanRegression.of(network, N_MEMBERS)
    random = np.random.default_rng(3)
    weights = jnp.asarray(random.normal(size=(N_MEMBERS, flatten(network).size)))
    found = stated(with_weights(committee, weights.reshape(-1)), events)
    expected = np.mean([stated(with_weights(network, each), events) for each in weights], axis=0)
    for mean, member_mean in zip(found, expected, strict=True):
        np.testing.assert_allclose(mean, member_mean, rtol=1e-9)
    assert np.ptp(found[0]) > 0.1


def test_a_committee_of_one_network_is_that_network(network_and_events):
    network, events = network_and_events
    committee = mean_of(network, N_MEMBERS)
    assert mean_of(network, 1) is network
    np.testing.assert_allclose(stated(committee, events), stated(network, events), rtol=1e-12)
    assert eqx.tree_equal(committee.standardise(events), committee)


def test_the_mean_of_ratios_is_one_at_zero_and_odd_where_they_are():
    ratio = RatioMLPSpec(width=4, depth=1, odd_in=("x", "a")).build(("x",), ("a",), key=jax.random.key(0))
    weights = jnp.asarray(np.random.default_rng(3).normal(size=(N_MEMBERS, flatten(ratio).size)))
    mean = with_weights(mean_of(ratio, N_MEMBERS), weights.reshape(-1))
    x, theta = jnp.array([0.3]), jnp.array([0.7])

    @eqx.filter_jit
    def stated(one):
        return one.log_ratio(x, theta), one.score(x)[0], one.log_ratio(x, 0 * theta), one.log_ratio(-x, -theta)

    found = stated(mean)
    assert isinstance(mean, MeanRatio)
    np.testing.assert_allclose(
        found, np.mean([stated(with_weights(ratio, each)) for each in weights], axis=0), rtol=1e-9
    )
    assert found[2] == 0
    assert found[3] == found[0]


class Moved(AbstractDensity):
    """Normal numbers about a mean that moves with the context."""

    loss_is_log_prob: ClassVar[bool] = True
    frame: Frame
    mean: Float[Array, ""]

    def log_prob(self, features, context):
        return norm.logpdf(features[0] - self.mean * (1 + context[0]))

    def sample(self, context, *, key):
        return self.mean * (1 + context) + jax.random.normal(key, (1,))

    def loss(self, features, context, *, key):
        return -self.log_prob(features, context)


def test_a_mixture_is_the_mean_of_densities():
    """Two normal distributions; of 4000 draws five binomial errors, 0.04, come from either."""
    mixture = with_weights(mean_of(Moved(FrameSpec().frame(("x",), ("a",)), jnp.zeros(())), 2), jnp.array([-4.0, 4.0]))
    assert isinstance(mixture, Mixture)
    at = jnp.array([0.5])

    def density(x, a):
        return (norm.pdf(x + 4 * (1 + a)) + norm.pdf(x - 4 * (1 + a))) / 2

    x = jnp.array([-7.0, 0.2, 5.0])
    found = jax.jit(jax.vmap(lambda each: (mixture.log_prob(each, at), mixture.log_prob_and_score(each, at))))(
        x[:, None]
    )
    np.testing.assert_allclose(found[0], jnp.log(density(x, 0.5)), rtol=1e-9)
    np.testing.assert_allclose(found[1][0], found[0], rtol=1e-12)
    expected = jax.vmap(jax.grad(lambda a, each: jnp.log(density(each, a))), (None, 0))(0.5, x)
    np.testing.assert_allclose(found[1][1][:, 0], expected, rtol=1e-9)
    drawn = jax.jit(jax.vmap(lambda key: mixture.sample(at, key=key)))(jax.random.split(jax.random.key(1), 4000))
    for sign in (-1, 1):
        of_member = sign * drawn[sign * drawn > 0]
        assert len(of_member) / 4000 == pytest.approx(0.5, abs=0.04)
        assert float(of_member.mean()) == pytest.approx(6, abs=5 / 2000**0.5)
