"""Generators side by side: how close to the truth they come, and what they cost."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from saggiatore.figures.base import AbstractFigure, Inputs
from saggiatore.figures.style import TRUTH, axis_label, cost_bars, log_scale, new_figure, readable
from saggiatore.tables import Table

_COSTS = ("training_time", "event_rate", "n_parameters")


@dataclass(frozen=True)
class GeneratorsFigure(AbstractFigure):
    """A row a generator. Panels: chi2 a bin, AUC, time of training, events a second, parameters."""

    def draw(self, inputs: Inputs) -> Figure:
        table = inputs.tables["generators"]
        places = np.arange(len(table.data))[::-1]
        figure = new_figure(10.5, 1.3 + 0.33 * len(places))
        panels = figure.subplots(1, 2 + len(_COSTS), sharey=True)
        self._distances(panels[0], table, places)
        self._areas(panels[1], table, places)
        is_trained = (table.data["kind"] != "truth").to_numpy()  # events of the process have no bar
        for axes, name in zip(panels[2:], _COSTS, strict=True):
            cost_bars(axes, table.data[name][is_trained], places[is_trained], table.column(name))
        panels[0].set_yticks(places, [readable(name) for name in table.data["name"]])
        panels[0].set_ylim(-0.6, len(places) - 0.4)
        for axes in panels:
            axes.tick_params(axis="y", which="both", left=False, right=False)
        return figure

    def _distances(self, axes: Axes, table: Table, places: np.ndarray) -> None:
        for name, fill in (("chi2", TRUTH), ("chi2_2d", "none")):
            axes.plot(table.data[name], places, "o", color=TRUTH, mfc=fill, ms=5, label=table.column(name).label)
        axes.axvline(1, color=TRUTH, lw=0.8, ls=":")
        values = table.data[["chi2", "chi2_2d"]].to_numpy()
        if values.max() > 5 * values.min():
            log_scale(axes)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.set_xlabel(r"$\chi^2$ a bin")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2, columnspacing=0.8)

    def _areas(self, axes: Axes, table: Table, places: np.ndarray) -> None:
        rows = table.data
        axes.errorbar(rows["auc"], places, xerr=rows["auc_error"], fmt="o", ms=5, color=TRUTH)
        axes.axvline(0.5, color=TRUTH, lw=0.8, ls=":")
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.set_xlabel(axis_label(table.column("auc")))

    def caption(self) -> str:
        return (
            "Generators against true events: chi2 a bin of the features (full) and of pairs of features (open), and "
            "the area under the curve of a classifier of true against generated events; the dotted lines are the "
            "limits of a perfect generator. Time of the training, events drawn a second, and trained parameters."
        )
