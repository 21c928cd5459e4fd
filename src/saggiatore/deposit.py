"""A part of an archive as an archive of its own. What is left out stays on record, with size and SHA-256."""

import json
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from saggiatore.bundle import Entry
from saggiatore.errors import BundleError

# A part's files by what follows results/STUDY in their paths; all else belongs to every deposit.
FOLDERS = {
    "formula": ("formulas", "structures"),
    "tables": ("tables", "sampler", "hepdata.zip"),
    "figures": ("figures",),
    "limits": ("limits",),
    "models": ("models", "draws"),
    "events": ("events",),
}
BASE = "always"


def part_of(name: str) -> str:
    """The part that a file of an archive belongs to."""
    parts = PurePosixPath(name).parts
    place = parts[2] if parts[0] == "results" and len(parts) > 2 else ""
    return next((part for part, places in FOLDERS.items() if place in places), BASE)


def parts_from(text: str) -> list[str]:
    """``formula,tables`` as a list.

    Raises:
        BundleError: naming the parts that there are, if one is unknown.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if unknown := [part for part in parts if part not in FOLDERS]:
        raise BundleError(f"--parts: no part is called {', '.join(unknown)}; there are {', '.join(FOLDERS)}.")
    return parts


def sizes(manifest: Mapping) -> dict[str, tuple[int, int]]:
    """Number of files and bytes of each part, those that the archive only states included."""
    found = dict.fromkeys((BASE, *FOLDERS), (0, 0))
    for name, entry in {**manifest["files"], **manifest["not_included"]}.items():
        count, size = found[part_of(name)]
        found[part_of(name)] = count + 1, size + entry["size"]
    return found


def restated(crate: str, held: Mapping[str, Entry], left_out: Iterable[str]) -> str:
    """RO-Crate metadata in which the files of `left_out` are known by name alone, and those of `held` are files."""
    document = json.loads(crate)
    renamed = {name: f"#{quote(name)}" for name in left_out} | {f"#{quote(name)}": name for name in held}
    renamed = {old: new for old, new in renamed.items() if any(old == entity["@id"] for entity in document["@graph"])}
    graph = [_renamed(entity, renamed) for entity in document["@graph"]]
    files = [entity["@id"] for entity in graph if "File" in _types(entity)]
    for entity in graph:
        if entity["@id"] in renamed.values():
            entity["@type"] = "CreativeWork" if entity["@id"].startswith("#") else "File"
        if entity["@id"] == "./":
            added = [name for name in renamed.values() if not name.startswith("#")]
            entity["hasPart"] = [{"@id": name} for name in [*files, *added]]
    return json.dumps({**document, "@graph": graph}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_renamed(each, names) for each in value]
    if isinstance(value, dict):
        return {key: names.get(each, each) if key == "@id" else _renamed(each, names) for key, each in value.items()}
    return value


def _types(entity: Mapping) -> list[str]:
    found = entity["@type"]
    is_left_out = entity["@id"].startswith("#")
    return [] if is_left_out else found if isinstance(found, list) else [found]
