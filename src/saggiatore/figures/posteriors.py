"""Posteriors of one network side by side: what each method says about the score, and whether that is true."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.figures.base import AbstractFigure, Inputs, values_of
from saggiatore.figures.style import FORMULA, NETWORK, OTHER, TRUTH, Style, axis_label, new_figure, readable
from saggiatore.spec import CalibrationLabel, ObservableName, PullsLabel, Spec
from saggiatore.tables import Table

_COLOURS = (NETWORK, FORMULA, *OTHER)
_N_BINS = 24  # equally filled, in the feature


class PosteriorsFigureSpec(Spec):
    """Several posteriors, by their pulls and calibrations in the same order; the events carry the exact score."""

    kind: Literal["posteriors"] = "posteriors"
    pulls: tuple[PullsLabel, ...] = Field(min_length=1, max_length=len(_COLOURS))
    calibrations: tuple[CalibrationLabel, ...] = Field(min_length=1, max_length=len(_COLOURS))
    feature: ObservableName = Field(description="along which the score is shown")

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            "pulls == calibrations",
            "pulls and calibrations name different sections; name the same ones in the same order.",
        ),
    )

    def build(self) -> "PosteriorsFigure":
        return PosteriorsFigure(self.pulls, self.feature)


@dataclass(frozen=True)
class PosteriorsFigure(AbstractFigure):
    """Left: mean minus exact score. Middle: the two parts of the error. Right: coverage of the statistical part."""

    labels: tuple[str, ...]
    feature: str

    def draw(self, inputs: Inputs) -> Figure:
        figure = new_figure(12.6, 4.3)
        left, middle, right = figure.subplots(1, 3)
        for place, label in enumerate(self.labels):
            pulls, calibration = inputs.tables[f"pulls.{place}"], inputs.tables[f"calibrations.{place}"]
            style: Style = {"color": _COLOURS[place], "label": readable(label)}
            self._score(left, pulls, style)
            self._errors(middle, pulls, style)
            rows = calibration.data
            right.plot(rows["level"], rows["coverage_stat"], marker="o", ms=4, **style)
        column = inputs.tables["pulls.0"].column(self.feature)
        left.axhline(0, color=TRUTH, lw=1, ls="--")
        left.set_ylabel(r"$\hat t - t^*$")
        middle.set_yscale("log")
        middle.set_ylabel(r"$\sigma_{\rm stat}$ (lines),  $\sigma_{\rm noise}$ (dotted)")
        for axes in (left, middle):
            axes.set_xlabel(axis_label(column))
        right.axline((0, 0), slope=1, color=TRUTH, lw=1, ls="--")
        right.set_xlim(0, 1.04)
        right.set_ylim(0, 1.04)
        right.set_xlabel("credible level of the statistical part")
        right.set_ylabel("fraction of exact scores inside")
        handles, names = left.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=len(names))
        return figure

    def _score(self, axes: Axes, table: Table, style: Style) -> None:
        x, gap, spread = (self._binned(table, values) for values in (self._x(table), _gap(table), _stat(table) ** 2))
        error = np.sqrt(spread)
        axes.plot(x, gap, **style)
        axes.fill_between(x, gap - error, gap + error, color=style["color"], alpha=0.15, lw=0)

    def _errors(self, axes: Axes, table: Table, style: Style) -> None:
        x = self._binned(table, self._x(table))
        axes.plot(x, np.sqrt(self._binned(table, _stat(table) ** 2)), **style)
        noise = np.sqrt(self._binned(table, values_of(table, "std_noise") ** 2))
        axes.plot(x, noise, color=style["color"], ls=":")

    def _x(self, table: Table) -> np.ndarray:
        return values_of(table, self.feature)

    def _binned(self, table: Table, values: np.ndarray) -> np.ndarray:
        """Means in bins of the feature that hold equally many events."""
        return np.array([part.mean() for part in np.array_split(values[np.argsort(self._x(table))], _N_BINS)])

    def caption(self) -> str:
        widths = ", ".join(f"{readable(label)} {{pull_width.{label}}}" for label in self.labels)
        stat = ", ".join(f"{readable(label)} {{pull_stat_width.{label}}}" for label in self.labels)
        return (
            "Posteriors of one network from the same events. Left: posterior mean minus the exact score, with one "
            "standard deviation of the statistical part. Middle: that standard deviation, and the one of the joint "
            "score at fixed features. Right: fraction of the exact scores within the central interval of a stated "
            f"level of the statistical part, in this one training. Widths of the pulls of held-out events: {widths}. "
            f"Root mean square of mean minus exact score over that of the statistical part: {stat}."
        )


def _gap(table: Table) -> np.ndarray:
    return values_of(table, "mean") - values_of(table, "marginal_score")


def _stat(table: Table) -> np.ndarray:
    return values_of(table, "std_stat")
