"""Merge the searches of a formula into one hall of fame. Imports no jax, like the searches themselves."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import pandas as pd
from pydantic import Field

from saggiatore.distill.engine import WIDTH, pareto_front
from saggiatore.distill.hall_of_fame import read_hall_of_fame, write_hall_of_fame
from saggiatore.distill.parametric import Parametric
from saggiatore.distill.select import SelectionSpec
from saggiatore.distill.teacher import Teacher
from saggiatore.errors import SchemaError
from saggiatore.job import Job
from saggiatore.provenance import provenance
from saggiatore.spec import EventsLabel, ParameterName
from saggiatore.steps.distill_island import SearchSection
from saggiatore.tables import read_header


class FormulasSection(SearchSection):
    """From a teacher to one formula: searches, refit, selection."""

    train: EventsLabel = Field(description="events to whose joint score the constants are refitted")
    select: EventsLabel = Field(description="held-out events on which the formula is chosen")
    n_islands: int = Field(
        1,
        ge=1,
        le=1000,
        description="searches that differ in their seed, one job each, merged into one hall of fame; with more of them "
        "those that are there do not run again",
    )
    selection: SelectionSpec = Field(SelectionSpec(), description="how the formula is chosen")
    parameter: ParameterName | None = Field(
        None, description="theory parameter of the score: the teacher's, which is checked if it is named here"
    )


def run(job: Job[SearchSection], *, code: str, teacher: Path, islands: list[Path], hall_of_fame: Path) -> None:
    """Write the best forms of all islands, fitted and counted by the rule that holds for every engine.

    Raises:
        SchemaError: if an island is missing, doubled, or of another search, code or engine.
    """
    taught = Teacher.read(teacher)
    features = taught.problem.features
    found = [read_hall_of_fame(path, features) for path in _ordered(job, islands)]
    engine = _engine(job, [table.data for table, _ in found])
    forms = [[member.form for member in members] for _, members in found]
    front = pareto_front(taught.problem, chain.from_iterable(forms), job.section.engine.max_complexity, WIDTH)
    made = provenance(job.model_dump(mode="json"), code)
    write_hall_of_fame(hall_of_fame, front, engine, taught, made, [_n_islands(member.form, forms) for member in front])


def _ordered(job: Job[SearchSection], paths: Sequence[Path]) -> list[Path]:
    """The islands by their number, however the files are ordered or named."""
    mine, found, codes = job.model_dump(mode="json"), dict[int, Path](), set[str]()
    for path in paths:
        _, header = read_header(path, "hall_of_fame")
        if header["spec"] != mine or "shard" not in header:
            raise SchemaError(f"{path}: no island of formulas.{job.label} of this study. Re-run distill-island.")
        if header["shard"] in found:
            raise SchemaError(f"{path}: island {header['shard']} came twice, first as {found[header['shard']]}.")
        found[header["shard"]] = path
        codes.add(header["code"])
    missing = sorted(set(range(len(found))) - set(found))
    if missing:
        raise SchemaError(f"islands {missing} of formulas.{job.label} did not come. Run distill-island for them.")
    if len(codes) > 1:
        raise SchemaError(f"the islands of formulas.{job.label} come from different code. Re-run distill-island.")
    return [found[shard] for shard in sorted(found)]


def _engine(job: Job[SearchSection], islands: Sequence[pd.DataFrame]) -> tuple[str, str]:
    """Name and version of the one engine that found all."""
    names = {(str(rows["engine"].iloc[0]), str(rows["engine_version"].iloc[0])) for rows in islands}
    if len(names) > 1:
        raise SchemaError(
            f"the islands of formulas.{job.label} come from {sorted(names)}, expected one version of one engine. "
            "Re-run distill-island for all."
        )
    return names.pop()


def _n_islands(form: Parametric, islands: Sequence[Sequence[Parametric]]) -> int:
    return sum(any(other.expression == form.expression for other in forms) for forms in islands)
