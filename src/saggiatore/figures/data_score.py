"""The data score of a density of two features: what a diffusion states, and what its formula says."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from pydantic import Field

from saggiatore.distill.expression import evaluate, parse
from saggiatore.errors import SchemaError
from saggiatore.figures.base import AbstractFigure, Inputs, score_range, values_of
from saggiatore.figures.style import axis_label, fit_text, new_figure
from saggiatore.spec import FormulaLabel, Spec, TeacherLabel
from saggiatore.tables import Column, Table

_NOT_FEATURES = ("score", "var_stat", "var_noise", "weight")


class DataScoreFigureSpec(Spec):
    """Two maps: of the teacher's data score, and of the formula at the same events."""

    kind: Literal["data_score"] = "data_score"
    teacher: TeacherLabel
    formula: FormulaLabel
    n_bins: int = Field(40, ge=5, le=200, description="bins along each feature")

    def build(self) -> "DataScoreFigure":
        return DataScoreFigure(self.formula, self.n_bins)


@dataclass(frozen=True)
class DataScoreFigure(AbstractFigure):
    """Mean in bins of the two features; bins without events stay empty."""

    formula: str
    n_bins: int

    def draw(self, inputs: Inputs) -> Figure:
        table, document = inputs.tables["teacher"], inputs.documents["formula"]
        features = [column for column in table.schema.columns if column.name not in _NOT_FEATURES]
        if len(features) != 2:
            raise SchemaError(f"the figure data_score draws two features, the teacher has {len(features)}.")
        expression = parse(document["expression"])
        values = {column.name: values_of(table, column.name) for column in features} | document["constants"]
        taught = values_of(table, "score")
        found = np.broadcast_to(evaluate(expression, values, np), taught.shape)
        limits = score_range(taught, np.ones_like(taught), 0.01)
        figure = new_figure(9.6, 4.6)
        left, right = figure.subplots(1, 2, sharex=True, sharey=True)
        self._map(left, table, features, taught, limits)
        drawn = self._map(right, table, features, found, limits)
        left.set_title("network")
        right.set_title("formula")
        right.set_ylabel("")
        figure.colorbar(drawn, ax=(left, right), label=f"data score along {features[0].label}", pad=0.02)
        fit_text(figure, f"${document['shown']['latex']}$")
        return figure

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
        return (
            "Data score of smeared events, along the first feature: as the diffusion states it (left), and the "
            f"formula {self.formula}, of complexity {{formula.{self.formula}.complexity}}, whose constants were "
            "fitted to the joint data score of the events (right). Mean in bins; bins without events are empty."
        )
