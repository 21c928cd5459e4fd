"""Les Houches event files of any generator (hep-ph/0609017, arXiv:1405.1067), read through pylhe, event by event."""

import gzip
import sys
import warnings
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pylhe

from saggiatore.errors import EventError, StudyError
from saggiatore.integrate.events import ROWS
from saggiatore.integrate.external import Block, Sample, unknown_particles
from saggiatore.physics.process import AbstractProcess
from saggiatore.schema import closest

_INCOMING, _OUTGOING = -1, 1  # status; others are intermediate
_SHOWN = 10  # weights that are listed
_GZIP = b"\x1f\x8b"
# what pylhe and gzip raise on damaged files; its warnings, about files that end early, are errors here
_DAMAGE = (RuntimeWarning, ValueError, LookupError, TypeError, AttributeError, EOFError, zlib.error, gzip.BadGzipFile)


def read_lhe(path: Path, process: AbstractProcess, names: Sequence[str], skip: int, n_events: int | None) -> Sample:
    """The events behind the first `skip`, `n_events` of them or all, with the weights called `names`.

    Memory does not grow with the file.

    Raises:
        StudyError: if there is no such file, or it has fewer events.
        EventError: if the file is damaged, ends early or states no cross section; while events are read: if one lacks
            a weight, or has another number of particles than the process.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            file = pylhe.LHEFile.frombuffer(_open(path))
    except _DAMAGE as error:
        raise EventError(
            f"{path}: no readable Les Houches file ({error}); expected <LesHouchesEvents>, <init>."
        ) from None
    cross_section = sum(each.xSection for each in file.init.procInfo)
    if not (np.isfinite(cross_section) and cross_section > 0):
        raise EventError(
            f"{path}: its <init> block states a cross section of {cross_section} pb, expected a positive number: it is "
            "what the weights are normalised to. Write the generator's cross section there."
        )
    energy = file.init.initInfo.energyA + file.init.initInfo.energyB
    blocks = _blocks(path, cast(Iterator[pylhe.LHEEvent], file.events), process, names, skip, n_events)
    return Sample(blocks, tuple(names), cross_section=float(cross_section), energy=float(energy))


def _open(path: Path) -> BinaryIO:
    try:
        with open(path, "rb") as file:
            is_zipped = file.read(2) == _GZIP
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}). Check the path of the events.") from None
    return cast(BinaryIO, gzip.open(path)) if is_zipped else open(path, "rb")


def _blocks(
    path: Path,
    events: Iterator[pylhe.LHEEvent],
    process: AbstractProcess,
    names: Sequence[str],
    skip: int,
    n_events: int | None,
) -> Iterator[Block]:
    number, end = 0, None if n_events is None else skip + n_events
    while end is None or number < end:
        size = ROWS if end is None else min(ROWS, end - number)
        found = list(_take(path, events, number, size))
        if number == 0 and found:
            _tell_unused(path, names, found[0])
        rows = [
            _row(path, process, names, number + place, event)
            for place, event in enumerate(found, start=1)
            if number + place > skip
        ]
        number += len(found)
        if rows:
            columns = [np.array(column) for column in zip(*rows, strict=True)]
            columns[-1] = columns[-1].reshape(len(rows), len(names))
            yield Block(*columns)
        if len(found) < size:
            break
    if number <= skip or (end is not None and number < end):
        wanted = f"{skip} are skipped" + ("" if n_events is None else f" and {n_events} asked for")
        raise StudyError(f"{path}: holds {number} events, but {wanted}. Lower skip or n_events.")


def _tell_unused(path: Path, names: Sequence[str], event: pylhe.LHEEvent) -> None:
    """Say which weights the study leaves aside: scale variations, or a benchmark that was forgotten."""
    unused = [name for name in event.weights if name not in names]
    if unused:
        more = ", ..." if len(unused) > _SHOWN else ""
        shown = ", ".join(unused[:_SHOWN]) + more
        print(f"{path}: {len(unused)} weights are not benchmarks of the study: {shown}", file=sys.stderr)


def _take(path: Path, events: Iterator[pylhe.LHEEvent], n_before: int, size: int) -> Iterator[pylhe.LHEEvent]:
    """The next `size` events, fewer at the end of the file."""
    n_read = n_before
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            for event in islice(events, size):
                n_read += 1
                yield event
        except _DAMAGE as error:
            raise EventError(
                f"{path}: cannot be read behind event {n_read} ({error}): the file is truncated or damaged; expected "
                "events up to </LesHouchesEvents>. Copy or unpack it again, or take the events before with n_events."
            ) from None


def _row(path: Path, process: AbstractProcess, names: Sequence[str], number: int, event: pylhe.LHEEvent) -> tuple:
    """Number, weight, PDG numbers, momenta, masses and further weights of one event; incoming legs first."""
    legs = [each for status in (_INCOMING, _OUTGOING) for each in event.particles if each.status == status]
    if len(legs) != len(process.legs) or legs[1].status != _INCOMING or legs[2].status != _OUTGOING:
        raise unknown_particles(process, number, [int(each.id) for each in legs])
    missing = [name for name in names if name not in event.weights]
    if missing:
        what = closest(missing[0], list(event.weights)) if event.weights else "It carries no <rwgt> and no <weights>."
        raise EventError(
            f"{path}: event {number} has no weight '{missing[0]}', which the study names as a benchmark; {what} "
            "Name weights of the file, or have the generator add them (in MadGraph: reweight)."
        )
    return (
        number,
        event.eventinfo.weight,
        [int(each.id) for each in legs],
        [(each.e, each.px, each.py, each.pz) for each in legs],
        [each.m for each in legs],
        [event.weights[name] for name in names],
    )
