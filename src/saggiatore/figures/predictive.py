"""A learned density with its uncertainty against the truth, in the bins of one feature."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import Field

from saggiatore.errors import SchemaError
from saggiatore.figures.base import AbstractFigure, Inputs
from saggiatore.figures.style import (
    FORMULA,
    NETWORK,
    OTHER,
    TRUTH,
    Style,
    axis_label,
    headroom,
    new_figure,
    readable,
    unit_label,
)
from saggiatore.spec import PredictiveLabel, Spec
from saggiatore.tables import Column, Table

_MOST = 4  # posteriors side by side
_FIT = "fit_std_"
_NUISANCE = "nuisance_std"
_DASHES = ("-", "--", ":")


class PredictiveFigureSpec(Spec):
    """One column a posterior: its density, its ratio to the truth, and its relative uncertainty."""

    kind: Literal["predictive"] = "predictive"
    predictive: tuple[PredictiveLabel, ...] = Field(min_length=1, max_length=_MOST)

    def build(self) -> "PredictiveFigure":
        return PredictiveFigure(self.predictive)


@dataclass(frozen=True)
class PredictiveFigure(AbstractFigure):
    """Mean and one standard deviation over the truth, and below the standard deviation, with that of a fit."""

    labels: tuple[str, ...]

    def draw(self, inputs: Inputs) -> Figure:
        n = len(self.labels)
        figure = new_figure(1.4 + 3.5 * n, 6.2)
        panels = figure.subplots(3, n, sharex="col", sharey="row", squeeze=False, height_ratios=(2, 1.3, 1.3))
        tables = [inputs.tables[f"predictive.{place}"] for place in range(n)]
        for (top, middle, bottom), table, label in zip(panels.T, tables, self.labels, strict=True):
            column, edges = _axis(table)
            self._density(top, table, edges)
            self._ratio(middle, table, edges)
            self._uncertainty(bottom, table, edges)
            top.set_title(readable(label))
            bottom.set_xlim(edges[0], edges[-1])
            bottom.set_xlabel(axis_label(column))
        for axes, text in zip(panels[:, 0], (_density_label(tables[0]), "network / truth", r"$\sigma/P$"), strict=True):
            axes.set_ylabel(text)
        self._scale(panels, tables)
        headroom(panels[0, 0], 0.25)
        headroom(panels[2, 0], 0.2)
        panels[0, 0].legend(loc="upper left")
        panels[2, 0].legend(loc="upper right", ncols=2, frameon=True, framealpha=1, edgecolor="none")
        figure.align_ylabels()
        return figure

    def _density(self, axes: Axes, table: Table, edges: np.ndarray) -> None:
        rows, width = table.data, np.diff(edges)
        mean, std = rows["probability"].to_numpy() / width, rows["std"].to_numpy() / width
        if _NUISANCE in rows:
            both = _both(rows) / width
            axes.stairs(mean + both, edges, baseline=mean - both, fill=True, color=OTHER[1], alpha=0.35, lw=0)
        axes.stairs(mean + std, edges, baseline=mean - std, fill=True, color=NETWORK, alpha=0.35, lw=0)
        axes.stairs(mean, edges, color=NETWORK, baseline=None, label="network")
        axes.stairs(rows["truth"] / width, edges, color=TRUTH, ls="--", lw=1, baseline=None, label="truth")
        axes.set_ylim(0, None)

    def _ratio(self, axes: Axes, table: Table, edges: np.ndarray) -> None:
        rows = table.data
        ratio, std = (rows[name].to_numpy() / rows["truth"].to_numpy() for name in ("probability", "std"))
        if _NUISANCE in rows:
            both = _both(rows) / rows["truth"].to_numpy()
            axes.stairs(ratio + both, edges, baseline=ratio - both, fill=True, color=OTHER[1], alpha=0.35, lw=0)
        axes.stairs(ratio + std, edges, baseline=ratio - std, fill=True, color=NETWORK, alpha=0.35, lw=0)
        axes.stairs(ratio, edges, color=NETWORK, baseline=None)
        axes.axhline(1, color=TRUTH, ls="--", lw=1)
        error = rows["truth_error"].to_numpy() / rows["truth"].to_numpy()
        if error.any():
            axes.stairs(1 + error, edges, baseline=1 - error, fill=True, color=TRUTH, alpha=0.15, lw=0)

    def _uncertainty(self, axes: Axes, table: Table, edges: np.ndarray) -> None:
        rows = table.data
        axes.stairs(rows["relative_std"], edges, color=NETWORK, baseline=None, label="network")
        if _NUISANCE in rows:
            theory = rows[_NUISANCE] / rows["probability"]
            axes.stairs(theory, edges, color=OTHER[1], ls="--", baseline=None, label="nuisance")
        fits = [name for name in table.schema.names if name.startswith(_FIT)]
        for name, dashes in zip(fits, _DASHES, strict=False):
            style: Style = {"color": FORMULA, "ls": dashes, "lw": 1.2, "baseline": None}
            axes.stairs(rows[name] / rows["truth"], edges, label=f"fit of degree {name.removeprefix(_FIT)}", **style)

    def _scale(self, panels: np.ndarray, tables: list[Table]) -> None:
        """Panels show well-populated bins whole; others may leave them."""
        middle = [table.data[table.data["is_populated"] == 1] for table in tables]
        largest = max(float(_largest(rows).max()) for rows in middle if len(rows))
        away = max(float((np.abs(rows["probability"] - rows["truth"]) / rows["truth"]).max()) for rows in middle)
        panels[1, 0].set_ylim(1 - 1.6 * max(largest, away), 1 + 1.6 * max(largest, away))
        panels[2, 0].set_ylim(0, 1.15 * largest)

    def caption(self) -> str:
        names = ", ".join(readable(label) for label in self.labels)
        return (
            f"Learned densities with their uncertainty ({names}). Top: posterior mean, with one standard deviation, "
            "and the truth. Middle: the same over the truth. Bottom: relative uncertainty; with it, where the study "
            "asks for them, that of the fit of a polynomial to as many events, and the spread over the values of a "
            "nuisance, which the outer bands add in quadrature."
        )


def _both(rows: pd.DataFrame) -> np.ndarray:
    """Both errors of each bin in quadrature."""
    return np.hypot(rows["std"].to_numpy(), rows[_NUISANCE].to_numpy())


def _largest(rows: pd.DataFrame) -> np.ndarray:
    """The greater of both relative errors of each bin."""
    theory = rows[_NUISANCE].to_numpy() if _NUISANCE in rows else np.zeros(len(rows))
    return np.maximum(rows["relative_std"].to_numpy(), theory / rows["probability"].to_numpy())


def _axis(table: Table) -> tuple[Column, np.ndarray]:
    """The one feature with several bins, and its edges."""
    names = [c.name.removesuffix("_low") for c in table.schema.columns if c.name.endswith("_low")]
    several = [name for name in names if table.data[f"{name}_low"].nunique() > 1]
    if len(several) != 1:
        raise SchemaError(
            f"the figure predictive draws bins along one feature, the table has several along {len(several)}: "
            f"{', '.join(several)}. Give the others one bin each."
        )
    low, high = table.data[f"{several[0]}_low"].to_numpy(), table.data[f"{several[0]}_high"].to_numpy()
    return table.column(f"{several[0]}_low"), np.append(low, high[-1])


def _density_label(table: Table) -> str:
    column, _ = _axis(table)
    return "$p$" if column.unit == "1" else f"$p$ [{unit_label(column.unit)}$^{{-1}}$]"
