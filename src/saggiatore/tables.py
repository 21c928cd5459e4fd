"""The only reader and writer of Parquet. Every column has a unit and a meaning, kept in the file's metadata."""

import contextlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from saggiatore.errors import SchemaError
from saggiatore.files import atomic
from saggiatore.units import UNITS

FORMAT_VERSION = 1
_KEY = b"saggiatore"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Column:
    """A named quantity. `label` is what an axis shows (LaTeX, without the unit); `kind` is float, int or str."""

    name: str
    unit: str
    meaning: str
    label: str = ""
    kind: str = "float"

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise SchemaError(f"column '{self.name}': unit '{self.unit}' is unknown, use one of {', '.join(UNITS)}.")
        if self.kind not in _ARROW:
            raise SchemaError(f"column '{self.name}': kind '{self.kind}' is unknown, use one of {', '.join(_ARROW)}.")


_ARROW = {"float": pa.float64(), "int": pa.int64(), "str": pa.string()}


@dataclass(frozen=True)
class TableSchema:
    """Name, version and columns of a kind of table. Raise the version when a column changes its meaning."""

    name: str
    version: int
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True)
class Table:
    """A table that was read: its schema as found in the file, its data, its provenance."""

    schema: TableSchema
    data: pd.DataFrame
    provenance: dict

    def column(self, name: str) -> Column:
        """The column called `name`, with unit, meaning and label."""
        for column in self.schema.columns:
            if column.name == name:
                return column
        raise SchemaError(f"table '{self.schema.name}' has no column '{name}'; it has {', '.join(self.schema.names)}.")

    def array(self, names: Iterable[str]) -> np.ndarray:
        """Columns `names` side by side, shape (row, column)."""
        return self.data[list(names)].to_numpy(dtype=float)


def write_table(path: Path, schema: TableSchema, columns: Mapping[str, object], provenance: Mapping) -> None:
    """Write `columns` (name -> 1-d array, all of one length) atomically.

    Raises:
        SchemaError: if the columns are not exactly those of the schema, differ in length or hold a NaN.
    """
    write_batches(path, schema, [columns], provenance)


def write_batches(
    path: Path, schema: TableSchema, batches: Iterable[Mapping[str, object]], provenance: Mapping
) -> None:
    """Write a table batch by batch, each a row group, so that memory does not grow with the number of rows."""
    arrow = _arrow_schema(schema, provenance)
    options = {"compression": "zstd", "write_page_checksum": True}
    with atomic(path) as temporary, pq.ParquetWriter(temporary, arrow, **options) as writer:
        for batch in batches:
            writer.write_table(_arrow_table(path, schema, batch, arrow))


def read_table(path: Path, name: str, require: Iterable[Column] = (), version: int | None = None) -> Table:
    """Read the table `name`; check the columns of `require` (presence, unit) and that nothing in the file is NaN.

    Raises:
        SchemaError: naming the file, what was found, what was expected and what to do.
    """
    path = Path(path)
    schema, provenance = read_header(path, name, version)
    _check_columns(path, schema, tuple(require))
    with _undamaged(path):
        data = _open(path).read().to_pandas()
    _check_data(path, schema, data)
    return Table(schema, data, provenance)


def iterate_table(path: Path, name: str, rows: int = 65536, require: Iterable[Column] = ()) -> Iterator[pd.DataFrame]:
    """Batches of a table, for files that do not fit into memory; checks as `read_table` does."""
    schema, _ = read_header(Path(path), name)
    _check_columns(Path(path), schema, tuple(require))
    with _undamaged(path):
        for batch in _open(path).iter_batches(batch_size=rows):
            data = batch.to_pandas()
            _check_data(path, schema, data)
            yield data


def iterate_columns(path: Path, columns: Sequence[Column], rows: int = 65536) -> Iterator[pd.DataFrame]:
    """Batches of `columns` of any Parquet file, as floats: it may come from anywhere and hold other columns too.

    Units are checked where the file states them; where it does not, the log says how the numbers are taken.

    Raises:
        SchemaError: if a column is missing, no number, not finite or in another unit.
    """
    path, file = Path(path), _open(path)
    found = file.schema_arrow
    missing = [column.name for column in columns if column.name not in found.names]
    if missing:
        raise SchemaError(
            f"{path}: no columns {missing}; it has {', '.join(found.names)}. Name them as the study does."
        )
    if _KEY in (found.metadata or {}):
        header = json.loads(found.metadata[_KEY])
        _check_columns(path, TableSchema("", 0, tuple(Column(**c) for c in header["columns"])), tuple(columns))
    else:
        units = ", ".join(f"{column.name} in '{column.unit}'" for column in columns)
        _log.warning("%s states no units; its columns are taken as %s.", path, units)
    names = [column.name for column in columns]
    n_before = 0
    for batch in file.iter_batches(batch_size=rows, columns=names):
        try:
            data = batch.to_pandas()[names].astype(float)
        except (TypeError, ValueError) as error:
            raise SchemaError(f"{path}: columns {names} must be numbers ({error}).") from None
        _check_data(path, TableSchema("", 0, tuple(columns)), data, n_before)
        n_before += len(data)
        yield data


def read_header(path: Path, name: str, version: int | None = None) -> tuple[TableSchema, dict]:
    """Schema and provenance of a table, without its data."""
    found = _open(path).schema_arrow
    metadata = found.metadata or {}
    if _KEY not in metadata:
        raise SchemaError(f"{path}: no saggiatore metadata (units, meanings); expected a table '{name}' of a study.")
    header = json.loads(metadata[_KEY])
    if header["format"] != FORMAT_VERSION:
        raise SchemaError(
            f"{path}: written in format {header['format']}, this version reads {FORMAT_VERSION}. Re-run its rule."
        )
    if header["name"] != name:
        raise SchemaError(f"{path}: holds a table '{header['name']}', expected '{name}'. Check the path you gave.")
    if version is not None and header["version"] != version:
        raise SchemaError(
            f"{path}: table '{name}' has schema version {header['version']}, expected {version}. Re-run its rule."
        )
    columns = tuple(Column(**column) for column in header["columns"])
    if {field.name: field.type for field in found} != {column.name: _ARROW[column.kind] for column in columns}:
        raise _damaged(path, f"its columns are {', '.join(map(str, found))}, not those of its header")
    return TableSchema(header["name"], header["version"], columns), header["provenance"]


@contextlib.contextmanager
def _undamaged(path: Path) -> Iterator[None]:
    """A page whose checksum is another one is told like any other damage; a disk that fails is none."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception | str) -> SchemaError:
    return SchemaError(f"{path}: damaged ({error}). Move it away, and its rule makes it again.", damaged=path)


def _open(path: Path) -> pq.ParquetFile:
    try:
        with _undamaged(path):
            return pq.ParquetFile(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise SchemaError(f"{path}: no such file. Check the path, or run the rule that makes it.") from None


def _arrow_schema(schema: TableSchema, provenance: Mapping) -> pa.Schema:
    header = {
        "format": FORMAT_VERSION,
        "name": schema.name,
        "version": schema.version,
        "columns": [vars(column) for column in schema.columns],
        "provenance": dict(provenance),
    }
    fields = [pa.field(column.name, _ARROW[column.kind]) for column in schema.columns]
    return pa.schema(fields, metadata={_KEY: json.dumps(header, sort_keys=True).encode()})


def _arrow_table(path: Path, schema: TableSchema, batch: Mapping[str, object], arrow: pa.Schema) -> pa.Table:
    known = dict.fromkeys(schema.names)  # not a tuple: draws of a flow have 30,000 columns
    missing = [name for name in known if name not in batch]
    extra = [name for name in batch if name not in known]
    if missing or extra:
        raise SchemaError(f"{path}: table '{schema.name}' lacks columns {missing} and has unknown ones {extra}.")
    data = pd.DataFrame({name: np.asarray(batch[name]) for name in known})
    _check_data(path, schema, data)
    return pa.Table.from_pandas(data, schema=arrow, preserve_index=False)


def _check_columns(path: Path, schema: TableSchema, require: tuple[Column, ...]) -> None:
    found = {column.name: column for column in schema.columns}
    for column in require:
        if column.name not in found:
            have = ", ".join(found)
            raise SchemaError(f"{path}: no column '{column.name}' ({column.unit}); it has {have}. Re-run its rule.")
        unit = found[column.name].unit
        if unit != column.unit:
            raise SchemaError(
                f"{path}: column '{column.name}' is in '{unit}', expected '{column.unit}'. "
                "Re-run the rule that makes it."
            )


def _check_data(path: Path, schema: TableSchema, data: pd.DataFrame, n_before: int = 0) -> None:
    for column in schema.columns:
        if column.kind == "float":
            bad = ~np.isfinite(data[column.name].to_numpy(dtype=float))
        else:
            bad = data[column.name].isna().to_numpy()
        if bad.any():
            raise SchemaError(
                f"{path}: column '{column.name}' has {int(bad.sum())} of {len(data)} values that are NaN or infinite, "
                f"the first in row {n_before + int(np.argmax(bad))}; every value must be finite. "
                "Find the rule that made them."
            )
