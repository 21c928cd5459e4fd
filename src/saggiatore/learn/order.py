"""Which events a training sees, and in which order. Shuffled by NumPy: jax's sort takes seconds to compile."""

from typing import NamedTuple

import jax
import numpy as np

from saggiatore.errors import TrainingError
from saggiatore.models.base import Event
from saggiatore.types import Int


def split(events: Event, batch_size: int, validation_fraction: float, seed: int) -> tuple[Event, Event]:
    """Events of the training and of the validation.

    Raises:
        TrainingError: if there are too few for one batch.
    """
    n_events = len(events.weight)
    n_validation = max(1, round(validation_fraction * n_events))
    if n_events - n_validation < batch_size:
        raise TrainingError(
            f"{n_events} events, {n_validation} of them for validation, do not fill one batch of {batch_size}; "
            "take a smaller batch_size or more events."
        )
    order = np.random.default_rng((seed, 0)).permutation(n_events)
    return _take(events, order[n_validation:]), _take(events, order[:n_validation])


def _take(events: Event, rows: Int[np.ndarray, " row"]) -> Event:
    chosen: Event = jax.tree.map(lambda column: jax.device_put(np.asarray(column)[rows]), events)
    return chosen


def batches_of(
    rows: Int[np.ndarray, " event"], batch_size: int, seed: int, epoch: int
) -> Int[np.ndarray, "batch event"]:
    """`rows` in the order of an epoch, but for those that do not fill a batch."""
    order = np.random.default_rng((seed, 1, epoch)).permutation(rows)
    return order[: len(order) // batch_size * batch_size].reshape(-1, batch_size)


class Sample(NamedTuple):
    """Events of one training, by their rows in a table."""

    rows: Int[np.ndarray, " event"]
    held_out: Int[np.ndarray, " validation"]


def bootstrapped(n_events: int, n_validation: int, number: int, start: int = 0) -> Sample:
    """As many events drawn with replacement as there are, and for validation some of those that were not drawn.

    These are a third; each is there more than once should more be asked for. What is drawn hangs on `number` alone, not
    on the seed of a training: sample i of one regression is that of another one, so that the covariance between both,
    by what their targets have in common, is in repeated trainings (Efron, Ann. Stat. 7 (1979) 1, resampling of pairs).
    Which events validate hangs on `start` too: those that all trainings share would move all alike.
    """
    rows = np.random.default_rng((2, number)).integers(0, n_events, n_events)
    left_out = np.flatnonzero(np.bincount(rows, minlength=n_events) == 0)
    return Sample(rows, np.resize(np.random.default_rng((2, number, start)).permutation(left_out), n_validation))
