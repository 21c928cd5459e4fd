"""The only training loop: data on the device, one compiled epoch, early stopping, checkpoints that resume exactly.

A process that sees several devices divides each batch among them.
"""

import contextlib
import functools
from pathlib import Path
from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from pydantic import Field
from tqdm import tqdm

from saggiatore.errors import InterruptionError, TrainingError
from saggiatore.learn.checkpoint import identity_of, load_checkpoint, save_checkpoint
from saggiatore.learn.interruption import Interruption, deferred_signals
from saggiatore.learn.sharding import divided, mesh_of, replicated
from saggiatore.models.base import AbstractModel, Event, trainable
from saggiatore.spec import Spec
from saggiatore.tables import Column, TableSchema
from saggiatore.tasks.base import AbstractTask
from saggiatore.types import Array, Float, Int, PRNGKeyArray, Scalar

HISTORY = TableSchema(
    "history",
    1,
    (
        Column("epoch", "1", "passes over the training events so far", "epoch", "int"),
        Column("train_loss", "1", "weighted mean loss over the epoch's batches", "training loss"),
        Column("validation_loss", "1", "weighted mean loss over the validation events", "validation loss"),
        Column("learning_rate", "1", "learning rate at the end of the epoch", "learning rate"),
    ),
)
History = dict[str, list[float]]


class TrainingSpec(Spec):
    """AdamW with a linear warm-up and a cosine decay over all epochs."""

    n_epochs: int = Field(ge=1)
    batch_size: int = Field(500, ge=1)
    learning_rate: float = Field(2e-3, gt=0)
    validation_fraction: float = Field(0.1, gt=0, lt=1)
    keep: Literal["best", "last"] = Field(
        "best",
        description="weights at the lowest validation loss, or at the end of all epochs: what a few validation "
        "events prefer among noisy weights is common to all replicas of a training, and no posterior would know",
    )
    patience: int = Field(
        10, ge=1, description="epochs without a better validation loss before stopping, where the best are kept"
    )
    warmup_fraction: float = Field(0.05, ge=0, lt=1, description="of all steps")
    weight_decay: float = Field(1e-4, ge=0)
    max_gradient_norm: float = Field(1.0, gt=0)
    checkpoint_every: int = Field(5, ge=1, description="epochs between checkpoints")


class State(NamedTuple):
    """What one epoch hands to the next: trained leaves, the best of them so far, the optimiser's memory."""

    leaves: AbstractModel
    best: AbstractModel
    memory: optax.OptState


class Trainer(eqx.Module):
    """All that stays the same from epoch to epoch."""

    task: AbstractTask
    rest: AbstractModel  # the model without its trained leaves
    optimiser: optax.GradientTransformation
    schedule: optax.Schedule = eqx.field(static=True)
    train: Event
    validation: Event
    mesh: Mesh | None = eqx.field(static=True, default=None)

    def mean_loss(self, leaves: AbstractModel, events: Event, key: PRNGKeyArray) -> Scalar:
        """Weighted mean loss of many events."""
        model = eqx.combine(leaves, self.rest)
        keys = jax.random.split(key, len(events.weight))
        losses = jax.vmap(lambda event, k: self.task.loss(model, event, key=k))(events, keys)
        return jnp.mean(events.weight * losses)

    @eqx.filter_jit
    def epoch(
        self, state: State, order: Int[Array, "batch event"], number: Scalar, lowest: Scalar, key: PRNGKeyArray
    ) -> tuple[State, Float[Array, " 3"]]:
        """Epoch `number`: one pass over the batches. The leaves are the best ones if their loss is below `lowest`.

        Returns the state, and the training loss, the validation loss and the learning rate.
        """
        key = jax.random.fold_in(key, number)

        def step(carry: tuple, batch: Int[Array, " event"]) -> tuple:
            leaves, memory, n = carry
            events = divided(jax.tree.map(lambda column: column[batch], self.train), self.mesh)
            loss, gradient = jax.value_and_grad(self.mean_loss)(leaves, events, jax.random.fold_in(key, n))
            updates, memory = self.optimiser.update(gradient, memory, leaves)
            return (optax.apply_updates(leaves, updates), memory, n + 1), loss

        losses: Float[Array, " batch"]
        (leaves, memory, _), losses = jax.lax.scan(step, (state.leaves, state.memory, 0), order)
        # the same noise after every epoch: validation losses differ by what was learned
        validation_loss = self.mean_loss(leaves, self.validation, jax.random.key(0))
        best = jax.tree.map(lambda new, old: jnp.where(validation_loss < lowest, new, old), leaves, state.best)
        rate = jnp.asarray(self.schedule((number + 1) * len(order)))
        return State(leaves, best, memory), jnp.stack([jnp.mean(losses), validation_loss, rate])


def train(
    model: AbstractModel,
    task: AbstractTask,
    events: Event,
    spec: TrainingSpec,
    *,
    seed: int,
    checkpoint: Path | None = None,
    identity: str = "",
) -> tuple[AbstractModel, History]:
    """Train `model` (already standardised) and return what the spec keeps of it, with the history.

    A run that resumes from `checkpoint`, if that has the same model, events, spec, seed and `identity`, ends alike.

    Raises:
        TrainingError: if there are too few events for one batch, or a loss is not finite.
        InterruptionError: if a scheduler ended it (SIGTERM, SIGUSR1) and `checkpoint` was written at the epoch's end.
    """
    train_events, validation_events = split(events, spec, seed)
    schedule, optimiser = optimiser_of(spec, len(train_events.weight) // spec.batch_size * spec.n_epochs)
    leaves, rest = eqx.partition(model, trainable(model))
    mesh = mesh_of(spec.batch_size)
    trainer = replicated(Trainer(task, rest, optimiser, schedule, train_events, validation_events, mesh), mesh)
    state = State(leaves, leaves, optimiser.init(leaves))
    identity = identity_of((model, events), f"{identity}/{seed}/{spec.model_dump_json(exclude={'checkpoint_every'})}")
    state, history = load_checkpoint(checkpoint, state, identity) or (state, {name: [] for name in HISTORY.names})
    with (
        deferred_signals() if checkpoint else contextlib.nullcontext(Interruption()) as interruption,
        tqdm(total=spec.n_epochs, initial=len(history["epoch"]), unit="epoch", mininterval=1, desc="training") as bar,
    ):
        while not _is_over(history, spec):
            state = _advance(trainer, state, history, spec, seed)
            bar.set_postfix(train=history["train_loss"][-1], validation=history["validation_loss"][-1], refresh=False)
            bar.update()
            told = interruption.name  # read once: a signal may come between the next two lines
            if checkpoint and (told or len(history["epoch"]) % spec.checkpoint_every == 0):
                save_checkpoint(checkpoint, state, identity, history)
            if told and not _is_over(history, spec):
                raise _interrupted(told, checkpoint, history, spec)
    return eqx.combine(state.best, rest), history


def _advance(trainer: Trainer, state: State, history: History, spec: TrainingSpec, seed: int) -> State:
    """One epoch, whose order and noise are folded from `seed` and its number; its losses join the history."""
    epoch = len(history["epoch"])
    order = np.random.default_rng((seed, 1, epoch)).permutation(len(trainer.train.weight))
    batches = jnp.asarray(order[: len(order) // spec.batch_size * spec.batch_size].reshape(-1, spec.batch_size))
    lowest = jnp.asarray(min(history["validation_loss"], default=np.inf) if spec.keep == "best" else np.inf)
    state = replicated(state, trainer.mesh)  # one that was loaded lies on one device
    state, found = trainer.epoch(state, batches, jnp.asarray(epoch), lowest, jax.random.key(seed))
    _record(history, np.asarray(found))
    return state


def _interrupted(told: str, checkpoint: Path | None, history: History, spec: TrainingSpec) -> InterruptionError:
    return InterruptionError(
        f"the training received {told} and stopped after epoch {len(history['epoch'])} of at most "
        f"{spec.n_epochs}. Its state is in {checkpoint}; run the same command again and it goes on from there, to the "
        "result of an uninterrupted training."
    )


def split(events: Event, spec: TrainingSpec, seed: int) -> tuple[Event, Event]:
    """Events of the training and of the validation.

    Raises:
        TrainingError: if there are too few for one batch.
    """
    n_events = len(events.weight)
    n_validation = max(1, round(spec.validation_fraction * n_events))
    if n_events - n_validation < spec.batch_size:
        raise TrainingError(
            f"{n_events} events, {n_validation} of them for validation, do not fill one batch of {spec.batch_size}; "
            "take a smaller batch_size or more events."
        )
    # shuffled by NumPy: jax's sort takes seconds to compile
    order = np.random.default_rng((seed, 0)).permutation(n_events)
    return _take(events, order[n_validation:]), _take(events, order[:n_validation])


def _take(events: Event, rows: Int[np.ndarray, " row"]) -> Event:
    chosen: Event = jax.tree.map(lambda column: jnp.asarray(np.asarray(column)[rows]), events)
    return chosen


@functools.cache  # one object for equal specs: a second training of the same shape compiles nothing
def optimiser_of(spec: TrainingSpec, n_steps: int) -> tuple[optax.Schedule, optax.GradientTransformation]:
    """Learning rate by step, and the optimiser with it."""
    n_warmup, last = round(spec.warmup_fraction * n_steps), 0.01 * spec.learning_rate
    schedule = optax.warmup_cosine_decay_schedule(0.0, spec.learning_rate, n_warmup, n_steps, last)
    adamw = optax.adamw(schedule, weight_decay=spec.weight_decay)
    optimiser = optax.chain(optax.clip_by_global_norm(spec.max_gradient_norm), adamw)
    return schedule, optax.flatten(
        optimiser
    )  # one vector instead of a dozen arrays: small networks train twice as fast


def _is_over(history: History, spec: TrainingSpec) -> bool:
    losses = history["validation_loss"]
    n_since_best = len(losses) - 1 - int(np.argmin(losses)) if losses else 0
    return len(losses) >= spec.n_epochs or (spec.keep == "best" and n_since_best >= spec.patience)


def _record(history: History, found: Float[np.ndarray, " 3"]) -> None:
    epoch = len(history["epoch"]) + 1
    train_loss, validation_loss, learning_rate = found.tolist()
    if not np.isfinite([train_loss, validation_loss]).all():
        raise TrainingError(
            f"epoch {epoch}: training loss {train_loss}, validation loss {validation_loss}, expected finite numbers; "
            "lower learning_rate, or look for outliers in the features."
        )
    for name, value in zip(HISTORY.names, (epoch, train_loss, validation_loss, learning_rate), strict=True):
        history[name].append(value)
