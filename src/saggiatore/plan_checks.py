"""Checks of events that come from files, before anything runs: that benchmarks suffice, that parts do not overlap."""

import hashlib
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

from saggiatore.errors import StudyError

_SAMPLED = 1 << 20  # bytes at either end of a file that tell its content


def require_span(where: str, section: dict, parameters: list[str]) -> None:
    """Refuse a section whose benchmarks do not determine the weights of its events.

    Raises:
        StudyError: saying which terms are undetermined.
    """
    if not section.get("benchmarks"):
        return
    from saggiatore.integrate.morphing import morphing  # numpy, only where a study reads files

    try:
        morphing(parameters, {"": section["theta"], **section["benchmarks"]})
    except StudyError as error:
        raise StudyError(f"{where}: {error}") from None


def require_disjoint(where: str, sections: Iterable[tuple[str, dict]]) -> None:
    """Refuse two sections of events that a third one tells apart, but that read the same events of one file.

    Raises:
        StudyError: naming both.
    """
    read = ((label, section) for label, section in sections if "path" in section)
    for (first, one), (second, other) in combinations(read, 2):
        if one["path"] == other["path"] and _overlap(one, other):
            raise StudyError(
                f"{where}: events.{first} and events.{second} share events of {one['path']}, and count as independent "
                f"here. Give them different parts of the file with skip and n_events."
            )


def _overlap(one: dict, other: dict) -> bool:
    early, late = sorted((one, other), key=lambda section: section["skip"])
    return early["n_events"] is None or early["skip"] + early["n_events"] > late["skip"]


def content_key(path: Path) -> str:
    """Key of a file's content from its size and both its ends: gigabytes are not read at every start.

    Beside the modification time, which Snakemake looks at, it also notices a file replaced by an older one. The end of
    a gzipped file holds a checksum of all of it.

    Raises:
        StudyError: if there is no such file.
    """
    try:
        with open(path, "rb") as file:
            size, head = path.stat().st_size, file.read(_SAMPLED)
            file.seek(max(0, size - _SAMPLED))
            return f"{size}-{hashlib.sha256(head + file.read()).hexdigest()[:16]}"
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}). Check the path of the events.") from None
