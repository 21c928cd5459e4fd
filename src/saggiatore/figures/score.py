"""What a network or a formula says of the score, against the truth that it never saw."""

from dataclasses import dataclass
from typing import Literal

import hist
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from pydantic import Field

from saggiatore.figures.base import AbstractFigure, Inputs, profile, score_range, values_of
from saggiatore.figures.style import DENSITY, FORMULA, TRUTH, axis_label, new_figure, readable
from saggiatore.spec import Label, ScoresLabel, Spec

_FAINTEST = 1e-6  # of the fullest bin, what still gets a colour of its own


class ScoreFigureSpec(Spec):
    """Learned against joint score; `of` is the name of a score in the table."""

    kind: Literal["score"] = "score"
    scores: ScoresLabel
    of: Label
    n_bins: int = Field(80, ge=4, le=400, description="bins of each axis")

    def build(self) -> "ScoreFigure":
        return ScoreFigure(self.of, self.n_bins)


@dataclass(frozen=True)
class ScoreFigure(AbstractFigure):
    r"""Joint score t against learned score s. A perfect s is the mean of t at each s: $E[t|s] = s$, the diagonal."""

    of: str
    n_bins: int

    def draw(self, inputs: Inputs) -> Figure:
        table = inputs.tables["scores"]
        learned, joint = values_of(table, f"score_{self.of}"), values_of(table, "joint_score")
        weights = values_of(table, "weight")
        low, high = score_range(np.concatenate([learned, joint]), np.concatenate([weights, weights]))
        figure = new_figure(5.8, 4.8)
        axes = figure.subplots()
        density(axes, learned, joint, weights, (low, high), self.n_bins)
        axes.axline((0, 0), slope=1, color=TRUTH, lw=0.8, ls="--", label="$t = s$")
        found = profile(learned, joint, weights, hist.axis.Regular(max(self.n_bins // 4, 1), low, high))
        axes.errorbar(found.centre, found.mean, found.error, fmt="o", ms=3.5, color=FORMULA, lw=1, label="mean of $t$")
        for side in (-1, 1):
            edge = found.mean + side * found.spread
            axes.plot(
                found.centre, edge, color=FORMULA, lw=0.9, ls=":", label="mean ± spread of $t$" if side > 0 else None
            )
        axes.set_xlabel(f"score of {readable(self.of)}")
        axes.set_ylabel(axis_label(table.column("joint_score")))
        axes.legend(loc="upper left")
        return figure

    def caption(self) -> str:
        return (
            f"Joint score of the test events against the score of {self.of}. Points: mean of the joint score in bins "
            "of the learned one; they lie on the diagonal where the learned score is calibrated. The spread about "
            "them is what the observables cannot tell."
        )


def density(
    axes: Axes, across: np.ndarray, up: np.ndarray, weights: np.ndarray, span: tuple[float, float], n_bins: int
) -> None:
    """Colour map, logarithmic, of events in the plane of two quantities that share the range `span`."""
    histogram = hist.Hist(
        hist.axis.Regular(n_bins, *span), hist.axis.Regular(n_bins, *span), storage=hist.storage.Double()
    )
    histogram.fill(across, up, weight=weights / weights.sum())
    share = np.ma.masked_less_equal(histogram.values().T, 0)  # negative weights may prevail in a bin
    edges = histogram.axes[0].edges
    # weighted events go far beyond what an experiment sees; their colours would leave none for the bulk
    norm = LogNorm(max(float(share.min()), _FAINTEST * float(share.max())), float(share.max()), clip=False)
    mesh = axes.pcolormesh(edges, edges, share, norm=norm, cmap=DENSITY, rasterized=True)
    bar = axes.figure.colorbar(mesh, ax=axes, label="fraction of events in the bin", pad=0.01)
    bar.ax.tick_params(which="both", direction="in")
    axes.set_xlim(*span)
    axes.set_ylim(*span)
