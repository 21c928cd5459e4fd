"""Laws of models: exact parity, linear last layer, normalised densities whose samples, scores and maps agree."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest

from saggiatore.models.base import Event, scores
from saggiatore.models.coordinate import BothEdges, Circle, Line, LowerEdge, NoEdge
from saggiatore.models.flow_matching import FlowMatchingSpec
from saggiatore.models.mlp import MLPSpec
from saggiatore.models.standardise import Affine

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


FLOWS = {
    "line_and_circle": (FlowMatchingSpec(width=8, depth=1, periodic=("y",)), (NoEdge(), None)),
    "edges": (
        FlowMatchingSpec(width=8, depth=1, lower={"x": 0.5}, bounded={"y": (-1.0, 2.0)}),
        (LowerEdge(0.5), BothEdges(-1.0, 2.0)),
    ),
}
THETA = jnp.array([0.4, -0.7])


def untrained(name, **options):
    """A flow with weights large enough to bend its paths, standardised to values that are not standard."""
    spec, edges = FLOWS[name]
    rng = np.random.default_rng(2)
    columns = [
        rng.uniform(-3, 3, 300) if e is None else e.inverse(jnp.asarray(rng.normal(0.2, 0.8, 300))) for e in edges
    ]
    events = Event(
        jnp.stack(columns, axis=1), jnp.asarray(rng.normal(size=(300, 2))), jnp.zeros((300, 0)), jnp.ones(300)
    )
    spec = spec.model_copy(update=options)
    model = spec.build(("x", "y"), ("a", "b"), key=jax.random.key(5)).standardise(events)
    return eqx.tree_at(lambda m: m.net.layers[-1].weight, model, replace_fn=lambda w: 3 * w), events, edges


def axis(edge, n=121):
    """A grid that covers the region of a feature, dense where its density is."""
    return np.linspace(-np.pi, np.pi, n) if edge is None else np.asarray(edge.inverse(jnp.linspace(-7.0, 7.0, n)))


@pytest.mark.parametrize("name", [pytest.param("line_and_circle", marks=pytest.mark.thorough), "edges"])
def test_a_density_is_normalised_and_its_samples_follow_it(name):
    """2000 samples; Kolmogorov-Smirnov of each feature, p > 1e-4."""
    model, _, edges = untrained(name)
    grids = [axis(edge) for edge in edges]
    points = jnp.asarray(np.stack(np.meshgrid(*grids, indexing="ij"), axis=-1).reshape(-1, 2))
    log_prob = jax.jit(lambda x: jax.lax.map(lambda v: model.log_prob(v, THETA), x, batch_size=11 * 121))(points)
    density = np.exp(np.asarray(log_prob)).reshape(121, 121)
    assert np.trapezoid(np.trapezoid(density, grids[1], axis=1), grids[0]) == pytest.approx(1, abs=3e-3)
    keys = jax.random.split(jax.random.key(7), 2000)
    drawn = np.asarray(jax.jit(jax.vmap(lambda key: model.sample(THETA, key=key)))(keys))
    for i, (marginal, grid) in enumerate(
        [(np.trapezoid(density, grids[1], axis=1), grids[0]), (np.trapezoid(density, grids[0], axis=0), grids[1])]
    ):
        cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (marginal[1:] + marginal[:-1]) * np.diff(grid))])
        assert kstest(drawn[:, i], lambda x, c=cumulative, g=grid: np.interp(x, g, c / c[-1])).pvalue > 1e-4


def test_the_score_is_the_gradient_in_the_context():
    model, events, _ = untrained("edges", rtol=1e-9, atol=1e-9)
    x, step = events.features[:20], 1e-4
    log_prob = jax.jit(jax.vmap(model.log_prob, (0, None)))
    score = jax.jit(jax.vmap(model.score, (0, None)))(x, THETA)
    for i, unit in enumerate(np.eye(2)):
        difference = (log_prob(x, THETA + step * unit) - log_prob(x, THETA - step * unit)) / (2 * step)
        np.testing.assert_allclose(score[:, i], difference, rtol=1e-4, atol=1e-5)
    assert float(jnp.min(jnp.std(score, axis=0))) > 1e-3  # the context matters


def test_gradients_of_the_loss_are_finite():
    model, events, _ = untrained("line_and_circle")
    keys = jax.random.split(jax.random.key(0), 300)

    @eqx.filter_grad
    def gradient(m):
        return jnp.mean(jax.vmap(lambda x, c, k: m.loss(x, c, key=k))(events.features, events.context, keys))

    leaves = jax.tree.leaves(eqx.filter_jit(gradient)(model).net)
    assert all(np.isfinite(leaf).all() for leaf in leaves)
    assert all(float(jnp.max(jnp.abs(leaf))) > 0 for leaf in leaves)
