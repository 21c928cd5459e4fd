"""Tables as a submission to HEPData: YAML files in a zip archive, after its submission schema 1.1.0.

Written here and not by hepdata_lib, which puts its archive into the working directory, with a clock in it: two jobs
would overwrite each other, and no two runs would give the same bytes.
"""

import io
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from PIL import Image

from saggiatore.files import atomic
from saggiatore.tables import Column, Table

_DIGITS = 6  # significant ones; HEPData is for readers, the study's own tables have all
# numbers that tell rows apart
_KEYS = ("level", "bin", "with_rate", "complexity", "epoch", "structure", "cluster", "stated", "theta", "n_train")
_KEYS_OF = {"amplification": ("n_events",)}
_THUMBNAIL = 240  # pixels at most, either way
_CLOCK = (1980, 1, 1, 0, 0, 0)
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # ten times faster where it was compiled


@dataclass(frozen=True)
class Picture:
    """A figure of a submission: its file (PNG), its caption, and the names of the tables that it was drawn from."""

    path: Path
    caption: str
    tables: tuple[str, ...]


def is_independent(column: Column, table: str) -> bool:
    """Whether a column says which row it is, and does not hold what was found there."""
    known = (*_KEYS, *_KEYS_OF.get(table, ()))
    return column.kind == "str" or column.name in known or column.name.startswith("theta_")


def document(table: Table) -> dict:
    """A table as HEPData has it: independent and dependent variables, with their units and errors.

    The column `NAME_error` is the error of `NAME`, `error` that of `value`; `low` and `high`, or `NAME_low` and
    `NAME_high`, are the edges of a bin unless they have errors. A column's meaning is a qualifier of its variable.
    """
    bins = dict(_bins(table))
    used = {_error_of(column.name) for column in table.schema.columns} | {
        name for pair in bins.values() for name in pair
    }
    kept = [column for column in table.schema.columns if column.name not in used]
    keys = [column for column in kept if is_independent(column, table.schema.name)]
    independent = [_variable(table, column) for column in keys]
    independent += [_bin_variable(table, name, *edges) for name, edges in bins.items()]
    dependent = [
        _variable(table, column) | {"qualifiers": [{"name": "meaning", "value": column.meaning}]}
        for column in kept
        if column not in keys
    ]
    return {"independent_variables": independent, "dependent_variables": dependent}


def _error_of(name: str) -> str:
    return "error" if name == "value" else f"{name}_error"


def _bins(table: Table) -> Iterable[tuple[str, tuple[str, str]]]:
    """Names of bins, and the columns of their edges: ``low`` and ``high``, ``x_low`` and ``x_high``, ``low_1`` ..."""
    names = table.schema.names
    for low in names:
        parts = low.split("_")
        high = "_".join("high" if part == "low" else part for part in parts)
        if "low" in parts and "error" not in parts and high in names and _error_of(low) not in names:
            name = "_".join(part for part in parts if part != "low")
            yield name if name.isidentifier() else f"bin_{name}".strip("_"), (low, high)


def _bin_variable(table: Table, name: str, low: str, high: str) -> dict:
    edges = zip(table.data[low].tolist(), table.data[high].tolist(), strict=True)
    return {
        "header": _header(name, table.column(low)),
        "values": [{"low": _plain(first), "high": _plain(last)} for first, last in edges],
    }


def _header(name: str, column: Column) -> dict:
    return {"name": name} | ({} if column.unit == "1" else {"units": column.unit})


def _variable(table: Table, column: Column) -> dict:
    values: list[dict] = [{"value": _plain(value)} for value in table.data[column.name].tolist()]
    error_of = _error_of(column.name)
    if error_of in table.schema.names:
        for entry, error in zip(values, table.data[error_of].tolist(), strict=True):
            if error > 0:
                entry["errors"] = [{"symerror": _plain(error), "label": "stated"}]
    return {"header": _header(column.name, column), "values": values}


def _plain(value: object) -> object:
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def write_submission(path: Path, tables: Mapping[str, Table], pictures: Iterable[Picture], comment: str) -> None:
    """Write all `tables`, by name, and all `pictures` as one archive, the same bytes every time.

    A picture belongs to the tables that it was drawn from; one of events alone belongs to the whole.

    Args:
        path: the archive, a zip file.
        tables: what to publish.
        pictures: figures; each becomes an image and its thumbnail.
        comment: what the whole is about.
    """
    files: dict[str, bytes] = {}
    whole: dict = {"comment": comment}
    sections: dict[str, dict] = {}
    for name, table in tables.items():
        file = f"{name.lower().replace('.', '_')}.yaml"
        files[file] = _yaml(document(table))
        sections[name] = {"name": name, "description": _description(table), "keywords": [], "data_file": file}
    for picture in pictures:
        files[picture.path.name] = picture.path.read_bytes()
        files[f"thumb_{picture.path.name}"] = _thumbnail(picture.path)
        for holder in [sections[name] for name in picture.tables if name in sections] or [whole]:
            holder.setdefault("additional_resources", []).extend(_resources(picture))
    files["submission.yaml"] = _yaml(whole, *sections.values())
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(files):
            entry = zipfile.ZipInfo(file, _CLOCK)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, files[file])


def _yaml(*documents: dict) -> bytes:
    return yaml.dump_all(
        documents,
        Dumper=_Dumper,
        sort_keys=False,
        explicit_start=len(documents) > 1,
        allow_unicode=True,
        encoding="utf-8",
    )


def _description(table: Table) -> str:
    meanings = "; ".join(f"{column.name}: {column.meaning}" for column in table.schema.columns)
    return f"{table.provenance['about']}. {meanings}" if "about" in table.provenance else meanings


def _resources(picture: Picture) -> list[dict]:
    """As HEPData shows a figure beside a table: the image, and a small one whose name begins with thumb_."""
    name = picture.path.name
    return [
        {"location": name, "description": f"Image file. {picture.caption}".strip()},
        {"location": f"thumb_{name}", "description": "Thumbnail image file"},
    ]


def _thumbnail(path: Path) -> bytes:
    drawn = io.BytesIO()
    with Image.open(path) as image:
        small = image.convert("RGB")
        small.thumbnail((_THUMBNAIL, _THUMBNAIL))
        small.save(drawn, "PNG")
    return drawn.getvalue()
