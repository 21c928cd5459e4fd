"""Whether the stated uncertainty of learned densities is their distance from the truth: pulls of bins, of many sets."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import Field

from saggiatore.figures.base import AbstractFigure, Inputs
from saggiatore.figures.style import NETWORK, TRUTH, axis_label, headroom, new_figure, readable
from saggiatore.spec import PredictiveLabel, Spec

_REACH, _N_BINS = 5.0, 25  # of the histogram
_GOOD = (0.8, 1.25)  # root mean squares of pulls that are as wide as one


class DensityPullsFigureSpec(Spec):
    """Pulls of the well-populated bins of several posteriors, each of a training on events of its own."""

    kind: Literal["density_pulls"] = "density_pulls"
    predictive: tuple[PredictiveLabel, ...] = Field(min_length=1, max_length=50)

    def build(self) -> "DensityPullsFigure":
        return DensityPullsFigure(self.predictive)


@dataclass(frozen=True)
class DensityPullsFigure(AbstractFigure):
    """Left: pulls of all sets and N(0, 1). Right: the root mean square of each set, and of all."""

    labels: tuple[str, ...]

    def draw(self, inputs: Inputs) -> Figure:
        tables = [inputs.tables[f"predictive.{place}"] for place in range(len(self.labels))]
        pulls = [table.data["pull"][table.data["is_populated"] == 1].to_numpy() for table in tables]
        figure = new_figure(9.2, max(4.0, 1.6 + 0.3 * len(tables)))
        left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
        self._histogram(left, np.concatenate(pulls))
        left.set_xlabel(axis_label(tables[0].column("pull")))
        self._widths(right, pulls)
        return figure

    def _histogram(self, axes: Axes, pulls: np.ndarray) -> None:
        edges = np.linspace(-_REACH, _REACH, _N_BINS + 1)
        inside = np.clip(pulls, -_REACH, _REACH)  # what lies beyond counts in the outermost bins
        counts, _ = np.histogram(inside, edges)
        label = f"{len(pulls)} bins, rms {_rms(pulls):.2f}"
        density = counts / (counts.sum() * np.diff(edges))
        axes.stairs(density, edges, color=NETWORK, fill=True, alpha=0.35)
        axes.stairs(density, edges, color=NETWORK, label=label)
        grid = np.linspace(-_REACH, _REACH, 301)
        axes.plot(grid, np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi), color=TRUTH, lw=1, ls="--", label=r"$N(0,1)$")
        axes.set_xlim(-_REACH, _REACH)
        axes.set_ylim(0, None)
        headroom(axes, 0.2)
        axes.set_ylabel("probability density")
        axes.legend(loc="upper right")

    def _widths(self, axes: Axes, pulls: list[np.ndarray]) -> None:
        places = np.arange(len(pulls) + 1)[::-1]
        axes.axvspan(*_GOOD, color=TRUTH, alpha=0.12, lw=0)
        axes.axvline(1, color=TRUTH, lw=0.8, ls=":")
        axes.plot([_rms(each) for each in pulls], places[:-1], "o", ms=5, color=NETWORK, mfc="none")
        axes.plot(_rms(np.concatenate(pulls)), places[-1], "o", ms=6, color=NETWORK)
        axes.set_yticks(places, [*(readable(label) for label in self.labels), "all"])
        axes.tick_params(axis="y", which="both", left=False, right=False)
        axes.set_ylim(-0.6, len(pulls) + 0.6)
        axes.set_xlim(0, max(2.0, 1.1 * max(_rms(each) for each in pulls)))
        axes.set_xlabel("root mean square of the pulls")

    def caption(self) -> str:
        widths = ", ".join(f"{readable(label)} {{pull_rms.{label}}}" for label in self.labels)
        return (
            "Pulls of learned densities, (probability - truth) / error, in bins that expect enough events; each set "
            "learned from events of its own, and its bins fluctuate together. Left: all sets, and the normal "
            f"distribution. Right: root mean square of each set ({widths}) and of all; the band goes from 0.8 to 1.25."
        )


def _rms(pulls: np.ndarray) -> float:
    return float(np.sqrt(np.mean(pulls**2)))
