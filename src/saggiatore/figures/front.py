"""The hall of fame as papers print it: information kept against complexity, and every member with its constants."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from saggiatore.errors import SchemaError
from saggiatore.figures.base import AbstractFigure, Inputs
from saggiatore.figures.style import FORMULA, NETWORK, TRUTH, Style, new_figure, readable, shrink
from saggiatore.number import quote
from saggiatore.spec import InformationLabel, Label, RefitsLabel, Spec

_LINE = 0.34  # inches of a row of the table
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
    """Above: information kept by each member, the network's and all there is. Below: the members as a table."""

    formula: str
    information: str
    network: str

    def draw(self, inputs: Inputs) -> Figure:
        rows = inputs.tables["refits"].data
        scores = inputs.tables["information"].data
        if self.network not in set(scores["name"]):
            raise SchemaError(f"no score is called '{self.network}'; the table has {', '.join(scores['name'])}.")
        height = _LINE * (len(rows) + 1.5)
        figure = new_figure(8.6, 3.8 + height)
        above, below = figure.subplots(2, 1, height_ratios=(3.8, height))
        self._front(above, rows, scores[scores["name"] == self.network].iloc[0])
        self._table(figure, below, rows)
        return figure

    def _front(self, axes: Axes, rows: pd.DataFrame, network: pd.Series) -> None:
        axes.axhline(1, color=TRUTH, lw=1, ls="--", label="joint truth")
        kept, error = network["information"], network["information_error"]
        axes.axhspan(kept - error, kept + error, color=NETWORK, alpha=0.3, lw=0)
        axes.axhline(kept, color=NETWORK, label=readable(self.network))
        marks: Style = {"fmt": "o", "ms": 4.5, "lw": 1, "color": FORMULA, "label": "formulas"}
        axes.errorbar(rows["complexity"], rows["information_select"], rows["information_select_error"], **marks)
        chosen = rows[rows["is_chosen"] == 1]
        ring: Style = {"ms": 12, "mfc": "none", "mew": 1.5, "color": TRUTH, "label": "chosen"}
        axes.plot(chosen["complexity"], chosen["information_select"], "o", **ring)
        axes.set_ylim(0, 1.05)
        axes.set_xlabel("complexity [nodes]")
        axes.set_ylabel("information kept")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(loc="lower right")

    def _table(self, figure: Figure, axes: Axes, rows: pd.DataFrame) -> None:
        axes.set_axis_off()
        axes.set_xlim(0, 1)
        axes.set_ylim(len(rows) + 0.5, -1)
        cell: Style = {"va": "center", "fontsize": 9.5}
        for text, place in _PLACES.items():
            axes.text(place, -0.4, text, ha="left" if text == "formula" else "center", **cell)
        axes.plot([0, 1], [0.1, 0.1], color=TRUTH, lw=0.8)
        formulas = []
        for place, (_, row) in enumerate(rows.iterrows(), 1):
            style: Style = cell | ({"color": FORMULA} if row["is_chosen"] else {})
            kept = quote(row["information_select"], row["information_select_error"])
            axes.text(_PLACES["nodes"], place - 0.3, f"{row['complexity']}", ha="center", **style)
            axes.text(_PLACES["information kept"], place - 0.3, kept, ha="center", **style)
            axes.text(_PLACES["chosen"], place - 0.3, f"{100 * row['frequency']:.0f} %", ha="center", **style)
            formulas.append(axes.text(_PLACES["formula"], place - 0.3, f"${row['latex']}$", **style))
        shrink(figure, axes, formulas, 0.61)

    def caption(self) -> str:
        return (
            f"Hall of fame of the formula {self.formula}: share of the joint Fisher information that each member keeps "
            f"on the held-out events of the selection, and, on the test events, the network {self.network}'s, "
            f"{{information.{self.information}.{self.network}}}. Constants are refitted to the joint score, with the "
            "errors of their last digits in brackets. The last column says how often the rule chooses a member when "
            "the held-out events are resampled."
        )
