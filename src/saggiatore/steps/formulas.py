"""Refit the hall of fame to the joint score, and choose one member on held-out events: the formula.

Where a posterior over formulas is asked for, what the searches of its draws found stands for election, too: they are
searches of the same score but for its errors, and a single one misses much.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import sympy
from tqdm import tqdm

from saggiatore.distill.election import Election, contenders, elect
from saggiatore.distill.engine import Candidate
from saggiatore.distill.expression import complexity, evaluate
from saggiatore.distill.formula import Feature, Formula
from saggiatore.distill.hall_of_fame import CHI2, read_hall_of_fame
from saggiatore.distill.latex import quantity
from saggiatore.distill.parametric import Parametric
from saggiatore.distill.refit import Refit, refit
from saggiatore.distill.sample import Sample
from saggiatore.distill.select import Estimate, SelectionSpec, weighted_mean
from saggiatore.distill.teacher import Teacher
from saggiatore.errors import ConvergenceError, EngineError, StudyError
from saggiatore.files import atomic
from saggiatore.job import Job
from saggiatore.provenance import provenance
from saggiatore.steps.distill import FormulasSection
from saggiatore.steps.structures_draw import MEMBERS, electable
from saggiatore.tables import Column, Table, TableSchema, read_header, read_table, write_table
from saggiatore.tabular import tabular

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
        Column("information_select", "1", "share of the joint information on the same events", "information kept"),
        Column("information_select_error", "1", "standard error of information_select"),
        Column("frequency", "1", "fraction of resamplings of the same events in which the rule chooses this member"),
        Column("is_symmetric", "1", "1 for members with the demanded symmetries; all, where none is", kind="int"),
        Column("singular", "1", "part that leaves it without a value somewhere among these events", kind="str"),
        Column("is_chosen", "1", "1 for the member that became the formula", kind="int"),
    ),
)
_QUALITY = (
    "mse_train",
    "mse_select",
    "mse_select_error",
    "information_select",
    "information_select_error",
    "frequency",
    "chi2",
)


def run(
    job: Job[FormulasSection],
    *,
    code: str,
    hall_of_fame: Path,
    teacher: Path,
    train: Path,
    select: Path,
    draws: list[Path],
    refits: Path,
    formula: Path,
    latex: Path,
) -> None:
    """Write the refits of all members as Parquet and LaTeX, and the chosen one as a formula.

    `draws` are the tables of `structures-draw` of all posteriors over this formula, if there are any.
    """
    _, origin = read_header(hall_of_fame, "hall_of_fame")
    columns = tuple(Column(entry["name"], entry["unit"], "feature", entry["label"]) for entry in origin["features"])
    features = tuple(Feature(column.name, column.unit, column.label) for column in columns)
    names = [feature.name for feature in features]
    table, candidates = read_hall_of_fame(hall_of_fame, names)
    candidates += _of_draws(draws, candidates, names)
    parameter = _parameter(origin["parameter"], job.section.parameter)
    events, held_out = (Sample.read(path, parameter, columns) for path in (train, select))
    fitted = _standing(job.section.selection, _refits(candidates, events), held_out)
    forms, complexities = [member.form for _, member in fitted], [found.complexity for found, _ in fitted]
    found = elect(job.section.selection, forms, complexities, held_out, job.stream("bootstrap"))
    made = provenance(job.model_dump(mode="json"), code)
    formulas = [_formula(member, parameter, features, table, made) for _, member in fitted]
    rows = _columns(fitted, formulas, found, [held_out.information(form) for form in forms])
    chi2 = _chi2(Teacher.read(teacher), forms)
    schema = TableSchema(REFITS.name, REFITS.version, (*REFITS.columns, *((CHI2,) if chi2 else ())))
    write_table(refits, schema, {**rows, **chi2}, made)
    with atomic(latex) as temporary:
        temporary.write_text(_latex(rows), encoding="utf-8")
    chosen = {name: float(values[found.chosen]) for name, values in {**rows, **chi2}.items() if name in _QUALITY}
    e_t2 = weighted_mean(held_out.squared_scores(), held_out.weight).value
    counts = {"n_select": float(len(held_out.score)), "n_train": float(len(events.score))}
    replace(formulas[found.chosen], quality=chosen | {"e_t2_select": e_t2} | counts).write(formula)


def _of_draws(paths: list[Path], known: list[Candidate], names: Sequence[str]) -> list[Candidate]:
    """Forms that draws would choose, without those that are known."""
    found = {each.form.expression: each for each in known}
    for path in paths:
        for form in electable(read_table(path, "members", require=MEMBERS.columns), names):
            found.setdefault(form.expression, Candidate(complexity(form.expression), math.nan, form))
    return list(found.values())[len(known) :]


def _parameter(taught: str, stated: str | None) -> str:
    """The parameter whose score the teacher has; a study that names one must name that."""
    if stated not in (None, taught):
        raise StudyError(
            f"formulas.parameter is '{stated}', the teacher has the score of '{taught}'. Leave it out, or name a "
            f"teacher of '{stated}'."
        )
    return taught


def _refits(candidates: list[Candidate], train: Sample) -> list[tuple[Candidate, Refit]]:
    """Members whose constants the events determine; the others are named in the log and left out."""
    fitted = []
    for candidate in tqdm(candidates, "refit", unit="formula", mininterval=1):
        try:
            member = refit(candidate.form, train.columns, train.score, train.weight)
            mse = weighted_mean(train.squares(member.form), train.weight).value
            fitted.append((candidate, replace(member, mse=mse)))
        except ConvergenceError as error:
            log.warning("left out: %s", error)
    if not fitted:
        raise EngineError(f"none of {len(candidates)} formulas could be refitted; the log says why for each.")
    return fitted


def _standing(
    spec: SelectionSpec, fitted: list[tuple[Candidate, Refit]], held_out: Sample
) -> list[tuple[Candidate, Refit]]:
    """One member of each number of nodes."""
    forms, nodes = [member.form for _, member in fitted], [found.complexity for found, _ in fitted]
    standing = contenders(spec, forms, nodes, [member.mse for _, member in fitted], held_out)
    return [fitted[place] for place in standing]


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


def _chi2(teacher: Teacher, forms: list[Parametric]) -> dict[str, list[float]]:
    """Distance of each member from the teacher in units of its uncertainty; nothing where it states none."""
    columns = teacher.problem.columns
    values = [np.asarray(evaluate(form.expression, {**columns, **form.values}, np)) for form in forms]
    found = [teacher.chi2(value) for value in values]
    return {CHI2.name: [each for each in found if each is not None]} if teacher.variance is not None else {}


def _columns(
    fitted: list[tuple[Candidate, Refit]], formulas: list[Formula], found: Election, information: list[Estimate]
) -> dict[str, list]:
    return {
        "complexity": [candidate.complexity for candidate, _ in fitted],
        "expression": [sympy.srepr(member.form.filled) for _, member in fitted],
        "latex": [formula.latex() for formula in formulas],
        "mse_train": [member.mse for _, member in fitted],
        "mse_select": [estimate.value for estimate in found.mse],
        "mse_select_error": [estimate.error for estimate in found.mse],
        "information_select": [estimate.value for estimate in information],
        "information_select_error": [estimate.error for estimate in information],
        "frequency": found.frequency.tolist(),
        "is_symmetric": [int(each) for each in found.is_symmetric],
        "singular": found.singular,
        "is_chosen": [int(place == found.chosen) for place in range(len(fitted))],
    }


def _latex(rows: dict[str, list]) -> str:
    """The hall of fame: complexity, formula with its constants' errors, information kept, how often it is chosen."""
    names = ("complexity", "latex", "information_select", "information_select_error", "frequency", "is_chosen")
    lines = [
        [f"${nodes}{'^*' if is_chosen else ''}$", f"${text}$", quantity(kept, error), f"{frequency:.2f}"]
        for nodes, text, kept, error, frequency, is_chosen in zip(*(rows[name] for name in names), strict=True)
    ]
    return tabular("rlrr", ("complexity", "formula", "information kept", "chosen"), lines)
