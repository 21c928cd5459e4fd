"""Differential cross sections of the events, with the band of their variations of the scales."""

from dataclasses import dataclass
from typing import Literal

import hist
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from pydantic import Field

from saggiatore.figures.base import AbstractFigure, Inputs, central_range, sums, values_of
from saggiatore.figures.style import NETWORK, TRUTH, Style, angular_ticks, axis_label, new_figure, unit_label
from saggiatore.spec import EventsLabel, ObservableName, Spec
from saggiatore.tables import Column, Table

_SCALES = ("weight_mur", "weight_muf")  # begin the columns of weights at other scales
_TAIL = {False: 0.005, True: 0.0005}  # of the rate, beyond the end of a linear and of a logarithmic panel
_PANEL = 3.3, 4.4  # inches
_BAND = "scales varied by factors of two"


class DistributionsFigureSpec(Spec):
    """Differential cross sections of a table of events; with the weights at other scales, if it has them."""

    kind: Literal["distributions"] = "distributions"
    events: EventsLabel
    features: tuple[ObservableName, ...] = Field(
        min_length=1, description="observables to draw", json_schema_extra={"uniqueItems": True}
    )
    log: tuple[ObservableName, ...] = Field((), description="those of them whose cross section has a logarithmic axis")
    n_bins: int = Field(30, ge=4, le=400, description="bins of each histogram")

    def build(self) -> "DistributionsFigure":
        return DistributionsFigure(self.features, self.log, self.n_bins)


@dataclass(frozen=True)
class DistributionsFigure(AbstractFigure):
    r"""Above $d\sigma/dx$ for each observable x, below its variations over its central value."""

    features: tuple[str, ...]
    log: tuple[str, ...]
    n_bins: int

    def draw(self, inputs: Inputs) -> Figure:
        """Draw the figure.

        Raises:
            SchemaError: if the events lack an observable.
        """
        table = inputs.tables["events"]
        columns = [table.column(name) for name in self.features]
        n_across = min(len(columns), 3)
        n_down = -(-len(columns) // n_across)
        figure = new_figure(_PANEL[0] * n_across, 0.3 + _PANEL[1] * n_down)
        grid = figure.subplots(2 * n_down, n_across, squeeze=False, height_ratios=(3, 1.3) * n_down)
        for place, column in enumerate(columns):
            row, across = 2 * (place // n_across), place % n_across
            self._panel(grid[row, across], grid[row + 1, across], table, column)
        for axes in grid.flat:
            axes.set_axis_on() if axes.has_data() else axes.set_axis_off()
        figure.legend(*grid[1, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
        return figure

    def _panel(self, upper: Axes, lower: Axes, table: Table, column: Column) -> None:
        is_log = column.name in self.log
        values, weights = values_of(table, column.name), values_of(table, "weight")
        axis = hist.axis.Regular(self.n_bins, *central_range(values, weights, _TAIL[is_log]))
        height, error = sums(values, weights, axis)
        low, high = envelope(table, column, axis)
        filled = height > 0
        for axes, unit in ((upper, axis.widths), (lower, np.where(filled, height, 1.0))):
            band = [np.where(filled, edge / unit, np.nan) for edge in (low, high)]
            axes.stairs(band[1], axis.edges, baseline=band[0], fill=True, color=NETWORK, alpha=0.35, lw=0, label=_BAND)
            axes.stairs(np.where(filled, height / unit, np.nan), axis.edges, color=TRUTH, baseline=None)
            marks: Style = {"fmt": "none", "color": TRUTH, "lw": 0.9, "label": "events, statistical error"}
            axes.errorbar(axis.centers[filled], (height / unit)[filled], (error / unit)[filled], **marks)
            axes.set_xlim(axis.edges[0], axis.edges[-1])
            angular_ticks(axes, column)
        upper.set_yscale("log") if is_log else upper.set_ylim(0, None)
        upper.set_ylabel(_differential(column))
        upper.tick_params(labelbottom=False)
        lower.set_ylim(*_symmetric(low[filled] / height[filled], high[filled] / height[filled]))
        lower.yaxis.set_major_locator(MaxNLocator(4, prune="upper"))
        lower.set_ylabel("ratio")
        lower.set_xlabel(axis_label(column))

    def caption(self) -> str:
        return (
            "Differential cross sections inside the cuts, with statistical errors, and below them relative to their "
            "central values. The band is the envelope of the weights at other scales, where the events carry them."
        )


def envelope(table: Table, column: Column, axis: hist.axis.Regular) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest sum of weights in each bin over the central and all other scales; shape (bin,) each.

    Raises:
        SchemaError: if the table has no weights.
    """
    names = [each.name for each in table.schema.columns if each.name.startswith(_SCALES)]
    values = values_of(table, column.name)
    found = np.stack([sums(values, values_of(table, name), axis)[0] for name in ("weight", *names)])
    return found.min(axis=0), found.max(axis=0)


def _differential(column: Column) -> str:
    r"""``dsigma/dx [pb/unit]``."""
    name = (column.label or column.name).strip("$")
    unit = "pb" if column.unit == "1" else f"pb {unit_label(column.unit)}$^{{-1}}$"
    return rf"$d\sigma/d{name}$ [{unit}]"


def _symmetric(low: np.ndarray, high: np.ndarray) -> tuple[float, float]:
    """Limits about one that hold the band and leave it room."""
    reach = max(float(np.max(high - 1)), float(np.max(1 - low)), 0.1)
    return 1 - 1.4 * reach, 1 + 1.4 * reach
