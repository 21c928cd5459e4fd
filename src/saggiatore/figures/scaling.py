"""How both parts of a posterior's error fall as the training set grows."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from pydantic import Field

from saggiatore.figures.base import AbstractFigure, Inputs
from saggiatore.figures.style import FORMULA, NETWORK, OTHER, TRUTH, axis_label, new_figure, readable
from saggiatore.spec import CalibrationLabel, Spec
from saggiatore.tables import Table

_SERIES = (
    ("sharpness_stat", "o", NETWORK, r"$\sigma_{\rm stat}$, the statistical part"),
    ("sharpness_noise", "s", FORMULA, r"$\sigma_{\rm noise}$, the systematic part"),
    ("score_error", "^", OTHER[0], "mean minus exact score"),  # where the events carry that
)
_MARGIN = 1.5  # of the axes about the points


class ScalingFigureSpec(Spec):
    """One network and method, trained on events of different number."""

    kind: Literal["scaling"] = "scaling"
    calibrations: tuple[CalibrationLabel, ...] = Field(min_length=2, description="posteriors, in any order")

    def build(self) -> "ScalingFigure":
        return ScalingFigure(self.calibrations)


@dataclass(frozen=True)
class ScalingFigure(AbstractFigure):
    """Root mean squares over events, against the number of training events, with the two expected lines."""

    labels: tuple[str, ...]

    def draw(self, inputs: Inputs) -> Figure:
        tables = [inputs.tables[f"calibrations.{place}"] for place in range(len(self.labels))]
        tables.sort(key=lambda table: _of(table, "n_train"))
        n_train = np.array([_of(table, "n_train") for table in tables])
        figure = new_figure(6.2, 5.0)
        axes = figure.subplots()
        for name, marker, colour, label in _SERIES:
            if all(name in table.schema.names for table in tables):
                values = [_of(table, name) for table in tables]
                axes.plot(n_train, values, marker=marker, ms=6, lw=0, color=colour, label=label)
        stat, noise = (_of(tables[0], name) for name in ("sharpness_stat", "sharpness_noise"))
        axes.plot(n_train, stat * np.sqrt(n_train[0] / n_train), color=TRUTH, lw=1, ls="--", label=r"$1/\sqrt{N}$")
        axes.axhline(noise, color=TRUTH, lw=1, ls=":", label="constant")
        _axes(axes, tables[0], n_train)
        figure.legend(loc="outside upper center", ncols=2)
        return figure

    def caption(self) -> str:
        parts = (
            f"{readable(label)} {{sharpness_stat.{label}}} and {{sharpness_noise.{label}}}" for label in self.labels
        )
        return (
            "Both parts of the error that posteriors state, as root mean squares over held-out events, against the "
            "number of training events; lines start at the fewest events: 1/√N for the spread over the posterior "
            "(statistical), constant for the standard deviation of the joint score at fixed features (systematic). "
            f"Both numbers: {'; '.join(parts)}. Where the events carry the exact score, triangles are the root mean "
            "square of the posterior's mean minus that, of these trainings."
        )


def _of(table: Table, name: str) -> float:
    """A number that is the same in each row."""
    return float(table.data[table.column(name).name].iloc[0])


def _axes(axes: Axes, table: Table, n_train: np.ndarray) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(n_train[0] / _MARGIN, n_train[-1] * _MARGIN)
    low, high = axes.get_ylim()
    axes.set_ylim(low / _MARGIN, high * _MARGIN)
    numbers = np.unique(n_train.round())
    axes.set_xticks(numbers, [f"{n:.0f}" for n in numbers])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(LogLocator())
    axes.set_xlabel(axis_label(table.column("n_train")))
    axes.set_ylabel("root mean square over events")
