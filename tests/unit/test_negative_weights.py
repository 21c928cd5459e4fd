"""Events of negative weight: sums over events support them, what needs a likelihood refuses them."""

from pathlib import Path

import equinox as eqx
import hist
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from saggiatore.distill.expression import parse
from saggiatore.distill.parametric import Parametric
from saggiatore.distill.refit import refit
from saggiatore.distill.select import weighted_mean
from saggiatore.errors import ConvergenceError, StudyError
from saggiatore.figures.base import central_range, profile, score_range
from saggiatore.figures.score import density
from saggiatore.infer.batches import Batch, require_positive
from saggiatore.learn.loop import TrainingSpec, train
from saggiatore.limits import fisher
from saggiatore.models.base import scores
from saggiatore.models.mlp import MLPSpec
from saggiatore.steps.models import gather
from saggiatore.tables import Column, Table, TableSchema
from saggiatore.tasks.joint_score import JointScore

N_EVENTS = 4000
SHARE = 0.2  # of the events, with negative weights
COLUMNS = (
    Column("weight", "pb", "w"),
    Column("theta_a", "1", "a"),
    Column("joint_score_a", "1", "t"),
    Column("x", "1", "x"),
)


def sample(n_events=N_EVENTS):
    """x, weight and joint score t = x + noise; a fifth of the weights are negative, of the same density in x."""
    random = np.random.default_rng(4)
    x = random.normal(size=n_events)
    weight = np.where(random.random(n_events) < SHARE, -1.0, 1.0)
    return x, weight, x + 0.5 * random.normal(size=n_events)


def table(weight, x, t):
    data = pd.DataFrame({"weight": weight, "theta_a": 0.0, "joint_score_a": t, "x": x})
    return Table(TableSchema("events", 1, COLUMNS), data, {})


def test_a_refit_is_weighted_least_squares():
    x, weight, t = sample()
    found = refit(Parametric(parse("a*x + b"), {"a": 0.1, "b": 0.3}), {"x": x}, t, weight)
    design = np.stack([x, np.ones_like(x)], axis=1)
    exact = np.linalg.solve((design.T * weight) @ design, design.T @ (weight * t))
    np.testing.assert_allclose([found.form.values["a"], found.form.values["b"]], exact, atol=1e-6)
    slope = found.covariance[0, 0] ** 0.5  # grown by the signs: sqrt(n) over the difference of the counts
    assert slope == pytest.approx(0.5 * N_EVENTS**0.5 / ((1 - 2 * SHARE) * N_EVENTS), rel=0.1)


def test_a_refit_without_a_minimum_is_refused():
    """Where weights that are negative sit at large x the curvature is, too: uphill is no way down."""
    x, _, t = sample()
    weight = np.where(np.abs(x) > 1, -1.0, 1.0)
    assert weight.sum() > 0
    with pytest.raises(ConvergenceError, match="found no minimum"):
        refit(Parametric(parse("a*x"), {"a": 0.1}), {"x": x}, t, weight)


def test_information_and_errors_are_sums_of_both_signs():
    """The same expectations as with positive weights, within the errors that the squares of the weights give."""
    x, weight, t = sample(100_000)
    terms = fisher.score_terms(x[:, None], t, np.zeros_like(t), weight).sum(axis=0, keepdims=True)
    spread = (len(x) ** 0.5) / weight.sum()
    assert abs(fisher.information_kept(terms)[0, 0] - 1 / 1.25) < 5 * 2 * spread
    mean = weighted_mean(t, weight)
    assert abs(mean.value) < 5 * mean.error
    assert mean.error == pytest.approx(1.25**0.5 * spread, rel=0.05)


def test_figures_draw_them():
    x, weight, t = sample()
    low, high = central_range(x, weight)
    assert low < -1 < 1 < high
    assert score_range(t, weight)[1] > 1
    found = profile(x, t, weight, hist.axis.Regular(10, -2, 2))
    assert all(np.isfinite(part).all() for part in vars(found).values())
    figure, axes = plt.subplots()
    density(axes, x, t, weight, (-2, 2), 40)
    figure.canvas.draw()
    plt.close(figure)


def test_a_posterior_refuses_them():
    x, weight, t = sample()
    positive = Batch(x[:, None], t, np.ones_like(weight))
    assert len(list(require_positive(iter([positive]), Path("events")))) == 1
    n_negative = int((weight < 0).sum())
    with pytest.raises(StudyError, match=f"at least {n_negative} events have negative weights"):
        list(require_positive(iter([positive, positive._replace(weight=weight)]), Path("events")))


def test_a_training_needs_a_positive_sum():
    x, weight, t = sample()
    with pytest.raises(StudyError, match="sum up to"):
        gather(table(-weight, x, t), ("x",), (), JointScore(("a",)))


@pytest.mark.thorough
def test_a_training_learns_the_score_all_the_same():
    """The mean of t at fixed x is x whatever the signs, as these weights do not depend on t."""
    x, weight, t = sample(20_000)
    task = JointScore(("a",))
    events = gather(table(weight, x, t), ("x",), (), task)
    spec = MLPSpec(width=16, depth=2)
    model = eqx.filter_jit(spec.build)(("x",), (), key=jax.random.key(0)).standardise(events)
    spec = TrainingSpec(n_epochs=20, batch_size=200, learning_rate=0.005)
    trained, history = train(model, task, events, spec, seed=1)
    assert np.isfinite(history["validation_loss"]).all()
    grid = np.linspace(-1.5, 1.5, 31)
    found = np.asarray(scores(trained, jnp.asarray(grid[:, None])))[:, 0]
    assert np.abs(found - grid).max() < 0.25
