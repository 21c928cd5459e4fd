"""Learned amplitudes: how accurate, how that grows with the training, and whether stated errors are true."""

from dataclasses import dataclass
from typing import Literal

import hist
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from pydantic import Field

from saggiatore.figures.base import AbstractFigure, Inputs, sums, values_of
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
)
from saggiatore.spec import AccuracyLabel, DeltasLabel, Label, Spec
from saggiatore.tables import Table

_COLOURS = (NETWORK, FORMULA, *OTHER)
_MARKS = ("o", "s", "^", "v", "D", "P")
_N_BINS = 40
_REACH = 5.0  # of the axis of pulls


class AccuracyFigureSpec(Spec):
    """Networks of an amplitude; accuracy and deltas are usually the same label."""

    kind: Literal["accuracy"] = "accuracy"
    accuracy: AccuracyLabel
    deltas: DeltasLabel
    shown: tuple[Label, ...] = Field(min_length=1, max_length=6, description="entries whose Delta is shown")
    pulls: tuple[Label, ...] = Field(min_length=1, max_length=6, description="entries whose pulls are shown")
    sizes: dict[Label, tuple[Label, ...]] = Field(
        {}, max_length=6, description="entries of each line of the accuracy against the number of training events"
    )

    def build(self) -> "AccuracyFigure":
        return AccuracyFigure(self.accuracy, self.shown, self.pulls, tuple(self.sizes.items()))


@dataclass(frozen=True)
class AccuracyFigure(AbstractFigure):
    """Left: |Delta|. Middle: pulls with the whole error. Right: quantiles of |Delta| against the training size."""

    label: str
    shown: tuple[str, ...]
    pulls: tuple[str, ...]
    sizes: tuple[tuple[str, tuple[str, ...]], ...]

    def draw(self, inputs: Inputs) -> Figure:
        table, events = inputs.tables["accuracy"], inputs.tables["deltas"]
        panels = 3 if self.sizes else 2
        figure = new_figure(4.2 * panels, 4.2)
        axes = figure.subplots(1, panels)
        self._deltas(axes[0], events)
        self._pulls(axes[1], events)
        if self.sizes:
            self._sizes(axes[2], table)
        return figure

    def _deltas(self, axes: Axes, events: Table) -> None:
        weights = values_of(events, "weight")
        found = {name: np.log10(np.abs(values_of(events, f"delta_{name}"))) for name in self.shown}
        low = min(float(np.quantile(values, 0.002)) for values in found.values())
        high = max(float(np.quantile(values, 0.9995)) for values in found.values())
        axis = hist.axis.Regular(_N_BINS, low, high)
        for place, (name, values) in enumerate(found.items()):
            self._histogram(axes, values, weights, axis, _style(place, name))
        axes.set_xlabel(r"$\log_{10}|\Delta|$,  $\Delta = (A - A_{\rm net})/A$")
        axes.set_ylabel("probability density")
        axes.set_ylim(0, None)
        headroom(axes, 0.12 + 0.06 * len(found))
        axes.legend(loc="upper left")

    def _pulls(self, axes: Axes, events: Table) -> None:
        weights = values_of(events, "weight")
        axis = hist.axis.Regular(_N_BINS, -_REACH, _REACH)
        for place, name in enumerate(self.pulls):
            self._histogram(axes, values_of(events, f"pull_{name}"), weights, axis, _style(place, name))
        grid = np.linspace(-_REACH, _REACH, 301)
        axes.plot(grid, np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi), color=TRUTH, lw=1, ls="--", label=r"$N(0,1)$")
        axes.set_xlim(-_REACH, _REACH)
        axes.set_ylim(0, None)
        headroom(axes, 0.16 + 0.06 * len(self.pulls))
        axes.set_xlabel(r"$(\log A - m)\,/\,\sigma$")
        axes.set_ylabel("probability density")
        axes.legend(loc="upper left")

    def _histogram(
        self, axes: Axes, values: np.ndarray, weights: np.ndarray, axis: hist.axis.Regular, style: Style
    ) -> None:
        counts, _ = sums(values, weights, axis)
        axes.stairs(counts / (weights.sum() * axis.widths), axis.edges, lw=1.3, **style)

    def _sizes(self, axes: Axes, table: Table) -> None:
        rows = table.data[table.data["region"] == "all"].set_index("name")
        for place, (name, entries) in enumerate(self.sizes):
            line = rows.loc[list(entries)].sort_values("n_train")
            mark: Style = {"marker": _MARKS[place], "ms": 4.5, "lw": 1.1, "color": _COLOURS[place]}
            axes.errorbar(line["n_train"], line["delta_50"], line["delta_50_error"], label=readable(name), **mark)
            axes.errorbar(line["n_train"], line["delta_95"], line["delta_95_error"], ls=":", mfc="none", **mark)
        axes.set_xscale("log")
        axes.set_yscale("log")
        numbers = sorted({int(n) for _, entries in self.sizes for n in rows.loc[list(entries), "n_train"]})
        axes.set_xticks(numbers, [f"{n}" for n in numbers])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(axis_label(table.column("n_train")))
        axes.set_ylabel(r"$|\Delta|$: median, 95 % (dotted)")
        axes.legend(loc="upper right")

    def caption(self) -> str:
        medians = ", ".join(f"{readable(name)} {{delta_50.{self.label}.{name}}}" for name in self.shown)
        widths = ", ".join(f"{readable(name)} {{pull_68.{self.label}.{name}}}" for name in self.pulls)
        lines = (
            "Right: median (full) and 95 % quantile (dotted) of |Δ| against the number of training events."
            if self.sizes
            else ""
        )
        return (
            "Learned squared amplitudes on events that no network saw. Left: relative deviation Δ = (A − A_net)/A; "
            f"medians of |Δ|: {medians}. Pulls of log A with the whole stated error, against a unit normal "
            f"distribution; half widths that hold 68 %, over a normal's: {widths}. {lines}"
        ).strip()


def _style(place: int, name: str) -> Style:
    return {"color": _COLOURS[place], "label": readable(name)}
