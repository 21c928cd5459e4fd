"""Laws of learned likelihood ratios: the exact ratio minimises every registered loss, networks keep what they must."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.errors import StudyError
from saggiatore.models.base import Event, scores, trainable
from saggiatore.models.ratio import AbstractRatio, log_ratios_at
from saggiatore.models.ratio_mlp import RatioMLPSpec
from saggiatore.registry import REGISTRY, load
from saggiatore.tasks.ratio import RatioTaskSpec

TASKS = sorted(name for name in REGISTRY["task"] if issubclass(load("task", name), RatioTaskSpec))
WITH_SCORE = [name for name in TASKS if "score_weight" in load("task", name).model_fields]


def density(c, a):
    """The oracle's p(c|a)."""
    return 0.375 * (1 + c**2) + a * c


# what a model may see of an event of the oracle: all of it, or its hemisphere, with the cosine as a latent variable
FEATURES = {
    "cosine": (lambda c: c, lambda x, a: jnp.log(density(x, a) / density(x, 0.0))),
    "hemisphere": (jnp.sign, lambda x, a: jnp.log(1 + a * x)),
}


class Bent(AbstractRatio):
    """The exact log ratio, and `amount` of something else."""

    exact: Callable = eqx.field(static=True)
    amount: jax.Array
    bend: jax.Array

    @property
    def scale(self):
        return jnp.array([0.4])

    def log_ratio(self, features, theta):
        x, a = features[0], theta[0]
        terms = jnp.stack([jnp.ones(()), x, a, a * x, a**2, a**2 * x, jnp.sin(3 * x)])
        return self.exact(x, a) + self.amount * self.bend @ terms

    def standardise(self, events):
        return self


def expected_loss(name, feature, a, amount, bend):
    """The loss averaged over infinitely many events of both hypotheses, by quadrature in each hemisphere."""
    see, exact = FEATURES[feature]
    nodes, weights = np.polynomial.legendre.leggauss(24)
    c = np.concatenate([(nodes - 1) / 2, (nodes + 1) / 2])
    weights = np.concatenate([weights, weights]) / 2
    task = load("task", name)().build(("a_fb",))
    model = Bent(exact, amount, bend)
    joint, slope = jnp.log(density(c, a) / density(c, 0.0)), c / density(c, a)

    def loss(c, is_numerator, joint, slope):
        target = jnp.stack([is_numerator, joint, slope])
        return task.loss(model, Event(see(c)[None], a[None], target, jnp.ones(())), key=jax.random.key(0))

    total = 0.0
    for is_numerator, at in ((1.0, a), (0.0, 0.0)):
        losses = jax.vmap(loss)(c, jnp.full_like(c, is_numerator), joint, slope)
        total += 0.5 * jnp.sum(weights * density(c, at) * losses)
    return total


@pytest.mark.parametrize("feature", ["hemisphere", pytest.param("cosine", marks=pytest.mark.thorough)])
@pytest.mark.parametrize("name", TASKS)
def test_the_exact_ratio_minimises_the_loss_of_infinitely_many_events(name, feature):
    """Stationary at the exact ratio in every direction, at every theta, and a minimum: also where much is latent."""
    bends = np.random.default_rng(3).normal(size=(6, 7))
    thetas, amounts = np.array([-0.6, -0.3, 0.2, 0.4, 0.5, 0.6]), np.array([-0.01, 0.0, 0.01])

    def slope(amount, a, bend):
        return jax.grad(lambda e: expected_loss(name, feature, a, e, bend))(amount)

    several = jax.jit(jax.vmap(jax.vmap(slope, (None, 0, 0)), (0, None, None)))
    below, at, above = several(amounts, thetas, bends)
    np.testing.assert_allclose(at, 0, atol=1e-12)
    assert (below < -1e-4).all()
    assert (above > 1e-4).all()


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n == "alices" else pytest.mark.thorough) for n in WITH_SCORE]
)
def test_the_score_counts_only_where_the_event_was_drawn(name):
    """With the joint score of the very event the term vanishes; a wrong one costs numerators and no denominators."""
    spec = load("task", name)
    model = Bent(FEATURES["cosine"][1], jnp.zeros(()), jnp.zeros(7))
    c, a = 0.3, 0.4
    exact, joint = c / density(c, a), np.log(density(c, a) / density(c, 0.0))

    @eqx.filter_jit
    def evaluated(task, target):
        return task.loss(model, Event(jnp.array([c]), jnp.array([a]), target, jnp.ones(())), key=jax.random.key(0))

    def loss(weight, is_numerator, score):
        task = spec(score_weight=weight).build(("a_fb",))
        return float(evaluated(task, jnp.array([is_numerator, joint, score])))

    for is_numerator in (0.0, 1.0):
        assert loss(5.0, is_numerator, exact) == pytest.approx(loss(0.0, is_numerator, exact), rel=1e-12)
    far = loss(5.0, 1.0, exact + 2) - loss(0.0, 1.0, exact + 2)
    assert far == pytest.approx(5 * (0.4 * 2) ** 2)
    assert loss(5.0, 0.0, exact + 2) == loss(0.0, 0.0, exact + 2)


def network(odd_in, n=200):
    """A network of arbitrary numbers, filled in without compiling, and events of two features and two parameters."""
    rng = np.random.default_rng(1)
    features, context = rng.normal(size=(n, 2)), rng.uniform(-0.5, 0.5, (n, 2))
    target = np.column_stack([rng.integers(0, 2, n), rng.normal(0, 2, n), rng.normal(0, 5, (n, 2))])
    events = Event(*map(jnp.asarray, (features, context, target, np.ones(n))))
    spec = RatioMLPSpec(width=8, depth=2, odd_in=odd_in, periodic=("phi",))
    shape = eqx.filter_eval_shape(spec.build, ("x", "phi"), ("a", "b"), key=jax.random.key(2))
    is_shape = lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct)  # noqa: E731
    fill = lambda leaf: jnp.asarray(rng.uniform(0.3, 0.9, leaf.shape)) if is_shape(leaf) else leaf  # noqa: E731
    return eqx.tree_at(
        lambda model: model.odd_affine.shift, jax.tree.map(fill, shape), replace_fn=jnp.zeros_like
    ), events


@pytest.mark.parametrize("odd_in", [pytest.param((), marks=pytest.mark.thorough), ("phi", "a")])
def test_a_ratio_vanishes_at_zero_keeps_its_parity_and_has_the_score_as_its_slope(odd_in):
    model, events = network(odd_in)
    features = np.asarray(events.features)
    theta = jnp.array([0.3, -0.2])
    assert np.array_equal(log_ratios_at(model, features, jnp.zeros(2)), np.zeros(len(features)))
    found = log_ratios_at(model, features, theta)
    mirrored = log_ratios_at(model, features * np.array([1, -1]), theta * jnp.array([-1, 1]))
    assert np.array_equal(found, mirrored) == bool(odd_in)
    assert np.std(found) > 1e-3
    found, step = scores(model, events.features), 1e-4
    for place, unit in enumerate(np.eye(2)):
        ends = [log_ratios_at(model, features, jnp.asarray(sign * step * unit)) for sign in (1, -1)]
        np.testing.assert_allclose((ends[0] - ends[1]) / (2 * step), found[:, place], rtol=1e-5, atol=1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("name", TASKS)
def test_gradients_are_finite(name):
    """Of every weight of a network, for joint ratios of e^±6."""
    model, events = network(("phi", "a"))
    task = load("task", name)().build(("a", "b"))
    leaves, rest = eqx.partition(model, trainable(model))

    @jax.jit
    def gradient(leaves):
        loss = lambda m, e: task.loss(eqx.combine(m, rest), e, key=jax.random.key(0))  # noqa: E731
        return jax.grad(lambda m: jnp.mean(jax.vmap(lambda e: loss(m, e))(events)))(leaves)

    sizes = [float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradient(leaves))]
    assert np.isfinite(sizes).all()
    assert max(sizes) > 0


def test_wrong_requests_are_refused():
    key = jax.random.key(0)
    with pytest.raises(StudyError, match="learns a ratio as a function of parameters; name them in `context`"):
        load("task", "carl")().build(())
    with pytest.raises(StudyError, match="name those of the ratio in `context`"):
        RatioMLPSpec().build(("x",), (), key=key)
    with pytest.raises(StudyError, match="odd_in: y not among the features x, a"):
        RatioMLPSpec(odd_in=("y",)).build(("x",), ("a",), key=key)
    with pytest.raises(StudyError, match="log: x may be negative"):
        RatioMLPSpec(odd_in=("x",), log=("x",)).build(("x",), ("a",), key=key)
