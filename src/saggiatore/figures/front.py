"""The hall of fame as papers print it: information kept against complexity, and every member with its constants."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser
from matplotlib.ticker import MaxNLocator

from saggiatore.errors import SchemaError
from saggiatore.figures.base import AbstractFigure, Inputs
from saggiatore.figures.style import FORMULA, NETWORK, TRUTH, Style, new_figure, readable, shrink
from saggiatore.number import quote
from saggiatore.spec import InformationLabel, Label, RefitsLabel, Spec

_LINE, _GAP = 0.34, 0.11  # inches: the least height of a row of the table, what is left free between two formulas
_BELOW, _ABOVE = 0.04, 0.01  # of the information, beside chosen member and network in the panel that shows a part
_SIZE = 9.5  # of the table's font, points
_PLACES = {"nodes": 0.03, "formula": 0.07, "information kept": 0.80, "chosen": 0.97}  # of the table's columns


class FrontFigureSpec(Spec):
    """Members of a hall of fame, with a network's information as the upper line."""

    kind: Literal["front"] = "front"
    refits: RefitsLabel
    information: InformationLabel
    network: Label

    def build(self) -> "FrontFigure":
        return FrontFigure(self.refits, self.information, self.network)


@dataclass(frozen=True)
class FrontFigure(AbstractFigure):
    """Above: information kept by each member, the network's and all there is, and a part of it. Below: a table."""

    formula: str
    information: str
    network: str

    def draw(self, inputs: Inputs) -> Figure:
        rows = inputs.tables["refits"].data
        scores = inputs.tables["information"].data
        if self.network not in set(scores["name"]):
            raise SchemaError(f"no score is called '{self.network}'; the table has {', '.join(scores['name'])}.")
        heights = [_height(latex) for latex in rows["latex"]]
        height = sum(heights) + 1.5 * _LINE
        figure = new_figure(8.6, 3.8 + height)
        panels = figure.subplot_mosaic([["all", "near"], ["table", "table"]], height_ratios=(3.8, height))
        network = scores[scores["name"] == self.network].iloc[0]
        for name in ("all", "near"):
            self._front(panels[name], rows, network)
        panels["all"].set_ylim(0, 1.05)
        panels["all"].legend(loc="lower right")
        _zoom(panels["near"], rows, network["information"])
        self._table(figure, panels["table"], rows, heights)
        return figure

    def _front(self, axes: Axes, rows: pd.DataFrame, network: pd.Series) -> None:
        axes.axhline(1, color=TRUTH, lw=1, ls="--", label="joint truth")
        kept, error = network["information"], network["information_error"]
        axes.axhspan(kept - error, kept + error, color=NETWORK, alpha=0.3, lw=0)
        axes.axhline(kept, color=NETWORK, label=readable(self.network))
        marks: Style = {"ms": 4.5, "lw": 1, "color": FORMULA}
        for marker, is_shown, label in (
            ("o", rows["singular"] == "", "formulas"),
            ("x", rows["singular"] != "", "singular"),
        ):
            some = rows[is_shown]
            if len(some):
                values = some["complexity"], some["information_select"], some["information_select_error"]
                axes.errorbar(*values, fmt=marker, label=label, **marks)
        chosen = rows[rows["is_chosen"] == 1]
        ring: Style = {"ms": 12, "mfc": "none", "mew": 1.5, "color": TRUTH, "label": "chosen"}
        axes.plot(chosen["complexity"], chosen["information_select"], "o", **ring)
        axes.set_xlabel("complexity [nodes]")
        axes.set_ylabel("information kept")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))

    def _table(self, figure: Figure, axes: Axes, rows: pd.DataFrame, heights: list[float]) -> None:
        """Heights are in inches, from the line under the head of the table downwards."""
        axes.set_axis_off()
        axes.set_xlim(0, 1)
        axes.set_ylim(sum(heights) + 0.4 * _LINE, -1.1 * _LINE)
        cell: Style = {"va": "center", "fontsize": _SIZE}
        for text, column in _PLACES.items():
            axes.text(column, -0.5 * _LINE, text, ha="left" if text == "formula" else "center", **cell)
        axes.plot([0, 1], [0, 0], color=TRUTH, lw=0.8)
        formulas, places = [], np.cumsum(heights) - np.array(heights) / 2 + 0.2 * _LINE
        for place, (_, row) in zip(places.tolist(), rows.iterrows(), strict=True):
            style: Style = cell | ({"color": FORMULA} if row["is_chosen"] else {})
            kept = quote(row["information_select"], row["information_select_error"])
            axes.text(_PLACES["nodes"], place, f"{row['complexity']}", ha="center", **style)
            axes.text(_PLACES["information kept"], place, kept, ha="center", **style)
            chosen = "singular" if row["singular"] else f"{100 * row['frequency']:.0f} %"
            axes.text(_PLACES["chosen"], place, chosen, ha="center", **style)
            formulas.append(axes.text(_PLACES["formula"], place, f"${row['latex']}$", **style))
        shrink(figure, axes, formulas, 0.61)

    def caption(self) -> str:
        return (
            f"Hall of fame of the formula {self.formula}: share of the joint Fisher information that each member keeps "
            f"on the held-out events of the selection, and, on the test events, the network {self.network}'s, "
            f"{{information.{self.information}.{self.network}}}; on the right about that and the chosen member. "
            "Constants are refitted to the joint score, with the errors of their last digits in brackets. The last "
            "column says how often the rule chooses a member when the held-out events are resampled; singular ones, "
            "without a value somewhere among these events as at a pole, never."
        )


def _zoom(axes: Axes, rows: pd.DataFrame, network: float) -> None:
    """Show what lies about the chosen member and the network."""
    ends = (rows.loc[rows["is_chosen"] == 1, "information_select"].iloc[0], network)
    axes.set_ylim(min(ends) - _BELOW, max(ends) + _ABOVE)
    shown = rows.loc[rows["information_select"] > min(ends) - _BELOW, "complexity"]
    axes.set_xlim(shown.min() - 1, shown.max() + 1)


def _height(latex: str) -> float:
    """Inches that a row needs for its formula: nested fractions are tall."""
    drawn = MathTextParser("path").parse(f"${latex}$", dpi=72, prop=FontProperties(size=_SIZE))
    return max(_LINE, drawn.height / 72 + _GAP)
