"""Command `export`: an event table as a Les Houches, ROOT or CSV file, for everyone else's tools."""

import math
from collections.abc import Iterator
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from saggiatore.compilation import fill
from saggiatore.errors import StudyError
from saggiatore.formats.flat import write_csv, write_root
from saggiatore.formats.lhe import Event, Run, write_lhe
from saggiatore.integrate.events import ROWS, VARIED, legs_of
from saggiatore.integrate.reweight import reweight
from saggiatore.physics.colour_flow import line_numbers
from saggiatore.physics.electroweak import ALPHA
from saggiatore.physics.intermediate import record
from saggiatore.physics.point import parse_point
from saggiatore.physics.process import AbstractProcess, channel_numbers
from saggiatore.registry import load
from saggiatore.tables import iterate_table, read_header
from saggiatore.types import Float

_PROTON = 2212


def run(*, events: Path, out: Path, points: str = "") -> None:
    """Write `events` (an event table of this project) to `out`: .lhe, .lhe.gz, .root or .csv.

    `points` are parameter points such as "c_wwt=1; c_wwt=-1": a Les Houches file then carries the weight of each event
    there as an <rwgt> entry, point_1, point_2, ...

    Raises:
        StudyError: if the suffix is none of these, or a point names no parameter.
        SchemaError: if the table is no event table.
    """
    if out.name.endswith((".lhe", ".lhe.gz")):
        _export_lhe(events, out, points)
        return
    writers = {".root": write_root, ".csv": write_csv}
    if out.suffix not in writers:
        raise StudyError(f"--out {out}: the name should end in .lhe, .lhe.gz, .root or .csv.")
    if points:
        raise StudyError(f"--points {points}: only Les Houches files carry weights at further points; leave it out.")
    schema, _ = read_header(events, "events")
    writers[out.suffix](out, schema, iterate_table(events, "events"))


def _export_lhe(events: Path, out: Path, points: str) -> None:
    schema, origin = read_header(events, "events")
    made = origin["spec"]
    spec = load("process", made["process"]["kind"]).model_validate(made["process"])
    process = spec.build()
    if not process.colour_flows:
        raise StudyError(
            f"the process {spec.kind} does not state its colour flow yet; export to .root or .csv instead."
        )
    thetas = parameter_points(points, process.parameters)
    values = np.array(list(thetas.values())).reshape(-1, len(process.parameters))
    varied = [name for name in schema.names if name.startswith(VARIED)]
    n_events, total, square = 0, 0.0, 0.0
    for batch in iterate_table(events, "events"):
        weights = batch["weight"].to_numpy()
        n_events, total, square = n_events + len(weights), total + weights.sum(), square + (weights**2).sum()
    beams, energy = _beams(spec, events)
    write_lhe(
        out,
        Run(
            beams=beams,
            beam_energy=energy,
            cross_section=float(total),
            cross_section_error=_error(total, square, n_events, origin.get("integration", 0.0)),
            alpha_em=ALPHA,
            points={f"point_{number}": text for number, text in enumerate(thetas, start=1)},
            variations={name: name.removeprefix(VARIED) for name in varied},
            comment=f"Saggiatore: study {made['study']}, events {made['label']}, code {origin['code']}",
        ),
        _events(process, events, values, varied, n_events),
    )


def _error(total: float, square: float, n_events: int, integration: float) -> float:
    """XERRUP, the standard error of the cross section in pb: of the integration, and of the sum of the weights.

    Unweighted events all weigh the same, and their sum is what was integrated; where they do not, it scatters about it.

    Args:
        total: sum of the weights, pb.
        square: sum of their squares.
        integration: relative error of the cross section that the events were normalised to; 0 where it is not known.
    """
    return math.hypot(integration * total, max(square - total**2 / n_events, 0.0) ** 0.5)


def _beams(spec: object, events: Path) -> tuple[tuple[int, int], float]:
    """PDG numbers of the beams and the energy of each, GeV: protons, or the first event's incoming legs."""
    sqrt_s = getattr(spec, "sqrt_s", None)
    if sqrt_s is not None:
        return (_PROTON, _PROTON), sqrt_s / 2
    first = next(iterate_table(events, "events", rows=1)).iloc[0]
    return (int(first["leg0_pdg"]), int(first["leg1_pdg"])), float(first["leg0_e"])


def parameter_points(points: str, parameters: tuple[str, ...]) -> dict[str, Float[np.ndarray, " theta"]]:
    """Theta at each point of a text such as "a=1; a=-1,b=2"; parameters that are not named are zero.

    Raises:
        StudyError: if a point names no parameter, or a value is no finite number.
    """
    texts = filter(None, (point.strip() for point in points.split(";")))
    return {text: parse_point(text, parameters, "--points", "parameter") for text in texts}


def _events(
    process: AbstractProcess, events: Path, points: Float[np.ndarray, "point theta"], varied: list[str], n_events: int
) -> Iterator[Event]:
    """Events of the table, their weights times their number."""
    lots = np.random.default_rng(0)  # colour flows are a convention for showers: the same table gives the same file
    for batch in iterate_table(events, "events", ROWS):
        momenta, pdg = legs_of(batch, len(process.legs))
        theta = batch[[f"theta_{name}" for name in process.parameters]].to_numpy(float)
        columns = (momenta, channel_numbers(process, pdg), theta)
        filled, channels, thetas = (jnp.asarray(fill(column, ROWS)) for column in columns)
        found = reweight(process, filled, channels, thetas, jnp.asarray(points))
        ratios, flows, scale, alpha_s = (np.asarray(part)[: len(batch)] for part in found)
        below = np.cumsum(flows, axis=1) / flows.sum(axis=1, keepdims=True)
        drawn = (below > lots.random((len(batch), 1))).argmax(axis=1)
        further = batch[varied].to_numpy(float) * n_events
        for row, weight in enumerate((batch["weight"].to_numpy() * n_events).tolist()):
            colour = line_numbers(process.colour_flows[drawn[row]], pdg[row])
            particles = record(process.intermediates, pdg[row], momenta[row], colour)
            weights = np.concatenate([weight * ratios[row], further[row]])
            yield Event(weight, scale[row], alpha_s[row], particles, weights)
