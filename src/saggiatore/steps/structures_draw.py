"""Distil one draw of a posterior: search, refit to its own score, selection. Like `distill`, it never imports jax."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

import sympy
from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.distill.constant_fit import fit_covariance
from saggiatore.distill.construction import search
from saggiatore.distill.election import contenders, elect
from saggiatore.distill.engine import WIDTH, Candidate, Engine, Problem, pareto_front
from saggiatore.distill.expression import complexity
from saggiatore.distill.formula_posterior import Targets
from saggiatore.distill.parametric import Parametric, read_parametric
from saggiatore.distill.sample import Sample
from saggiatore.distill.select import SelectionSpec
from saggiatore.errors import ConvergenceError, EngineError, StudyError
from saggiatore.job import Job, read_job
from saggiatore.provenance import provenance
from saggiatore.spec import FormulaLabel, Section
from saggiatore.steps.distill import FormulasSection
from saggiatore.tables import Column, Table, TableSchema, read_table, write_table

log = logging.getLogger(__name__)

SEARCH_WEIGHT = Column("search_weight", "1", "how much a row counts in a search; 0 for rows of the fit of constants")
FIT_WEIGHT = Column("fit_weight", "pb", "Monte Carlo weight in the fit of constants; 0 for rows of the search")
MEMBERS = TableSchema(
    "members",
    1,
    (
        Column("complexity", "1", "nodes of the expression: constants, variables and operators", "complexity", "int"),
        Column("expression", "1", "sympy's srepr, its constants fitted to the draw's score", kind="str"),
        Column("mse_select", "1", "mean squared distance from the joint score of the held-out events", "MSE"),
        Column("mse_select_error", "1", "standard error of mse_select"),
        Column("frequency", "1", "fraction of resamplings of the same events in which the rule chooses this member"),
        Column("is_chosen", "1", "1 for the member that the rule chooses", kind="int"),
    ),
)


class StructuresSection(Section):
    """A posterior over formulas: draws of the teacher's network, each distilled by itself."""

    formula: FormulaLabel = Field(
        description="section whose teacher, engine, events and rule of selection are used; in turn, what the draws' "
        "searches find stands for election as its formula"
    )
    n_draws: int = Field(20, ge=2, le=10_000, description="draws of the posterior that are distilled, one job each")
    n_fits: int = Field(50, ge=2, description="draws that the constants of each structure are fitted to")
    n_rows: int = Field(50_000, ge=100, description="events of the formula's `train` on which constants are fitted")
    n_band: int = Field(5000, ge=1, description="rows of the teacher in the table of the band of predictions")
    min_probability: float = Field(
        0.01, gt=0, lt=1, description="pooled probability below which a structure that no draw chose is left out"
    )

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint("n_fits >= n_draws", "n_fits is {n_fits}, expected at least n_draws, {n_draws}."),
    )


def run(
    job: Job[StructuresSection], *, code: str, formulas: Path, targets: Path, select: Path, shard: int, out: Path
) -> None:
    """Write the members of one draw's front.

    Raises:
        StudyError: if there is no such draw, or `formulas` is not the spec of the section that the job names.
        EngineError: if the engine finds nothing, or nothing with the demanded symmetries.
    """
    section = job.section
    if not 0 <= shard < section.n_draws:
        raise StudyError(f"draw {shard} came, expected one from 0 to {section.n_draws - 1}.")
    distilled = read_formulas_job(formulas, job)
    table = read_table(targets, "targets", require=(SEARCH_WEIGHT, FIT_WEIGHT))
    engine: Engine = distilled.engine.build()
    folder = out.with_name(f"draw-{shard}.{engine.name}")
    problem = _problem(table, shard)
    construction = distilled.construction(target_features(table))
    forms = search(engine, problem, construction, job.stream(shard), folder, code)
    front = pareto_front(problem, forms, engine.max_complexity, WIDTH)
    held_out = Sample.read(select, table.provenance["parameter"], target_features(table))
    members = _standing(distilled.selection, front, fit_rows(table, [shard]), held_out)
    nodes = [complexity(member.expression) for member in members]
    found = elect(distilled.selection, members, nodes, held_out, job.stream("bootstrap"))
    columns = {
        "complexity": nodes,
        "expression": [sympy.srepr(member.filled) for member in members],
        "mse_select": [estimate.value for estimate in found.mse],
        "mse_select_error": [estimate.error for estimate in found.mse],
        "frequency": found.frequency,
        "is_chosen": [int(place == found.chosen) for place in range(len(members))],
    }
    made = provenance(job.model_dump(mode="json"), code) | {"shard": shard, "engine": [engine.name, engine.version()]}
    write_table(out, MEMBERS, columns, made)


def read_formulas_job(path: Path, job: Job[StructuresSection]) -> FormulasSection:
    """The section `formulas` that the job names, from its spec.

    Raises:
        StudyError: if the spec is another one.
    """
    found: Job[FormulasSection] = read_job(Job[FormulasSection], path)
    if (found.study, found.stage, found.label) != (job.study, "formulas", job.section.formula):
        raise StudyError(
            f"{path}: the job {found.stage}.{found.label} of study '{found.study}' came, expected "
            f"formulas.{job.section.formula} of '{job.study}'."
        )
    return found.section


def electable(members: Table, names: Sequence[str]) -> list[Parametric]:
    """Members of a draw that the rule chose, or would have chosen on resampled events."""
    rows = members.data[(members.data["is_chosen"] == 1) | (members.data["frequency"] > 0)]
    return [read_parametric(text, names) for text in rows["expression"]]


def target_features(table: Table) -> list[Column]:
    """The features of a table [targets]."""
    others = (SEARCH_WEIGHT.name, FIT_WEIGHT.name)
    return [each for each in table.schema.columns if each.name not in others and not is_score(each.name)]


def is_score(name: str) -> bool:
    """Whether a column of a table [targets] is the score of a draw."""
    return name.startswith("score_draw_")


def fit_rows(table: Table, draws: Iterable[int]) -> Targets:
    """The rows on which constants are fitted, with the scores of some draws."""
    rows = table.data[table.data[FIT_WEIGHT.name] != 0]
    weight = rows[FIT_WEIGHT.name].to_numpy()
    columns = {each.name: rows[each.name].to_numpy() for each in target_features(table)}
    return Targets(columns, weight / weight.sum(), rows[[f"score_draw_{draw}" for draw in draws]].to_numpy().T)


def _problem(table: Table, draw: int) -> Problem:
    rows = table.data[table.data[SEARCH_WEIGHT.name] > 0]
    names = tuple(feature.name for feature in target_features(table))
    return Problem(
        names, rows[list(names)].to_numpy(), rows[f"score_draw_{draw}"].to_numpy(), rows[SEARCH_WEIGHT.name].to_numpy()
    )


def _standing(spec: SelectionSpec, front: list[Candidate], targets: Targets, held_out: Sample) -> list[Parametric]:
    """One member of each number of nodes, with the constants that are nearest to the draw's score."""
    fitted = _fitted(front, targets)
    nodes = [complexity(member.expression) for member in fitted]
    mse = [targets.mse(member, targets.scores[0]) for member in fitted]
    return [fitted[place] for place in contenders(spec, fitted, nodes, mse, held_out)]


def _fitted(front: list[Candidate], targets: Targets) -> list[Parametric]:
    """Members whose constants the rows determine; the others are named in the log and left out."""
    fitted = []
    for candidate in front:
        try:
            member = targets.fit(candidate.form, targets.scores[0])
            fit_covariance(member, targets.columns, targets.scores[0], targets.share)
            fitted.append(member)
        except ConvergenceError as error:
            log.warning("left out: %s", error)
    if not fitted:
        raise EngineError(f"none of {len(front)} formulas could be fitted; the log says why for each.")
    return fitted
