"""To how many digits the results of a study agree with those of another run of it.

Numbers and constants agree where they differ by less than a relative tolerance, or by less than a stated share of their
own standard error: a difference that no reader could see in what was published. Columns of tables have no errors, so
that their differences are held against the column's largest entry. Files that others are computed from and that have no
digits to count (models, pictures) are told to be the same bytes or not; what they are worth shows in the tables.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from saggiatore.bundle import measure
from saggiatore.distill.expression import parse
from saggiatore.errors import SaggiatoreError
from saggiatore.tables import read_table

NUMBERS = "numbers.json"
_FORMULA = ".formula.json"


@dataclass(frozen=True)
class Tolerance:
    """What counts as agreement: a relative difference, or a difference in units of the standard error."""

    relative: float = 1e-6
    errors: float = 0.1


@dataclass(frozen=True)
class Finding:
    """One thing compared. `digits` are the decimal digits that agree, infinite where all do."""

    artefact: str
    entry: str
    digits: float
    agrees: bool
    text: str


def compare(first: Path, second: Path, names: list[str], tolerance: Tolerance) -> Iterator[Finding]:
    """Hold the files `names` under two folders of results against each other."""
    for name in names:
        one, two = first / name, second / name
        if not two.is_file():
            yield Finding(name, "", 0.0, False, "was not made")
        elif measure(one) == measure(two):
            yield Finding(name, "", math.inf, True, "the same bytes")
        else:
            try:
                yield from _compare_files(one, two, name, tolerance)
            except (SaggiatoreError, ValueError, KeyError, TypeError) as error:
                yield Finding(name, "", 0.0, False, f"cannot be compared ({error})")


def digits(first: np.ndarray, second: np.ndarray) -> float:
    """Decimal digits that agree: -log10 of the largest difference over the largest entry of `first`."""
    largest, scale = float(np.max(np.abs(first - second), initial=0)), float(np.max(np.abs(first), initial=0))
    if largest == 0:
        return math.inf
    return max(0.0, -math.log10(largest / scale)) if scale > 0 else 0.0


def _compare_files(one: Path, two: Path, name: str, tolerance: Tolerance) -> Iterator[Finding]:
    if one.suffix == ".parquet":
        yield from _compare_tables(one, two, name, tolerance)
    elif one.name == NUMBERS:
        yield from _compare_numbers(_json(one)["numbers"], _json(two)["numbers"], name, tolerance)
    elif name.endswith(_FORMULA):
        yield from _compare_formulas(_json(one), _json(two), name, tolerance)
    elif one.suffix == ".eqx" and _weights(one) == _weights(two):
        yield Finding(name, "", math.inf, True, "the same weights")
    else:
        yield Finding(name, "", math.nan, True, "other bytes; judged by the tables and numbers made from it")


def _compare_tables(one: Path, two: Path, name: str, tolerance: Tolerance) -> Iterator[Finding]:
    parts = one.name.split(".")
    kind = parts[1] if len(parts) == 3 else one.parent.name
    first, second = read_table(one, kind).data, read_table(two, kind).data
    if list(first.columns) != list(second.columns) or len(first) != len(second):
        shapes = f"{first.shape} and {second.shape}"
        yield Finding(name, "", 0.0, False, f"other rows or columns: {shapes}")
        return
    for column in first.columns:
        values, others = _values(first[column]), _values(second[column])
        if values is None or others is None:
            same = list(map(str, first[column])) == list(map(str, second[column]))
            yield Finding(name, column, math.inf if same else 0.0, same, "the same text" if same else "other text")
        elif values.shape != others.shape:
            yield Finding(name, column, 0.0, False, f"{values.shape} and {others.shape} entries")
        else:
            found = digits(values, others)
            yield Finding(name, column, found, found >= -math.log10(tolerance.relative), _shown(found))


def _values(column: pd.Series) -> np.ndarray | None:
    """All numbers of a column, of its arrays one after the other; None where they are no numbers."""
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=float)
    try:
        return np.concatenate([np.asarray(entry, dtype=float).ravel() for entry in column])
    except (ValueError, TypeError):
        return None


def _compare_numbers(first: dict, second: dict, name: str, tolerance: Tolerance) -> Iterator[Finding]:
    for key in sorted(first.keys() | second.keys()):
        if key not in first or key not in second:
            yield Finding(name, key, 0.0, False, f"only in {'the rerun' if key in second else 'the archive'}")
        else:
            one, two = first[key], second[key]
            yield _compare_values(name, key, one["value"], two["value"], one["error"], tolerance)


def _compare_values(
    name: str, key: str, first: float, second: float, error: float | None, tolerance: Tolerance
) -> Finding:
    found = digits(np.array([first]), np.array([second]))
    gap = abs(first - second)
    is_within = error is not None and gap <= tolerance.errors * error
    text = _shown(found) + (f", {gap / error:.2g} standard errors" if error and gap else "")
    return Finding(name, key, found, is_within or found >= -math.log10(tolerance.relative), text)


def _compare_formulas(first: dict, second: dict, name: str, tolerance: Tolerance) -> Iterator[Finding]:
    """The expression as a tree, where constants count by their names; then each constant against its error."""
    trees = [parse(content["expression"]) for content in (first, second)]
    same = (
        trees[0] == trees[1]
        and [list(content["constants"]) for content in (first, second)].count(list(first["constants"])) == 2
    )
    text = "the same" if same else f"{trees[0]} became {trees[1]}"
    yield Finding(name, "structure", math.inf if same else 0.0, same, text)
    if same:
        for place, (constant, value) in enumerate(first["constants"].items()):
            error = math.sqrt(first["covariance"][place][place])
            yield _compare_values(name, constant, value, second["constants"][constant], error, tolerance)


def _weights(path: Path) -> bytes:
    """A network's file without its first line, which says where it comes from."""
    return path.read_bytes().partition(b"\n")[2]


def _json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def _shown(found: float) -> str:
    return "all digits" if math.isinf(found) else f"{found:.1f} digits"
