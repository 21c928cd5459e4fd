"""Squared amplitudes of one partonic channel at the momenta of events, with invariants: what a regression learns from.

An amplitude is a function of momenta: it is evaluated at those of all events, whatever flavours they were drawn with,
so that points lie where the whole process has its events.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from saggiatore.compilation import fill
from saggiatore.errors import EventError, SchemaError, StudyError
from saggiatore.infer.base import PointRegression, regression
from saggiatore.infer.batches import Batch, feature_names
from saggiatore.infer.calibrate import evaluate
from saggiatore.integrate.events import ROWS, legs_of
from saggiatore.job import Job
from saggiatore.models.leg import invariant_name, pairs
from saggiatore.models.store import load_model
from saggiatore.physics.kinematics import invariants
from saggiatore.physics.matrix_element import MatrixElement, require_physical
from saggiatore.provenance import provenance
from saggiatore.steps.events import AmplitudeEvents, Boost
from saggiatore.tables import Column, Table, TableSchema, read_table, write_table
from saggiatore.tasks.columns import LOG_AMPLITUDE
from saggiatore.types import Array, Float, Momenta, Scalar

log = logging.getLogger(__name__)
Columns = dict[str, np.ndarray]


def run(job: Job[AmplitudeEvents], *, code: str, like: Path, model: list[Path], out: Path) -> None:
    """Write the events; `model` is that of the section's boost, if it has one.

    Raises:
        StudyError: if the process has no amplitudes, or the channel has other legs, or the boost's model learned
            something else.
        EventError: if an amplitude vanishes or is not finite.
        SchemaError: if there are fewer events.
    """
    section, spec = job.section, job.process_spec()
    process = spec.build()
    if not hasattr(spec, "matrix_element"):
        raise StudyError(
            f"events.{job.label}: the process {spec.kind} offers no amplitudes by channel; choose another."
        )
    found = spec.matrix_element(section.pdg, False)
    if len(found.masses) != len(process.legs):
        raise StudyError(
            f"events.{job.label}: pdg {section.pdg} has {len(found.masses)} legs, those of the process are "
            f"{', '.join(process.legs)}. Name them in this order."
        )
    events = _chosen(job, read_table(like, "events"), like)
    momenta, _ = legs_of(events.data, len(found.masses))
    require_physical(momenta, found.masses, section.skip)
    columns = {name: events.data[name].to_numpy() for name in ("weight", *process.observables)}
    if not section.keeps_weights:
        columns["weight"] = np.full(len(momenta), columns["weight"].mean())
    columns |= _evaluated(found, momenta) | _legs(momenta, section.pdg)
    schema = _schema(events, tuple(process.observables), len(found.masses))
    if section.boost is not None:
        columns["weight"] = columns["weight"] * _factors(section.boost, columns, model[0])
    origin = provenance(job.model_dump(mode="json"), code) | {"shard": 0}
    write_table(out, schema, {name: columns[name] for name in schema.names}, origin)


def _chosen(job: Job[AmplitudeEvents], table: Table, path: Path) -> Table:
    first, last = job.section.skip, job.section.skip + job.section.n_events
    if last > len(table.data):
        raise SchemaError(f"{path}: {len(table.data)} events, events.{job.label} needs {last}. Lower its n_events.")
    return replace(table, data=table.data.iloc[first:last])


def _evaluated(found: MatrixElement, momenta: Float[np.ndarray, "event leg 4"]) -> Columns:
    """Logarithms of the amplitude, and invariants of all pairs of legs."""
    n_legs, point = len(found.masses), jnp.zeros(len(found.coefficients))

    @jax.jit
    @jax.vmap
    def both(at: Momenta) -> tuple[Scalar, Array]:
        of_pairs = invariants(at)
        squared_energy = of_pairs[0]  # of the incoming legs, which have no mass
        return jnp.log(found.function(at, point)) + (n_legs - 4) * jnp.log(squared_energy), of_pairs

    parts = []
    for first in tqdm(range(0, len(momenta), ROWS), "amplitudes", unit="block", mininterval=1):
        block = momenta[first : first + ROWS]
        parts.append([np.asarray(column)[: len(block)] for column in both(jnp.asarray(fill(block, ROWS)))])
    logarithm, of_pairs = (np.concatenate(column) for column in zip(*parts, strict=True))
    if not np.isfinite(logarithm).all():
        row = int(np.argmin(np.isfinite(logarithm)))
        raise EventError(f"the amplitude of event {row} is zero or not finite: log |M|^2 is {logarithm[row]}.")
    names = [invariant_name(i, j) for i, j in pairs(n_legs)]
    return {LOG_AMPLITUDE.name: logarithm, **dict(zip(names, of_pairs.T, strict=True))}


def _legs(momenta: Float[np.ndarray, "event leg 4"], pdg: str) -> Columns:
    columns: Columns = {}
    for leg, number in enumerate(pdg.split(",")):
        columns[f"leg{leg}_pdg"] = np.full(len(momenta), int(number))
        columns |= {f"leg{leg}_{part}": momenta[:, leg, place] for place, part in enumerate(("e", "px", "py", "pz"))}
    return columns


def _schema(events: Table, observables: tuple[str, ...], n_legs: int) -> TableSchema:
    of_pairs = [
        Column(invariant_name(i, j), "GeV^2", f"2 p_{i} p_{j}, of legs {i} and {j}", f"$s_{{{i}{j}}}$")
        for i, j in pairs(n_legs)
    ]
    of_legs = [column for column in events.schema.columns if column.name.startswith("leg")]
    seen = [events.column(name) for name in ("weight", *observables)]
    return TableSchema("events", 1, (*seen, LOG_AMPLITUDE, *of_pairs, *of_legs))


def _factors(boost: Boost, columns: Mapping[str, np.ndarray], path: Path) -> Float[np.ndarray, " event"]:
    """What the weight of each event is multiplied by (loss-based boosting, arXiv:2206.14831, sec. 4)."""
    model, header = load_model(path)
    if header["task"]["kind"] != "amplitude":
        raise StudyError(
            f"boost.model '{boost.model}' learned with the task {header['task']['kind']}; name an amplitude."
        )
    features = np.stack([columns[name] for name in feature_names(header)], axis=1)
    whole = Batch(features, columns[LOG_AMPLITUDE.name], columns["weight"])
    batches = (Batch(*(c[first : first + ROWS] for c in whole)) for first in range(0, len(features), ROWS))
    size = np.abs(evaluate(PointRegression(regression(model)), batches).pull)
    threshold = np.quantile(size, 1 - boost.fraction)
    log.info("events with |pull| above %.3g weigh %g times as much", threshold, boost.factor)
    return np.where(size > threshold, boost.factor, 1.0)
