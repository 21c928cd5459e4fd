"""A density trained jointly with a classifier: the weighted likelihood, where a training starts, what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.errors import StudyError
from saggiatore.infer.weights import flatten
from saggiatore.job import Job
from saggiatore.models.base import Event
from saggiatore.models.store import load_model, save
from saggiatore.registry import load
from saggiatore.steps.models import ModelsSection, run
from saggiatore.tables import Column, TableSchema, write_table
from saggiatore.tasks.joint import JointSpec, reweighted

N = 400
FLOW = {"kind": "flow_matching", "width": 4, "depth": 1}
CLASSIFIER = {"kind": "mlp", "width": 4, "depth": 1}
EVENTS = TableSchema("events", 1, (Column("weight", "pb", "weight"), Column("x", "GeV", "an observable")))
X = np.random.default_rng(0).normal(size=N)


def write_model(path, model, task, name="x"):
    spec = load("model", model["kind"]).model_validate(model)
    built = spec.build((name,), (), key=jax.random.key(3))
    described = [{"name": name, "unit": "GeV", "label": ""}]
    header = {"kind": model["kind"], "spec": spec.model_dump(mode="json"), "features": described, "context": []}
    save(path, built, header | {"parameters": [], "task": task, "provenance": {}})
    return path


def train(folder, rate, alpha, start=FLOW, task="classifier", context=(), name="x"):
    write_table(folder / "events.parquet", EVENTS, {"weight": np.full(N, 0.1), "x": X}, {})
    joint = {"kind": "joint", "classifier": "against", "alpha": alpha}
    content = {"events": "train", "features": ["x"], "context": context, "task": joint, "model": FLOW, "start": "first"}
    content |= {"training": {"n_epochs": 1, "batch_size": 100, "learning_rate": rate}, "precision": "float64"}
    job = Job[ModelsSection](study="s", stage="models", label="m", seed=1, section=content)
    run(
        job,
        code="c",
        events=folder / "events.parquet",
        against=[],
        start=[write_model(folder / "first.eqx", start, {"kind": "density"}, name)],
        classifier=[write_model(folder / "against.eqx", CLASSIFIER, {"kind": task})],
        checkpoint=folder / "checkpoint",
        model=folder / "m.eqx",
        history=folder / "history.parquet",
    )
    return flatten(load_model(folder / "m.eqx")[0])


def test_the_likelihood_of_true_events_is_weighted_by_a_power_of_w():
    """Weights of mean one, in the ratios of w^alpha, times those that events have."""
    weight, log_weight = jnp.array([1.0, 1.0, 2.0]), jnp.log(jnp.array([1.0, 4.0, 9.0]))
    events = Event(jnp.ones((3, 1)), jnp.zeros((3, 0)), jnp.zeros((3, 0)), weight)
    for alpha in (0.0, 0.5, 1.0, 10.0):
        found = np.asarray(reweighted(events, log_weight, alpha).weight)
        expected = np.array([1.0, 4.0**alpha, 2 * 9.0**alpha])
        np.testing.assert_allclose(found, expected / expected.mean(), rtol=1e-5)
    assert np.isfinite(reweighted(events, log_weight * 1000, 1.0).weight).all()


def test_rounds_end_at_the_truth():
    """Densities in bins that reach the minimum of the weighted loss: the logarithm of their error times -alpha."""
    rng = np.random.default_rng(1)
    true, learned = rng.dirichlet(np.full(6, 5.0), 2)
    events = Event(jnp.ones((6, 1)), jnp.zeros((6, 0)), jnp.zeros((6, 0)), jnp.asarray(true) * 6)
    initial = np.log(learned / true)
    for number in range(1, 4):
        learned = np.asarray(reweighted(events, jnp.asarray(np.log(true / learned)), 0.5).weight) / 6
        change = np.log(learned / true) - (-0.5) ** number * initial
        np.testing.assert_allclose(change, change[0], atol=1e-5)


@pytest.mark.thorough
def test_a_joint_training_starts_from_the_density_and_follows_the_weights(tmp_path):
    """Three steps away at most, and elsewhere for another alpha."""
    weighted, plain = train(tmp_path, 0.001, 1.0), train(tmp_path, 0.001, 0.0)
    first = flatten(load_model(tmp_path / "first.eqx")[0])
    assert 0 < np.abs(weighted - first).max() < 0.0031
    assert np.abs(weighted - plain).max() > 1e-6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": FLOW | {"width": 5}}, "start: the model 'first' has spec .*'width': 5.*, here .*'width': 4"),
        ({"name": "y"}, "'first' has features .*y.*, here .*x"),
        ({"task": "joint_score"}, "learned joint_score, expected a classifier"),
        ({"context": ["a"]}, "joint reads no context"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, change, message):
    with pytest.raises(StudyError, match=message):
        train(tmp_path, 0.01, 1.0, **change)


def test_alpha_is_not_negative():
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        JointSpec(classifier="b", alpha=-1)


def test_a_joint_training_needs_a_start():
    task = {"kind": "joint", "classifier": "against"}
    with pytest.raises(ValueError, match="name the density in start"):
        ModelsSection(
            events="train",
            features=("x",),
            task=task,
            model=FLOW,
            training={"n_epochs": 1, "batch_size": 10, "learning_rate": 0.1},
        )
