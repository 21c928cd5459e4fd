"""Generators against the truth: distances, the weights that a classifier gives their events, and its calibration."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saggiatore.figures.base import AbstractFigure, Inputs
from saggiatore.figures.style import FORMULA, NETWORK, OTHER, TRUTH, Style, axis_label, log_scale, new_figure, readable
from saggiatore.spec import ControlLabel, ReliabilityLabel, Spec, WeightsLabel
from saggiatore.tables import Table

_COLOURS = (NETWORK, FORMULA, *OTHER)
_LEAST = 1e-5  # fraction of events at which the axis of weights begins
_MARKS: dict[str, Style] = {
    "chi2": {"marker": "o", "mfc": TRUTH},
    "chi2_2d": {"marker": "s", "mfc": "none"},
    "chi2_reweighted": {"marker": "x", "mfc": "none"},
}


class ControlFigureSpec(Spec):
    """One comparison of generators: all three are usually the same label."""

    kind: Literal["control"] = "control"
    control: ControlLabel
    weights: WeightsLabel
    reliability: ReliabilityLabel

    def build(self) -> "ControlFigure":
        return ControlFigure()


@dataclass(frozen=True)
class ControlFigure(AbstractFigure):
    """Upper left: chi2 a bin. Upper right: AUC. Lower left: weights. Lower right: calibration of the classifiers."""

    def draw(self, inputs: Inputs) -> Figure:
        table = inputs.tables["control"]
        names = list(table.data["name"])
        kinds = dict(zip(names, table.data["kind"], strict=True))
        colours = dict(zip((name for name in names if kinds[name] != "truth"), _COLOURS, strict=False))
        colours |= {name: TRUTH for name in names if kinds[name] == "truth"}
        figure = new_figure(9.6, 7.0)
        (distances, areas), (weights, curves) = figure.subplots(2, 2, height_ratios=(0.45 + 0.16 * len(names), 2))
        self._distances(distances, table)
        self._areas(areas, table, colours)
        for name in names:
            line: Style = {"color": colours[name], "ls": "--" if kinds[name] == "truth" else "-"}
            self._weights(weights, inputs.tables["weights"], name, line)
            self._curve(curves, inputs.tables["reliability"], name, line)
        weights.set_yscale("log")
        weights.set_xlim(*self._filled(inputs.tables["weights"]))
        weights.set_ylim(_LEAST, 2 * inputs.tables["weights"].data["generated"].max())
        weights.set_xlabel(axis_label(inputs.tables["weights"].column("low")))
        weights.set_ylabel(f"{inputs.tables['weights'].column('generated').label} in a bin")
        curves.axline((0.5, 0.5), slope=1, color=TRUTH, lw=0.8, ls=":")
        curves.set_xlabel(axis_label(inputs.tables["reliability"].column("stated")))
        curves.set_ylabel(inputs.tables["reliability"].column("found").label)
        weights.legend(loc="upper left")
        return figure

    def _filled(self, table: Table) -> tuple[float, float]:
        """The range in which there are weights, and a little more."""
        rows = table.data[table.data["generated"] > _LEAST]
        low, high = rows["low"].min(), rows["high"].max()
        return low - 0.1 * (high - low), high + 0.1 * (high - low)

    def _distances(self, axes: Axes, table: Table) -> None:
        rows = table.data
        places = np.arange(len(rows))[::-1]
        for name, mark in _MARKS.items():
            axes.plot(rows[name], places, ls="", color=TRUTH, ms=5, label=table.column(name).label, **mark)
        axes.axvline(1, color=TRUTH, lw=0.8, ls=":")
        log_scale(axes)
        self._names(axes, table)
        axes.set_xlabel(r"$\chi^2$ a bin")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2, columnspacing=0.8)

    def _areas(self, axes: Axes, table: Table, colours: dict[str, str]) -> None:
        for place, (_, row) in zip(range(len(table.data))[::-1], table.data.iterrows(), strict=True):
            axes.errorbar(row["auc"], place, xerr=row["auc_error"], fmt="o", ms=5, color=colours[row["name"]])
        axes.axvline(0.5, color=TRUTH, lw=0.8, ls=":")
        self._names(axes, table)
        axes.set_xlabel("area under the classifier's curve")

    def _names(self, axes: Axes, table: Table) -> None:
        names = [readable(name) for name in table.data["name"]]
        axes.set_yticks(np.arange(len(names))[::-1], names)
        axes.tick_params(axis="y", which="both", left=False, right=False)
        axes.set_ylim(-0.6, len(names) - 0.4)

    def _weights(self, axes: Axes, table: Table, name: str, line: Style) -> None:
        rows = table.data[table.data["name"] == name]
        edges = np.append(rows["low"], rows["high"].iloc[-1])
        axes.stairs(np.where(rows["generated"] > 0, rows["generated"], np.nan), edges, label=readable(name), **line)

    def _curve(self, axes: Axes, table: Table, name: str, line: Style) -> None:
        rows = table.data[table.data["name"] == name]
        axes.errorbar(rows["stated"], rows["found"], rows["found_error"], lw=1, marker=".", **line)

    def caption(self) -> str:
        return (
            "Generated events against true ones. Upper panels: chi2 a bin of the features and of pairs of features, "
            "whose limit for two samples of one density is one (crosses: one feature, of generated events weighted by "
            "w), and the area under the curve of a classifier of true against generated events. Lower panels: weights "
            "w = D/(1-D) of the generated events, and the fraction of "
            "true events where the classifier states D."
        )
