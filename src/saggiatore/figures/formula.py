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
    values_of,
)
from saggiatore.figures.score import density
from saggiatore.figures.style import FORMULA, NETWORK, TRUTH, Style, angular_ticks, axis_label, new_figure, readable
from saggiatore.spec import Label, ObservableName, ScoresLabel, Spec
from saggiatore.tables import Column, Table


class FormulaFigureSpec(Spec):
    """Both scores against each feature and against each other; both are names of scores in the table."""

    kind: Literal["formula"] = "formula"
    scores: ScoresLabel
    network: Label
    formula: Label
    features: tuple[ObservableName, ...] = Field(
        (), description="observables to draw; all if there are none", json_schema_extra={"uniqueItems": True}
    )
    n_bins: int = Field(24, ge=4, le=200, description="bins along each observable")

    def build(self) -> "FormulaFigure":
        return FormulaFigure(self.scores, self.network, self.formula, self.features, self.n_bins)


@dataclass(frozen=True)
class FormulaFigure(AbstractFigure):
    """Small panels: mean and spread of both scores along each feature. Large panel: event by event."""

    scores: str
    network: str
    formula: str
    features: tuple[str, ...]
    n_bins: int

    def draw(self, inputs: Inputs) -> Figure:
        table = inputs.tables["scores"]
        columns = feature_columns(table, self.features)
        n_across = 1 if len(columns) == 1 else 2 if len(columns) <= 6 else 3
        n_down = -(-len(columns) // n_across)
        height = max(2.4 * n_down, 4.6)
        figure = new_figure(2.9 * n_across + 1.15 * height, height)
        small, large = figure.subfigures(1, 2, squeeze=False, width_ratios=(2.9 * n_across, 1.15 * height))[0]
        panels = list(small.subplots(n_down, n_across, squeeze=False).flat)
        for axes, column in zip(panels, columns, strict=False):
            self._profiles(axes, table, column)
        for axes in panels[len(columns) :]:
            axes.set_axis_off()
        small.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2 * n_across, fontsize=9)
        self._plane(large.subplots(), table)
        return figure

    def _profiles(self, axes: Axes, table: Table, column: Column) -> None:
        values, weights = values_of(table, column.name), values_of(table, "weight")
        axis = hist.axis.Regular(self.n_bins, *central_range(values, weights))
        network, formula = (
            profile(values, values_of(table, f"score_{name}"), weights, axis) for name in (self.network, self.formula)
        )
        name = readable(self.network)
        band: Style = {"color": NETWORK, "alpha": 0.2, "lw": 0, "label": f"{name}: spread"}
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
        learned, formula = (values_of(table, f"score_{name}") for name in (self.network, self.formula))
        weights = values_of(table, "weight")
        density(axes, learned, formula, weights, score_range(learned, weights), 80)
        axes.axline((0, 0), slope=1, color=TRUTH, lw=0.8, ls="--")
        axes.set_xlabel(f"score of {readable(self.network)}")
        axes.set_ylabel(f"score of {readable(self.formula)}")

    def caption(self) -> str:
        return (
            f"{readable(self.formula)} against {readable(self.network)} on the test events. Small panels: mean and "
            "spread (one standard deviation) of both scores along each observable. Large panel: event by event. The "
            f"formula keeps {{information.{self.scores}.{self.formula}}} of the joint Fisher information, the network "
            f"{{information.{self.scores}.{self.network}}}."
        )
