"""Whether stated errors are true: pulls against the unit normal, and coverage at every level."""

from dataclasses import dataclass
from typing import Literal

import hist
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saggiatore.figures.base import AbstractFigure, Inputs, sums
from saggiatore.figures.style import FORMULA, NETWORK, TRUTH, Style, axis_label, headroom, new_figure
from saggiatore.spec import CalibrationLabel, PullsLabel, Spec
from saggiatore.tables import Table


class PullsFigureSpec(Spec):
    """Pulls and coverage of one posterior."""

    kind: Literal["pulls"] = "pulls"
    pulls: PullsLabel
    calibration: CalibrationLabel

    def build(self) -> "PullsFigure":
        return PullsFigure(self.pulls)


@dataclass(frozen=True)
class PullsFigure(AbstractFigure):
    """Left: pulls of held-out events and N(0, 1). Right: the fraction of truths inside each credible interval."""

    pulls: str

    def draw(self, inputs: Inputs) -> Figure:
        figure = new_figure(9.2, 4.2)
        left, right = figure.subplots(1, 2)
        self._pulls(left, inputs.tables["pulls"])
        self._coverage(right, inputs.tables["calibration"])
        return figure

    def _pulls(self, axes: Axes, table: Table) -> None:
        pulls = table.data["pull"].to_numpy()
        axis = hist.axis.Regular(50, -5, 5)
        weights = table.data["weight"].to_numpy()
        counts, error = sums(pulls, weights, axis)
        per_event = 1 / (weights.sum() * axis.widths)
        axes.stairs(counts * per_event, axis.edges, color=NETWORK, fill=True, alpha=0.25)
        marks: Style = {"fmt": ".", "ms": 3, "lw": 0.8, "color": NETWORK, "label": "held-out events"}
        axes.errorbar(axis.centers, counts * per_event, error * per_event, **marks)
        grid = np.linspace(-5, 5, 301)
        axes.plot(grid, np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi), color=TRUTH, lw=1, ls="--", label=r"$N(0,1)$")
        axes.set_xlim(-5, 5)
        axes.set_ylim(0, None)
        headroom(axes, 0.2)
        axes.set_xlabel(axis_label(table.column("pull")))
        axes.set_ylabel("probability density")
        axes.legend(loc="upper right")

    def _coverage(self, axes: Axes, table: Table) -> None:
        axes.axline((0, 0), slope=1, color=TRUTH, lw=1, ls="--", label="exact")
        rows = table.data
        normal: Style = {
            "fmt": "s",
            "ms": 5,
            "mfc": "none",
            "color": NETWORK,
            "lw": 1,
            "label": "normal quantiles",
        }
        axes.errorbar(rows["level"], rows["coverage_normal"], rows["coverage_normal_error"], **normal)
        calibrated: Style = {"fmt": "o", "ms": 4, "color": FORMULA, "lw": 1, "label": "calibrated in training"}
        axes.errorbar(rows["level"], rows["coverage"], rows["coverage_error"], **calibrated)
        axes.set_xlim(0, 1.04)  # the last level is near to 1, its marker whole
        axes.set_ylim(0, 1.04)
        axes.set_xlabel(axis_label(table.column("level")))
        axes.set_ylabel("fraction of truths inside")
        axes.legend(loc="upper left")

    def caption(self) -> str:
        label = self.pulls
        return (
            f"Calibration of the posterior {label} on events that it was not fitted to. Left: pulls; their standard "
            f"deviation is {{pull_width.{label}}}. Right: fraction of truths inside the central interval of a stated "
            f"level, with the normal distribution's quantiles and with those that the training events calibrate; at "
            f"68 % the latter is {{coverage.{label}.68}}."
        )
