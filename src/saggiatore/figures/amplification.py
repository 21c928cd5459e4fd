"""Whether generated events know more than those that a network learned from."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saggiatore.figures.base import AbstractFigure, Inputs
from saggiatore.figures.style import FORMULA, NETWORK, TRUTH, Style, axis_label, new_figure
from saggiatore.spec import AmplificationLabel, Spec
from saggiatore.tables import Table


class AmplificationFigureSpec(Spec):
    """The error of quantiles against the number of generated events."""

    kind: Literal["amplification"] = "amplification"
    amplification: AmplificationLabel

    def build(self) -> "AmplificationFigure":
        return AmplificationFigure(self.amplification)


@dataclass(frozen=True)
class AmplificationFigure(AbstractFigure):
    """Generated events, what as many true ones have, and as levels the events of the training and the density."""

    label: str

    def draw(self, inputs: Inputs) -> Figure:
        table = inputs.tables["amplification"]
        figure = new_figure(6.2, 4.6)
        axes = figure.subplots()
        rows = table.data
        generated = rows[rows["kind"] == "generated"]
        points: Style = {"fmt": "o", "ms": 5, "color": NETWORK, "label": "generated events"}
        axes.errorbar(generated["n_events"], generated["error"], generated["error_error"], **points)
        axes.plot(generated["n_events"], generated["expected"], color=TRUTH, ls="--", lw=1, label="as many true events")
        self._level(axes, table, "training", {"color": FORMULA, "label": "events of the training"})
        self._level(axes, table, "density", {"color": NETWORK, "label": "the density itself"})
        axes.set_xscale("log")
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.set_ylim(low, high * (high / low) ** 0.15)
        axes.set_xlabel(axis_label(table.column("n_events")))
        axes.set_ylabel(axis_label(table.column("error")))
        axes.legend(loc="upper right")
        return figure

    def _level(self, axes: Axes, table: Table, kind: str, style: Style) -> None:
        row = table.data[table.data["kind"] == kind].iloc[0]
        axes.axhline(row["error"], lw=1.2, **style)
        ends = np.array([row["error"] - row["error_error"], row["error"] + row["error_error"]])
        axes.axhspan(*ends, color=style["color"], alpha=0.15, lw=0)

    def caption(self) -> str:
        return (
            "Mean squared error of the quantiles of generated events against their number, with that of as many true "
            "events, of the events that each network learned from, and of its density; mean over trainings and its "
            f"standard error. The density is worth {{worth.{self.label}.density}} times the events of its training."
        )
