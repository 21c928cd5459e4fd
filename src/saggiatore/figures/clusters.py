"""Where in phase space the tails of a classifier's weights lie: clusters of their events along all features."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import Field

from saggiatore.errors import SchemaError
from saggiatore.figures.base import AbstractFigure, Inputs
from saggiatore.figures.style import FORMULA, NETWORK, OTHER, TRUTH, Style, axis_label, new_figure, readable
from saggiatore.number import quote
from saggiatore.spec import ClustersLabel, Label, Spec
from saggiatore.tables import Column

_COLOURS = (FORMULA, NETWORK, *OTHER)
_MARKS = "osD^v<"
_TAILS = {"above": "largest w: too few generated", "below": "smallest w: too many generated"}
_ROOM = 0.7  # of the distance between two features that the bars of one take


class ClustersFigureSpec(Spec):
    """One row of panels a generator, with the tail of large and that of small weights."""

    kind: Literal["clusters"] = "clusters"
    clusters: ClustersLabel
    shown: tuple[Label, ...] = Field(min_length=1, max_length=4, description="entries of the section `control`")

    def build(self) -> "ClustersFigure":
        return ClustersFigure(self.shown)


@dataclass(frozen=True)
class ClustersFigure(AbstractFigure):
    """Median and box of each cluster, standardised by the true events; its shares in the legend."""

    shown: tuple[str, ...]

    def draw(self, inputs: Inputs) -> Figure:
        table = inputs.tables["clusters"]
        rows = [_entry(table.data, name) for name in self.shown]
        n_features = [found["feature"].nunique() for found in rows]
        n_clusters = [found["cluster"].max() for found in rows]
        heights = [1.2 + 0.36 * one + 0.2 * two for one, two in zip(n_features, n_clusters, strict=True)]
        figure = new_figure(10.4, 0.3 + sum(heights))
        panels = figure.subplots(len(rows), 2, squeeze=False, sharex=True, height_ratios=heights)
        for (left, right), found, name in zip(panels, rows, self.shown, strict=True):
            for axes, tail in ((left, "above"), (right, "below")):
                self._panel(axes, found[found["tail"] == tail], f"{readable(name)}, {_TAILS[tail]}")
            right.set_yticklabels([])
        for axes in panels[-1]:
            axes.set_xlabel(axis_label(table.column("z")))
        return figure

    def _panel(self, axes: Axes, rows: pd.DataFrame, title: str) -> None:
        features = rows.drop_duplicates("feature")
        places = np.arange(len(features))[::-1]
        numbers = rows["cluster"].unique()
        shifts = _ROOM * ((np.arange(len(numbers)) + 0.5) / len(numbers) - 0.5)
        for i, (number, shift) in enumerate(zip(numbers, shifts, strict=True)):
            found = rows[rows["cluster"] == number]
            sides = np.abs(found[["z_low", "z_high"]].to_numpy().T - found["z"].to_numpy())
            colour, mark = _COLOURS[i % len(_COLOURS)], _MARKS[i % len(_MARKS)]
            axes.errorbar(
                *(found["z"], places - shift), xerr=sides, fmt=mark, ms=4, lw=2, color=colour, label=_text(found)
            )
        axes.axvline(0, color=TRUTH, lw=0.8, ls=":")
        labels = zip(features["feature"], features["unit"], features["label"], strict=True)
        names = [axis_label(Column(name, unit, name, label)) for name, unit, label in labels]
        axes.set_yticks(places, names)
        axes.tick_params(axis="y", which="both", left=False, right=False)
        axes.set_ylim(-0.6, len(features) - 0.4)
        place: Style = {"loc": "lower left", "bbox_to_anchor": (-0.02, 1), "borderaxespad": 0.1}
        axes.legend(title=title, alignment="left", fontsize=8.2, handlelength=1.2, **place)

    def caption(self) -> str:
        return (
            "Where the events lie that a classifier gives the largest and the smallest weights w = D/(1-D): clusters "
            "of them by k-means. Marks are medians, bars the box about the inner three quarters of a cluster, in each "
            "feature as a standard normal number of the true events: 0 is their median, 1 has 16 % of them above. The "
            "legend states how much of the tail a cluster holds, its mean w, and the shares of true and of generated "
            "events inside the box, the latter of events that the clusters were not found with."
        )


def _entry(data: pd.DataFrame, name: str) -> pd.DataFrame:
    found = data[data["name"] == name]
    if found.empty:
        known = ", ".join(data["name"].unique())
        raise SchemaError(f"the clusters have no entry '{name}', expected one of {known}; change `shown`.")
    return found


def _text(rows: pd.DataFrame) -> str:
    """What a cluster holds."""
    row = rows.iloc[0]
    shares = [_percent(row[name], row[f"{name}_error"]) for name in ("true", "generated")]
    about = f"{100 * row['share']:.0f} % of the tail, w = {row['weight']:.3g}"
    return f"{about}; in the box {shares[0]} true, {shares[1]} gen."


def _percent(share: float, error: float) -> str:
    return f"{quote(100 * share, 100 * error)} %"
