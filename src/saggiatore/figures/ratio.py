"""Learned likelihood ratios: how far from the exact one at each theta, and event by event at one of them."""

from dataclasses import dataclass
from typing import Literal

import hist
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saggiatore.figures.base import AbstractFigure, Inputs, central_range, profile, values_of
from saggiatore.figures.style import (
    FORMULA,
    MORE,
    NETWORK,
    OTHER,
    TRUTH,
    Style,
    axis_label,
    new_figure,
    parameter_label,
    readable,
)
from saggiatore.spec import LogRatiosLabel, RatiosLabel, Spec
from saggiatore.tables import Table

_COLOURS = (NETWORK, FORMULA, *OTHER, TRUTH, *MORE)
_MARKS = ("o", "s", "^", "v", "D", "P", "X", "<", ">", "h")
_EXACT = "log_ratio_exact"
_N_BINS = 24


class RatioFigureSpec(Spec):
    """One comparison of learned ratios: both are usually the same label."""

    kind: Literal["ratio"] = "ratio"
    ratios: RatiosLabel
    log_ratios: LogRatiosLabel

    def build(self) -> "RatioFigure":
        return RatioFigure()


@dataclass(frozen=True)
class RatioFigure(AbstractFigure):
    """Left: mean squared error against theta. Right: mean and spread of the error against the exact log r.

    Of posteriors also what they say of themselves: the variance over their draws, and its root.
    """

    def draw(self, inputs: Inputs) -> Figure:
        table, events = inputs.tables["ratios"], inputs.tables["log_ratios"]
        names = list(dict.fromkeys(table.data["name"]))
        figure = new_figure(9.8, 4.6)
        errors, residuals = figure.subplots(1, 2)
        self._errors(errors, table, names)
        self._residuals(residuals, events, names)
        figure.legend(*errors.get_legend_handles_labels(), loc="outside upper center", ncols=4)
        return figure

    def _line(self, table: Table, name: str, place: int) -> Style:
        """Networks for the score are dashed."""
        kind = table.data.loc[table.data["name"] == name, "kind"].iloc[0]
        return {"color": _colour(place), "ls": "--" if kind == "score" else "-", "label": readable(name)}

    def _errors(self, axes: Axes, table: Table, names: list[str]) -> None:
        for place, name in enumerate(names):
            rows = table.data[table.data["name"] == name].sort_values("theta")
            rows = rows[rows["theta"] != 0]  # where every ratio is one
            line = self._line(table, name, place)
            mark = _MARKS[place % len(_MARKS)]
            axes.errorbar(rows["theta"], rows["mse"], rows["mse_error"], marker=mark, ms=4.5, lw=1, **line)
            if (rows["kind"] == "posterior").all():
                stated: Style = {
                    "color": _colour(place),
                    "ls": "-.",
                    "lw": 1,
                    "label": f"{readable(name)}: variance of draws",
                }
                axes.plot(rows["theta"], rows["spread"] ** 2, **stated)
        rows = table.data[(table.data["name"] == names[0]) & (table.data["theta"] != 0)].sort_values("theta")
        axes.plot(rows["theta"], rows["mean_square"], ":", color=TRUTH, label="mean square of the exact one")
        axes.set_yscale("log")
        axes.set_xlabel(parameter_label(table.provenance["spec"]["section"]["parameter"]))
        axes.set_ylabel(axis_label(table.column("mse")))

    def _residuals(self, axes: Axes, events: Table, names: list[str]) -> None:
        exact, weights = values_of(events, _EXACT), values_of(events, "weight")
        axis = hist.axis.Regular(_N_BINS, *central_range(exact, weights))
        spreads = []
        for place, name in enumerate(names):
            found = profile(exact, values_of(events, f"log_ratio_{name}") - exact, weights, axis)
            colour = _colour(place)
            axes.plot(found.centre, found.mean, color=colour, lw=1.2, marker=_MARKS[place % len(_MARKS)], ms=3.5)
            axes.fill_between(
                found.centre, found.mean - found.spread, found.mean + found.spread, color=colour, alpha=0.12, lw=0
            )
            spreads.append(np.median(np.abs(found.mean) + found.spread))
            if f"spread_{name}" in events.schema.names:
                stated = np.sqrt(profile(exact, values_of(events, f"spread_{name}") ** 2, weights, axis).mean)
                for edge in (found.mean - stated, found.mean + stated):
                    axes.plot(found.centre, edge, "-.", color=colour, lw=1)
        axes.axhline(0, color=TRUTH, lw=0.8, ls=":")
        reach = 6 * float(np.median(spreads))
        axes.set_ylim(-reach, reach)
        asked = events.provenance["spec"]["section"]
        at = f"{parameter_label(asked['parameter'])} = {asked['values'][-1]:g}"
        axes.set_xlabel(f"exact {axis_label(events.column(_EXACT))} at {at}")
        axes.set_ylabel(r"learned minus exact $\log r$")

    def caption(self) -> str:
        return (
            "Learned likelihood ratios r(x|θ) = p(x|θ)/p(x|0) against the exact one, on events at θ = 0 that no model "
            "saw. Left: mean squared error of log r at several θ, with its standard error; the dotted line is that "
            "of knowing nothing, a dashed line a network for the score, whose log r is linear in θ. Right: mean "
            "(points) and standard deviation (bands) of the error against the exact log r at one θ. A posterior is the "
            "mean over its draws; dash-dotted is what it says of its own error, left the variance and right the "
            "standard deviation of log r over the draws."
        )


def _colour(place: int) -> str:
    return _COLOURS[place % len(_COLOURS)]
