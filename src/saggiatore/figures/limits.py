"""Expected intervals of one parameter, one row an observable."""

from dataclasses import dataclass
from typing import Literal

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from pydantic import Field

from saggiatore.errors import SchemaError
from saggiatore.figures.base import AbstractFigure, Inputs
from saggiatore.figures.style import FORMULA, NETWORK, OTHER, RATIO, TRUTH, new_figure, parameter_label, readable
from saggiatore.spec import LimitsLabel, ParameterName, Spec

COLOURS = {
    "truth": TRUTH,
    "model": NETWORK,
    "ratio": RATIO,
    "formula": FORMULA,
    "form": OTHER[0],
    "histogram": OTHER[3],
    "sign": OTHER[2],
    "rate": OTHER[1],
}
_WIDTHS = (7.0, 3.6, 1.3)  # of the lines, from the smallest probability on
_PANELS = ((0, "distribution alone"), (1, "with the number of events"))
_HEIGHT = 0.3  # half of a row that the spread of experiments fills


class LimitsFigureSpec(Spec):
    """Intervals of one parameter from every observable, with the number of events and without."""

    kind: Literal["limits"] = "limits"
    limits: LimitsLabel
    parameter: ParameterName
    shown: tuple[float, float] | None = Field(None, description="ends of the axis; all intervals if absent")

    def build(self) -> "LimitsFigure":
        return LimitsFigure(self.limits, self.parameter, self.shown)


@dataclass(frozen=True)
class LimitsFigure(AbstractFigure):
    """Nested lines, thicker for smaller probabilities; marks for the other methods at the middle one."""

    limits: str
    parameter: str
    shown: tuple[float, float] | None

    def draw(self, inputs: Inputs) -> Figure:
        rows = inputs.tables["limits"].data
        rows = rows[rows["parameter"] == self.parameter]
        if rows.empty:
            raise SchemaError(f"the table of limits has none on '{self.parameter}'. Name a parameter of its section.")
        levels = sorted(set(rows["level"]))
        names = _order(rows, levels[len(levels) // 2])
        figure = new_figure(10.0, 2.1 + 0.42 * len(names))
        panels = figure.subplots(1, 2, sharey=True, squeeze=False)[0]
        for axes, (with_rate, title) in zip(panels, _PANELS, strict=True):
            _panel(axes, rows[rows["with_rate"] == with_rate], names, levels)
            axes.set_title(title)
            if self.shown is not None:
                axes.set_xlim(*self.shown)
            axes.set_xlabel(parameter_label(self.parameter))
            axes.tick_params(axis="y", which="both", left=False, right=False)
        panels[0].set_yticks(range(len(names)), [readable(name) for name in names])
        panels[0].set_ylim(len(names) - 0.4, -0.6)
        figure.legend(handles=_legend(rows, levels), loc="outside upper center", ncols=4)
        return figure

    def caption(self) -> str:
        return (
            f"Expected intervals of {self.parameter} if it is zero: exact likelihood of the expected data (lines), its "
            "linear approximation (strokes; crosses where an end lies further from the exact one than the study "
            f"allows, {{limits.{self.limits}.n_nonlinear}} of the table's {{limits.{self.limits}.n_intervals}} "
            "intervals), the same with nuisance parameters for posterior and simulation (triangles), central 68 % of "
            "the ends in pseudo-experiments (bands) and their spread over the posterior (error bars)."
        )


def _order(rows: pd.DataFrame, level: float) -> list[str]:
    """Narrowest first, by the distribution alone; what has none comes last."""
    expected = rows[(rows["method"] == "expected") & (rows["level"] == level)]
    width = (expected["high"] - expected["low"]).where(expected["with_rate"] == 0, 1e3)
    order = expected.assign(width=width).groupby("name", sort=False)["width"].min()
    return [str(name) for name in order.sort_values(kind="stable").index]


def _panel(axes: Axes, rows: pd.DataFrame, names: list[str], levels: list[float]) -> None:
    middle = levels[len(levels) // 2]
    for place, name in enumerate(names):
        own = rows[rows["name"] == name]
        for level, width in zip(levels, _WIDTHS, strict=False):
            for _, row in own[(own["method"] == "expected") & (own["level"] == level)].iterrows():
                colour = COLOURS[row["kind"]]
                axes.plot([row["low"], row["high"]], [place, place], color=colour, lw=width, solid_capstyle="butt")
        _marks(axes, own[own["level"] == middle], place)
    axes.axvline(0, color=TRUTH, lw=0.6, zorder=0)


def _marks(axes: Axes, rows: pd.DataFrame, place: int) -> None:
    """The other methods at one level."""
    for _, row in rows.iterrows():
        ends = [row["low"], row["high"]]
        errors = [row["low_error"], row["high_error"]]
        if row["method"] == "fisher":
            marker, size = ("|", 13) if row["is_linear"] else ("x", 6)
            axes.plot(ends, [place, place], marker, color=TRUTH, ms=size, mew=1.2)
        elif row["method"] == "profiled":
            axes.plot(ends, [place - _HEIGHT] * 2, "v", color=TRUTH, ms=3.5)
        elif row["method"] == "experiments":
            for end, error in zip(ends, errors, strict=True):
                axes.fill_between(
                    [end - error, end + error], place - _HEIGHT, place + _HEIGHT, color=TRUTH, alpha=0.15, lw=0
                )
        elif any(errors):
            axes.errorbar(ends, [place + _HEIGHT] * 2, xerr=errors, fmt="none", ecolor=COLOURS[row["kind"]], capsize=2)


def _legend(rows: pd.DataFrame, levels: list[float]) -> list[Artist]:
    lines: list[Artist] = [
        Line2D([], [], color=TRUTH, lw=width, solid_capstyle="butt", label=f"{100 * level:g} %")
        for level, width in zip(levels, _WIDTHS, strict=False)
    ]
    middle = f"{100 * levels[len(levels) // 2]:g} %"
    marks = {"fisher": ("|", 13, "linear approximation"), "profiled": ("v", 3.5, "with nuisance parameters")}
    for method, (marker, size, text) in marks.items():
        if method in set(rows["method"]):
            lines.append(Line2D([], [], color=TRUTH, marker=marker, ms=size, ls="none", label=f"{text}, {middle}"))
    exact = rows[rows["method"] == "expected"]
    if (exact["high_error"] > 0).any():
        lines.append(Line2D([], [], color=NETWORK, marker="|", ms=6, label=f"spread over the posterior, {middle}"))
    if not rows["is_linear"].all():
        lines.append(
            Line2D([], [], color=TRUTH, marker="x", ms=6, ls="none", label=f"the same where it fails, {middle}")
        )
    if "experiments" in set(rows["method"]):
        lines.append(Patch(color=TRUTH, alpha=0.15, lw=0, label=f"pseudo-experiments, {middle}"))
    return lines
