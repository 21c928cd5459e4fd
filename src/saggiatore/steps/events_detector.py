"""Events as a detector of stated resolutions sees them: observables with a normal response, beside the true ones."""

from pathlib import Path

import numpy as np

from saggiatore.job import Job
from saggiatore.measured import detector_name
from saggiatore.provenance import provenance
from saggiatore.steps.events import DetectorEvents
from saggiatore.tables import Column, TableSchema, read_table, write_table


def run(job: Job[DetectorEvents], *, code: str, like: Path, out: Path) -> None:
    """Write the events with a column more for each observable that the detector measures.

    Weights, cuts and joint scores are those of the true event: the detector neither loses an event nor adds one.

    Raises:
        SchemaError: if the events lack an observable.
    """
    table = read_table(like, "events")
    columns = list(table.schema.columns)
    data = {column.name: table.data[column.name].to_numpy() for column in columns}
    for name, resolution in job.section.response.items():
        true, rng = table.column(name), np.random.default_rng(job.stream("detector", name))
        label = f"{true.label} (detector)" if true.label else ""
        columns.append(Column(detector_name(name), true.unit, f"{name} as the detector measures it", label))
        data[columns[-1].name] = resolution.measured(data[name], is_angle=true.unit == "rad", rng=rng)
    kept = {name: table.provenance[name] for name in ("generator", "sample", "integration") if name in table.provenance}
    made = provenance(job.model_dump(mode="json"), code) | {"shard": 0} | kept
    write_table(out, TableSchema("events", 1, tuple(columns)), data, made)
