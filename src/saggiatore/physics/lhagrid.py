"""LHAPDF grid files (format lhagrid1): where they are, and what is in them. Nothing is interpolated here.

A file has a header of ``key: value`` lines and subgrids, each closed by ``---``: knots in x, knots in Q (GeV), particle
ids, then one row of x f(x, Q) for each pair of knots, Q running fastest (Buckley et al., arXiv:1412.7420, appendix).
"""

import importlib.metadata
import itertools
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from saggiatore.errors import PartonDensityError

_FORMAT = "lhagrid1"
_NAME = re.compile(r"[^/\s]+(/\d{1,4})?")
_WHEELS = ("pythia8mc",)  # distributions that install grids under share/Pythia8/pdfdata


class Subgrid(NamedTuple):
    """One block of a grid file: x f for all pairs of knots."""

    x: np.ndarray  # (x,), increasing
    q: np.ndarray  # (q,), increasing, GeV
    ids: tuple[int, ...]  # PDG ids of the columns; the gluon is 21
    xf: np.ndarray  # (x, q, id)


def find_grid(name: str) -> Path:
    """Path of the grid of the set `name`, its central member, or of ``NAME/MEMBER``.

    It is looked for in the folders of ``LHAPDF_DATA_PATH`` (as LHAPDF lays it out, NAME/NAME_0000.dat, or flat), then
    among the grids that the pythia8mc wheel installs.

    Raises:
        PartonDensityError: naming every path that was tried.
    """
    if not _NAME.fullmatch(name):
        raise PartonDensityError(f"the parton density is called {name!r}; expected the name of a set, or NAME/MEMBER.")
    tried = list(_candidates(name))
    for path in tried:
        if path.is_file():
            return path
    listing = "".join(f"\n  {path}" for path in tried)
    raise PartonDensityError(
        f"the parton-density set '{name}' was not found; expected its grid at one of these paths:{listing}\n"
        "Install the set with LHAPDF and put its folder into LHAPDF_DATA_PATH, or name one that pythia8mc installs."
    )


def read_grid(path: Path) -> tuple[Subgrid, ...]:
    """Subgrids of a grid file, ordered in Q.

    Raises:
        PartonDensityError: if the file is unreadable, of another format, truncated or has values that are not finite.
    """
    try:
        text = Path(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(path, f"unreadable ({error})") from None
    header, *blocks = text.split("---")
    if f"Format: {_FORMAT}" not in header:
        raise _damaged(path, f"its header lacks 'Format: {_FORMAT}'")
    if not blocks or blocks[-1].strip():
        raise _damaged(path, "it does not end with '---', so it is truncated")
    if len(blocks) < 2:
        raise _damaged(path, "it has no subgrid")
    subgrids = tuple(_read_block(path, block) for block in blocks[:-1])
    for low, high in itertools.pairwise(subgrids):
        if low.q[-1] != high.q[0]:
            raise _damaged(
                path, f"its subgrids do not join: one ends at Q = {low.q[-1]}, the next begins at {high.q[0]}"
            )
    return subgrids


def _candidates(name: str) -> Iterator[Path]:
    name, _, member = name.partition("/")
    file = f"{name}_{int(member or 0):04d}.dat"
    for folder in os.environ.get("LHAPDF_DATA_PATH", "").split(os.pathsep):
        if folder:
            yield Path(folder) / name / file
            yield Path(folder) / file
    yield from dict.fromkeys(folder / file for folder in _wheel_folders())


def _wheel_folders() -> Iterator[Path]:
    for wheel in _WHEELS:
        try:
            installed = importlib.metadata.files(wheel) or ()
        except importlib.metadata.PackageNotFoundError:
            continue
        for entry in installed:
            if entry.parent.name == "pdfdata":
                yield Path(os.fspath(entry.locate())).resolve().parent
                break
    yield Path(sys.prefix) / "share" / "Pythia8" / "pdfdata"


def _read_block(path: Path, block: str) -> Subgrid:
    lines = block.strip().split("\n", 3)
    if len(lines) < 4:
        raise _damaged(path, "a subgrid lacks knots, ids or values")
    try:
        x, q = (np.array(line.split(), dtype=float) for line in lines[:2])
        ids = tuple(21 if int(name) == 0 else int(name) for name in lines[2].split())
        values = np.array(lines[3].split(), dtype=float)
    except ValueError as error:
        raise _damaged(path, str(error)) from None
    expected = len(x) * len(q) * len(ids)
    if values.size != expected:
        raise _damaged(path, f"a subgrid has {values.size} values, expected {len(x)} x {len(q)} x {len(ids)}")
    for knots, meaning in ((x, "x"), (q, "Q")):
        if len(knots) < 2 or not (knots[0] > 0 and (np.diff(knots) > 0).all() and np.isfinite(knots[-1])):
            raise _damaged(path, f"its knots in {meaning} are not positive and increasing")
    if not np.isfinite(values).all():
        raise _damaged(path, "it has values that are not finite")
    return Subgrid(x, q, ids, values.reshape(len(x), len(q), len(ids)))


def _damaged(path: Path, reason: str) -> PartonDensityError:
    return PartonDensityError(
        f"{path}: damaged parton-density grid: {reason}; expected a whole LHAPDF file of format {_FORMAT}. "
        "Install the set again."
    )
