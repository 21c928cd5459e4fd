"""The loss of a density with the joint score: its minimum, what it refuses, and what it wins on the oracle."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.errors import StudyError
from saggiatore.learn.loop import TrainingSpec, train
from saggiatore.models.base import Event, scores, trainable
from saggiatore.models.coordinate import Line, NoEdge
from saggiatore.models.density import AbstractDensity
from saggiatore.models.frame import Frame, FrameSpec
from saggiatore.models.standardise import Affine
from saggiatore.registry import load
from saggiatore.tasks.density import Density
from saggiatore.tasks.scandal import Scandal, ScandalSpec

TASK = Scandal(("a_fb",), 5.0)
SMALL = {
    "spline_flow": {"n_blocks": 2, "n_bins": 4, "width": 8, "depth": 1},
    "transformer": {"width": 8, "depth": 1, "n_heads": 2, "n_components": 3},
}


def oracle(c, a):
    """p(c|a)."""
    return 0.375 * (1 + c**2) + a * c


class Bent(AbstractDensity):
    """The probability of each hemisphere, and `amount` of something else: normalised whatever the amount."""

    loss_is_log_prob: ClassVar[bool] = True
    frame: Frame
    amount: jax.Array
    bend: jax.Array

    def _log(self, x, a):
        terms = jnp.stack([x, a * x, a**2 * x, jnp.sin(3 * a) * x])
        return jnp.log(0.5 * (1 + a * x)) + self.amount * self.bend @ terms

    def log_prob(self, features, context):
        x, a = features[0], context[0]
        return self._log(x, a) - jnp.logaddexp(self._log(1.0, a), self._log(-1.0, a))

    def sample(self, context, *, key):
        raise NotImplementedError

    def loss(self, features, context, *, key):
        return -self.log_prob(features, context)


def expected_loss(a, amount, bend):
    """The loss averaged over infinitely many events, by quadrature in each hemisphere; the cosine is latent."""
    nodes, weights = np.polynomial.legendre.leggauss(24)
    c = jnp.concatenate([(nodes - 1) / 2, (nodes + 1) / 2])
    weights = np.concatenate([weights, weights]) / 2
    line = Line(NoEdge(), Affine(jnp.zeros(1), jnp.full(1, 0.4)))
    model = Bent(Frame((), (line,)), amount, bend)

    def loss(c):
        event = Event(jnp.sign(c)[None], a[None], (c / oracle(c, a))[None], jnp.ones(()))
        return TASK.loss(model, event, key=jax.random.key(0))

    return jnp.sum(weights * oracle(c, a) * jax.vmap(loss)(c))


def test_the_exact_density_minimises_the_loss_of_infinitely_many_events():
    """Stationary in every direction, at every theta, and a minimum, where the joint score has a latent variable."""
    bends = np.random.default_rng(3).normal(size=(6, 4))
    thetas, amounts = np.array([-0.6, -0.3, 0.2, 0.4, 0.5, 0.6]), np.array([-0.01, 0.0, 0.01])

    def slope(amount, a, bend):
        return jax.grad(lambda e: expected_loss(a, e, bend))(amount)

    below, at, above = jax.jit(jax.vmap(jax.vmap(slope, (None, 0, 0)), (0, None, None)))(amounts, thetas, bends)
    np.testing.assert_allclose(at, 0, atol=1e-12)
    assert (below < -1e-4).all()
    assert (above > 1e-4).all()


def test_what_has_no_log_density_to_train_with_is_refused():
    with pytest.raises(StudyError, match="name them in `context`"):
        ScandalSpec().build(())
    for name in ("flow_matching", "diffusion"):
        spec = load("model", name)(width=4, depth=1)
        model = eqx.filter_eval_shape(spec.build, ("x",), ("a",), key=jax.random.key(0))
        event = Event(jnp.zeros(1), jnp.zeros(1), jnp.zeros(1), jnp.ones(()))
        with pytest.raises(StudyError, match="choose spline_flow or transformer"):
            TASK.loss(model, event, key=jax.random.key(0))


@pytest.mark.thorough
@pytest.mark.parametrize("name", SMALL)
def test_gradients_are_finite_and_reach_every_weight(name):
    """Also of the weights that the density's last layer, zero at the start, hides: all are moved first."""
    spec = load("model", name).model_validate({**SMALL[name], "periodic": ("phi",)})
    assert issubclass(type(spec), FrameSpec)
    rng = np.random.default_rng(4)
    columns = rng.normal(size=(200, 2)), rng.normal(size=(200, 2)), rng.normal(size=(200, 2)), np.ones(200)
    events = Event(*map(jnp.asarray, columns))
    model = spec.build(("x", "phi"), ("a", "b"), key=jax.random.key(1)).standardise(events)
    leaves, rest = eqx.partition(model, trainable(model))
    leaves = jax.tree.map(lambda leaf: leaf + 0.1 * rng.normal(size=leaf.shape), leaves)

    @jax.jit
    @jax.grad
    def gradient(leaves):
        net = eqx.combine(leaves, rest)
        loss = jax.vmap(lambda event: Scandal(("a", "b"), 5.0).loss(net, event, key=jax.random.key(0)))
        return jnp.mean(loss(events))

    found = jax.tree.leaves(gradient(leaves))
    assert all(np.isfinite(leaf).all() and float(jnp.max(jnp.abs(leaf))) > 0 for leaf in found)


@pytest.mark.thorough
def test_the_joint_score_teaches_the_score_of_a_density():
    """The same flow, 5000 events of the oracle: the score's squared error at zero falls to less than a fifth.

    The exact density's log-likelihood of held-out events is missed by less than 0.01 an event.
    """
    rng = np.random.default_rng(5)
    a, c = rng.uniform(-0.6, 0.6, 5000), rng.uniform(-1, 1, (400, 5000))
    is_kept = rng.uniform(0, 1.5, c.shape) < oracle(c, a)
    c = c[is_kept.argmax(axis=0), np.arange(5000)]
    x, t = c[:, None], (c / oracle(c, a))[:, None]
    events = Event(*map(jnp.asarray, (x, a[:, None], t, np.ones(5000))))
    spec = load("model", "spline_flow")(n_blocks=1, n_bins=8, width=16, bounded={"x": (-1.0, 1.0)})
    start = spec.build(("x",), ("a",), key=jax.random.key(0)).standardise(events)
    training = TrainingSpec(n_epochs=30, batch_size=250, learning_rate=5e-3, keep="last")
    at = np.linspace(-0.95, 0.95, 39)[:, None]
    errors = {}
    for task in (Density(("a",)), Scandal(("a",), 5.0)):
        model, _ = train(start, task, events, training, seed=1)
        exact = at / oracle(at, 0.0)
        errors[type(task)] = float(np.mean((scores(model, at) - exact) ** 2))
        found = jax.vmap(model.log_prob)(jnp.asarray(at), jnp.full_like(at, 0.3))
        kl = np.average(np.log(oracle(at, 0.3))[:, 0] - np.asarray(found), weights=oracle(at, 0.3)[:, 0])
        assert abs(kl) < 0.01
    assert errors[Scandal] < 0.2 * errors[Density]
