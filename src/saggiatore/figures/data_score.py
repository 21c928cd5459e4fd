"""The data score of a density of two features: what a diffusion states, and what its formula says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from pydantic import Field

from saggiatore.distill.expression import evaluate, parse, symbol_names
from saggiatore.distill.latex import latex
from saggiatore.errors import SchemaError
from saggiatore.figures.base import AbstractFigure, Inputs, score_range, values_of
from saggiatore.figures.style import axis_label, fit_titles, new_figure
from saggiatore.spec import Form, FormulaLabel, Spec, TeacherLabel
from saggiatore.tables import Column, Table

_NOT_FEATURES = ("score", "var_stat", "var_noise", "weight")


class DataScoreFigureSpec(Spec):
    """Maps of the teacher's data score and of the formula at the same events, and of the exact one where known."""

    kind: Literal["data_score"] = "data_score"
    teacher: TeacherLabel
    formula: FormulaLabel
    exact: Form | None = Field(
        None,
        description="the data score that the smeared events have, where it is known: a form without free constants",
    )
    n_bins: int = Field(40, ge=5, le=200, description="bins along each feature")

    def build(self) -> "DataScoreFigure":
        return DataScoreFigure(self.formula, self.exact, self.n_bins)


@dataclass(frozen=True)
class DataScoreFigure(AbstractFigure):
    """Mean in bins of the two features; bins without events stay empty."""

    formula: str
    exact: str | None
    n_bins: int

    def draw(self, inputs: Inputs) -> Figure:
        table, document = inputs.tables["teacher"], inputs.documents["formula"]
        features = [column for column in table.schema.columns if column.name not in _NOT_FEATURES]
        if len(features) != 2:
            raise SchemaError(f"the figure data_score draws two features, the teacher has {len(features)}.")
        columns = {column.name: values_of(table, column.name) for column in features}
        taught = values_of(table, "score")
        found = evaluate(parse(document["expression"]), columns | document["constants"], np)
        maps = [("network", taught), (f"formula\n${document['shown']['latex']}$", found)]
        if self.exact is not None:
            maps.append(self._exact(self.exact, columns, features))
        limits = score_range(taught, np.ones_like(taught), 0.01)
        figure = new_figure(1.4 + 4.0 * len(maps), 4.8)
        panels = figure.subplots(1, len(maps), sharex=True, sharey=True)
        for axes, (title, score) in zip(panels, maps, strict=True):
            drawn = self._map(axes, table, features, np.broadcast_to(score, taught.shape), limits)
            axes.set_title(title)
            axes.label_outer()
        figure.colorbar(drawn, ax=panels, label=f"data score along {features[0].label}", pad=0.02)
        fit_titles(figure, panels)
        return figure

    def _exact(self, text: str, columns: Mapping[str, np.ndarray], features: list[Column]) -> tuple[str, np.ndarray]:
        """Title and values of the exact data score."""
        form = parse(text)
        unknown = sorted(symbol_names(form) - columns.keys())
        if unknown:
            raise SchemaError(
                f"exact: '{text}' has {', '.join(unknown)}, which are no features of the teacher, "
                f"{', '.join(columns)}; constants are written as numbers there."
            )
        shown = latex(form, {}, {column.name: column.label for column in features})
        return f"exact\n${shown}$", evaluate(form, columns, np)

    def _map(
        self, axes: Axes, table: Table, features: list[Column], score: np.ndarray, limits: tuple[float, float]
    ) -> QuadMesh:
        x, y = (values_of(table, column.name) for column in features)
        counts, *edges = np.histogram2d(x, y, bins=self.n_bins)
        total, *_ = np.histogram2d(x, y, bins=edges, weights=score)
        mean = np.divide(total, counts, out=np.full_like(total, np.nan), where=counts > 0)
        drawn = axes.pcolormesh(
            edges[0], edges[1], mean.T, cmap="RdBu_r", vmin=limits[0], vmax=limits[1], rasterized=True
        )
        axes.set_xlabel(axis_label(features[0]))
        axes.set_ylabel(axis_label(features[1]))
        return drawn

    def caption(self) -> str:
        exact = "" if self.exact is None else " On the right the exact data score of such events, nothing of it fitted."
        return (
            "Data score of smeared events, along the first feature: as the diffusion states it (left), and the "
            f"formula {self.formula}, of complexity {{formula.{self.formula}.complexity}}, whose constants were "
            f"fitted to the joint data score of the events.{exact} Mean in bins; bins without events are empty."
        )
