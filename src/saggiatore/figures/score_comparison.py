"""Scores side by side: what each is worth with its posterior's error, and what it costs."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from saggiatore.figures.base import AbstractFigure, Inputs
from saggiatore.figures.style import NETWORK, OTHER, TRUTH, Style, axis_label, cost_bars, new_figure, readable
from saggiatore.tables import Table

_VALUES = ("information", "correlation", "slope")
_COSTS = ("training_time", "score_rate")


@dataclass(frozen=True)
class ScoreComparisonFigure(AbstractFigure):
    """A row a score. Panels: information, correlation and slope with one training and over draws; spread; costs."""

    def draw(self, inputs: Inputs) -> Figure:
        table = inputs.tables["scores"]
        places = np.arange(len(table.data))[::-1]
        figure = new_figure(12.0, 1.4 + 0.36 * len(places))
        panels = figure.subplots(1, len(_VALUES) + 1 + len(_COSTS), sharey=True)
        for axes, name in zip(panels, _VALUES, strict=False):
            self._value(axes, table, name, places)
        self._spread(panels[len(_VALUES)], table, places)
        for axes, name in zip(panels[len(_VALUES) + 1 :], _COSTS, strict=True):
            cost_bars(axes, table.data[name], places, table.column(name))
        panels[0].set_yticks(places, [readable(name) for name in table.data["name"]])
        panels[0].set_ylim(-0.6, len(places) - 0.4)
        for axes in panels:
            axes.tick_params(axis="y", which="both", left=False, right=False)
        found = [axes.get_legend_handles_labels() for axes in (panels[0], panels[len(_VALUES)])]
        handles, names = ([each for part in parts for each in part] for parts in zip(*found, strict=True))
        figure.legend(handles, names, loc="outside upper center", ncols=len(names))
        return figure

    def _value(self, axes: Axes, table: Table, name: str, places: np.ndarray) -> None:
        rows, is_drawn = table.data, (table.data["n_draws"] > 0).to_numpy()
        shift = 0.14 * is_drawn
        points: Style = {"fmt": "o", "ms": 5, "color": NETWORK, "label": "one training"}
        axes.errorbar(rows[name], places + shift, xerr=rows[f"{name}_error"], **points)
        if is_drawn.any():
            drawn = rows[is_drawn]
            points = {"fmt": "s", "ms": 4, "color": OTHER[0], "label": "draws of a posterior"}
            error = drawn[f"draws_{name}_std"]
            axes.errorbar(drawn[f"draws_{name}"], places[is_drawn] - 0.14, xerr=error, **points)
        axes.axvline(1, color=TRUTH, lw=0.8, ls=":")
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.set_xlabel(axis_label(table.column(name)))

    def _spread(self, axes: Axes, table: Table, places: np.ndarray) -> None:
        """Stated and true error of the mean over draws, where the exact score is known."""
        is_drawn = (table.data["n_draws"] > 0).to_numpy()
        drawn = table.data[is_drawn]
        axes.plot(drawn["spread"], places[is_drawn], "s", ms=4, color=OTHER[0])
        if (drawn["error"] > 0).any():
            name = "their mean minus exact score"
            axes.plot(drawn["error"], places[is_drawn], "x", ms=5, color=TRUTH, label=name)
        axes.set_xlim(0, 1.15 * float(drawn[["spread", "error"]].to_numpy().max(initial=0.1)))
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.set_xlabel("error of a score")

    def caption(self) -> str:
        return (
            "Scores on the same test events: share of the joint information kept, correlation and slope with the "
            "reference, of one training with the test events' bootstrap error, and of the draws of a posterior with "
            "their standard deviation; that of an event's score over draws, and the distance of their mean from the "
            "exact score, relative to the joint score; time of the training, and scores a second."
        )
