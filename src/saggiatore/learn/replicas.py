"""The same training many times at once: one compiled epoch for all replicas, each with its own weights and order.

Replicas share the events, so that they are one program under `vmap`: it is compiled once, the events lie on the device
once, and the small matrix products of each layer become one batched product, which fills a GPU and costs a CPU fewer
calls. As separate jobs every replica would start Python and compile again.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from saggiatore.errors import TrainingError
from saggiatore.learn.loop import Trainer, TrainingSpec, optimiser_of, split
from saggiatore.learn.vector import as_leaves, as_weights
from saggiatore.models.base import AbstractModel, Event, trainable
from saggiatore.tasks.base import AbstractTask
from saggiatore.types import Float, Int


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

    `starts` holds their initial leaves, stacked; all else is `model`'s. Validation events are the same for all. With
    `is_bootstrapped` each replica learns from as many training events, drawn with replacement.

    Raises:
        TrainingError: if there are too few events for one batch, or a loss is not finite.
    """
    both = split(events, spec, seed)
    n_events, n_replicas = len(both[0].weight), len(jax.tree.leaves(starts)[0])
    schedule, optimiser = optimiser_of(spec, n_events // spec.batch_size * spec.n_epochs)
    leaves, rest = eqx.partition(model, trainable(model))
    trainer = Trainer(task, rest, jax.eval_shape(lambda: leaves), optimiser, schedule, *both)
    epoch = eqx.filter_jit(eqx.filter_vmap(Trainer.epoch, in_axes=(None, 0, 0, 0, None, 0)))
    weights = best = jax.vmap(as_weights)(starts)
    memory = jax.jit(jax.vmap(optimiser.init))(weights)
    rows = _rows(n_events, n_replicas, seed, is_bootstrapped)
    keys = jax.random.split(jax.random.key(seed), n_replicas)
    lowest, n_since_best = np.full(n_replicas, np.inf), np.zeros(n_replicas, int)
    for number in tqdm(range(spec.n_epochs), f"{n_replicas} trainings", unit="epoch", mininterval=1):
        is_learning = (n_since_best < spec.patience) | (spec.keep == "last")
        if not is_learning.any():
            break
        order = _order(rows, spec.batch_size, seed, number)
        weights, memory, found = epoch(trainer, weights, memory, order, jnp.asarray(number), keys)
        losses = _finite(np.asarray(found)[:, 1], number)
        is_better = is_learning & (losses < lowest)
        best = jnp.where((is_better | (spec.keep == "last"))[:, None], weights, best)
        lowest, n_since_best = np.where(is_better, losses, lowest), np.where(is_better, 0, n_since_best + 1)
    return as_leaves(best, leaves), lowest


def _rows(n_events: int, n_replicas: int, seed: int, is_bootstrapped: bool) -> Int[np.ndarray, "replica event"]:
    """The training events of each replica."""
    if is_bootstrapped:
        return np.random.default_rng((seed, 2)).integers(0, n_events, (n_replicas, n_events))
    return np.tile(np.arange(n_events), (n_replicas, 1))


def _order(
    rows: Int[np.ndarray, "replica event"], batch_size: int, seed: int, epoch: int
) -> Int[jax.Array, "replica batch event"]:
    """The rows of each replica in an order of its own."""
    random = np.random.default_rng((seed, 1, epoch))
    n_batches = rows.shape[1] // batch_size
    order = np.stack([random.permutation(row)[: n_batches * batch_size] for row in rows])
    return jnp.asarray(order.reshape(len(rows), n_batches, batch_size))


def _finite(losses: Float[np.ndarray, " replica"], epoch: int) -> Float[np.ndarray, " replica"]:
    if not np.isfinite(losses).all():
        raise TrainingError(
            f"epoch {epoch + 1}: validation losses of the replicas are {losses.tolist()}, expected finite numbers; "
            "lower learning_rate, or look for outliers in the features."
        )
    return losses
