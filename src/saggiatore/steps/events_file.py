"""Read events that somebody else made: their weights, and their joint score by morphing."""

import hashlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from saggiatore.errors import StudyError
from saggiatore.files import workplace
from saggiatore.formats.flat_input import read_flat
from saggiatore.formats.lhe_input import read_lhe
from saggiatore.formats.source import FlatEvents, LheEvents
from saggiatore.integrate.averaged import FlavourAverage
from saggiatore.integrate.events import ROWS, events_schema, legs_of
from saggiatore.integrate.external import (
    Block,
    Sample,
    arrange,
    observe,
    require_physical,
    require_same_observables,
)
from saggiatore.integrate.scored import AbstractScores, MorphedScores, StatedScores
from saggiatore.integrate.tally import Tally, sample_schema
from saggiatore.job import Job
from saggiatore.physics.kinematics import COMPONENTS
from saggiatore.physics.process import AbstractProcess
from saggiatore.provenance import provenance
from saggiatore.tables import TableSchema, iterate_table, write_batches, write_table


def run(job: Job[LheEvents | FlatEvents], *, code: str, file: Path, out: Path, sample: Path) -> None:
    """Write the events of `file` that pass the cuts, with observables, weights and joint scores, and what they are.

    The file is read once: rows wait in a temporary table until the cross section, which normalises weights and joint
    scores, is known.

    Raises:
        StudyError: if the benchmarks do not suffice, the file is missing or has fewer events or another beam energy.
        EventError: if the file is damaged, or an event unphysical, of another process or without finite weights.
        SchemaError: if a flat file lacks a column.
        EmptyRegionError: if no event passes the cuts.
    """
    spec = job.process_spec()
    process = spec.build()
    scores = _scores(job.section, process)
    source = _open(job.section, file, process, scores)
    _check_energy(source, getattr(spec, "sqrt_s", None), file)
    tally = Tally()
    schema = scores.schema(events_schema(process))
    with workplace(out) as folder:
        held = folder / "held.parquet"
        write_batches(held, schema, _rows(process, scores, source, tally), {})
        tally.require_sound(job.section.max_residual)
        scores.require_sound(tally)
        factor = _factor(source, tally)
        report = tally.report(factor) | scores.report()
        print(f"{file}: " + ", ".join(f"{name} {value:.6g}" for name, value in report.items()), file=sys.stderr)
        header = provenance(job.model_dump(mode="json"), code) | {
            "shard": 0,
            "sample": report | {"sha256": _hash(file)},
        }
        write_batches(out, schema, _normalised(held, schema, process, scores, tally, factor), header)
    row = {name: np.array([value]) for name, value in report.items()}
    write_table(sample, sample_schema(bool(job.section.benchmarks)), row, header)


def _hash(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _scores(section: LheEvents | FlatEvents, process: AbstractProcess) -> AbstractScores:
    if not section.benchmarks:
        return StatedScores(process.parameters)
    known = {name for point in (section.theta, section.at or {}, *section.benchmarks.values()) for name in point}
    if unknown := sorted(known - set(process.parameters)):
        raise StudyError(f"benchmarks name {unknown}, expected parameters of the process: {process.parameters}.")
    if local := sorted(set(process.parameters) - set(process.quadratic)):
        raise StudyError(
            f"the rate is no polynomial of degree two in {', '.join(local)}: weights at benchmarks do not give joint "
            "scores in it. Write a process without this parameter, or read a table that has joint scores."
        )
    points = section.points(section.benchmarks)
    return MorphedScores.make(process.parameters, points, section.theta, section.at, section.average_flavours)


def _open(section: LheEvents | FlatEvents, file: Path, process: AbstractProcess, scores: AbstractScores) -> Sample:
    if isinstance(section, LheEvents):
        return read_lhe(file, process, scores.needed, section.skip, section.n_events)
    optional = (*scores.optional, *process.observables)
    return read_flat(file, len(process.legs), scores.needed, optional, section.skip, section.n_events)


def _check_energy(sample: Sample, sqrt_s: float | None, file: Path) -> None:
    if sample.energy is not None and sqrt_s is not None and abs(sample.energy / sqrt_s - 1) > 1e-3:
        raise StudyError(
            f"{file}: the beams have {sample.energy:g} GeV together, the process of the study sqrt_s = {sqrt_s:g} GeV. "
            "Correct sqrt_s, or read another file."
        )


def _rows(
    process: AbstractProcess, scores: AbstractScores, sample: Sample, tally: Tally
) -> Iterator[Mapping[str, np.ndarray]]:
    """Columns of the events inside the cuts; weights and joint scores are not normalised yet."""
    for block in tqdm(sample.blocks, desc="events of the file", unit="block", mininterval=1.0):
        is_finite = np.isfinite(block.weight) & np.isfinite(block.extra[:, : len(scores.needed)]).all(axis=1)
        tally.add_bad(block.number[~is_finite])
        if not is_finite.any():
            continue
        sound = block.rows(is_finite)
        require_physical(sound)
        sound = arrange(process, sound)
        inside, observables = observe(process, sound)
        require_same_observables(process, sound, sample.columns, observables)
        tally.add_read(sound.weight, inside)
        if inside.any():
            kept = sound.rows(inside)
            yield {
                **scores.columns(kept, sample.columns, tally),
                **{name: column[inside] for name, column in observables.items()},
                **_legs(kept),
            }


def _legs(block: Block) -> dict[str, np.ndarray]:
    columns: dict[str, np.ndarray] = {}
    for leg in range(block.pdg.shape[1]):
        columns[f"leg{leg}_pdg"] = block.pdg[:, leg]
        columns |= {f"leg{leg}_{part}": block.momenta[:, leg, place] for place, part in enumerate(COMPONENTS)}
    return columns


def _factor(sample: Sample, tally: Tally) -> float:
    """What turns the file's weights into pb: all events that were read share the cross section before the cuts."""
    if sample.cross_section is not None:
        return sample.cross_section / tally.read
    return 1.0 if sample.n_shared is None else sample.n_shared / tally.n_read


def _normalised(
    held: Path, schema: TableSchema, process: AbstractProcess, scores: AbstractScores, tally: Tally, factor: float
) -> Iterator[Mapping[str, np.ndarray]]:
    shift = scores.shift(tally)
    average = None
    if isinstance(scores, MorphedScores) and scores.is_averaged:
        average = FlavourAverage(process, scores.wanted, shift)
    for batch in iterate_table(held, "events", ROWS):
        columns = {name: batch[name].to_numpy() for name in schema.names}
        columns["weight"] = columns["weight"] * factor
        for place, name in enumerate(process.parameters):
            for what in ("joint_score", "parton_score"):
                columns[f"{what}_{name}"] = columns[f"{what}_{name}"] - shift[place]
        if average is not None:
            columns |= _averaged(average, batch, columns)
        yield columns
    if average is not None:
        average.require_agreement()


def _averaged(average: FlavourAverage, batch: pd.DataFrame, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    process = average.process
    momenta, pdg = legs_of(batch, len(process.legs))
    joint = np.stack([columns[f"joint_score_{name}"] for name in process.parameters], axis=1)
    mean, variance = average.of(momenta, pdg, columns["weight"], joint)
    return {
        **{f"parton_score_{name}": mean[:, place] for place, name in enumerate(process.parameters)},
        **{f"flavour_variance_{name}": variance[:, place] for place, name in enumerate(process.parameters)},
    }
