"""Draw one figure of a study."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pandas as pd
from pydantic.fields import FieldInfo

from saggiatore.errors import StudyError
from saggiatore.figures.base import Inputs, read_document, save
from saggiatore.figures.style import style
from saggiatore.job import Job
from saggiatore.provenance import provenance
from saggiatore.registry import FigureSpec
from saggiatore.spec import Section, Spec
from saggiatore.tables import Table, iterate_columns, read_header, read_table

DOCUMENTS = ("formula",)  # artefacts that are JSON; all others are tables of the artefact's name
_OF_A_LEG = re.compile(r"leg\d+_")


class FiguresSection(Section):
    """A figure: its kind, and what it is drawn from."""

    figure: FigureSpec


def run(job: Job[FiguresSection], *, code: str, tables: list[Path], pdf: Path, png: Path) -> None:
    """Draw the figure; `tables` are the artefacts that its spec names, in the order of the spec's fields."""
    spec = job.section.figure
    figure = spec.build()  # type: ignore[attr-defined]
    inputs = open_inputs(spec, tables)
    with style():
        drawn = figure.draw(inputs)
        origin = provenance(job.model_dump(mode="json"), code)
        save(drawn, pdf, png, title=f"{job.study}: {job.label}", caption=figure.caption(), provenance=origin)


def open_inputs(spec: Spec, paths: Sequence[Path]) -> Inputs:
    """Open the artefacts behind a figure's fields.

    Raises:
        StudyError: if there are not as many paths as the spec names artefacts.
        SchemaError: if a file is not the table that its field asks for.
    """
    named = list(upstream(spec))
    if len(named) != len(paths):
        wanted = ", ".join(f"{field} ({artefact})" for field, artefact in named)
        raise StudyError(f"figure: got {len(paths)} files in --tables, expected {len(named)}: {wanted}.")
    tables: dict[str, Table] = {}
    documents: dict[str, dict] = {}
    for (field, artefact), path in zip(named, paths, strict=True):
        if artefact in DOCUMENTS:
            documents[field] = read_document(path)
        else:
            tables[field] = read_table(path, artefact) if artefact != "events" else _without_legs(path)
    return Inputs(tables, documents)


def _without_legs(path: Path) -> Table:
    """A table of events without its momenta, which are most of it and are not drawn."""
    schema, origin = read_header(path, "events")
    columns = tuple(column for column in schema.columns if not _OF_A_LEG.match(column.name))
    data = pd.concat(list(iterate_columns(path, columns)), ignore_index=True)
    return Table(replace(schema, columns=columns), data, origin)


def upstream(spec: Spec) -> Iterator[tuple[str, str]]:
    """(field, artefact) of every section that `spec` names; the entries of a list field are `field.0`, `field.1`."""
    for name, info in type(spec).model_fields.items():
        artefact = _artefact(info)
        value = getattr(spec, name)
        if artefact is None or value is None:
            continue
        if isinstance(value, str):
            yield name, artefact
        else:
            yield from ((f"{name}.{place}", artefact) for place in range(len(value)))


def _artefact(annotation: Any) -> str | None:
    """What the label in a field stands for, wherever in `X`, `X | None`, `tuple[X, ...]` its alias is."""
    extra = getattr(annotation, "json_schema_extra", None) or {}
    if "x-artefact" in extra:
        return extra["x-artefact"]
    inner = [annotation.annotation, *annotation.metadata] if isinstance(annotation, FieldInfo) else get_args(annotation)
    return next((found for part in inner if (found := _artefact(part)) is not None), None)
