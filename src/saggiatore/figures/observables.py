"""Observables of the events: their distribution, and how it changes with the theory parameter."""

from dataclasses import dataclass
from typing import Literal

import hist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import Field

from saggiatore.figures.base import AbstractFigure, Inputs, central_range, feature_columns, sums, values_of
from saggiatore.figures.style import (
    FORMULA,
    NETWORK,
    OTHER,
    TRUTH,
    Style,
    angular_ticks,
    axis_label,
    new_figure,
    readable,
    unit_label,
)
from saggiatore.spec import Label, ObservableName, ScoresLabel, Spec
from saggiatore.tables import Column, Table

_COLOURS = (NETWORK, FORMULA, *OTHER)
_DASHES = ("-", "--", "-.", ":", "--", "-.")


class ObservablesFigureSpec(Spec):
    """Distributions of the observables; `of` names scores whose predicted variation is drawn against the truth."""

    kind: Literal["observables"] = "observables"
    scores: ScoresLabel
    of: tuple[Label, ...] = Field((), max_length=len(_COLOURS), description="scores to compare with the truth")
    features: tuple[ObservableName, ...] = Field(
        (), description="observables to draw; all if there are none", json_schema_extra={"uniqueItems": True}
    )
    n_bins: int = Field(40, ge=4, le=400, description="bins of each histogram")

    def build(self) -> "ObservablesFigure":
        return ObservablesFigure(self.of, self.features, self.n_bins)


@dataclass(frozen=True)
class ObservablesFigure(AbstractFigure):
    r"""Above $p(x)$, below $\partial_\theta p(x) = p(x)\,E[t|x]$ with the joint score t, for each observable x."""

    of: tuple[str, ...]
    features: tuple[str, ...]
    n_bins: int

    def draw(self, inputs: Inputs) -> Figure:
        table = inputs.tables["scores"]
        columns = feature_columns(table, self.features)
        n_across = min(len(columns), 4)
        n_down = -(-len(columns) // n_across)
        figure = new_figure(max(3.1 * n_across, 4.2), 0.3 + 3.9 * n_down)
        grid = figure.subplots(2 * n_down, n_across, squeeze=False, height_ratios=(3, 2) * n_down)
        for place, column in enumerate(columns):
            row, across = 2 * (place // n_across), place % n_across
            self._panel(grid[row, across], grid[row + 1, across], table, column)
        for axes in grid.flat:
            axes.set_axis_on() if axes.has_data() else axes.set_axis_off()
        figure.legend(*grid[1, 0].get_legend_handles_labels(), loc="outside upper right", ncols=4)
        return figure

    def _panel(self, upper: Axes, lower: Axes, table: Table, column: Column) -> None:
        values, weights = values_of(table, column.name), values_of(table, "weight")
        axis = hist.axis.Regular(self.n_bins, *central_range(values, weights))
        density = 1 / (weights.sum() * axis.widths)
        per = "" if column.unit == "1" else f" [{unit_label(column.unit)}$^{{-1}}$]"
        height, error = sums(values, weights, axis)
        upper.stairs(height * density, axis.edges, color=TRUTH, fill=True, alpha=0.15)
        upper.stairs(height * density, axis.edges, color=TRUTH)
        upper.errorbar(axis.centers, height * density, error * density, fmt="none", color=TRUTH, lw=0.8)
        upper.set_ylim(0, None)
        upper.set_ylabel(f"$p(x)${per}")
        slope, error = sums(values, weights * values_of(table, "joint_score"), axis)
        lower.axhline(0, color="0.7", lw=0.8)
        marks: Style = {"fmt": ".", "ms": 3, "lw": 0.8, "color": TRUTH, "label": r"events: $p(x)\,E[t\,|\,x]$"}
        lower.errorbar(axis.centers, slope * density, error * density, **marks)
        for name, colour, dashes in zip(self.of, _COLOURS, _DASHES, strict=False):
            slope, _ = sums(values, weights * values_of(table, f"score_{name}"), axis)
            lower.stairs(slope * density, axis.edges, baseline=None, color=colour, ls=dashes, label=readable(name))
        lower.set_ylabel(rf"$\partial_\theta\,p(x)${per}")
        lower.set_xlabel(axis_label(column))
        for axes in (upper, lower):
            axes.set_xlim(axis.edges[0], axis.edges[-1])
            angular_ticks(axes, column)
        upper.tick_params(labelbottom=False)

    def caption(self) -> str:
        drawn = (
            f" Lines: the same with the score of {' and '.join(self.of)} in place of the joint score."
            if self.of
            else ""
        )
        return (
            "Observables of the test events. Above: probability density at the reference point. Below: its derivative "
            "in the theory parameter, from the joint score of the events, with statistical errors." + drawn
        )
