"""Events with the joint score that formulas are refitted to and chosen on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saggiatore.distill.expression import evaluate
from saggiatore.distill.parametric import Parametric
from saggiatore.distill.select import Estimate
from saggiatore.tables import Column, read_table
from saggiatore.tasks.columns import flavour_variance_column, parton_score_column

_WEIGHT = Column("weight", "pb", "Monte Carlo weight")


@dataclass(frozen=True)
class Sample:
    """Features by name, and the joint score's mean and variance over flavours, and weight, of some events."""

    columns: Mapping[str, np.ndarray]
    score: np.ndarray
    flavour_variance: np.ndarray
    weight: np.ndarray

    @classmethod
    def read(cls, path: Path, parameter: str, features: Iterable[Column]) -> "Sample":
        """Read an event table.

        Raises:
            SchemaError: if a feature is missing or in another unit, or the joint score of `parameter` is missing.
        """
        truth = (parton_score_column(parameter), flavour_variance_column(parameter), _WEIGHT)
        needed = tuple(features)
        table = read_table(path, "events", require=[*truth, *needed])
        columns = {feature.name: table.data[feature.name].to_numpy() for feature in needed}
        return cls(columns, *(table.data[column.name].to_numpy() for column in truth))

    def values(self, form: Parametric) -> np.ndarray:
        """The form's value of each event."""
        found = evaluate(form.expression, {**self.columns, **form.values}, np)
        return np.broadcast_to(found, self.score.shape)

    def squares(self, form: Parametric) -> np.ndarray:
        """Squared distance from the joint score, of each event, averaged over flavours."""
        return (self.values(form) - self.score) ** 2 + self.flavour_variance

    def squared_scores(self) -> np.ndarray:
        """Squared joint score of each event, averaged over flavours."""
        return self.score**2 + self.flavour_variance

    def information(self, form: Parametric) -> Estimate:
        """Share of the joint information, E[f t]^2 / (E[f^2] E[t^2]), with its error by linear propagation."""
        value, share = self.values(form), self.weight / self.weight.sum()
        terms = np.stack([value * self.score, value**2, self.squared_scores()])
        cross, own, all_of_it = terms @ share
        kept = cross**2 / (own * all_of_it)
        relative = 2 * terms[0] / cross - terms[1] / own - terms[2] / all_of_it  # of mean zero
        return Estimate(float(kept), float(kept * np.sqrt(np.sum((share * relative) ** 2))))
