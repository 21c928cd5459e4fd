"""Replicas on the cores of a CPU and in one program of a GPU are the same trainings."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tqdm import tqdm

from saggiatore.errors import InterruptionError, StudyError, TrainingError
from saggiatore.infer.base import draw_scores, draws_columns, draws_schema, posterior_score, spread_draws
from saggiatore.infer.batches import Batch
from saggiatore.infer.committee import mean_of
from saggiatore.infer.ratio import LearnedRatio, ratio_draws
from saggiatore.infer.replicas import Replicas, ReplicasSpec
from saggiatore.infer.weights import flatten, with_weights
from saggiatore.learn.interruption import Interruption
from saggiatore.learn.loop import Trainer, TrainingSpec, optimiser_of
from saggiatore.learn.order import bootstrapped, split
from saggiatore.learn.replica_progress import Keeper, Progress, kept
from saggiatore.learn.replicas import Start, at_once, before, in_turn, on_all_events
from saggiatore.learn.vector import as_weights
from saggiatore.models.base import Event, trainable
from saggiatore.models.mlp import MLP, MLPSpec
from saggiatore.models.ratio_mlp import RatioMLPSpec
from saggiatore.registry import load
from saggiatore.tables import read_table, write_table
from saggiatore.tasks.joint_score import JointScore
from saggiatore.types import PRNGKeyArray

Training = Callable[[Trainer, list[Start], TrainingSpec, Keeper], None]
N_EVENTS, N_REPLICAS = 90, 3
TRAINING = TrainingSpec(n_epochs=20, batch_size=30, learning_rate=0.02, keep="last")
SPEC = TrainingSpec(n_epochs=6, batch_size=20, learning_rate=0.02, patience=2)


def trainer_and_starts(scale: float = 1.0) -> tuple[Trainer, list[Start]]:
    random = np.random.default_rng(1)
    x = random.uniform(-1, 1, (N_EVENTS, 1))
    target = scale * (np.sin(3 * x) + 0.1 * random.standard_normal(x.shape))
    events = Event(jnp.asarray(x), jnp.zeros((N_EVENTS, 0)), jnp.asarray(target), jnp.ones(N_EVENTS))
    spec_of = MLPSpec(width=4, depth=1)
    networks = [spec_of.build(("x",), key=jax.random.key(replica)) for replica in range(N_REPLICAS)]
    leaves, rest = eqx.partition(networks[0], trainable(networks[0]))
    both = split(events, SPEC.batch_size, SPEC.validation_fraction, seed=3)
    schedule, optimiser = optimiser_of(SPEC, len(both[0].weight) // SPEC.batch_size * SPEC.n_epochs)
    trainer = Trainer(JointScore(()), rest, jax.eval_shape(lambda: leaves), optimiser, schedule, *both)
    trainer = on_all_events(trainer, SPEC, N_EVENTS)
    samples = [bootstrapped(N_EVENTS, len(both[1].weight), replica) for replica in range(N_REPLICAS)]
    weights = [np.asarray(as_weights(eqx.filter(network, trainable(network)))) for network in networks]
    return trainer, [Start(weights[replica], samples[replica], 10 + replica) for replica in range(N_REPLICAS)]


def trained(train: Training, trainer: Trainer, starts: list[Start], checkpoint: Path | None = None) -> Progress:
    with kept(before(trainer, starts, SPEC), checkpoint, "these trainings") as keeper:
        train(trainer, starts, SPEC, keeper)
    return keeper.progress


def test_a_gpu_and_a_cpu_train_the_same_replicas():
    trainer, starts = trainer_and_starts()
    (_, weights, _), losses = trained(in_turn, trainer, starts)
    (_, weights_of_gpu, _), losses_of_gpu = trained(at_once, trainer, starts)
    np.testing.assert_allclose(weights, weights_of_gpu, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(losses, losses_of_gpu, rtol=1e-4)
    assert np.abs(weights - [start.weights for start in starts]).max(axis=1).min() > 0.01  # and each learned
    assert np.abs(weights[0] - weights[1]).max() > 0.01


def test_a_precision_that_was_chosen_for_a_block_holds_in_all_trainings():
    with jax.enable_x64(False):
        trainer, starts = trainer_and_starts()
        (_, weights, _), losses = trained(in_turn, trainer, starts)
    assert weights.dtype == np.float32
    assert np.isfinite(losses[:, 0]).all()


@pytest.mark.parametrize("train", [in_turn, at_once])
def test_a_loss_that_is_not_finite_ends_the_training(train):
    trainer, starts = trainer_and_starts(scale=np.inf)
    with pytest.raises(TrainingError, match="expected finite numbers"):
        trained(train, trainer, starts)


@pytest.mark.parametrize("train", [in_turn, at_once])
def test_replicas_that_a_scheduler_ends_go_on_to_the_same_weights(train, tmp_path, monkeypatch):
    """SIGTERM after four of at most eighteen epochs, on a GPU in the second of six."""
    trainer, starts = trainer_and_starts()
    whole, monitor, n_seen = trained(train, trainer, starts), tqdm.update, []
    receive, received = Interruption.receive, []

    def signalled(bar: tqdm, n: int = 1) -> None:
        n_seen.append(n)
        if sum(n_seen) in (4, 6):
            os.kill(os.getpid(), signal.SIGTERM)
            while not received:  # the main thread hears it, this one goes on
                time.sleep(0.001)
        monitor(bar, n)

    def heard(interruption: Interruption, number: int, frame: FrameType | None) -> None:
        receive(interruption, number, frame)
        received.append(number)

    monkeypatch.setattr(tqdm, "update", signalled)
    monkeypatch.setattr(Interruption, "receive", heard)
    with pytest.raises(InterruptionError, match="3 trainings received SIGTERM"):
        trained(train, trainer, starts, tmp_path / "checkpoint")
    n_before, n_in_all = sum(n_seen), int(np.isfinite(whole.losses).sum())
    monkeypatch.setattr(tqdm, "update", monitor)
    resumed = trained(train, trainer, starts, tmp_path / "checkpoint")
    assert 4 <= n_before < n_in_all
    jax.tree.map(np.testing.assert_array_equal, resumed, whole)


def scores_of_draws(method: Replicas, network: MLP, events: Event, x: float, key: PRNGKeyArray) -> np.ndarray:
    one = mean_of(network, method.n_networks)
    weights = jnp.asarray(method.sample(network, events, key=key).weights.reshape(-1, flatten(one).size))
    return np.asarray(jax.jit(jax.vmap(lambda w: with_weights(one, w).score(jnp.array([x]))))(weights))


def test_replicas_of_two_regressions_vary_together_as_their_targets_do():
    """Correlation of the mean's bootstrap error, 40 replicas: 0.16 each if there is none; of means of starts, too."""
    random = np.random.default_rng(4)
    x = random.uniform(-1, 1, (200, 1))
    noise = random.standard_normal((3, 200, 1))
    network = MLPSpec(width=2, depth=1, noise="constant").build(("x",), key=jax.random.key(1))

    def drawn(target: np.ndarray, key: int, n_starts: int = 1) -> np.ndarray:
        method = ReplicasSpec(n_replicas=40, n_starts=n_starts, training=TRAINING).build()
        events = Event(jnp.asarray(x), jnp.zeros((200, 0)), jnp.asarray(target), jnp.ones(200))
        return scores_of_draws(method, network, events, 0.3, jax.random.key(key))

    one, same, other = drawn(noise[0], 1), drawn(noise[0] + 0.5 * noise[1], 2), drawn(noise[2], 3)
    assert np.corrcoef(one, same)[0, 1] > 0.6
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.55
    assert np.corrcoef(one, drawn(noise[0], 4, n_starts=2))[0, 1] > 0.6


def test_draws_are_means_of_the_networks_in_their_rows(tmp_path):
    x = np.linspace(-1, 1, 60)[:, None]
    spec = ReplicasSpec(n_replicas=2, n_starts=3, training=SPEC)
    network = MLPSpec(width=4, depth=1).build(("x",), key=jax.random.key(1))
    chains = spec.build().draw(network, lambda: iter([Batch(x, x[:, 0], np.ones(60))]), key=jax.random.key(2))
    write_table(
        tmp_path / "d.parquet", draws_schema(chains), draws_columns(chains), {"method": spec.model_dump(mode="json")}
    )
    table = read_table(tmp_path / "d.parquet", "draws")
    weights = table.array(f"weight_{i}" for i in range(flatten(network).size))
    at = jnp.array([0.4])
    networks = [with_weights(network, jnp.asarray(row)) for row in weights]
    means = np.mean([each.score(at) for each in networks[:3]]), np.mean([each.score(at) for each in networks[3:]])
    assert table.data[["chain", "draw"]].to_numpy().tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    np.testing.assert_allclose(draw_scores(network, table, [1, 0])(at), means[::-1], rtol=1e-9)
    np.testing.assert_allclose(draw_scores(network, table, [1])(at), means[1:], rtol=1e-9)
    estimate = posterior_score(network, table)(at)
    np.testing.assert_allclose(estimate.mean, np.mean(means), rtol=1e-9)
    np.testing.assert_allclose(estimate.var_stat, np.var(means, ddof=1), rtol=1e-9)
    np.testing.assert_allclose(estimate.var_noise, np.mean([each.noise(at) for each in networks]), rtol=1e-9)
    monitored = chains.monitored["score_0"].draws
    assert monitored.shape == (1, 2)
    assert spread_draws(table, 2) == [0, 1]
    with pytest.raises(StudyError, match="3 draws were asked for, the posterior has 2"):
        spread_draws(table, 3)


def test_draws_of_ratios_are_means_of_the_networks_in_their_rows(tmp_path):
    """Each of two draws is one of six networks: the first three, and the last three."""
    random = np.random.default_rng(4)
    is_numerator = np.repeat([1.0, 0.0], 30)
    target = np.stack([is_numerator, *random.normal(size=(2, 60))], axis=1)
    events = Event(
        *map(jnp.asarray, (random.normal(size=(60, 1)), random.uniform(-1, 1, (60, 1)), target, np.ones(60)))
    )
    spec = ReplicasSpec(n_replicas=2, n_starts=3, training=SPEC)

    def build(key):
        return RatioMLPSpec(width=4, depth=1).build(("x",), ("a",), key=key)

    ratio = build(jax.random.key(1)).standardise(events)
    task = load("task", "alices")().build(("a",))
    chains = spec.build().draw_ratio(LearnedRatio(ratio, build, events, task), key=jax.random.key(2))
    write_table(
        tmp_path / "d.parquet", draws_schema(chains), draws_columns(chains), {"method": spec.model_dump(mode="json")}
    )
    table = read_table(tmp_path / "d.parquet", "draws")
    weights = table.array(f"weight_{i}" for i in range(flatten(ratio).size))
    at = jnp.array([0.4]), jnp.array([0.5])
    each = np.asarray(jax.vmap(lambda row: with_weights(ratio, row).log_ratio(*at))(jnp.asarray(weights)))
    assert np.ptp(each) > 0
    np.testing.assert_allclose(ratio_draws(ratio, table)(*at), [each[:3].mean(), each[3:].mean()], rtol=1e-9)
    np.testing.assert_allclose(ratio_draws(ratio, table, [1])(*at), [each[3:].mean()], rtol=1e-9)
    assert chains.monitored["log_ratio_0"].draws.shape == (1, 2)


def test_starts_share_a_bootstrapped_sample_and_not_their_validation_events():
    samples = [bootstrapped(2000, 200, *at) for at in ((1, 0), (1, 1), (2, 0))]
    for sample in samples:
        assert len(sample.rows) == 2000
        assert len(set(sample.held_out)) == 200
        assert not set(sample.rows) & set(sample.held_out)
        assert np.var(np.bincount(sample.rows)) == pytest.approx(1, abs=0.2)  # of counts; five errors
    one, same, other = samples
    assert np.array_equal(one.rows, same.rows)
    assert not np.array_equal(one.held_out, same.held_out)
    assert not np.array_equal(one.rows, other.rows)
    more = bootstrapped(100, 80, 1)
    assert len(more.held_out) == 80
    assert not set(more.rows) & set(more.held_out)


def test_the_mean_of_several_starts_scatters_less_by_as_much():
    """Networks that learn next to nothing are their starts: variance falls by their number, four, of 300 draws each.

    The error of a variance ratio is 12 % for normal scores, which these nearly are: five of them.
    """
    x = np.linspace(-1, 1, 60)[:, None]
    events = Event(jnp.asarray(x), jnp.zeros((60, 0)), jnp.asarray(x), jnp.ones(60))
    network = MLPSpec(width=16, depth=1, noise="constant").build(("x",), key=jax.random.key(1))
    training = TrainingSpec(n_epochs=1, batch_size=50, learning_rate=1e-9, keep="last")
    variances = []
    for n_starts in (1, 4):
        method = ReplicasSpec(n_replicas=300, n_starts=n_starts, training=training).build()
        variances.append(np.var(scores_of_draws(method, network, events, 0.5, jax.random.key(n_starts))))
    assert variances[0] / variances[1] == pytest.approx(4, rel=0.6)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_replicas_are_trained_in_the_precision_of_their_network(precision):
    x = np.linspace(-1, 1, 60)[:, None]
    events = Event(jnp.asarray(x), jnp.zeros((60, 0)), jnp.asarray(x), jnp.ones(60))
    network = MLPSpec(width=2, depth=1, noise="constant").build(("x",), key=jax.random.key(1))
    method = ReplicasSpec(n_replicas=2, training=TRAINING).build().learning(JointScore(()), precision)
    weights = method.sample(network, events, key=jax.random.key(1)).weights
    assert weights.dtype == np.float64
    is_single = weights == weights.astype(np.float32)
    assert is_single.all() == (precision == "float32")
