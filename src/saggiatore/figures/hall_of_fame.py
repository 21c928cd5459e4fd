"""How well a formula of each complexity does, and which one was chosen."""

from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from saggiatore.figures.base import AbstractFigure, Inputs
from saggiatore.figures.style import FORMULA, NETWORK, TRUTH, Style, fit_text, new_figure
from saggiatore.spec import FormulaLabel, HallOfFameLabel, RefitsLabel, Spec
from saggiatore.tables import Table

_ROOM = 0.3  # above the points for the legend, as a fraction of the axis' decades


class HallOfFameFigureSpec(Spec):
    """Complexity against loss; the chosen formula is written above."""

    kind: Literal["hall_of_fame"] = "hall_of_fame"
    hall_of_fame: HallOfFameLabel
    refits: RefitsLabel
    formula: FormulaLabel

    def build(self) -> "HallOfFameFigure":
        return HallOfFameFigure(self.formula)


@dataclass(frozen=True)
class HallOfFameFigure(AbstractFigure):
    """The engine's own loss, and the error on held-out events once the constants were refitted."""

    formula: str

    def draw(self, inputs: Inputs) -> Figure:
        found, refits = inputs.tables["hall_of_fame"], inputs.tables["refits"]
        figure = new_figure(6.6, 4.8)
        axes = figure.subplots()
        engine = found.data["engine"].iloc[0]
        marks: Style = {"ms": 4.5, "mfc": "none", "color": NETWORK, "label": f"{engine}: loss on the teacher"}
        least = found.data.groupby("complexity")["loss"].min()
        axes.plot(least.index, least, "s", **marks)
        self._refits(axes, refits)
        axes.set_yscale("log")
        axes.set_xlabel("complexity [nodes]")
        axes.set_ylabel("mean squared error")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        low, high = axes.get_ylim()
        axes.set_ylim(low, high * (high / low) ** _ROOM)
        axes.legend(loc="upper right")
        fit_text(figure, f"${inputs.documents['formula']['shown']['latex']}$")
        return figure

    def _refits(self, axes: Axes, refits: Table) -> None:
        rows = refits.data
        errors: Style = {"lw": 1, "ms": 4.5, "color": FORMULA}
        for marker, is_shown, label in (
            ("o", rows["singular"] == "", "refitted: held-out joint score"),
            ("x", rows["singular"] != "", "the same, singular"),
        ):
            some = rows[is_shown]
            if len(some):
                values = some["complexity"], some["mse_select"], some["mse_select_error"]
                axes.errorbar(*values, fmt=marker, label=label, **errors)
        chosen = rows[rows["is_chosen"] == 1]
        ring: Style = {"ms": 12, "mfc": "none", "mew": 1.5, "color": TRUTH, "label": "chosen"}
        axes.plot(chosen["complexity"], chosen["mse_select"], "o", **ring)

    def caption(self) -> str:
        return (
            f"Hall of fame of the formula {self.formula}. Squares: the engine's least loss on the teacher. Points: "
            f"mean squared error on held-out events after the constants were refitted. Crosses: without a value "
            f"somewhere among them, as at a pole. Circled: the chosen formula, of "
            f"complexity {{formula.{self.formula}.complexity}}, written above."
        )
