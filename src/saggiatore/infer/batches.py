"""Events as a regression of the score sees them: features, joint score, weight; read batch by batch."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from saggiatore.tables import Column, iterate_table
from saggiatore.types import Float


class Batch(NamedTuple):
    """Some events: features in the order of the model, joint score, Monte Carlo weight (pb)."""

    features: Float[np.ndarray, "event feature"]
    score: Float[np.ndarray, " event"]
    weight: Float[np.ndarray, " event"]


def joint_score_column(parameter: str) -> Column:
    """The column of a table [events] that holds the joint score of `parameter`."""
    return Column(f"joint_score_{parameter}", "1", "joint score at the event's own parameters")


def score_batches(path: Path, features: Sequence[Column], parameter: str, rows: int = 16384) -> Iterator[Batch]:
    """Batches of the events at `path`.

    Raises:
        SchemaError: if a feature is missing or in another unit, or the joint score of `parameter` is missing.
    """
    target = joint_score_column(parameter)
    weight = Column("weight", "pb", "Monte Carlo weight")
    names = [feature.name for feature in features]
    for data in iterate_table(path, "events", rows, require=(*features, target, weight)):
        yield Batch(data[names].to_numpy(float), data[target.name].to_numpy(), data["weight"].to_numpy())
