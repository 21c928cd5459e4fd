"""Contours of two parameters, one colour an observable."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from pydantic import Field
from scipy.special import gammaincinv

from saggiatore.errors import SchemaError
from saggiatore.figures.base import AbstractFigure, Inputs
from saggiatore.figures.limits import COLOURS
from saggiatore.figures.style import MORE, OTHER, TRUTH, new_figure, parameter_label, readable
from saggiatore.spec import Label, ScanLabel, Spec
from saggiatore.tables import Table

_STYLES = ("solid", "dashed", "dotted")
_PANELS = ((0, "distribution alone"), (1, "with the number of events"))
_MORE = (*OTHER, *MORE)  # for several observables of one kind
_MARGIN = 1.15
_BAND = 0.35  # opacity of what nuisance parameters add


class ContoursFigureSpec(Spec):
    """Contours of the expected likelihood in two parameters."""

    kind: Literal["contours"] = "contours"
    scan: ScanLabel
    of: tuple[Label, ...] = Field((), description="observables to draw; all if there are none")
    levels: tuple[float, ...] = Field((0.68, 0.95, 0.997), min_length=1, max_length=3, description="probabilities")
    profiled: bool = Field(
        False, description="with nuisance parameters free; between these lines and those without them lies a band"
    )

    def build(self) -> "ContoursFigure":
        return ContoursFigure(self.scan, self.of, self.levels, self.profiled)


@dataclass(frozen=True)
class ContoursFigure(AbstractFigure):
    """Left without the rate, right with it; one style of line a probability."""

    scan: str
    of: tuple[str, ...]
    levels: tuple[float, ...]
    profiled: bool

    def draw(self, inputs: Inputs) -> Figure:
        table = inputs.tables["scan"]
        axes_names = [name for name in table.schema.names if name.startswith("theta_")]
        if len(axes_names) != 2:
            raise SchemaError(
                f"contours need a scan of two parameters, got {len(axes_names)}. Use the figure 'limits'."
            )
        names = self._names(table)
        figure = new_figure(10.0, 5.9)
        panels = figure.subplots(1, 2, sharex=True, sharey=True, squeeze=False)[0]
        colours = _colours(table, names)
        for axes, (with_rate, title) in zip(panels, _PANELS, strict=True):
            ends = [self._contours(axes, table, axes_names, name, with_rate, colours[name]) for name in names]
            axes.plot(0, 0, "+", color=TRUTH, ms=8)
            axes.set_title(title)
            axes.set_xlabel(_parameter(axes_names[0]))
            if with_rate == 0:
                _zoom(axes, table, axes_names, [end for end in ends if end is not None])
        panels[0].set_ylabel(_parameter(axes_names[1]))
        handles = [Line2D([], [], color=colours[name], label=readable(name)) for name in names]
        for level, style in zip(self.levels, _STYLES, strict=False):
            handles.append(Line2D([], [], color=TRUTH, ls=style, label=f"{100 * level:g} %"))
        figure.legend(handles=handles, loc="outside upper center", ncols=4)
        return figure

    def _names(self, table: Table) -> list[str]:
        found = list(dict.fromkeys(table.data["name"]))
        unknown = sorted(set(self.of) - set(found))
        if unknown:
            raise SchemaError(f"the scan has no {', '.join(unknown)}; it has {', '.join(found)}.")
        return [name for name in found if not self.of or name in self.of]

    def _contours(
        self, axes: Axes, table: Table, axes_names: list[str], name: str, with_rate: int, colour: str
    ) -> np.ndarray | None:
        """Draw one observable; the outermost points of its largest contour that closes, if one does."""
        rows = table.data[(table.data["name"] == name) & (table.data["with_rate"] == with_rate)]
        if rows.empty:
            return None
        q, q_profiled = (
            rows.pivot(index=axes_names[1], columns=axes_names[0], values=name) for name in ("q", "q_profiled")
        )
        drawn = self._lines(axes, q_profiled if self.profiled else q, colour, 1.3)
        if self.profiled:
            for inner, outer in zip(self._lines(axes, q, colour, 0.6), drawn, strict=True):
                _fill(axes, inner, outer, colour)
        closed = [line for lines in drawn for line in lines if _is_closed(line)]
        return np.abs(np.concatenate(closed)).max(axis=0) if closed else None

    def _lines(self, axes: Axes, grid: pd.DataFrame, colour: str, width: float) -> list[list[np.ndarray]]:
        """Contours of a scan at each level, drawn; each a line of shape (point, 2)."""
        drawn = axes.contour(
            grid.columns,
            grid.index,
            grid.to_numpy(),
            levels=2 * gammaincinv(1, self.levels),  # of chi2 with two degrees of freedom
            colors=[colour],
            linestyles=list(_STYLES[: len(self.levels)]),
            linewidths=width,
        )
        return drawn.allsegs

    def caption(self) -> str:
        nuisance = (
            ", nuisance parameters of posterior, theory variations and simulation free; thin lines and the bands up to "
            "them: without these parameters"
            if self.profiled
            else ""
        )
        probabilities = ", ".join(f"{100 * level:g}" for level in self.levels)
        return (
            f"Contours of {probabilities} % of the exact likelihood of the data expected where both parameters are "
            f"zero{nuisance}. In {{limits.{self.scan}.n_nonlinear}} of {{limits.{self.scan}.n_intervals}} intervals of "
            "single parameters the linear approximation lies further away than the study allows."
        )


def _colours(table: Table, names: list[str]) -> dict[str, str]:
    kinds = dict(zip(table.data["name"], table.data["kind"], strict=True))
    taken: dict[str, str] = {}
    spare = [colour for colour in _MORE if colour not in COLOURS.values()]
    for name in names:
        wanted = COLOURS[kinds[name]]
        taken[name] = wanted if wanted not in taken.values() else spare.pop(0)
    return taken


def _is_closed(line: np.ndarray) -> bool:
    return len(line) > 0 and np.allclose(line[0], line[-1])


def _fill(axes: Axes, inner: list[np.ndarray], outer: list[np.ndarray], colour: str) -> None:
    """What lies between two contours, where each is one closed line."""
    if len(inner) == len(outer) == 1 and _is_closed(inner[0]) and _is_closed(outer[0]):
        between = Path.make_compound_path(Path(outer[0], closed=True), Path(inner[0][::-1], closed=True))
        axes.add_patch(PathPatch(between, facecolor=colour, lw=0, alpha=_BAND))


def _parameter(column: str) -> str:
    return parameter_label(column.removeprefix("theta_"))


def _zoom(axes: Axes, table: Table, axes_names: list[str], ends: list[np.ndarray]) -> None:
    """Show all contours that close, and no more of the others."""
    if not ends:
        return
    reach = _MARGIN * np.max(ends, axis=0)
    (left, right), (bottom, top) = (
        (max(table.data[name].min(), -size), min(table.data[name].max(), size))
        for name, size in zip(axes_names, reach, strict=True)
    )
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
