"""What posteriors of densities say about the score: its error event by event, and whether that is true."""

from dataclasses import dataclass
from typing import Literal

import hist
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import Field
from scipy.special import erf

from saggiatore.figures.base import AbstractFigure, Inputs, profile, score_range, values_of
from saggiatore.figures.style import FORMULA, NETWORK, OTHER, TRUTH, Style, new_figure, readable
from saggiatore.spec import Label, ScoresLabel, Spec
from saggiatore.tables import Table

_COLOURS = (NETWORK, FORMULA, *OTHER)
_N_BINS = 20  # of the reference
_SPREADS = np.linspace(0, 3, 31)  # how many of them are held against a normal distribution


class ScorePosteriorsFigureSpec(Spec):
    """Scores of posteriors against one that they should agree with: the exact one, or a network's."""

    kind: Literal["score_posteriors"] = "score_posteriors"
    scores: ScoresLabel
    of: tuple[Label, ...] = Field(min_length=1, max_length=len(_COLOURS), description="posteriors of that section")
    reference: Label = Field("exact", description="name of the score that they are held against")

    def build(self) -> "ScorePosteriorsFigure":
        return ScorePosteriorsFigure(self.of, self.reference)


@dataclass(frozen=True)
class ScorePosteriorsFigure(AbstractFigure):
    """Left: mean minus reference with the spread. Middle: spread and distance. Right: how often the spread holds."""

    labels: tuple[str, ...]
    reference: str

    def draw(self, inputs: Inputs) -> Figure:
        table = inputs.tables["scores"]
        figure = new_figure(12.6, 4.5)
        left, middle, right = figure.subplots(1, 3)
        for label, colour in zip(self.labels, _COLOURS, strict=False):
            style: Style = {"color": colour, "label": readable(label)}
            self._gaps(left, table, label, style)
            self._sizes(middle, table, label, style)
            self._shares(right, table, label, style)
        name = readable(self.reference)
        left.axhline(0, color=TRUTH, lw=1, ls="--")
        left.set_xlabel(f"{name} score $r$")
        left.set_ylabel(r"mean over draws $\hat t - r$, and spread")
        middle.set_yscale("log")
        middle.set_xlabel(f"size of the {name} score $|r|$")
        middle.set_ylabel(r"spread (lines),  $|\hat t - r|$ (dotted)")
        right.plot(erf(_SPREADS / 2**0.5), erf(_SPREADS / 2**0.5), color=TRUTH, lw=1, ls="--")
        right.set_xlim(0, 1)
        right.set_ylim(0, 1)
        right.set_xlabel("probability of so many spreads, normal")
        right.set_ylabel(r"fraction of events with $r$ inside")
        handles, names = left.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=len(names))
        return figure

    def _gaps(self, axes: Axes, table: Table, label: str, style: Style) -> None:
        reference, gap, spread, weights = self._of(table, label)
        bins = hist.axis.Regular(_N_BINS, *score_range(reference, weights))
        mean, size = (profile(reference, each, weights, bins) for each in (gap, spread**2))
        error = np.sqrt(size.mean)
        axes.plot(mean.centre, mean.mean, **style)
        axes.fill_between(mean.centre, mean.mean - error, mean.mean + error, color=style["color"], alpha=0.15, lw=0)

    def _sizes(self, axes: Axes, table: Table, label: str, style: Style) -> None:
        reference, gap, spread, weights = self._of(table, label)
        bins = hist.axis.Regular(_N_BINS // 2, 0, score_range(reference, weights)[1])
        for each, line in ((spread, "-"), (gap, ":")):
            found = profile(np.abs(reference), each**2, weights, bins)
            axes.plot(found.centre, np.sqrt(found.mean), ls=line, color=style["color"])

    def _shares(self, axes: Axes, table: Table, label: str, style: Style) -> None:
        _, gap, spread, weights = self._of(table, label)
        inside = [weights[np.abs(gap) < n * spread].sum() / weights.sum() for n in _SPREADS]
        axes.plot(erf(_SPREADS / 2**0.5), inside, **style)

    def _of(self, table: Table, label: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Reference, mean over draws minus reference, spread and weight of the events."""
        name = "joint_score" if self.reference == "joint_score" else f"score_{self.reference}"
        reference = values_of(table, name)
        gap = values_of(table, f"score_{label}") - reference
        return reference, gap, values_of(table, f"spread_{label}"), values_of(table, "weight")

    def caption(self) -> str:
        return (
            "Scores of posteriors of densities. Left: mean over the draws minus the "
            f"{readable(self.reference)} score, in bins of that score, with the standard deviation over draws. Middle: "
            "root mean squares of that standard deviation and of the distance. Right: fraction of the events whose "
            f"{readable(self.reference)} score lies within so many standard deviations of the mean over draws, against "
            "what they would hold of a normal distribution: the diagonal is a posterior of many draws, its error true."
        )
