"""Refit the hall of fame to the joint score, and choose one member on held-out events: the formula."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import sympy
from tqdm import tqdm

from saggiatore.distill.engine import Candidate
from saggiatore.distill.expression import evaluate
from saggiatore.distill.formula import Feature, Formula
from saggiatore.distill.hall_of_fame import read_hall_of_fame
from saggiatore.distill.refit import Refit, refit
from saggiatore.distill.select import choose, weighted_mean
from saggiatore.errors import ConvergenceError, EngineError, StudyError
from saggiatore.job import Job
from saggiatore.provenance import provenance
from saggiatore.steps.distill import FormulasSection
from saggiatore.tables import Column, Table, TableSchema, read_header, read_table, write_table
from saggiatore.tasks.base import flavour_variance_column, parton_score_column

log = logging.getLogger(__name__)

REFITS = TableSchema(
    "refits",
    1,
    (
        Column("complexity", "1", "nodes of the expression: constants, variables and operators", "complexity", "int"),
        Column("expression", "1", "sympy's srepr with the refitted constants", kind="str"),
        Column("latex", "1", "the expression, its constants with their errors, in LaTeX", kind="str"),
        Column("mse_train", "1", "mean squared distance from the joint score of the events of the refit", "MSE"),
        Column("mse_select", "1", "the same on the held-out events of the selection", "MSE"),
        Column("mse_select_error", "1", "standard error of mse_select"),
        Column("is_chosen", "1", "1 for the member that became the formula", kind="int"),
    ),
)
_WEIGHT = Column("weight", "pb", "Monte Carlo weight")


@dataclass(frozen=True)
class Events:
    """Features by name, and the joint score's mean and variance over flavours, and weight, of some events."""

    columns: Mapping[str, np.ndarray]
    score: np.ndarray
    flavour_variance: np.ndarray
    weight: np.ndarray

    def values(self, member: Refit) -> np.ndarray:
        """The formula's value of each event."""
        found = evaluate(member.form.expression, {**self.columns, **member.form.values}, np)
        return np.broadcast_to(found, self.score.shape)

    def squares(self, member: Refit) -> np.ndarray:
        """Squared distance from the joint score, of each event, averaged over flavours."""
        return (self.values(member) - self.score) ** 2 + self.flavour_variance

    def squared_scores(self) -> np.ndarray:
        """Squared joint score of each event, averaged over flavours."""
        return self.score**2 + self.flavour_variance

    def information(self, member: Refit) -> float:
        """Share of the joint information, E[f t]^2 / (E[f^2] E[t^2])."""
        value, share = self.values(member), self.weight / self.weight.sum()
        return float((share @ (value * self.score)) ** 2 / ((share @ value**2) * (share @ self.squared_scores())))


def run(
    job: Job[FormulasSection], *, code: str, hall_of_fame: Path, train: Path, select: Path, refits: Path, formula: Path
) -> None:
    """Write the refits of all members, and the chosen one as a formula."""
    _, origin = read_header(hall_of_fame, "hall_of_fame")
    features = tuple(Feature(entry["name"], entry["unit"], entry["label"]) for entry in origin["features"])
    table, candidates = read_hall_of_fame(hall_of_fame, (feature.name for feature in features))
    parameter = _parameter(origin["parameter"], job.section.parameter)
    events = _events(train, parameter, features)
    fitted = _refits(candidates, events)
    held_out = _events(select, parameter, features)
    squares = [held_out.squares(member) for _, member in fitted]
    complexities = [found.complexity for found, _ in fitted]
    second_moment = weighted_mean(held_out.squared_scores(), held_out.weight).value
    chosen = choose(job.section.selection, complexities, squares, held_out.weight, second_moment)
    made = provenance(job.model_dump(mode="json"), code)
    formulas = [_formula(member, parameter, features, table, made) for _, member in fitted]
    write_table(refits, REFITS, _columns(fitted, formulas, squares, held_out.weight, chosen), made)
    quality = _quality(fitted[chosen][1], squares[chosen], held_out) | {"n_train": float(len(events.score))}
    replace(formulas[chosen], quality=quality).write(formula)


def _parameter(taught: str, stated: str | None) -> str:
    """The parameter whose score the teacher has; a study that names one must name that."""
    if stated not in (None, taught):
        raise StudyError(
            f"formulas.parameter is '{stated}', the teacher has the score of '{taught}'. Leave it out, or name a "
            f"teacher of '{stated}'."
        )
    return taught


def _events(path: Path, parameter: str, features: tuple[Feature, ...]) -> Events:
    truth = (parton_score_column(parameter), flavour_variance_column(parameter), _WEIGHT)
    needed = [Column(feature.name, feature.unit, "feature") for feature in features]
    table = read_table(path, "events", require=[*truth, *needed])
    columns = {feature.name: table.data[feature.name].to_numpy() for feature in features}
    return Events(columns, *(table.data[column.name].to_numpy() for column in truth))


def _refits(candidates: list[Candidate], train: Events) -> list[tuple[Candidate, Refit]]:
    """Members whose constants the events determine; the others are named in the log and left out."""
    fitted = []
    for candidate in tqdm(candidates, "refit", unit="formula", mininterval=1):
        try:
            member = refit(candidate.form, train.columns, train.score, train.weight)
            mse = weighted_mean(train.squares(member), train.weight).value
            fitted.append((candidate, replace(member, mse=mse)))
        except ConvergenceError as error:
            log.warning("left out: %s", error)
    if not fitted:
        raise EngineError(f"none of {len(candidates)} formulas could be refitted; the log says why for each.")
    return fitted


def _formula(
    member: Refit, parameter: str, features: tuple[Feature, ...], table: Table, made: dict[str, object]
) -> Formula:
    first = table.data.iloc[0]
    return Formula(
        name=parameter,
        features=features,
        expression=member.form.expression,
        constants=member.form.values,
        covariance=member.covariance,
        engine={"name": first["engine"], "version": first["engine_version"]},
        provenance=made,
    )


def _quality(member: Refit, squares: np.ndarray, held_out: Events) -> dict[str, float]:
    mse, e_t2 = weighted_mean(squares, held_out.weight), weighted_mean(held_out.squared_scores(), held_out.weight)
    return {
        "mse_train": member.mse,
        "mse_select": mse.value,
        "mse_select_error": mse.error,
        "e_t2_select": e_t2.value,
        "information_select": held_out.information(member),
        "n_select": float(len(squares)),
    }


def _columns(
    fitted: list[tuple[Candidate, Refit]],
    formulas: list[Formula],
    squares: list[np.ndarray],
    weight: np.ndarray,
    chosen: int,
) -> dict[str, object]:
    errors = [weighted_mean(square, weight) for square in squares]
    return {
        "complexity": [candidate.complexity for candidate, _ in fitted],
        "expression": [sympy.srepr(member.form.filled) for _, member in fitted],
        "latex": [formula.latex() for formula in formulas],
        "mse_train": [member.mse for _, member in fitted],
        "mse_select": [estimate.value for estimate in errors],
        "mse_select_error": [estimate.error for estimate in errors],
        "is_chosen": [int(place == chosen) for place in range(len(fitted))],
    }
