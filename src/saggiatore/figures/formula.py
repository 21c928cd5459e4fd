"""A formula against the network that it was distilled from, across phase space."""

from dataclasses import dataclass
from typing import Literal

import hist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import Field

from saggiatore.figures.base import (
    AbstractFigure,
    Inputs,
    central_range,
    feature_columns,
    profile,
    score_range,
)
from saggiatore.figures.score import density
from saggiatore.figures.style import FORMULA, NETWORK, TRUTH, angular_ticks, axis_label, new_figure, readable
from saggiatore.spec import Label, ScoresLabel, Spec
from saggiatore.tables import Column, Table


class FormulaFigureSpec(Spec):
    """Both scores against each feature and against each other; both are names of scores in the table."""

    kind: Literal["formula"] = "formula"
    scores: ScoresLabel
    network: Label
    formula: Label
    n_bins: int = Field(24, ge=4, le=200)

    def build(self) -> "FormulaFigure":
        return FormulaFigure(self.network, self.formula, self.n_bins)


@dataclass(frozen=True)
class FormulaFigure(AbstractFigure):
    """Small panels: mean and spread of both scores along each feature. Large panel: event by event."""

    network: str
    formula: str
    n_bins: int

    def draw(self, inputs: Inputs) -> Figure:
        table = inputs.tables["scores"]
        columns = feature_columns(table)
        n_across = 2 if len(columns) > 1 else 1
        n_down = -(-len(columns) // n_across)
        height = max(2.4 * n_down, 4.6)
        figure = new_figure(2.9 * n_across + 1.15 * height, height)
        small, large = figure.subfigures(1, 2, width_ratios=(2.9 * n_across, 1.15 * height))
        panels = list(small.subplots(n_down, n_across, squeeze=False).flat)
        for axes, column in zip(panels, columns, strict=False):
            self._profiles(axes, table, column)
        for axes in panels[len(columns) :]:
            axes.set_axis_off()
        small.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=9)
        self._plane(large.subplots(), table)
        return figure

    def _profiles(self, axes: Axes, table: Table, column: Column) -> None:
        values, weights = table.data[column.name].to_numpy(), table.data["weight"].to_numpy()
        axis = hist.axis.Regular(self.n_bins, *central_range(values))
        network, formula = (
            profile(values, table.data[f"score_{name}"].to_numpy(), weights, axis)
            for name in (self.network, self.formula)
        )
        name = readable(self.network)
        band = {"color": NETWORK, "alpha": 0.2, "lw": 0, "label": f"{name}: spread"}
        axes.fill_between(network.centre, network.mean - network.spread, network.mean + network.spread, **band)
        axes.plot(network.centre, network.mean, color=NETWORK, label=f"{name}: mean")
        for side in (-1, 1):
            edge = formula.mean + side * formula.spread
            axes.plot(formula.centre, edge, color=FORMULA, lw=0.9, ls=":")
        axes.plot([], [], color=FORMULA, lw=0.9, ls=":", label=f"{readable(self.formula)}: spread")
        axes.plot(formula.centre, formula.mean, color=FORMULA, ls="--", label=f"{readable(self.formula)}: mean")
        axes.set_xlim(axis.edges[0], axis.edges[-1])
        axes.set_xlabel(axis_label(column))
        axes.set_ylabel("score")
        angular_ticks(axes, column)

    def _plane(self, axes: Axes, table: Table) -> None:
        learned, formula = (table.data[f"score_{name}"].to_numpy() for name in (self.network, self.formula))
        density(axes, learned, formula, table.data["weight"].to_numpy(), score_range(learned), 80)
        axes.axline((0, 0), slope=1, color=TRUTH, lw=0.8, ls="--")
        axes.set_xlabel(axis_label(table.column(f"score_{self.network}")))
        axes.set_ylabel(axis_label(table.column(f"score_{self.formula}")))

    def caption(self) -> str:
        return (
            f"{readable(self.formula)} against {readable(self.network)} on the test events. Small panels: mean and "
            "spread (one standard deviation) of both scores along each observable. Large panel: event by event. The "
            f"formula keeps {{information.{self.formula}}} of the joint Fisher information, the network "
            f"{{information.{self.network}}}."
        )
