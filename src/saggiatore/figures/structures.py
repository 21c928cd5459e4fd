"""The posterior over formulas: how probable each structure is, how well its constants are known, what is predicted."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from pydantic import Field

from saggiatore.figures.base import AbstractFigure, Inputs
from saggiatore.figures.style import FORMULA, NETWORK, OTHER, TRUTH, Style, log_scale, new_figure, shrink
from saggiatore.spec import BandLabel, ConstantsLabel, Spec, StructuresLabel
from saggiatore.tables import Table

_ROW = 0.95  # inches of a structure
_N_BINS = 20  # equally filled bins in the size of the score
_PARTS = {"var_structure": "between structures", "var_draws": "constants: posterior", "var_refit": "constants: fit"}


class StructuresFigureSpec(Spec):
    """The most probable structures with their constants, and the band of their predictions."""

    kind: Literal["structures"] = "structures"
    structures: StructuresLabel
    constants: ConstantsLabel
    band: BandLabel
    n_shown: int = Field(6, ge=1, description="structures that are shown, the most probable first")

    def build(self) -> "StructuresFigure":
        return StructuresFigure(self.structures, self.n_shown)


@dataclass(frozen=True)
class StructuresFigure(AbstractFigure):
    """Left: probabilities, under each structure's form. Middle: relative errors of its constants. Right: the band."""

    structures: str
    n_shown: int

    def draw(self, inputs: Inputs) -> Figure:
        rows = inputs.tables["structures"].data.head(self.n_shown)
        figure = new_figure(12.5, 1.5 + _ROW * max(len(rows), 3))
        left, middle, right = figure.subplots(1, 3, width_ratios=(5.4, 2.8, 3.4))
        forms = self._probabilities(left, rows)
        constants = inputs.tables["constants"].data
        self._constants(middle, constants[constants["structure"].isin(rows["structure"])], len(rows))
        self._band(right, inputs.tables["band"])
        shrink(figure, left, forms, 0.96)
        return figure

    def _probabilities(self, axes: Axes, rows: pd.DataFrame) -> list[Text]:
        place = np.arange(len(rows))
        bars: Style = {"ecolor": TRUTH, "error_kw": {"lw": 1}, "height": 0.22, "alpha": 0.85}
        shown = {"probability": (0.08, NETWORK, "own search"), "probability_pooled": (0.32, FORMULA, "pooled")}
        for name, (shift, colour, label) in shown.items():
            error = _within(rows[name], rows[f"{name}_error"])
            axes.barh(place + shift, rows[name], xerr=error, color=colour, label=label, **bars)
        axes.set_xlim(0, 1)
        _leave_rows(axes, len(rows))
        axes.set_yticks([])
        axes.set_xlabel("probability of the structure")
        axes.legend(loc="lower right", fontsize=8.5)
        style: Style = {"va": "center", "fontsize": 10, "color": TRUTH}
        texts = [f"{number + 1}:  ${latex}$" for number, latex in zip(place, rows["latex"], strict=True)]
        return [axes.text(0.02, number - 0.3, text, **style) for number, text in zip(place, texts, strict=True)]

    def _constants(self, axes: Axes, constants: pd.DataFrame, n_structures: int) -> None:
        groups = constants.groupby("structure")["name"]
        place = constants["structure"] - 0.45 + 0.9 * (groups.cumcount() + 0.5) / groups.transform("count")
        marks: dict[str, Style] = {
            "error": {"marker": "o", "color": TRUTH, "label": "total"},
            "error_draws": {"marker": "<", "color": NETWORK, "label": "posterior"},
            "error_refit": {"marker": ">", "color": FORMULA, "label": "fit"},
        }
        for name, style in marks.items():
            axes.plot(constants[name] / constants["value"].abs(), place, ls="", ms=4.5, mfc="none", **style)
        for number in range(1, n_structures):
            axes.axhline(number - 0.5, color=OTHER[3], lw=0.5, ls=":")
        log_scale(axes)
        _leave_rows(axes, n_structures)
        axes.set_yticks(place, constants["name"], minor=False)
        axes.tick_params(axis="y", which="both", left=False, right=False)
        axes.set_xlabel("relative error of constants")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=8.5)

    def _band(self, axes: Axes, band: Table) -> None:
        rows = band.data
        size = rows["score"].abs()
        bins = np.array_split(np.argsort(size.to_numpy()), _N_BINS)
        centre = [float(size.iloc[some].median()) for some in bins]

        def line(square: pd.Series, **style: Any) -> None:
            axes.plot(centre, [float(np.sqrt(square.iloc[some].mean())) for some in bins], **style)

        line((rows["mean"] - rows["score"]) ** 2, color=TRUTH, ls="--", label="formulas $-$ network")
        line(rows["var_stat"], color=NETWORK, label="network: posterior")
        for colour, (name, label) in zip((FORMULA, *OTHER), _PARTS.items(), strict=False):
            line(rows[name], color=colour, label=label)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(r"$|\hat t|$ of the network")
        axes.set_ylabel("root mean square")
        low, high = axes.get_ylim()
        axes.set_ylim(low, high * (high / low) ** 0.25)
        axes.legend(loc="upper left", fontsize=8.5)

    def caption(self) -> str:
        label = self.structures
        return (
            f"Posterior over formulas {label}. Left: probability of each structure, as the fraction of the posterior's "
            "draws whose own search ends there (blue), and with every draw choosing among all structures on resampled "
            f"held-out events (red); the most probable one has {{structures.{label}.probability_pooled}}. Constants "
            "are means over the posterior, with the errors of their last digits in brackets. Middle: relative errors "
            "of the constants, and their two parts. Right: standard deviation of the formulas' prediction by its parts "
            "against the size of the network's score, beside the network's own and the distance of the two means."
        )


def _leave_rows(axes: Axes, n_rows: int) -> None:
    """The first row on top, each between its number minus and plus a half."""
    axes.set_ylim(n_rows - 0.45, -0.55)


def _within(values: pd.Series, errors: pd.Series) -> np.ndarray:
    """Errors below and above, cut where a probability ends."""
    return np.stack([np.minimum(errors, values), np.minimum(errors, 1 - values)])
