"""Join the distilled draws of a posterior: structures with probabilities, constants with covariances, predictions."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from saggiatore.distill.formula import Feature, Formula
from saggiatore.distill.formula_posterior import Found, band_of, constants_of, pool, vote
from saggiatore.distill.parametric import Parametric, read_parametric, simplest
from saggiatore.distill.posterior_tables import (
    BAND,
    CONSTANTS,
    COVARIANCES,
    DRAWN,
    STRUCTURES,
    constants_columns,
    covariances_columns,
    structures_columns,
    structures_latex,
)
from saggiatore.distill.sample import Sample
from saggiatore.distill.select import weighted_mean
from saggiatore.distill.structure import Structure, structure
from saggiatore.distill.teacher import Teacher
from saggiatore.errors import ConvergenceError, EngineError, SchemaError
from saggiatore.files import atomic
from saggiatore.job import Job
from saggiatore.provenance import provenance
from saggiatore.steps.structures_draw import (
    MEMBERS,
    StructuresSection,
    electable,
    fit_rows,
    read_formulas_job,
    target_features,
)
from saggiatore.tables import Table, TableSchema, read_table, write_table

log = logging.getLogger(__name__)


def run(
    job: Job[StructuresSection],
    *,
    code: str,
    formulas: Path,
    formula: Path,
    targets: Path,
    teacher: Path,
    select: Path,
    draws: list[Path],
    structures: Path,
    constants: Path,
    covariances: Path,
    band: Path,
    drawn: Path,
    posterior: Path,
    latex: Path,
) -> None:
    """Write the tables of the posterior over formulas; `posterior` is its most probable structure as a formula."""
    selection, single = read_formulas_job(formulas, job).selection, Formula.read(formula)
    table, members = read_table(targets, "targets"), _ordered(job, draws)
    features = target_features(table)
    names = [feature.name for feature in features]
    held_out = Sample.read(select, table.provenance["parameter"], features)
    quoted = simplest(Parametric(single.expression, single.constants), names)
    brought = [form for each in members for form in electable(each, names)]
    candidates, fits = _fitted([quoted, *brought], table, job, names)
    votes = vote(selection, fits, held_out, job.stream("bootstrap"))
    ends = [structure(_chosen(each, names), names) for each in members]
    found = _found(job, candidates, ends, votes.probability, table, held_out, structure(quoted, names))
    made = provenance(job.model_dump(mode="json"), code)
    columns = structures_columns(found, len(members), {each.name: each.label for each in features})
    write_table(structures, STRUCTURES, columns, made)
    write_table(constants, CONSTANTS, constants_columns(found), made)
    write_table(covariances, COVARIANCES, covariances_columns(found), made)
    write_table(drawn, DRAWN, _drawn(table, members, ends, found, list(candidates), votes.chosen), made)
    _write_band(band, Teacher.read(teacher), found, job.section.n_band, made)
    _formula(found[0], table, members[0], held_out, made).write(posterior)
    with atomic(latex) as temporary:
        temporary.write_text(structures_latex(columns), encoding="utf-8")


def _ordered(job: Job[StructuresSection], paths: Sequence[Path]) -> list[Table]:
    """The members of every draw, in the order of the draws.

    Raises:
        SchemaError: if one is missing, doubled or of another job.
    """
    found: dict[int, Table] = {}
    for path in paths:
        table = read_table(path, "members", require=MEMBERS.columns)
        if table.provenance["spec"] != job.model_dump(mode="json") or table.provenance["shard"] in found:
            raise SchemaError(f"{path}: not a draw of structures.{job.label}, or twice. Re-run structures-draw.")
        found[table.provenance["shard"]] = table
    missing = sorted(set(range(job.section.n_draws)) - set(found))
    if missing:
        raise SchemaError(f"draws {missing} of structures.{job.label} did not come. Run structures-draw for them.")
    return [found[draw] for draw in sorted(found)]


def _chosen(members: Table, names: Sequence[str]) -> Parametric:
    return read_parametric(members.data.loc[members.data["is_chosen"] == 1, "expression"].iloc[0], names)


def _fitted(
    forms: list[Parametric], table: Table, job: Job[StructuresSection], names: Sequence[str]
) -> tuple[dict[Structure, Parametric], list[list[Parametric]]]:
    """Structures of all draws with a form, and these forms fitted to each distilled draw."""
    targets = fit_rows(table, range(job.section.n_draws))
    kept, fits = {}, []
    for key, form in pool(forms, names).items():
        try:
            fits.append(targets.fit_all(form))
            kept[key] = form
        except ConvergenceError as error:
            log.warning("left out: %s", error)
    return kept, [list(each) for each in zip(*fits, strict=True)]


def _found(
    job: Job[StructuresSection],
    candidates: dict[Structure, Parametric],
    ends: list[Structure],
    pooled: np.ndarray,
    table: Table,
    held_out: Sample,
    mine: Structure,
) -> list[Found]:
    """Structures that are stated, the most probable first."""
    found, targets = [], fit_rows(table, range(job.section.n_fits))
    for (key, form), probability in zip(candidates.items(), pooled.tolist(), strict=True):
        count = ends.count(key)
        if count == 0 and probability < job.section.min_probability and key != mine:
            continue
        try:
            each = constants_of(form, targets)
        except ConvergenceError as error:
            log.warning("left out: %s", error)
            continue
        mse = weighted_mean(held_out.squares(each.form), held_out.weight)
        found.append(Found(key, each, count, probability, mse, held_out.information(each.form), key == mine))
    if not found:
        raise EngineError(
            f"structures.{job.label}: no structure's constants are determined; the log says why for each."
        )
    return sorted(found, key=lambda each: (-each.probability_pooled, -each.n_draws))


def _drawn(
    table: Table,
    members: list[Table],
    ends: list[Structure],
    found: list[Found],
    candidates: list[Structure],
    chosen: np.ndarray,
) -> dict[str, object]:
    """Columns of the table [drawn]."""
    number = {each.key: place for place, each in enumerate(found)}
    stated = table.provenance["draws"][: len(members)]
    rows = [each.data[each.data["is_chosen"] == 1].iloc[0] for each in members]
    copied = {name: [row[name] for row in rows] for name in DRAWN.names if name in MEMBERS.names}
    return copied | {
        "chain": [chain for chain, _ in stated],
        "draw": [draw for _, draw in stated],
        "structure": [number.get(end, -1) for end in ends],
        "structure_pooled": [number.get(candidates[place], -1) for place in chosen],
    }


def _write_band(path: Path, teacher: Teacher, found: list[Found], n_rows: int, made: dict[str, object]) -> None:
    columns = {name: column[:n_rows] for name, column in teacher.problem.columns.items()}
    weights = [max(each.probability_pooled, each.n_draws * np.finfo(float).tiny) for each in found]
    mixed = band_of([each.constants for each in found], weights, columns)
    columns |= {"score": teacher.problem.y[:n_rows], "var_stat": teacher.var_stat[:n_rows], **mixed._asdict()}
    write_table(path, TableSchema("band", 1, (*teacher.features, *BAND)), columns, made)


def _formula(found: Found, table: Table, members: Table, held_out: Sample, made: dict[str, object]) -> Formula:
    """The most probable structure, its constants' means and their whole covariance."""
    name, version = members.provenance["engine"]
    return Formula(
        name=table.provenance["parameter"],
        features=tuple(Feature(each.name, each.unit, each.label) for each in target_features(table)),
        expression=found.constants.form.expression,
        constants=found.constants.form.values,
        covariance=found.constants.covariance,
        quality={
            "probability_pooled": found.probability_pooled,
            "mse_select": found.mse.value,
            "mse_select_error": found.mse.error,
            "information_select": found.information.value,
            "information_select_error": found.information.error,
            "n_select": float(len(held_out.score)),
        },
        engine={"name": name, "version": version},
        provenance=made,
    )
