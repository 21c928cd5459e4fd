"""How a training went: loss on the training and the validation split, epoch by epoch."""

from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saggiatore.figures.base import AbstractFigure, Inputs
from saggiatore.figures.style import FORMULA, NETWORK, TRUTH, new_figure
from saggiatore.spec import HistoryLabel, Spec
from saggiatore.table_numbers.training import kept_row
from saggiatore.tables import Table


class HistoryFigureSpec(Spec):
    """Loss history of one model."""

    kind: Literal["history"] = "history"
    history: HistoryLabel

    def build(self) -> "HistoryFigure":
        return HistoryFigure(self.history)


@dataclass(frozen=True)
class HistoryFigure(AbstractFigure):
    """Both losses against the epoch; the epoch whose weights are kept is marked."""

    history: str

    def draw(self, inputs: Inputs) -> Figure:
        table = inputs.tables["history"]
        figure = new_figure(6.0, 4.2)
        axes = figure.subplots()
        epoch = table.data["epoch"]
        axes.plot(epoch, table.data["train_loss"], color=NETWORK, label="training")
        axes.plot(epoch, table.data["validation_loss"], color=FORMULA, label="validation")
        kept = kept_row(table)
        axes.axvline(epoch[kept], color=TRUTH, lw=0.8, ls=":", label=f"kept: epoch {epoch[kept]}")
        axes.plot(epoch[kept], table.data["validation_loss"][kept], "o", color=TRUTH, ms=5)
        _scale(axes, table)
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss")
        axes.margins(x=0.03)
        axes.legend(loc="upper right", frameon=True, framealpha=1, edgecolor="none")
        return figure

    def caption(self) -> str:
        return (
            f"Training history of the model {self.history}: loss on the training and on the validation split. The "
            "weights of the marked epoch are used: of the smallest validation loss, unless the study keeps the last."
        )


def _scale(axes: Axes, table: Table) -> None:
    """Logarithmic where the losses are positive and fall by a factor of three or more."""
    losses = table.array(["train_loss", "validation_loss"])
    if losses.min() > 0 and losses.max() > 3 * losses.min():
        axes.set_yscale("log")
