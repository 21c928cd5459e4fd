"""The training loop: resumes exactly, keeps the best, stops early, refuses what cannot be trained."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.errors import StudyError, TrainingError
from saggiatore.learn import loop
from saggiatore.learn.loop import TrainingSpec, train
from saggiatore.learn.order import split
from saggiatore.models.base import AbstractFixed, Event, trainable
from saggiatore.models.flow_matching import FlowMatchingSpec
from saggiatore.models.mlp import MLPSpec
from saggiatore.tasks.joint_score import JointScoreSpec

SPEC = TrainingSpec(n_epochs=6, batch_size=50, learning_rate=1e-2, checkpoint_every=2)
TASK = JointScoreSpec(parameter="a").build(())


def events(n=400, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 1))
    target = np.sin(2 * x) + 0.1 * rng.normal(size=(n, 1))
    return Event(jnp.asarray(x), jnp.zeros((n, 0)), jnp.asarray(target), jnp.ones(n))


def network(data, seed=0):
    return MLPSpec(width=8, depth=2, odd_in=("x",)).build(("x",), key=jax.random.key(seed)).standardise(data)


def interrupt_after(monkeypatch, n_epochs):
    """Make the loop die after so many epochs, as a scheduler would end it."""
    record = loop._record

    def dying(history, *rest):
        record(history, *rest)
        if len(history["epoch"]) == n_epochs:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "_record", dying)


def test_a_resumed_training_ends_as_an_uninterrupted_one(tmp_path, monkeypatch):
    data, path = events(), tmp_path / "checkpoint"
    whole, whole_history = train(network(data), TASK, data, SPEC, seed=1)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            train(network(data), TASK, data, SPEC, seed=1, checkpoint=path)
    n_run = []
    monkeypatch.setattr(loop.Trainer, "epoch", _counted(loop.Trainer.epoch, n_run))
    resumed, history = train(network(data), TASK, data, SPEC, seed=1, checkpoint=path)
    assert len(n_run) == SPEC.n_epochs - 2  # the third epoch was lost
    assert eqx.tree_equal(whole, resumed)
    assert history == whole_history


def _counted(method, calls):
    def counted(self, *arguments):
        calls.append(1)
        return method(self, *arguments)

    return counted


@pytest.mark.parametrize("change", ["data", "spec", "identity", "damage"])
def test_a_checkpoint_of_another_training_is_not_used(tmp_path, change):
    data, path = events(), tmp_path / "checkpoint"
    train(network(data), TASK, data, SPEC, seed=1, checkpoint=path)
    other_data = events(seed=5) if change == "data" else data
    other_spec = SPEC.model_copy(update={"learning_rate": 2e-2}) if change == "spec" else SPEC
    identity = "other" if change == "identity" else ""
    if change == "damage":
        path.write_bytes(path.read_bytes()[:-3])
    fresh, _ = train(network(other_data), TASK, other_data, other_spec, seed=1, identity=identity)
    found, _ = train(network(other_data), TASK, other_data, other_spec, seed=1, checkpoint=path, identity=identity)
    assert eqx.tree_equal(fresh, found)


def test_the_best_epoch_is_restored_and_training_stops_early():
    data = events(120)
    spec = SPEC.model_copy(update={"n_epochs": 200, "learning_rate": 0.1, "patience": 3, "validation_fraction": 0.3})
    model, history = train(network(data), TASK, data, spec, seed=1)
    losses = history["validation_loss"]
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + spec.patience < spec.n_epochs
    assert _validation_loss(model, data, spec) == pytest.approx(losses[best], rel=1e-12)


def test_an_epoch_never_waits_for_the_host(monkeypatch):
    """No array goes from the host to the device or back within an epoch: a GPU would stand still for each."""
    epoch, programs = loop.Trainer.epoch, []

    def guarded(trainer, *arguments):
        programs.append(epoch.lower(trainer, *arguments).as_text())
        with jax.transfer_guard("disallow"):
            return epoch.__get__(trainer, loop.Trainer)(*arguments)

    monkeypatch.setattr(loop.Trainer, "epoch", guarded)
    data = events(n=100)
    train(network(data), TASK, data, TrainingSpec(n_epochs=1, batch_size=50), seed=1)
    (program,) = programs
    assert "while" in program  # all batches are one program
    assert "callback" not in program
    with pytest.raises(Exception, match="Disallowed host-to-device"), jax.transfer_guard("disallow"):
        jax.jit(jnp.sum)(np.ones(3))  # the guard bites on this device


def test_the_last_epoch_is_kept_where_the_spec_says_so():
    """Without patience, though most epochs are worse than one before them."""
    data = events(120)
    changes = {"n_epochs": 20, "learning_rate": 0.1, "patience": 3, "validation_fraction": 0.3, "keep": "last"}
    spec = SPEC.model_copy(update=changes)
    model, history = train(network(data), TASK, data, spec, seed=1)
    losses = history["validation_loss"]
    assert len(losses) == 20
    assert min(losses) < losses[-1]
    assert _validation_loss(model, data, spec) == pytest.approx(losses[-1], rel=1e-12)


def _validation_loss(model, data, spec):
    validation = split(data, spec.batch_size, spec.validation_fraction, 1)[1]
    return float(jnp.mean(jax.vmap(lambda e: TASK.loss(model, e, key=jax.random.key(0)))(validation)))


def test_standardisation_is_not_trained():
    data = events()
    model = network(data)
    trained, _ = train(model, TASK, data, SPEC, seed=1)
    assert eqx.tree_equal(trained.even_affine, model.even_affine)
    assert eqx.tree_equal(trained.target_scale, model.target_scale)
    assert not eqx.tree_equal(trained.last_layer, model.last_layer)
    mask = jax.tree.leaves(trainable(model), is_leaf=lambda node: isinstance(node, AbstractFixed))
    assert False in mask


def test_weights_count():
    data = events()
    rows = np.arange(400) % 2 == 0
    other = data.target.at[~rows].set(50.0)
    model = network(data)
    weighted = Event(data.features, data.context, other, jnp.asarray(2.0 * rows))
    trained, _ = train(model, TASK, weighted, SPEC.model_copy(update={"n_epochs": 15}), seed=1)
    prediction = jax.vmap(trained.score)(data.features)
    assert float(jnp.mean((prediction - jnp.sin(2 * data.features[:, 0])) ** 2)) < 0.1


def test_what_cannot_be_trained_is_refused():
    data = events(40)
    with pytest.raises(TrainingError, match="do not fill one batch"):
        train(network(data), TASK, data, SPEC, seed=1)
    data = events()
    poisoned = data._replace(target=data.target.at[7].set(jnp.nan))
    with pytest.raises(TrainingError, match="finite"):
        train(network(data), TASK, poisoned, SPEC, seed=1)
    with pytest.raises(TrainingError, match="constant"):
        network(data._replace(features=jnp.zeros((400, 1))))
    flow = FlowMatchingSpec(width=4, lower={"x": 0.0}).build(("x",), ("a",), key=jax.random.key(0))
    with pytest.raises(TrainingError, match="lower"):
        flow.standardise(data._replace(context=data.target))


def test_specs_name_only_what_there_is():
    key = jax.random.key(0)
    with pytest.raises(StudyError, match="odd_in: y not among"):
        MLPSpec(odd_in=("y",)).build(("x",), key=key)
    with pytest.raises(StudyError, match="negative"):
        MLPSpec(odd_in=("x",), log=("x",)).build(("x",), key=key)
    with pytest.raises(StudyError, match="reads no context"):
        MLPSpec().build(("x",), ("a",), key=key)
    with pytest.raises(ValueError, match="two of"):
        FlowMatchingSpec(periodic=("x",), lower={"x": 0.0})
    with pytest.raises(StudyError, match="no context"):
        JointScoreSpec(parameter="a").build(("a",))
