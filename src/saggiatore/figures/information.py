"""How much of the information each score keeps."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saggiatore.figures.base import AbstractFigure, Inputs
from saggiatore.figures.style import FORMULA, NETWORK, OTHER, TRUTH, Style, new_figure, readable
from saggiatore.number import quote
from saggiatore.spec import InformationLabel, Spec

_COLOURS = {
    "model": NETWORK,
    "posterior": OTHER[1],
    "exact": TRUTH,
    "formula": FORMULA,
    "form": OTHER[0],
    "histogram": OTHER[3],
    "sign": OTHER[2],
}
_MEANINGS = {
    "model": "network",
    "posterior": "mean of a posterior",
    "exact": "exact score of what is seen",
    "formula": "formula found here",
    "form": "given form, refitted",
    "histogram": "histogram of one observable",
    "sign": "sign of one observable",
}


class InformationFigureSpec(Spec):
    """Fraction of the joint Fisher information that each score keeps."""

    kind: Literal["information"] = "information"
    information: InformationLabel

    def build(self) -> "InformationFigure":
        return InformationFigure(self.information)


@dataclass(frozen=True)
class InformationFigure(AbstractFigure):
    """Horizontal bars, the best on top, with bootstrap errors and the value at the bar's end."""

    information: str

    def draw(self, inputs: Inputs) -> Figure:
        table = inputs.tables["information"]
        rows = table.data.sort_values("information", kind="stable").reset_index(drop=True)
        figure = new_figure(8.0, 1.5 + 0.4 * len(rows))
        axes = figure.subplots()
        for kind in [kind for kind in _MEANINGS if kind in set(rows["kind"])]:
            self._bars(axes, rows[rows["kind"] == kind], kind)
        axes.set_yticks(rows.index, [readable(name) for name in rows["name"]])
        axes.tick_params(axis="y", which="both", left=False, right=False)
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xlim(0, 1.3)
        axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1])
        axes.set_xlabel("fraction of the joint Fisher information")
        figure.legend(loc="outside upper center", ncols=3)
        return figure

    def _bars(self, axes: Axes, rows: pd.DataFrame, kind: str) -> None:
        bars: Style = {"color": _COLOURS[kind], "alpha": 0.85, "label": _MEANINGS[kind], "height": 0.68}
        axes.barh(rows.index, rows["information"], xerr=rows["information_error"], ecolor=TRUTH, **bars)
        for place, row in rows.iterrows():
            text = _text(row["information"], row["information_error"]) + (", has a pole" if row["singular"] else "")
            end = (row["information"] + row["information_error"], place)
            axes.annotate(text, end, (5, 0), textcoords="offset points", va="center", fontsize=9.5)

    def caption(self) -> str:
        return (
            "Fraction of the joint Fisher information, E[s t]²/(E[s²] E[t²]) for a score s and the joint score t of "
            "the same test events, with bootstrap errors. Formulas that are without a value somewhere among these "
            f"events, as at a pole: {{n_singular.{self.information}}}."
        )


def _text(value: float, error: float) -> str:
    """Value and error, or the value alone where five decimals would not show the error."""
    return quote(value, error) if error > 1e-4 else f"{value:.5f}"
