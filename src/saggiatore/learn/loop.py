"""The only training loop: data on the device, one compiled epoch, early stopping, checkpoints that resume exactly.

A process that sees several devices divides each batch among them.
"""

import contextlib
from functools import cache
from pathlib import Path
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from pydantic import Field
from tqdm import tqdm

from saggiatore.compilation import ONCE_AND_SHORT, WIDE
from saggiatore.errors import InterruptionError, TrainingError
from saggiatore.learn.checkpoint import identity_of, load_checkpoint, save_checkpoint
from saggiatore.learn.interruption import Interruption, deferred_signals
from saggiatore.learn.layers import with_turned_layers
from saggiatore.learn.order import batches_of, split
from saggiatore.learn.sharding import divided, mesh_of, replicated
from saggiatore.learn.vector import State, Weights, as_leaves, as_weights
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
        "events prefer among noisy weights is common to all replicas that share them, which bootstrapped ones do not",
    )
    patience: int = Field(
        10, ge=1, description="epochs without a better validation loss before stopping, where the best are kept"
    )
    warmup_fraction: float = Field(0.05, ge=0, lt=1, description="of all steps")
    weight_decay: float = Field(1e-4, ge=0)
    max_gradient_norm: float = Field(1.0, gt=0)
    checkpoint_every: int = Field(5, ge=1, description="epochs between checkpoints")


class Trainer(eqx.Module):
    """All that stays the same from epoch to epoch."""

    task: AbstractTask
    rest: AbstractModel  # the model without its trained leaves
    like: AbstractModel  # shapes of these
    optimiser: optax.GradientTransformation
    schedule: optax.Schedule = eqx.field(static=True)
    train: Event
    validation: Event
    mesh: Mesh | None = eqx.field(static=True, default=None)

    def mean_loss(self, leaves: AbstractModel, events: Event, key: PRNGKeyArray) -> Scalar:
        """Weighted mean loss of many events."""
        model = with_turned_layers(eqx.combine(leaves, self.rest))
        keys = jax.random.split(key, len(events.weight))
        losses = jax.vmap(lambda event, k: self.task.loss(model, event, key=k))(events, keys)
        return jnp.mean(events.weight * losses)

    # equinox passes on jax.jit's options, its overloads do not say so
    @eqx.filter_jit(compiler_options=WIDE)  # type: ignore[call-overload]
    def epoch(
        self,
        weights: Weights,
        memory: optax.OptState,
        order: Int[Array, "batch event"],
        number: Scalar,
        key: PRNGKeyArray,
    ) -> tuple[Weights, optax.OptState, Float[Array, " 3"]]:
        """Epoch `number`: one pass over the batches.

        Returns the weights, the optimiser's memory, and the training loss, the validation loss and the learning rate.
        """
        key = jax.random.fold_in(key, number)
        numbers = jnp.arange(len(order))
        rates = self.schedule(number * len(order) + numbers)

        def step(carry: tuple, this: tuple) -> tuple:
            weights, memory = carry
            n, batch, rate = this
            events = divided(jax.tree.map(lambda column: column[batch], self.train), self.mesh)
            leaves, noise = as_leaves(weights, self.like), jax.random.fold_in(key, n)
            loss, gradient = jax.value_and_grad(self.mean_loss)(leaves, events, noise)
            direction, memory = self.optimiser.update(as_weights(gradient), memory, weights)
            return (weights - rate * direction, memory), loss

        losses: Float[Array, " batch"]
        (weights, memory), losses = jax.lax.scan(step, (weights, memory), (numbers, order, rates))
        # the same noise after every epoch: validation losses differ by what was learned
        validation_loss = self.mean_loss(as_leaves(weights, self.like), self.validation, jax.random.key(0))
        rate = jnp.asarray(self.schedule((number + 1) * len(order)))
        return weights, memory, jnp.stack([jnp.mean(losses), validation_loss, rate])


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
    trainer, state = _started(model, task, events, spec, seed)
    identity = identity_of((model, events), f"{identity}/{seed}/{spec.model_dump_json(exclude={'checkpoint_every'})}")
    state, history = load_checkpoint(checkpoint, state, identity) or (state, {name: [] for name in HISTORY.names})
    with (
        deferred_signals() if checkpoint else contextlib.nullcontext(Interruption()) as interruption,
        tqdm(total=spec.n_epochs, initial=len(history["epoch"]), unit="epoch", mininterval=1, desc="training") as bar,
    ):
        while not is_over(history, spec):
            state = advance(trainer, state, history, spec, seed)
            bar.set_postfix(train=history["train_loss"][-1], validation=history["validation_loss"][-1], refresh=False)
            bar.update()
            told = interruption.name  # read once: a signal may come between the next two lines
            if checkpoint and (told or len(history["epoch"]) % spec.checkpoint_every == 0):
                save_checkpoint(checkpoint, state, identity, history)
            if told and not is_over(history, spec):
                raise _interrupted(told, checkpoint, history, spec)
    start, fixed = eqx.partition(model, trainable(model))
    return eqx.combine(jax.device_put(as_leaves(np.asarray(state.best), start)), fixed), history


def _started(
    model: AbstractModel, task: AbstractTask, events: Event, spec: TrainingSpec, seed: int
) -> tuple[Trainer, State]:
    """What trains the model, and its state before the first epoch."""
    mesh = mesh_of(spec.batch_size)
    trainer, leaves = prepared(model, task, events, spec, seed, mesh)
    weights = jax.device_put(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(leaves)]))
    memory = jax.jit(trainer.optimiser.init, compiler_options=ONCE_AND_SHORT)(weights)
    return replicated(trainer, mesh), State(weights, weights, memory)


def prepared(
    model: AbstractModel, task: AbstractTask, events: Event, spec: TrainingSpec, split_seed: int, mesh: Mesh | None
) -> tuple[Trainer, AbstractModel]:
    """What trains the model, and the leaves that it trains.

    Raises:
        TrainingError: if there are too few events for one batch.
    """
    read, read_events = model.encoded(events)
    both = split(read_events, spec.batch_size, spec.validation_fraction, split_seed)
    schedule, optimiser = optimiser_of(spec, len(both[0].weight) // spec.batch_size * spec.n_epochs)
    leaves, rest = eqx.partition(read, trainable(read))
    return Trainer(task, rest, jax.eval_shape(lambda: leaves), optimiser, schedule, *both, mesh), leaves


def advance(
    trainer: Trainer,
    state: State,
    history: History,
    spec: TrainingSpec,
    seed: int,
    rows: Int[np.ndarray, " event"] | None = None,
) -> State:
    """One epoch over `rows` (all), whose order and noise are folded from `seed` and its number.

    Its losses join the history.

    Raises:
        TrainingError: if a loss is not finite.
    """
    epoch = len(history["epoch"])
    batches = batches_of(np.arange(len(trainer.train.weight)) if rows is None else rows, spec.batch_size, seed, epoch)
    lowest = min(history["validation_loss"], default=np.inf)
    state = replicated(state, trainer.mesh)  # one that was loaded lies on one device
    now = jax.device_put(batches), jax.device_put(np.asarray(epoch)), jax.random.key(seed)
    weights, memory, found = trainer.epoch(state.weights, state.memory, *now)
    _record(history, np.asarray(found))
    is_best = spec.keep == "last" or history["validation_loss"][-1] < lowest
    return State(weights, weights if is_best else state.best, memory)


def _interrupted(told: str, checkpoint: Path | None, history: History, spec: TrainingSpec) -> InterruptionError:
    return InterruptionError(
        f"the training received {told} and stopped after epoch {len(history['epoch'])} of at most "
        f"{spec.n_epochs}. Its state is in {checkpoint}; run the same command again and it goes on from there, to the "
        "result of an uninterrupted training."
    )


@cache  # one object for equal specs: a second training of the same shape compiles nothing
def optimiser_of(spec: TrainingSpec, n_steps: int) -> tuple[optax.Schedule, optax.GradientTransformation]:
    """Learning rate by step, and the optimiser with it."""
    n_warmup, last = round(spec.warmup_fraction * n_steps), 0.01 * spec.learning_rate
    schedule = optax.warmup_cosine_decay_schedule(0.0, spec.learning_rate, n_warmup, n_steps, last)
    optimiser = optax.chain(
        optax.clip_by_global_norm(spec.max_gradient_norm),
        optax.scale_by_adam(),
        optax.add_decayed_weights(spec.weight_decay),
    )
    return schedule, optimiser


def is_over(history: History, spec: TrainingSpec) -> bool:
    """Whether all epochs are done, or the validation loss has not fallen for too long."""
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
