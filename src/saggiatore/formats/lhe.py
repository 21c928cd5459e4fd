r"""Les Houches event files (hep-ph/0109068, arXiv:1405.1067), written through pylhe.

Weights follow strategy -4: the average of the events' XWGTUP is the cross section in pb. Weights at further parameter
points are `<rwgt>` entries. All numbers have the digits of a double, so that nothing is lost on the way.
"""

import gzip
import io
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np
import pylhe

from saggiatore.files import atomic
from saggiatore.physics.intermediate import Record
from saggiatore.types import Float

_PROCESS = 1
_UNKNOWN_SPIN = 9.0
_ROUNDING = 1e-10  # of E^2 - p^2, relative to E^2
_EXACT = pylhe.LHEXMLFormat(
    initinfo="{beamA:6d} {beamB:6d} {energyA:.16e} {energyB:.16e} {PDFgroupA:5d} {PDFgroupB:5d} {PDFsetA:5d} "
    "{PDFsetB:5d} {weightingStrategy:5d} {numProcesses:5d}",
    procinfo="{xSection:.16e} {error:.16e} {unitWeight:.16e} {procId:5d}",
    eventinfo="{nparticles:3d} {pid:6d} {weight:.16e} {scale:.16e} {aqed:.16e} {aqcd:.16e}",
    particle="{id:8d} {status:3d} {mother1:3d} {mother2:3d} {color1:3d} {color2:3d} "
    "{px:.16e} {py:.16e} {pz:.16e} {e:.16e} {m:.16e} {lifetime:.1e} {spin:.1e}",
)


class Run(NamedTuple):
    """What holds for all events of a file."""

    beams: tuple[int, int]  # PDG numbers
    beam_energy: float  # GeV, of each
    cross_section: float  # pb
    cross_section_error: float  # of integration, pb
    alpha_em: float
    points: Mapping[str, str]  # weights at further parameter points: names and what they are
    variations: Mapping[str, str]  # weights at theory variations, behind those
    comment: str


class Event(NamedTuple):
    """One event."""

    weight: float  # pb; the mean over events is the cross section
    scale: float  # GeV, of factorisation; NaN where there is none, and a shower starts at the energy of a beam
    alpha_s: float  # NaN where there is none
    particles: Record
    weights: Float[np.ndarray, " point"]  # at the run's further points and variations, pb


def write_lhe(path: Path, run: Run, events: Iterable[Event]) -> None:
    """Write `events` one by one, atomically; gzipped if the name ends in .gz."""
    info = pylhe.LHEInitInfo(
        *run.beams, run.beam_energy, run.beam_energy,
        PDFgroupA=-1, PDFgroupB=-1, PDFsetA=-1, PDFsetB=-1, weightingStrategy=-4, numProcesses=1,
    )  # fmt: skip
    total = pylhe.LHEProcInfo(run.cross_section, run.cross_section_error, run.cross_section, _PROCESS)
    groups: list[pylhe.LHEInitRWGTWeight | pylhe.LHEInitRWGTWeightGroup] = [
        pylhe.LHEInitRWGTWeightGroup(kind, weights=[pylhe.LHEInitRWGTWeight(*entry) for entry in entries.items()])
        for kind, entries in (("parameters", run.points), ("theory_variations", run.variations))
        if entries
    ]
    file = pylhe.LHEFile(
        pylhe.LHEInit(info, [total], []),
        (_record(run, event) for event in events),
        header=pylhe.LHEHeader(pylhe.LHEInitRWGT(groups)) if groups else None,
        comment=run.comment,
    )
    with atomic(path) as temporary, _text(temporary, is_zipped=path.suffix == ".gz") as stream:
        file.write(stream, _EXACT)


def _record(run: Run, event: Event) -> pylhe.LHEEvent:
    scale = run.beam_energy if math.isnan(event.scale) else event.scale
    alpha_s = -1.0 if math.isnan(event.alpha_s) else event.alpha_s
    info = pylhe.LHEEventInfo(len(event.particles.pdg), _PROCESS, event.weight, scale, run.alpha_em, alpha_s)
    names = [*run.points, *run.variations]
    # pylhe writes these weights with five digits
    entries = [f" <wgt id='{name}'>{value:.16e}</wgt>" for name, value in zip(names, event.weights, strict=True)]
    optional = ["<rwgt>", *entries, "</rwgt>"] if entries else []
    return pylhe.LHEEvent(info, list(_particles(event)), optional=optional)


def _particles(event: Event) -> Iterator[pylhe.LHEParticle]:
    columns = (part.tolist() for part in event.particles)
    for pdg, status, (mother_1, mother_2), (e, px, py, pz), (colour, anticolour) in zip(*columns, strict=True):
        square = e**2 - px**2 - py**2 - pz**2
        mass = square**0.5 if square > _ROUNDING * e**2 else 0.0
        yield pylhe.LHEParticle(
            pdg, status, mother_1, mother_2, colour, anticolour, px, py, pz, e, mass, 0.0, _UNKNOWN_SPIN
        )


@contextmanager
def _text(path: Path, *, is_zipped: bool) -> Iterator[TextIO]:
    """A text file; a zipped one without name and time, so that the same events are the same bytes."""
    with open(path, "wb") as raw:
        if not is_zipped:
            with io.TextIOWrapper(raw, encoding="utf-8") as text:
                yield text
            return
        with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as zipped, io.TextIOWrapper(zipped, "utf-8") as text:
            yield text
