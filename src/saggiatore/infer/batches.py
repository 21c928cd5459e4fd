"""Events as a regression of the score sees them: features, joint score, weight; read batch by batch."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from saggiatore.errors import StudyError
from saggiatore.registry import load
from saggiatore.tables import Column, iterate_table
from saggiatore.tasks.base import AbstractTask
from saggiatore.tasks.columns import joint_score_column
from saggiatore.types import Float

WEIGHT = Column("weight", "pb", "Monte Carlo weight")


class Batch(NamedTuple):
    """Some events: features in the order of the model, joint score, Monte Carlo weight (pb)."""

    features: Float[np.ndarray, "event feature"]
    score: Float[np.ndarray, " event"]
    weight: Float[np.ndarray, " event"]


def score_batches(path: Path, features: Sequence[Column], parameter: str, rows: int = 4096) -> Iterator[Batch]:
    """Batches of the events at `path`, with a progress bar.

    Raises:
        SchemaError: if a feature is missing or in another unit, or the joint score of `parameter` is missing.
    """
    return target_batches(path, features, joint_score_column(parameter), rows)


def target_batches(path: Path, features: Sequence[Column], target: Column, rows: int = 4096) -> Iterator[Batch]:
    """The same with `target`, what a regression learned, in the place of the joint score."""
    names = [feature.name for feature in features]
    tables = iterate_table(path, "events", rows, require=(*features, target, WEIGHT))
    for data in tqdm(tables, f"events {path}", unit="batch", mininterval=1):
        yield Batch(data[names].to_numpy(float), data[target.name].to_numpy(), data[WEIGHT.name].to_numpy())


def require_positive(batches: Iterator[Batch], path: Path) -> Iterator[Batch]:
    """The `batches` of the events at `path`, if no weight is negative: likelihoods and quantiles need that.

    Raises:
        StudyError: if one is.
    """
    for batch in batches:
        n_negative = int((batch.weight < 0).sum())
        if n_negative:
            raise StudyError(
                f"{path}: at least {n_negative} events have negative weights. A posterior and the coverage "
                "of its intervals need weights that are none: give draws other events, or use the model without draws."
            )
        yield batch


def padded(batch: Batch) -> Batch:
    """The batch with its last event repeated, at weight zero, up to a power of two: few shapes, few compilations."""
    n_events = len(batch.score)
    n_more = (1 << (n_events - 1).bit_length()) - n_events
    more = Batch(*(np.repeat(column[-1:], n_more, axis=0) for column in batch))
    return Batch(*map(np.concatenate, zip(batch, more._replace(weight=np.zeros(n_more)), strict=True)))


def model_features(header: Mapping) -> tuple[Column, ...]:
    """The features of a saved model, by its header."""
    return tuple(Column(f["name"], f["unit"], "feature of the model", f["label"]) for f in header["features"])


def learned_column(header: Mapping) -> Column:
    """The column of event tables that a saved regression learned: a joint score, or the logarithm of an amplitude.

    Raises:
        StudyError: if its task has none, or several.
    """
    targets = learned_task(header).targets()
    if len(targets) != 1:
        raise StudyError(
            f"a posterior needs a network that learned one quantity, the task {header['task']['kind']} has "
            f"{', '.join(column.name for column in targets) or 'none'}; choose a regression."
        )
    return targets[0]


def learned_task(header: Mapping) -> AbstractTask:
    """The task that a saved model learned, by its header."""
    context = tuple(column["name"] for column in header["context"])
    task: AbstractTask = load("task", header["task"]["kind"]).model_validate(header["task"]).build(context)
    return task


def model_context(header: Mapping) -> tuple[Column, ...]:
    """The columns of a saved model's context, by its header."""
    return tuple(Column(c["column"], c["unit"], "what the model is told", c["label"]) for c in header["context"])


def feature_names(header: Mapping) -> list[str]:
    """The names of a saved model's features, by its header."""
    return [feature.name for feature in model_features(header)]


def parameter_position(header: Mapping, parameter: str | None) -> int:
    """Where the score of `parameter` stands in a saved model; None means the only one.

    Raises:
        StudyError: if the model has no such parameter, or several to choose from.
    """
    names = list(header["parameters"])
    if parameter is None and len(names) == 1:
        return 0
    if parameter not in names:
        raise StudyError(f"parameter: got {parameter!r}, expected one that the model learned: {', '.join(names)}.")
    return names.index(parameter)
