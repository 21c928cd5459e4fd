"""Event tables in the columns that `flat` writes, from ROOT trees and CSV files of anyone, block by block."""

import gzip
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import numpy as np
import pandas as pd
import uproot

from saggiatore.errors import SchemaError, StudyError
from saggiatore.integrate.events import ROWS
from saggiatore.integrate.external import Block, Sample
from saggiatore.physics.kinematics import COMPONENTS
from saggiatore.schema import closest

TREE = "events"


class _File(NamedTuple):
    columns: tuple[str, ...]
    n_rows: int
    batches: Callable[[list[str], int, int], Iterator[pd.DataFrame]]  # columns, first row, row behind the last


def read_flat(
    path: Path, n_legs: int, names: Sequence[str], optional: Sequence[str], skip: int, n_events: int | None
) -> Sample:
    """The events behind the first `skip`, `n_events` of them or all, with columns `names` and what there is of others.

    Needed are `weight` (pb), `leg0_pdg`, `leg0_e`, `leg0_px`, ... (GeV) and `names`.

    Raises:
        StudyError: if there is no such file, or it has fewer events.
        SchemaError: if a column is missing or no number.
    """
    file = _open(path)
    legs = [f"leg{leg}_{part}" for leg in range(n_legs) for part in COMPONENTS]
    pdg = [f"leg{leg}_pdg" for leg in range(n_legs)]
    for name in ("weight", *pdg, *legs, *names):
        if name not in file.columns:
            raise SchemaError(
                f"{path}: no column '{name}'; {closest(name, list(file.columns))} Name it as `export` does."
            )
    end = file.n_rows if n_events is None else skip + n_events
    if not skip < end <= file.n_rows:
        raise StudyError(
            f"{path}: holds {file.n_rows} events, but {skip} are skipped and {n_events or 'some'} asked for. "
            "Lower skip or n_events."
        )
    kept = (*names, *(name for name in optional if name in file.columns))
    columns = list(dict.fromkeys(["weight", *pdg, *legs, *kept]))

    def blocks() -> Iterator[Block]:
        first = skip
        for batch in file.batches(columns, skip, end):
            data = _numbers(path, batch)
            number = np.arange(first, first + len(data)) + 1
            momenta = data[legs].to_numpy().reshape(-1, n_legs, 4)
            whole = _integers(path, data[pdg].to_numpy(), number)
            yield Block(number, data["weight"].to_numpy(), whole, momenta, None, data[list(kept)].to_numpy())
            first += len(data)

    return Sample(blocks(), kept, n_shared=file.n_rows)


def _numbers(path: Path, batch: pd.DataFrame) -> pd.DataFrame:
    try:
        return batch.astype(float)
    except (TypeError, ValueError) as error:
        raise SchemaError(f"{path}: the columns of events must be numbers ({error}).") from None


def _integers(path: Path, pdg: np.ndarray, number: np.ndarray) -> np.ndarray:
    bad = ~(np.isfinite(pdg) & (pdg == np.round(pdg))).all(axis=1)
    if bad.any():
        row = int(np.argmax(bad))
        raise SchemaError(
            f"{path}: event {number[row]} has the PDG numbers {pdg[row].tolist()}, expected integers: the file is "
            "truncated or damaged."
        )
    return pdg.astype(int)


def _open(path: Path) -> _File:
    if not path.is_file():
        raise StudyError(f"{path}: no such file. Check the path of the events.")
    return _root(path) if path.suffix == ".root" else _csv(path)


def _root(path: Path) -> _File:
    try:
        with uproot.open(path) as file:
            trees = sorted({name.split(";")[0] for name in file})
            if TREE not in trees:
                raise SchemaError(f"{path}: no tree '{TREE}'; {closest(TREE, trees)}")
            columns, n_rows = tuple(file[TREE].keys()), file[TREE].num_entries
    except (ValueError, OSError) as error:
        raise SchemaError(f"{path}: not a readable ROOT file ({error}). Copy it again.") from None

    def batches(columns: list[str], first: int, end: int) -> Iterator[pd.DataFrame]:
        with uproot.open(path) as file:
            tree = file[TREE]
            for start in range(first, end, ROWS):
                stop = min(start + ROWS, end)
                yield pd.DataFrame(tree.arrays(columns, entry_start=start, entry_stop=stop, library="np"))

    return _File(columns, n_rows, batches)


def _csv(path: Path) -> _File:
    try:
        columns = tuple(str(name) for name in pd.read_csv(path, nrows=0).columns)
        n_rows = _lines(path) - 1
    except (ValueError, OSError, EOFError) as error:
        raise SchemaError(f"{path}: not a readable CSV file with a header ({error}). Copy it again.") from None

    def batches(columns: list[str], first: int, end: int) -> Iterator[pd.DataFrame]:
        chunks = pd.read_csv(
            path, usecols=columns, skiprows=lambda row: 0 < row <= first, nrows=end - first, chunksize=ROWS,
            float_precision="round_trip",
        )  # fmt: skip
        with chunks:
            yield from chunks

    return _File(columns, n_rows, batches)


def _lines(path: Path) -> int:
    """Lines of a text file that hold something."""
    with cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else open(path, "rb") as file:
        return sum(1 for line in file if line.strip())
