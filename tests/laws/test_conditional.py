"""Bins as conditionals: normalised on lines and circles, samples follow them, and a transformer made of them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest

from saggiatore.models.conditional import Binned
from saggiatore.models.frame import FrameSpec
from saggiatore.models.transformer import Layer, TransformerSpec

N_BINS = 5
FRAME = FrameSpec(periodic=("phi",)).frame(("x", "phi"), ())
PARTS = jnp.asarray(np.random.default_rng(1).normal(size=(1, 2, N_BINS)))


def test_bins_are_normalised_and_their_samples_follow_them():
    """Middles of forty levels a bin integrate steps exactly; 4000 samples: Kolmogorov-Smirnov, p > 1e-4."""
    bins = Binned.of(PARTS, jnp.array(FRAME.is_circle))
    levels = (np.arange(40 * N_BINS) + 0.5) / (40 * N_BINS)
    z = jax.vmap(FRAME.base_position)(jnp.asarray(np.stack([levels, levels], axis=1)))
    base = np.stack([np.asarray(c.base_log_prob(column)) for c, column in zip(FRAME.coordinates, z.T, strict=True)], 1)
    ratio = np.exp(np.asarray(jax.jit(jax.vmap(lambda at: bins.log_prob(FRAME, at)))(z)) - base)
    np.testing.assert_allclose(ratio.mean(axis=0), 1, rtol=1e-6)
    edges = np.linspace(0, 1, N_BINS + 1)
    for i, of_feature in enumerate(FRAME.coordinates):
        one = jax.tree.map(lambda values, i=i: values[i], bins)
        drawn = jax.jit(jax.vmap(lambda key, one=one: one.draw(key=key)))(jax.random.split(jax.random.key(i), 4000))
        assert np.isfinite(drawn).all()
        found = np.interp(np.asarray(drawn), np.asarray(of_feature.base_quantile(jnp.asarray(levels))), levels)
        share = np.exp(np.asarray(bins.log_share[i]))
        cumulative = np.interp(found, edges, np.concatenate([[0], np.cumsum(share)]))
        assert kstest(cumulative, "uniform").pvalue > 1e-4
    assert np.abs(np.asarray(drawn)).max() <= np.pi


def test_a_layer_is_that_of_equinox_at_once_and_token_by_token():
    """With gains, shifts and biases of their own."""
    numbers = np.random.default_rng(5)
    tokens = jnp.asarray(numbers.normal(size=(3, 8)))
    like = eqx.filter_eval_shape(Layer, 8, 2, key=jax.random.key(0))
    is_array = lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct)  # noqa: E731
    layer = jax.tree.map(lambda leaf: jnp.asarray(numbers.normal(size=leaf.shape)) if is_array(leaf) else leaf, like)

    @eqx.filter_jit
    def three_ways(layer):
        read = jax.vmap(layer.before_attention)(tokens)
        attended = tokens + layer.attention(read, read, read, jnp.tril(jnp.ones((3, 3), bool)))
        memory, one_by_one = (jnp.zeros_like(tokens), jnp.zeros_like(tokens)), []
        for i in range(3):
            token, memory = layer.following(tokens[i : i + 1], memory, jnp.asarray(i))
            one_by_one.append(token[0])
        return (
            attended + jax.vmap(layer.net)(jax.vmap(layer.before_net)(attended)),
            layer(tokens),
            jnp.stack(one_by_one),
        )

    expected, at_once, one_by_one = three_ways(layer)
    np.testing.assert_allclose(at_once, expected, atol=1e-5)
    np.testing.assert_allclose(one_by_one, expected, atol=1e-5)


@pytest.mark.thorough
def test_a_transformer_of_bins_is_normalised():
    spec = TransformerSpec(width=8, depth=1, n_heads=2, conditional="binned", n_components=N_BINS, periodic=("phi",))
    model = eqx.filter_jit(spec.build)(("x", "phi"), ("a",), key=jax.random.key(2))
    assert model.head.shape == (1, 2, N_BINS, 8)
    bent = eqx.tree_at(lambda m: m.head, model, 30 * model.head)
    levels = (np.arange(20 * N_BINS) + 0.5) / (20 * N_BINS)
    grid = np.stack([each.ravel() for each in np.meshgrid(levels, levels, indexing="ij")], axis=1)
    points = jax.vmap(FRAME.base_position)(jnp.asarray(grid))
    theta = jnp.array([0.4])
    log_prob = jax.jit(jax.vmap(lambda z: bent.log_prob(z, theta) - FRAME.base_log_prob(z)))(points)
    assert float(jnp.mean(jnp.exp(log_prob))) == pytest.approx(1, abs=1e-4)
    assert float(jnp.std(log_prob)) > 0.1
    drawn = jax.jit(jax.vmap(lambda key: bent.sample(theta, key=key)))(jax.random.split(jax.random.key(3), 100))
    assert np.isfinite(drawn).all()
