"""Versions of the libraries that code imports: an upgrade may change numbers as an edit does."""

import functools
import importlib.metadata
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, get_args

from saggiatore.errors import StudyError

Precision = Literal["exact", "minor", "none"]  # what counts as another version: every release, minor ones, nothing

# Imports that are not called like their distribution; the compiled half of jax has a version of its own.
_DISTRIBUTIONS = {
    "PIL": ("pillow",),
    "jax": ("jax", "jaxlib"),
    "mpl_toolkits": ("matplotlib",),
    "pydantic_core": ("pydantic-core",),
    "yaml": ("pyyaml",),
}
ABSENT = "absent"


def read_precision(value: object) -> Precision:
    """The key `library_versions` of the configuration.

    Raises:
        StudyError: if its value is no `Precision`.
    """
    for known in get_args(Precision):
        if value == known:
            return known
    raise StudyError(f"config: library_versions is {value!r}, expected one of {', '.join(get_args(Precision))}.")


def distributions(imports: Iterable[str]) -> list[str]:
    """What provides the top-level modules `imports`, such as ``jax``, sorted."""
    return sorted({name for each in imports for name in _DISTRIBUTIONS.get(each, (each,))})


def installed(imports: Iterable[str]) -> dict[str, str]:
    """Version of Python and of each distribution behind `imports` in this environment."""
    python = "{}.{}".format(*sys.version_info)
    return {"python": python} | {name: _installed(name) for name in distributions(imports)}


def pinned(imports: Iterable[str], lock: Path) -> dict[str, str]:
    """The same by the pins of a requirements file, which conda environments mirror; Python is their own affair."""
    pins = _pins(lock)
    return {name: pins.get(name, ABSENT) for name in distributions(imports)}


def rounded(versions: dict[str, str], precision: Precision) -> dict[str, str]:
    """As much of `versions` as counts."""
    if precision == "none":
        return {}
    return {name: _minor(version) if precision == "minor" else version for name, version in versions.items()}


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


@functools.cache
def _installed(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ABSENT


@functools.cache
def _pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w-]+)==([^\s;]+)", lock.read_text(encoding="utf-8"), re.MULTILINE))
