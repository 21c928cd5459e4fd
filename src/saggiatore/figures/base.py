"""What a figure is: opened artefacts in, a matplotlib Figure out; and how it becomes the same bytes every time."""

import abc
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import hist
import numpy as np
from matplotlib.figure import Figure

from saggiatore.errors import SchemaError
from saggiatore.files import atomic
from saggiatore.tables import Column, Table


@dataclass(frozen=True)
class Inputs:
    """What a figure's spec names: field -> table, and field -> JSON document for what is no table."""

    tables: Mapping[str, Table]
    documents: Mapping[str, dict]


class AbstractFigure(abc.ABC):
    """A figure. Its numbers come from tables: it bins, and computes nothing else."""

    @abc.abstractmethod
    def draw(self, inputs: Inputs) -> Figure:
        """Draw the figure; called inside `style()`."""

    @abc.abstractmethod
    def caption(self) -> str:
        """What is shown. ``{information.network}`` stands for that entry of numbers.json: no number is typed."""


def central_range(values: np.ndarray, weights: np.ndarray, tail: float = 0.005) -> tuple[float, float]:
    """Range of an axis: everything, except that a long tail is cut where `tail` of the weight lies beyond."""
    low, high = float(values.min()), float(values.max())
    inner_low, inner_high = _quantiles(values, weights, (tail, 1 - tail))
    margin = 0.05 * (inner_high - inner_low)
    low = low if inner_low - low < margin else inner_low
    high = high if high - inner_high < margin else inner_high
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def score_range(values: np.ndarray, weights: np.ndarray, tail: float = 0.002) -> tuple[float, float]:
    """Range symmetric about zero that leaves `tail` of the weight out."""
    (edge,) = _quantiles(np.abs(values), weights, (1 - tail,))
    return (-edge, edge) if edge > 0 else (-1.0, 1.0)


def _quantiles(values: np.ndarray, weights: np.ndarray, levels: tuple[float, ...]) -> list[float]:
    sizes = np.abs(weights)  # where events lie, whatever their sign
    return np.quantile(values, levels, weights=sizes, method="inverted_cdf").tolist()


@dataclass(frozen=True)
class Profile:
    """What a quantity does in the bins of another: arrays of shape (bin,), only bins that hold events."""

    centre: np.ndarray
    mean: np.ndarray
    error: np.ndarray  # of the mean
    spread: np.ndarray  # standard deviation within the bin


def sums(values: np.ndarray, weights: np.ndarray, axis: hist.axis.Regular) -> tuple[np.ndarray, np.ndarray]:
    """Sum of weights and the error of that sum in each bin, both of shape (bin,)."""
    histogram = hist.Hist(axis, storage=hist.storage.Weight())
    histogram.fill(values, weight=weights)
    return histogram.values(), np.sqrt(histogram.variances())


def profile(values: np.ndarray, targets: np.ndarray, weights: np.ndarray, axis: hist.axis.Regular) -> Profile:
    """Mean and spread of `targets` in each bin of `values` in which ten events' worth of weight lies."""
    histogram = hist.Hist(axis, storage=hist.storage.WeightedMean())
    histogram.fill(values, weight=weights, sample=targets)
    bins = histogram.view()
    size = np.divide(
        bins.sum_of_weights**2,
        bins.sum_of_weights_squared,
        out=np.zeros(len(bins)),
        where=bins.sum_of_weights_squared > 0,
    )
    # negative weights may leave a bin without a mean, or with a variance below zero
    filled = (size >= 10) & (bins.sum_of_weights > 0) & (bins.variance >= 0)
    spread = np.sqrt(bins.variance[filled])
    return Profile(axis.centers[filled], bins.value[filled], spread / np.sqrt(size[filled]), spread)


def feature_columns(scores: Table, names: tuple[str, ...] = ()) -> list[Column]:
    """The columns of a scores table that are observables: those of `names`, or all where it is empty.

    Raises:
        SchemaError: if the table has no such column.
    """
    if names:
        return [scores.column(name) for name in names]
    return [
        column
        for column in scores.schema.columns
        if column.name not in ("weight", "joint_score") and not column.name.startswith(("score_", "spread_"))
    ]


def values_of(table: Table, name: str) -> np.ndarray:
    """One column as an array of shape (row,).

    Raises:
        SchemaError: if the table has no such column, listing what it has.
    """
    return table.data[table.column(name).name].to_numpy(dtype=float)


def read_document(path: Path) -> dict:
    """A JSON artefact, such as a formula.

    Raises:
        SchemaError: if it is missing or no JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SchemaError(f"{path}: no readable JSON ({error}). Re-run the rule that makes it.") from None


def save(figure: Figure, pdf: Path, png: Path, *, title: str, caption: str, provenance: Mapping) -> None:
    """Write both files atomically; no clock in either, so that a second run gives the same bytes."""
    origin = json.dumps(dict(provenance), sort_keys=True)
    information = {
        "Title": title,
        "Subject": caption,
        "Keywords": origin,
        "Creator": "saggiatore",
        "CreationDate": None,
        "ModDate": None,
    }
    figure.draw_without_rendering()
    figure.set_layout_engine(None)  # laid out once: the same places in both files, and half the time
    text = {"Title": title, "Description": caption, "Source": origin, "Software": "saggiatore"}
    drawn = io.BytesIO()  # on a full disk the PDF writer fails once more, in zlib, and hides why
    figure.savefig(drawn, format="pdf", metadata=information)
    with atomic(pdf) as temporary:
        temporary.write_bytes(drawn.getvalue())
    with atomic(png) as temporary:
        figure.savefig(temporary, format="png", metadata=text)
