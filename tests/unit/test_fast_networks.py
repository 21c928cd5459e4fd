"""Networks of few inputs: what makes them fast changes no value and no derivative."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.learn.layers import with_turned_layers
from saggiatore.models.base import Event
from saggiatore.models.mlp import MLPSpec
from saggiatore.models.network import variance_network, while_trained


def test_a_network_with_turned_layers_has_the_same_values_and_derivatives():
    plain = variance_network(8, 16, key=jax.random.key(0))
    events = jax.random.normal(jax.random.key(1), (50, 8))

    def loss(network):
        return jnp.mean(jax.vmap(network)(events) ** 2)

    expected, found = (
        eqx.filter_jit(eqx.filter_value_and_grad(each))(plain) for each in (loss, lambda n: loss(with_turned_layers(n)))
    )
    for one, other in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_the_tanh_of_a_training_is_exact_far_out():
    tanh = while_trained(variance_network(1, 2, key=jax.random.key(0))).activation
    x = jnp.asarray([-jnp.inf, -300.0, -20.5, -9.1, -0.3, 0.0, 1e-6, 7.0, 19.5, 25.0, jnp.inf, jnp.nan])
    np.testing.assert_array_equal(tanh(x), jnp.tanh(x))
    np.testing.assert_array_equal(jax.vmap(jax.grad(tanh))(x[1:-2]), jax.vmap(jax.grad(jnp.tanh))(x[1:-2]))


def test_a_network_of_encoded_events_says_what_the_network_says_of_the_events():
    x = jax.random.uniform(jax.random.key(0), (50, 2)) + 0.5
    events = Event(x, jnp.zeros((50, 0)), x[:, :1] - x[:, 1:], jnp.ones(50))
    build = eqx.filter_jit(MLPSpec(width=4, depth=2, odd_in=("b",), log=("a",)).build)
    model = build(("a", "b"), key=jax.random.key(1)).standardise(events)
    read, inputs = model.encoded(events)
    for say in (lambda m, e: m.score(e), lambda m, e: m.noise(e)):
        expected, found = (
            jax.jit(jax.vmap(lambda e, m=m, s=say: s(m, e)))(e.features) for m, e in ((model, events), (read, inputs))
        )
        np.testing.assert_allclose(found, expected, rtol=1e-4)
