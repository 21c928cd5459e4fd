"""A whole network as a random variable: its vector of weights, what draws say, and gradients of low variance."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.errors import ConvergenceError, ModelError
from saggiatore.infer.base import Chains, Parameter, draw_scores, draws_columns, draws_schema, posterior_score
from saggiatore.infer.batches import Batch
from saggiatore.infer.network import gather, log_likelihood, prior_width, regression, total_log_likelihood
from saggiatore.infer.svi import SviSpec, drawn, n_noise
from saggiatore.infer.weights import flatten, with_weights
from saggiatore.models.base import Event
from saggiatore.models.mlp import MLPSpec
from saggiatore.tables import read_table, write_table

X = np.linspace(-0.9, 0.9, 7)[:, None]


def make_network(width=4):
    build = eqx.filter_jit(MLPSpec(width=width, depth=2, odd_in=("x",), activation="tanh").build)
    model = build(("x",), key=jax.random.key(0))
    x = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (50, 1)))
    return model.standardise(Event(x, jnp.zeros((50, 0)), 3 * x, jnp.ones(50)))


def write_draws(path, weights):
    parameters = {f"weight_{i}": Parameter(column, "test", 1.0) for i, column in enumerate(weights.T[:, None])}
    chains = Chains(parameters, 0, is_markov=False)
    write_table(path, draws_schema(chains), draws_columns(chains), {"method": SviSpec().model_dump(mode="json")})
    return read_table(path, "draws")


@pytest.fixture(scope="module")
def network():
    return make_network()


def test_weights_are_what_training_changes_and_nothing_else(network):
    weights = flatten(network)
    assert eqx.tree_equal(with_weights(network, weights), network)
    other = with_weights(network, 2 * weights)
    assert np.array_equal(other.last_layer, 2 * network.last_layer)
    assert np.array_equal(other.variance.layers[0].weight, 2 * network.variance.layers[0].weight)
    assert eqx.tree_equal(other.even_affine, network.even_affine)
    assert eqx.tree_equal(other.target_scale, network.target_scale)


def test_the_prior_of_a_weight_narrows_with_its_fan_in(network):
    widths = with_weights(network, prior_width(network, 2.0))
    assert np.allclose(widths.trunk.layers[1].weight, 2 / 4**0.5)
    assert np.allclose(widths.trunk.layers[1].bias, 2)
    assert np.allclose(widths.mixing, 2)
    assert np.allclose(widths.last_layer, 2 / 4**0.5)


def test_the_two_parts_of_the_error_are_those_of_the_total_variance(network, tmp_path):
    random = np.random.default_rng(1)
    weights = np.asarray(flatten(network)) + 0.2 * random.standard_normal((30, flatten(network).size))
    table = write_draws(tmp_path / "draws.parquet", weights)
    mean, var_stat, var_noise = jax.jit(jax.vmap(posterior_score(network, table)))(X)
    scores = jax.jit(jax.vmap(draw_scores(network, table, range(30))))(X)
    np.testing.assert_allclose(mean, scores.mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(var_stat, scores.var(axis=1, ddof=1), rtol=1e-10)

    @jax.jit
    def alone(w):
        one = with_weights(network, w)
        return jax.vmap(lambda x: (one.score(x), one.noise(x)))(X)

    found = [alone(jnp.asarray(w)) for w in weights]
    np.testing.assert_allclose(scores[:, 7], found[7][0], rtol=1e-10)
    np.testing.assert_allclose(var_noise, np.mean([noise for _, noise in found], axis=0), rtol=1e-10)
    with pytest.raises(ModelError, match=f"{weights.shape[1]} weights, the network .*: they belong to different"):
        posterior_score(make_network(width=5), table)
    with pytest.raises(ModelError, match="needs a regression"):
        regression(eqx.nn.Identity())


def test_events_weigh_as_many_as_they_are_worth(network):
    weight = np.where(np.arange(40) < 20, 1e-3, 3e-3)
    batch = Batch(np.linspace(-1, 1, 40)[:, None], np.linspace(-2, 2, 40), weight)
    parts = [Batch(*(column[rows] for column in batch)) for rows in (slice(0, 7), slice(7, None))]
    events = gather(iter(parts))
    assert float(events.weight.sum()) == pytest.approx((20 + 60) ** 2 / (20 + 180))
    each = jax.vmap(log_likelihood, (None, 0))(network, events)
    assert float(total_log_likelihood(network, events)) == pytest.approx(float(events.weight @ each))
    with pytest.raises(ConvergenceError, match="no events"):
        gather(iter([]))


@pytest.mark.thorough
def test_drawn_outputs_have_the_distribution_of_drawn_weights(network):
    """n = 20,000 each way; means and variances of the score agree within 5 standard errors, kurtoses in 20 %."""
    mean, std = flatten(network), 0.3 * jnp.ones_like(flatten(network))
    spread, x = with_weights(network, std), jnp.array([0.6])
    random = np.random.default_rng(2)
    outer, inner = (random.standard_normal((20_000, n)) for n in (mean.size, n_noise(network)))
    local = np.asarray(jax.jit(jax.vmap(lambda unit: drawn(network, spread, unit).score(x)))(inner))
    weights = np.asarray(jax.jit(jax.vmap(lambda unit: with_weights(network, mean + std * unit).score(x)))(outer))
    error = (local.var() / local.size + weights.var() / weights.size) ** 0.5
    assert abs(local.mean() - weights.mean()) < 5 * error
    kurtosis = [np.mean((v - v.mean()) ** 4) / v.var() ** 2 for v in (local, weights)]
    assert abs(np.log(local.var() / weights.var())) < 5 * (sum(kurtosis) / local.size) ** 0.5
    assert kurtosis[0] == pytest.approx(kurtosis[1], rel=0.2)


@pytest.mark.thorough
def test_gradients_vary_less_than_with_one_draw_for_the_batch(network):
    """128 events, 300 gradients each way: the same mean within 5 standard errors, a fifth of the variance or less."""
    random = np.random.default_rng(3)
    x = random.uniform(-1, 1, (128, 1))
    events = gather(iter([Batch(x, x[:, 0] + random.standard_normal(128), np.ones(128))]))
    centre, std = flatten(network), 0.2 * jnp.ones_like(flatten(network))

    def local(loc, noise):
        mean, spread = with_weights(network, loc), with_weights(network, std)
        return jnp.mean(jax.vmap(lambda event, unit: log_likelihood(drawn(mean, spread, unit), event))(events, noise))

    def shared(loc, noise):
        return total_log_likelihood(with_weights(network, loc + std * noise), events) / 128

    draws = [(local, (300, 128, n_noise(network))), (shared, (300, centre.size))]
    one, other = (
        np.asarray(jax.jit(jax.vmap(jax.grad(f), (None, 0)))(centre, random.standard_normal(shape)))
        for f, shape in draws
    )
    error = ((one.var(axis=0) + other.var(axis=0)) / 300) ** 0.5
    assert np.all(np.abs(one.mean(axis=0) - other.mean(axis=0)) < 5 * error)
    assert one.var(axis=0).sum() < other.var(axis=0).sum() / 5
