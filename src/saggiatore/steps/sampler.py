"""Adapt a sampler to the process, once, and measure the fiducial cross section."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from pydantic import Field

from saggiatore.errors import EmptyRegionError
from saggiatore.integrate.integral import integral_schema, measure
from saggiatore.job import Job
from saggiatore.physics.process import n_theta
from saggiatore.provenance import provenance
from saggiatore.registry import SamplerSpec
from saggiatore.spec import Section
from saggiatore.tables import write_table


class SamplerSection(Section):
    """How the unit hypercube is sampled."""

    sampler: SamplerSpec
    process: dict[str, Any] = Field(
        {}, description="keys of the study's process that are other here, and in all events of this sampler"
    )
    n_integral: int = Field(1_000_000, ge=1000, description="points that measure the cross section after adaptation")
    overweight: float = Field(0.001, ge=0, lt=0.5, description="fraction of the rate allowed above the maximum weight")


def run(job: Job[SamplerSection], *, code: str, grid: Path, integral: Path) -> None:
    """Write the adapted grid and the integral table.

    Raises:
        EmptyRegionError: if no point of phase space passes the cuts.
        EventError: if the rate is not finite or negative.
    """
    section = job.section
    spec = job.process_spec()
    process = spec.build()
    key = jax.random.key(job.stream("adapt"))
    sampler = section.sampler.adapt(process, jnp.zeros(n_theta(process)), key=key)
    key = jax.random.key(job.stream("measure"))
    row = measure(process, sampler, section.n_integral, section.overweight, key=key)
    if row is None:
        raise EmptyRegionError(
            f"none of {section.n_integral} points passes the cuts of {spec.model_dump_json()}; expected a "
            "region that events can reach. Widen the cuts of the process."
        )
    header = provenance(job.model_dump(mode="json"), code)
    schema, columns = sampler.table()
    write_table(grid, schema, columns, header)
    write_table(integral, integral_schema(process.parameters), row, header)
