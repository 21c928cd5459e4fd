"""Laws that every registered density obeys, with weights large enough to bend it and features of every sort."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest

from saggiatore.models.base import Event, trainable
from saggiatore.models.coordinate import BothEdges, LowerEdge, NoEdge
from saggiatore.models.frame import FrameSpec
from saggiatore.models.store import load_model, save
from saggiatore.registry import REGISTRY, load

SMALL = {"width": 8, "depth": 1}
OPTIONS = {
    "diffusion": SMALL,
    "flow_matching": SMALL,
    "spline_flow": SMALL | {"n_blocks": 3, "n_bins": 5},
    "transformer": SMALL | {"n_heads": 2, "n_components": 3},
}
FRAMES = {
    "line_and_circle": ({"periodic": ("y",)}, (NoEdge(), None)),
    # the context too: a has a lower edge, b is an angle
    "edges": (
        {"lower": {"x": 0.5, "a": -6.0}, "bounded": {"y": (-1.0, 2.0)}, "periodic": ("b",)},
        (LowerEdge(0.5), BothEdges(-1.0, 2.0)),
    ),
}
THETA = jnp.array([0.4, -0.7])
N_GRID = 91


def densities():
    """Names of the registered densities: models whose spec is one of a frame."""
    return sorted(name for name in REGISTRY["model"] if issubclass(load("model", name), FrameSpec))


def slow_but(*quick):
    """All densities; those whose compilation takes long among the thorough tests."""
    return [pytest.param(name, marks=[] if name in quick else pytest.mark.thorough) for name in densities()]


def events(frame):
    """300 events of both features, not standard in any way, and of a context of two numbers."""
    rng = np.random.default_rng(2)
    columns = [
        rng.uniform(-3, 3, 300) if e is None else e.inverse(jnp.asarray(rng.normal(0.2, 0.8, 300)))
        for e in FRAMES[frame][1]
    ]
    context = jnp.asarray(rng.normal(size=(300, 2)))
    return Event(jnp.stack(columns, axis=1), context, jnp.zeros((300, 0)), jnp.ones(300))


def bent(name, frame, **options):
    """A density whose every weight was moved, standardised to the events."""
    spec = load("model", name).model_validate({**OPTIONS[name], **FRAMES[frame][0], **options})
    model = spec.build(("x", "y"), ("a", "b"), key=jax.random.key(5)).standardise(events(frame))
    leaves, rest = eqx.partition(model, trainable(model))
    flat, shape = jax.tree.flatten(leaves)
    keys = jax.random.split(jax.random.key(6), len(flat))
    moved = [leaf + 0.15 * jax.random.normal(key, leaf.shape) for leaf, key in zip(flat, keys, strict=True)]
    return eqx.combine(jax.tree.unflatten(shape, moved), rest), spec


def axis(edge):
    """Equidistant places in the mapped feature, the features there, and their slope: smooth functions to integrate."""
    if edge is None:
        angles = np.linspace(-np.pi, np.pi, N_GRID)
        return angles, angles, np.ones(N_GRID)
    places = jnp.linspace(-8.0, 8.0, N_GRID)
    features = edge.inverse(places)
    return np.asarray(places), np.asarray(features), np.exp(-np.asarray(jax.vmap(edge.forward)(features)[1]))


def cumulative(values, places, grid):
    """Distribution function of a feature from its density in the mapped feature."""
    found = np.concatenate([[0.0], np.cumsum(0.5 * (values[1:] + values[:-1]) * np.diff(places))])
    return lambda x: np.interp(x, grid, found / found[-1])


def test_every_density_is_tested():
    assert set(OPTIONS) == set(densities())


@pytest.mark.parametrize("frame", [pytest.param("line_and_circle", marks=pytest.mark.thorough), "edges"])
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.thorough] if n == "diffusion" else []) for n in densities()]
)
def test_a_density_is_normalised_and_its_samples_follow_it(name, frame):
    """2000 samples; Kolmogorov-Smirnov of each feature, p > 1e-4."""
    model, _ = bent(name, frame)
    places, grids, slopes = zip(*(axis(edge) for edge in FRAMES[frame][1]), strict=True)
    points = jnp.asarray(np.stack(np.meshgrid(*grids, indexing="ij"), axis=-1).reshape(-1, 2))
    log_prob = jax.jit(lambda x: jax.lax.map(lambda v: model.log_prob(v, THETA), x, batch_size=11 * N_GRID))(points)
    density = np.exp(np.asarray(log_prob)).reshape(N_GRID, N_GRID) * np.outer(*slopes)
    along_x, along_y = np.trapezoid(density, places[1], axis=1), np.trapezoid(density, places[0], axis=0)
    assert np.trapezoid(along_x, places[0]) == pytest.approx(1, abs=3e-3)
    keys = jax.random.split(jax.random.key(7), 2000)
    drawn = np.asarray(jax.jit(jax.vmap(lambda key: model.sample(THETA, key=key)))(keys))
    for values, marginal, place, grid in zip(drawn.T, (along_x, along_y), places, grids, strict=True):
        assert kstest(values, cumulative(marginal, place, grid)).pvalue > 1e-4


@pytest.mark.parametrize("name", slow_but("spline_flow", "transformer"))
def test_the_score_is_the_gradient_in_the_context_and_the_context_matters(name):
    tight = {"rtol": 1e-9, "atol": 1e-9} if "rtol" in load("model", name).model_fields else {}
    model, _ = bent(name, "edges", **tight)
    x, step = events("edges").features[:20], 1e-4
    log_prob = jax.jit(jax.vmap(model.log_prob, (0, None)))
    score = jax.jit(jax.vmap(model.score, (0, None)))(x, THETA)
    for i, unit in enumerate(np.eye(2)):
        difference = (log_prob(x, THETA + step * unit) - log_prob(x, THETA - step * unit)) / (2 * step)
        np.testing.assert_allclose(score[:, i], difference, rtol=1e-4, atol=1e-5)
    assert float(jnp.min(jnp.std(score, axis=0))) > 1e-3


def test_a_context_is_read_behind_its_edge_and_on_its_circle():
    spec = FrameSpec.model_validate(FRAMES["edges"][0])
    data = events("edges")
    frame = spec.frame(("x", "y"), ("a", "b")).fit(data)
    read = np.asarray(jax.vmap(frame.context)(data.context))
    logarithm = np.log(np.asarray(data.context[:, 0]) + 6)
    assert frame.n_context == read.shape[1] == 3
    np.testing.assert_allclose(read[:, 0], (logarithm - logarithm.mean()) / logarithm.std(), atol=1e-5)
    turned = np.asarray(jax.vmap(frame.context)(data.context + jnp.array([0.0, 2 * np.pi])))
    np.testing.assert_allclose(turned, read, atol=1e-5)
    np.testing.assert_allclose(np.hypot(read[:, 1], read[:, 2]), 1, atol=1e-6)


@pytest.mark.parametrize("name", slow_but("flow_matching"))
def test_gradients_of_the_loss_are_finite_and_reach_every_weight(name):
    model, _ = bent(name, "line_and_circle")
    data, keys = events("line_and_circle"), jax.random.split(jax.random.key(0), 300)
    leaves, rest = eqx.partition(model, trainable(model))

    @jax.jit
    @jax.grad
    def gradient(leaves):
        net = eqx.combine(leaves, rest)
        return jnp.mean(jax.vmap(lambda x, c, k: net.loss(x, c, key=k))(data.features, data.context, keys))

    found = jax.tree.leaves(gradient(leaves))
    assert found
    assert all(np.isfinite(leaf).all() for leaf in found)
    assert all(float(jnp.max(jnp.abs(leaf))) > 0 for leaf in found)


@pytest.mark.parametrize("name", densities())
def test_save_and_load_is_the_identity(name, tmp_path):
    model, spec = bent(name, "edges")
    columns = [[{"name": n, "unit": "1", "label": n} for n in names] for names in (("x", "y"), ("a", "b"))]
    header = {"kind": name, "spec": spec.model_dump(mode="json"), "features": columns[0], "context": columns[1]}
    save(tmp_path / "density.eqx", model, header)
    loaded, _ = load_model(tmp_path / "density.eqx")
    assert jax.tree.structure(loaded) == jax.tree.structure(model)
    for before, after in zip(jax.tree.leaves(model), jax.tree.leaves(loaded), strict=True):
        assert np.array_equal(before, after)
