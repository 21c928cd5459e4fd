"""A teacher as a distillation reads it: features, score, its two variances kept apart, and how much each event counts.

`var_stat` is the spread over the posterior, `var_noise` that of the joint score at fixed features. An event counts with
1/(var_stat + var_floor), where the floor says how well a formula need follow the network at all. A formula f is held
against the teacher's score s by chi^2 = <(f - s)^2 / (var_stat + var_floor)> per event, beside the mean squared error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saggiatore.distill.engine import Problem
from saggiatore.errors import SchemaError
from saggiatore.tables import Column, read_table

SCORE = (
    Column("score", "1", "score that the teacher states"),
    Column("weight", "1", "how much the event counts"),
)
_VARIANCES = ("var_stat", "var_noise")
_FLOOR = "var_floor"  # in the table's provenance


@dataclass(frozen=True)
class Teacher:
    """A teacher table; `variance` is var_stat + var_floor of each row, and None where no posterior stands behind it."""

    features: tuple[Column, ...]
    parameter: str
    problem: Problem
    variance: np.ndarray | None
    var_stat: np.ndarray

    @classmethod
    def read(cls, path: Path) -> "Teacher":
        """Read a teacher table.

        Raises:
            SchemaError: if it is no teacher table, or a variance is negative.
        """
        table = read_table(path, "teacher", require=SCORE)
        others = {*_VARIANCES, *(column.name for column in SCORE)}
        features = tuple(column for column in table.schema.columns if column.name not in others)
        names = tuple(feature.name for feature in features)
        score, weight = (table.data[column.name].to_numpy() for column in SCORE)
        _require_positive(path, {name: table.data[name].to_numpy() for name in _VARIANCES if name in table.data})
        var_stat = table.data["var_stat"].to_numpy() if "var_stat" in table.data else np.zeros(len(score))
        floor = table.provenance.get(_FLOOR, 0.0)
        variance = var_stat + floor if floor > 0 else None
        problem = Problem(names, table.array(names), score, weight)
        return cls(features, table.provenance["parameter"], problem, variance, var_stat)

    def chi2(self, values: np.ndarray) -> float | None:
        """Chi squared per event of a formula's values at the teacher's rows."""
        return None if self.variance is None else float(np.mean((values - self.problem.y) ** 2 / self.variance))

    def chi2_of_loss(self, loss: float) -> float | None:
        """The same, from the weighted mean squared distance that a search states."""
        return None if self.variance is None else float(loss * np.mean(1 / self.variance))


def _require_positive(path: Path, variances: Mapping[str, np.ndarray]) -> None:
    for name, values in variances.items():
        n_negative = int((values < 0).sum())
        if n_negative:
            raise SchemaError(
                f"{path}: {name} is negative in {n_negative} of {len(values)} rows, the first is row "
                f"{int(np.argmax(values < 0))}; a variance is none or positive. Re-run the rules draws and teachers."
            )
