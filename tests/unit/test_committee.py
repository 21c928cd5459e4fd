"""A committee of networks is a regression like any other, and what it states is the mean of its members'."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.infer.committee import Committee
from saggiatore.infer.weights import flatten, with_weights
from saggiatore.models.base import AbstractRegression, Event
from saggiatore.models.dsi import DSISpec
from saggiatore.models.leg import invariant_name, pairs
from saggiatore.models.mlp import MLPSpec

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
    committee = Committee.of(network, N_MEMBERS)
    random = np.random.default_rng(3)
    weights = jnp.asarray(random.normal(size=(N_MEMBERS, flatten(network).size)))
    found = stated(with_weights(committee, weights.reshape(-1)), events)
    expected = np.mean([stated(with_weights(network, each), events) for each in weights], axis=0)
    for mean, member_mean in zip(found, expected, strict=True):
        np.testing.assert_allclose(mean, member_mean, rtol=1e-9)
    assert np.ptp(found[0]) > 0.1


def test_a_committee_of_one_network_is_that_network(network_and_events):
    network, events = network_and_events
    committee = Committee.of(network, N_MEMBERS)
    np.testing.assert_allclose(stated(committee, events), stated(network, events), rtol=1e-12)
    assert eqx.tree_equal(committee.standardise(events), committee)
