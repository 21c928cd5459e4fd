"""A number as a table states it."""

from collections.abc import Iterator

import pandas as pd

from saggiatore.number import Number
from saggiatore.tables import Table

Named = Iterator[tuple[str, Number]]


def entry(table: Table, row: pd.Series, name: str, artefact: str, meaning: str = "") -> Number:
    """A cell as a number; its error is the cell of the column `{name}_error`, where there is one."""
    column = table.column(name)
    error = float(row[f"{name}_error"]) if f"{name}_error" in row else None
    return Number(float(row[name]), error, column.unit, artefact, meaning or column.meaning)


def measured(table: Table) -> list[str]:
    """Columns that hold what was found: floating-point numbers that are no errors of others."""
    return [column.name for column in table.schema.columns if column.kind == "float" and not _is_error(column.name)]


def _is_error(name: str) -> bool:
    return name.endswith("_error")
