"""The same training many times: one compiled epoch for all replicas, each with its own weights, order and events.

Replicas share the events, so that they are one program: it is compiled once, and the events lie on the device once. As
separate jobs every replica would start Python and compile again. A GPU takes all replicas at once, by `vmap`: the small
matrix products of each layer become one batched product, which fills it. A CPU takes as many as it has cores, each with
the program of a single training: its batched products are slower, and a small product is not worth dividing.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from tqdm import tqdm

from saggiatore.compilation import ONCE_AND_SHORT
from saggiatore.errors import TrainingError
from saggiatore.learn.loop import (
    HISTORY,
    History,
    Trainer,
    TrainingSpec,
    advance,
    is_over,
    optimiser_of,
)
from saggiatore.learn.order import batches_of, bootstrap_rows, split
from saggiatore.learn.vector import State, as_leaves, as_weights
from saggiatore.models.base import AbstractModel, Event, trainable
from saggiatore.tasks.base import AbstractTask
from saggiatore.types import Array, Float, Int

_SPLIT = 0  # of training and validation, the same in all trainings on the same events

Found = tuple[Float[np.ndarray, "replica weight"], Float[np.ndarray, " replica"]]  # weights, lowest validation losses


class Start(NamedTuple):
    """What a replica has of its own."""

    weights: Float[np.ndarray, " weight"]
    rows: Int[np.ndarray, " event"]  # of the training events
    seed: int  # of order and noise


def train_replicas(
    model: AbstractModel,
    starts: AbstractModel,
    task: AbstractTask,
    events: Event,
    spec: TrainingSpec,
    *,
    seed: int,
    is_bootstrapped: bool = False,
) -> tuple[AbstractModel, Float[np.ndarray, " replica"]]:
    """Trained leaves of every replica (leading axis), as the spec keeps them, and their lowest validation losses.

    `starts` holds their initial leaves, stacked; all else is `model`'s. Validation events are the same for all and
    for any seed. With `is_bootstrapped` each replica learns from as many training events, see `bootstrap_rows`.

    Raises:
        TrainingError: if there are too few events for one batch, or a loss is not finite.
    """
    read, read_events = model.encoded(events)
    both = split(read_events, spec.batch_size, spec.validation_fraction, _SPLIT)
    schedule, optimiser = optimiser_of(spec, len(both[0].weight) // spec.batch_size * spec.n_epochs)
    leaves, rest = eqx.partition(read, trainable(read))
    trainer = Trainer(task, rest, jax.eval_shape(lambda: leaves), optimiser, schedule, *both)
    own = _starts(jax.vmap(as_weights)(starts), len(both[0].weight), seed, is_bootstrapped)
    weights, lowest = (in_turn if jax.default_backend() == "cpu" else at_once)(trainer, own, spec)
    return as_leaves(jnp.asarray(weights), eqx.filter(model, trainable(model))), lowest


def _starts(weights: Float[Array, "replica weight"], n_events: int, seed: int, is_bootstrapped: bool) -> list[Start]:
    seeds = np.random.default_rng((seed, 3)).integers(0, np.iinfo(np.int32).max, len(weights)).tolist()
    return [
        Start(start, bootstrap_rows(n_events, replica) if is_bootstrapped else np.arange(n_events), seeds[replica])
        for replica, start in enumerate(np.asarray(weights))
    ]


def in_turn(trainer: Trainer, starts: list[Start], spec: TrainingSpec) -> Found:
    """Weights that the spec keeps, and their losses, of replicas on the cores of a CPU."""
    # a precision that was chosen for a block of code is not that of the threads which start there
    is_double = jnp.zeros(()).dtype == jnp.float64
    n_epochs = len(starts) * spec.n_epochs

    def alone(start: Start) -> tuple[Float[np.ndarray, " weight"], float]:
        with jax.enable_x64(is_double):
            return _alone(trainer, start, spec, bar)

    with (
        tqdm(total=n_epochs, desc=f"{len(starts)} trainings", unit="epoch", mininterval=1) as bar,
        ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads,
    ):
        weights, lowest = zip(*threads.map(alone, starts), strict=True)
    return np.stack(weights), np.array(lowest)


def _alone(trainer: Trainer, start: Start, spec: TrainingSpec, bar: tqdm) -> tuple[Float[np.ndarray, " weight"], float]:
    memory = jax.jit(trainer.optimiser.init, compiler_options=ONCE_AND_SHORT)(start.weights)
    weights = jnp.asarray(start.weights)
    state = State(weights, weights, memory)
    history: History = {name: [] for name in HISTORY.names}
    while not is_over(history, spec):
        state = advance(trainer, state, history, spec, start.seed, start.rows)
        bar.update()
    return np.asarray(state.best), min(history["validation_loss"])


def at_once(trainer: Trainer, starts: list[Start], spec: TrainingSpec) -> Found:
    """The same on a GPU, in one program.

    Raises:
        TrainingError: if a loss is not finite.
    """
    epoch = eqx.filter_jit(eqx.filter_vmap(Trainer.epoch.__wrapped__, in_axes=(None, 0, 0, 0, None, 0)))
    weights = best = jnp.stack([start.weights for start in starts])
    memory: optax.OptState = jax.jit(jax.vmap(trainer.optimiser.init))(weights)
    keys = jnp.stack([jax.random.key(start.seed) for start in starts])
    lowest, n_since_best = np.full(len(starts), np.inf), np.zeros(len(starts), int)
    for number in tqdm(range(spec.n_epochs), f"{len(starts)} trainings", unit="epoch", mininterval=1):
        is_learning = (n_since_best < spec.patience) | (spec.keep == "last")
        if not is_learning.any():
            break
        order = np.stack([batches_of(start.rows, spec.batch_size, start.seed, number) for start in starts])
        weights, memory, found = epoch(trainer, weights, memory, jnp.asarray(order), jnp.asarray(number), keys)
        losses = _finite(np.asarray(found)[:, 1], number)
        is_better = is_learning & (losses < lowest)
        best = jnp.where((is_better | (spec.keep == "last"))[:, None], weights, best)
        lowest, n_since_best = np.where(is_better, losses, lowest), np.where(is_better, 0, n_since_best + 1)
    return np.asarray(best), lowest


def _finite(losses: Float[np.ndarray, " replica"], epoch: int) -> Float[np.ndarray, " replica"]:
    if not np.isfinite(losses).all():
        raise TrainingError(
            f"epoch {epoch + 1}: validation losses of the replicas are {losses.tolist()}, expected finite numbers; "
            "lower learning_rate, or look for outliers in the features."
        )
    return losses
