"""Draw one shard of unweighted events, with their joint score."""

from pathlib import Path

import jax
import jax.numpy as jnp
from pydantic import Field, model_validator

from saggiatore.errors import SchemaError, StudyError
from saggiatore.integrate.events import Draw, events_schema, generate, survey
from saggiatore.integrate.integral import CrossSection
from saggiatore.job import Job
from saggiatore.physics.process import AbstractProcess
from saggiatore.provenance import provenance
from saggiatore.registry import load
from saggiatore.spec import ParameterName, SamplerLabel, Spec
from saggiatore.tables import Table, read_table, write_batches
from saggiatore.types import Theta


class EventsSection(Spec):
    """How many events are drawn, and at which theory parameters."""

    sampler: SamplerLabel
    n_events: int = Field(ge=1, description="events of all shards together")
    n_shards: int = Field(1, ge=1, description="jobs that share the work, each with its own random stream")
    theta: dict[ParameterName, float | tuple[float, float]] = Field(
        {}, description="value, or [low, high] for uniform draws, of the parameters that are not zero"
    )

    @model_validator(mode="after")
    def _check(self) -> "EventsSection":
        if self.n_shards > self.n_events:
            raise ValueError(f"n_shards is {self.n_shards}, expected no more than the {self.n_events} events.")
        for name, value in self.theta.items():
            if isinstance(value, tuple) and not value[0] < value[1]:
                raise ValueError(f"theta.{name} is {list(value)}, expected [low, high] with low < high.")
        return self

    def share(self, shard: int) -> int:
        """Events of the shard: an equal share, one more in the first ones where it does not divide."""
        share, rest = divmod(self.n_events, self.n_shards)
        return share + (shard < rest)


def run(job: Job[EventsSection], *, code: str, grid: Path, integral: Path, shard: int, out: Path) -> None:
    """Write the events of one shard.

    Raises:
        StudyError: if there is no such shard, or theta names no parameter of the process.
        SchemaError: if grid or integral are not those of the section's sampler.
        EmptyRegionError: if next to nothing is accepted.
        EventError: if the rate is negative somewhere in the range of theta.
    """
    section = job.section
    assert job.process is not None  # the workflow gives it to every stage that simulates
    if not 0 <= shard < section.n_shards:
        raise StudyError(f"shard {shard} came, expected one from 0 to {section.n_shards - 1}.")
    process = job.process.build()
    draw = _prepare(job, process, read_table(grid, "grid"), read_table(integral, "integral", version=1))
    events = generate(draw, section.share(shard), section.n_events, key=jax.random.key(job.stream(shard)))
    header = provenance(job.model_dump(mode="json"), code) | {"shard": shard}
    write_batches(out, events_schema(process), events, header)


def _prepare(job: Job[EventsSection], process: AbstractProcess, grid: Table, integral: Table) -> Draw:
    for table in (grid, integral):
        _check_origin(job, table)
    upstream = grid.provenance["spec"]["section"]
    sampler = load("sampler", upstream["sampler"]["kind"]).model_validate(upstream["sampler"]).restore(grid)
    row = integral.data.iloc[0]
    low, high = _theta_range(job.section, process)
    draw = Draw(
        process=process,
        sampler=sampler,
        cross_section=CrossSection.read(integral, process.parameters),
        low=low,
        high=high,
        max_ratio=jnp.asarray(row["max_weight"] / row["cross_section"]),
        kept_fraction=jnp.asarray(row["kept_fraction"]),
    )
    if not (low.any() or high.any()):
        return draw
    return survey(draw, upstream["overweight"], key=jax.random.key(job.stream("survey")))


def _theta_range(section: EventsSection, process: AbstractProcess) -> tuple[Theta, Theta]:
    unknown = sorted(set(section.theta) - set(process.parameters))
    if unknown:
        raise StudyError(f"theta names {unknown}, expected parameters of the process: {', '.join(process.parameters)}.")
    bounds = [section.theta.get(name, 0.0) for name in process.parameters]
    pairs = [bound if isinstance(bound, tuple) else (bound, bound) for bound in bounds]
    low, high = jnp.asarray(pairs, dtype=float).reshape(-1, 2).T
    return low, high


def _check_origin(job: Job[EventsSection], table: Table) -> None:
    found = table.provenance["spec"]
    expected = {
        "study": job.study,
        "stage": "sampler",
        "label": job.section.sampler,
        "process": job.model_dump(mode="json")["process"],
    }
    for name, value in expected.items():
        if found[name] != value:
            raise SchemaError(
                f"the table '{table.schema.name}' was made for {name} = {found[name]}, expected {value}. "
                "Give the files of this study's sampler, or re-run it."
            )
