"""Tables as a submission to HEPData: YAML files in a zip archive, after its submission schema 1.1.0.

Written here and not by hepdata_lib, which puts its archive into the working directory, with a clock in it: two jobs
would overwrite each other, and no two runs would give the same bytes.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import yaml

from saggiatore.files import atomic
from saggiatore.tables import Column, Table

_DIGITS = 6  # significant ones; HEPData is for readers, the study's own tables have all
_KEYS = ("level", "bin", "with_rate", "complexity", "epoch")  # numbers that tell rows apart
_CLOCK = (1980, 1, 1, 0, 0, 0)
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # ten times faster where it was compiled


def is_independent(column: Column) -> bool:
    """Whether a column says which row it is, and does not hold what was found there."""
    return column.kind == "str" or column.name in _KEYS or column.name.startswith("theta_")


def document(table: Table) -> dict:
    """A table as HEPData has it: independent and dependent variables, with their units and errors.

    The column `NAME_error` is the error of `NAME`. A column's meaning is a qualifier of its variable.
    """
    names = set(table.schema.names)
    kept = [
        column for column in table.schema.columns if column.name.removesuffix("_error") not in names - {column.name}
    ]
    independent = [_variable(table, column) for column in kept if is_independent(column)]
    dependent = [
        _variable(table, column) | {"qualifiers": [{"name": "meaning", "value": column.meaning}]}
        for column in kept
        if not is_independent(column)
    ]
    return {"independent_variables": independent, "dependent_variables": dependent}


def _variable(table: Table, column: Column) -> dict:
    header = {"name": column.name} | ({} if column.unit == "1" else {"units": column.unit})
    values: list[dict] = [{"value": _plain(value)} for value in table.data[column.name].tolist()]
    if f"{column.name}_error" in table.schema.names:
        for entry, error in zip(values, table.data[f"{column.name}_error"].tolist(), strict=True):
            if error > 0:
                entry["errors"] = [{"symerror": _plain(error), "label": "stated"}]
    return {"header": header, "values": values}


def _plain(value: object) -> object:
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def write_submission(path: Path, tables: Mapping[str, Table], comment: str) -> None:
    """Write all `tables`, by name, as one archive, the same bytes every time.

    Args:
        path: the archive, a zip file.
        tables: what to publish.
        comment: what the whole is about.
    """
    sections: list[dict] = [{"comment": comment}]
    files: dict[str, str] = {}
    for name, table in tables.items():
        file = f"{name.lower().replace('.', '_')}.yaml"
        files[file] = yaml.dump(document(table), Dumper=_Dumper, sort_keys=False)
        description = "; ".join(f"{column.name}: {column.meaning}" for column in table.schema.columns)
        sections.append({"name": name, "description": description, "keywords": [], "data_file": file})
    files["submission.yaml"] = yaml.dump_all(sections, Dumper=_Dumper, sort_keys=False, explicit_start=True)
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(files):
            entry = zipfile.ZipInfo(file, _CLOCK)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[file])
