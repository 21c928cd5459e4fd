"""Which events a training sees, and in which order. Shuffled by NumPy: jax's sort takes seconds to compile."""

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


def bootstrap_rows(n_events: int, replica: int) -> Int[np.ndarray, " event"]:
    """Events drawn with replacement: by the number of the replica alone, not by the seed of a training.

    So replica i of one regression has seen the events that replica i of another one saw, and the covariance between
    both, by what their targets have in common, is in their draws (Efron, Ann. Stat. 7 (1979) 1, resampling of pairs).
    """
    return np.random.default_rng((2, replica)).integers(0, n_events, n_events)
