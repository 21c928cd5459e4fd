"""The same training many times: one compiled epoch for all replicas, each with its own weights, order and events.

Replicas share the events, so that they are one program: it is compiled once, and the events lie on the device once. As
separate jobs every replica would start Python and compile again. A GPU takes all replicas at once, by `vmap`: the small
matrix products of each layer become one batched product, which fills it. A CPU takes as many as it has cores, each with
the program of a single training: its batched products are slower, and a small product is not worth dividing.
"""

import os
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from saggiatore.compilation import ONCE_AND_SHORT
from saggiatore.errors import TrainingError
from saggiatore.learn.checkpoint import identity_of
from saggiatore.learn.interruption import SAVE_EVERY
from saggiatore.learn.loop import Trainer, TrainingSpec, advance, is_over, optimiser_of, prepared
from saggiatore.learn.order import Sample, batches_of, bootstrapped
from saggiatore.learn.replica_progress import Keeper, Progress, kept
from saggiatore.learn.vector import State, as_leaves, as_weights
from saggiatore.models.base import AbstractModel, Event, trainable
from saggiatore.tasks.base import AbstractTask
from saggiatore.types import Array, Float, Int

_SPLIT = 0  # of training and validation, the same in all trainings on the same events that are not bootstrapped


class Start(NamedTuple):
    """What a replica has of its own."""

    weights: Float[np.ndarray, " weight"]
    sample: Sample  # of all events
    seed: int  # of order and noise


def train_replicas(
    model: AbstractModel,
    starts: AbstractModel,
    task: AbstractTask,
    events: Event,
    spec: TrainingSpec,
    *,
    seed: int,
    n_alike: int | None = None,
    checkpoint: Path | None = None,
    identity: str = "",
) -> tuple[AbstractModel, Float[np.ndarray, " replica"]]:
    """Trained leaves of every replica (leading axis), as the spec keeps them, and their lowest validation losses.

    `starts` holds their initial leaves, stacked; all else is `model`'s. Given `n_alike`, events are bootstrapped
    (`learn.order.bootstrapped`), for so many replicas one after the other alike; else all have the same training and
    validation events, for any seed. Trainings that go on from `checkpoint`, if that has the same of everything and
    `identity`, end alike.

    Raises:
        TrainingError: if there are too few events for one batch, or a loss is not finite.
        InterruptionError: if a scheduler ended them (SIGTERM, SIGUSR1) and `checkpoint` was written.
    """
    trainer, _ = prepared(model, task, events, spec, _SPLIT, mesh=None)
    weights = jax.vmap(as_weights)(starts)
    own = _starts(weights, trainer, seed, n_alike)
    trainer = on_all_events(trainer, spec, len(own[0].sample.rows))
    backend = jax.default_backend()
    said = spec.model_dump_json(exclude={"checkpoint_every"})
    identity = identity_of((model, starts, events), f"{identity}/{backend}/{seed}/{n_alike}/{said}")
    with kept(before(trainer, own, spec), checkpoint, identity) as keeper:
        (in_turn if backend == "cpu" else at_once)(trainer, own, spec, keeper)
    best = jnp.asarray(keeper.progress.state.best)
    return as_leaves(best, eqx.filter(model, trainable(model))), _lowest(keeper.progress)


def _starts(weights: Float[Array, "replica weight"], trainer: Trainer, seed: int, n_alike: int | None) -> list[Start]:
    seeds = np.random.default_rng((seed, 3)).integers(0, np.iinfo(np.int32).max, len(weights)).tolist()
    n_train, n_validation = len(trainer.train.weight), len(trainer.validation.weight)
    every = np.arange(n_train + n_validation)

    def sample(replica: int) -> Sample:
        if n_alike is None:
            return Sample(every[:n_train], every[n_train:])
        return bootstrapped(len(every), n_validation, *divmod(replica, n_alike))

    return [Start(start, sample(replica), seeds[replica]) for replica, start in enumerate(np.asarray(weights))]


def on_all_events(trainer: Trainer, spec: TrainingSpec, n_rows: int) -> Trainer:
    """The same with the training events first among all, and steps for samples of `n_rows` of these."""
    every = jax.tree.map(lambda *parts: jnp.concatenate(parts), trainer.train, trainer.validation)
    schedule, optimiser = optimiser_of(spec, n_rows // spec.batch_size * spec.n_epochs)
    return Trainer(trainer.task, trainer.rest, trainer.like, optimiser, schedule, every, trainer.validation)


def _held_out(trainer: Trainer, rows: Int[np.ndarray, "... validation"]) -> Event:
    chosen: Event = jax.tree.map(lambda column: column[rows], trainer.train)
    return chosen


def before(trainer: Trainer, starts: list[Start], spec: TrainingSpec) -> Progress:
    """Replicas that have learned nothing yet."""
    weights = jnp.stack([start.weights for start in starts])
    memory = jax.jit(jax.vmap(trainer.optimiser.init), compiler_options=ONCE_AND_SHORT)(weights)
    losses = np.full((len(starts), spec.n_epochs), np.nan)
    return Progress(jax.tree.map(np.array, State(weights, weights, memory)), losses)


def in_turn(trainer: Trainer, starts: list[Start], spec: TrainingSpec, keeper: Keeper) -> None:
    """Train the replicas on the cores of a CPU, or until the keeper is told to stop.

    Raises:
        TrainingError: if a loss is not finite.
    """
    # a precision that was chosen for a block of code is not that of the threads which start there
    is_double = jnp.zeros(()).dtype == jnp.float64

    def alone(replica: int) -> None:
        with jax.enable_x64(is_double):
            _alone(trainer, starts[replica], spec, keeper, replica, bar)

    with _bar(keeper.progress, spec) as bar, ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        try:
            _wait({threads.submit(alone, replica) for replica in range(len(starts))}, keeper)
        except BaseException:
            keeper.has_failed = True
            raise


def _bar(progress: Progress, spec: TrainingSpec) -> tqdm:
    n_replicas = len(progress.losses)
    name, total = f"{n_replicas} trainings", n_replicas * spec.n_epochs
    return tqdm(total=total, initial=progress.n_done(), desc=name, unit="epoch", mininterval=1)


def _wait(running: set[Future], keeper: Keeper) -> None:
    while running:
        done, running = wait(running, SAVE_EVERY, FIRST_EXCEPTION)
        for training in done:
            training.result()  # raises what ended it
        if running and keeper.is_due:
            keeper.save()


def _alone(trainer: Trainer, start: Start, spec: TrainingSpec, keeper: Keeper, replica: int, bar: tqdm) -> None:
    progress, sample = keeper.progress, start.sample
    trainer = eqx.tree_at(lambda each: each.validation, trainer, _held_out(trainer, sample.held_out))
    history, state = progress.history(replica), jax.tree.map(lambda column: jnp.array(column[replica]), progress.state)
    while not (is_over(history, spec) or keeper.told or keeper.has_failed):
        state = advance(trainer, state, history, spec, start.seed, sample.rows)
        with keeper.lock:
            progress.keep(replica, state)
            progress.losses[replica, len(history["epoch"]) - 1] = history["validation_loss"][-1]
            bar.update()


def at_once(trainer: Trainer, starts: list[Start], spec: TrainingSpec, keeper: Keeper) -> None:
    """The same on a GPU, in one program.

    Raises:
        TrainingError: if a loss is not finite.
    """
    epoch = eqx.filter_jit(eqx.filter_vmap(_validated_epoch, in_axes=(None, 0, 0, 0, 0, None, 0)))
    validation = _held_out(trainer, np.stack([start.sample.held_out for start in starts]))
    progress, keys = keeper.progress, jnp.stack([jax.random.key(start.seed) for start in starts])
    weights, best, memory = jax.tree.map(jnp.array, progress.state)
    with _bar(progress, spec) as bar:
        while not keeper.told and (is_learning := _learning(progress, spec)).any():
            number = int(np.isfinite(progress.losses).sum(axis=1).max())
            order = np.stack([batches_of(start.sample.rows, spec.batch_size, start.seed, number) for start in starts])
            now = jnp.asarray(order), jnp.asarray(number), keys
            weights, memory, found = epoch(trainer, validation, weights, memory, *now)
            losses, lowest = _finite(np.asarray(found)[:, 1], number), _lowest(progress)
            is_kept = is_learning & ((losses < lowest) | (spec.keep == "last"))
            best = jnp.where(is_kept[:, None], weights, best)
            progress.losses[is_learning, number] = losses[is_learning]
            bar.update(int(is_learning.sum()))
            if keeper.is_due:
                progress.keep(slice(None), State(weights, best, memory))
                keeper.save()
    progress.keep(slice(None), State(weights, best, memory))


def _validated_epoch(trainer: Trainer, validation: Event, *now: Any) -> tuple:
    own = eqx.tree_at(lambda each: each.validation, trainer, validation)
    epoch: tuple = Trainer.epoch.__wrapped__(own, *now)
    return epoch


def _learning(progress: Progress, spec: TrainingSpec) -> np.ndarray:
    return np.array([not is_over(progress.history(replica), spec) for replica in range(len(progress.losses))])


def _lowest(progress: Progress) -> Float[np.ndarray, " replica"]:
    return np.where(np.isfinite(progress.losses), progress.losses, np.inf).min(axis=1)


def _finite(losses: Float[np.ndarray, " replica"], epoch: int) -> Float[np.ndarray, " replica"]:
    if not np.isfinite(losses).all():
        raise TrainingError(
            f"epoch {epoch + 1}: validation losses of the replicas are {losses.tolist()}, expected finite numbers; "
            "lower learning_rate, or look for outliers in the features."
        )
    return losses
