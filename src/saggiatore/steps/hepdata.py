"""Write the published tables, formulas and figures of a study as a submission to HEPData."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from saggiatore.errors import SchemaError
from saggiatore.formats.distribution import published
from saggiatore.formats.hepdata import Picture, write_submission
from saggiatore.provenance import git_commit
from saggiatore.tables import Column, Table, TableSchema, read_table

_NAME = "name of the constant in the formula"
_CONSTANTS = TableSchema(
    "formula",
    1,
    (
        Column("name", "1", _NAME, kind="str"),
        Column("value", "1", "its value"),
        Column("error", "1", "its standard error"),
    ),
)
_COVARIANCE = TableSchema(
    "formula_covariance",
    1,
    (
        Column("first", "1", _NAME, kind="str"),
        Column("second", "1", _NAME, kind="str"),
        Column("covariance", "1", "covariance of both"),
    ),
)


def run(
    *,
    study: str,
    code: str,
    tables: list[Path],
    formulas: list[Path],
    figures: list[Path],
    drawn: list[str],
    numbers: Path,
    out: Path,
) -> None:
    """Write one archive: tables called LABEL.TABLE as their files, the formulas' constants, figures (PNG).

    `drawn` says what each figure was drawn from, as FIGURE=TABLE,TABLE; its caption is that of `numbers`.

    Raises:
        SchemaError: if there is nothing to publish, or a file is no table of its name.
    """
    if not tables:
        raise SchemaError(f"study '{study}' has no tables to publish. Add a section of information or limits.")
    found = {path.stem: read_table(path, path.stem.split(".")[1]) for path in sorted(tables)}
    opened = {name: published(table) for name, table in found.items() if len(table.data)}
    opened |= {name: table for path in sorted(formulas) for name, table in _formula(path)}
    origins = dict(each.split("=") for each in drawn)
    captions = _read(numbers)["figures"]
    pictures = [
        Picture(path, captions[path.stem].get("caption", ""), tuple(origins[path.stem].split(",")))
        for path in sorted(figures)
    ]
    comment = f"Expected results of the study '{study}', made with Saggiatore (commit {git_commit()}, code {code})."
    write_submission(out, opened, pictures, comment)


def _formula(path: Path) -> Iterator[tuple[str, Table]]:
    """The constants of a formula with their errors, and their covariance; nothing of a form without constants."""
    found = _read(path)
    names, errors = list(found["constants"]), found["shown"]["errors"]
    pairs = [(i, j) for i in range(len(names)) for j in range(i + 1)]
    constants = {
        "name": names,
        "value": [found["constants"][name] for name in names],
        "error": [errors[name] for name in names],
    }
    covariance = {
        "first": [names[i] for i, _ in pairs],
        "second": [names[j] for _, j in pairs],
        "covariance": [float(found["covariance"][i][j]) for i, j in pairs],
    }
    about = f"Score of {found['name']}: {found['shown']['text']}. In LaTeX: {found['shown']['latex']}"
    for schema, columns in ((_CONSTANTS, constants), (_COVARIANCE, covariance)) if names else ():
        yield f"{path.name.split('.')[0]}.{schema.name}", Table(schema, pd.DataFrame(columns), {"about": about})


def _read(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        damaged = path if isinstance(error, ValueError) else None
        raise SchemaError(
            f"{path}: no readable JSON ({error}). Re-run the rule that makes it.", damaged=damaged
        ) from None
