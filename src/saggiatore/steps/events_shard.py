"""Draw one shard of events, with their joint score."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.errors import SchemaError, StudyError
from saggiatore.integrate.events import Draw, events_schema, generate, survey
from saggiatore.integrate.integral import CrossSection
from saggiatore.integrate.variants import Variants, variants
from saggiatore.job import Job
from saggiatore.physics.process import AbstractProcess
from saggiatore.physics.variation import AbstractHadronSpec, Variation
from saggiatore.provenance import provenance
from saggiatore.registry import load
from saggiatore.steps.events import GeneratedEvents
from saggiatore.tables import Table, read_table, write_batches
from saggiatore.types import Theta


def run(job: Job[GeneratedEvents], *, code: str, grid: Path, integral: Path, shard: int, out: Path) -> None:
    """Write the events of one shard.

    Raises:
        StudyError: if there is no such shard, or theta names no parameter of the process, or one that it cannot move,
            or the section asks for theory variations or a marginal score, of which the process has none.
        PartonDensityError: if a member of the set is missing, or a scale lies outside its grid.
        SchemaError: if grid or integral are not those of the section's sampler.
        EmptyRegionError: if next to nothing is accepted.
        EventError: if the rate is negative somewhere in the range of theta.
    """
    section = job.section
    if not 0 <= shard < section.n_shards:
        raise StudyError(f"shard {shard} came, expected one from 0 to {section.n_shards - 1}.")
    process = job.process_spec().build()
    several = _variants(job)
    draw = _prepare(job, process, read_table(grid, "grid"), read_table(integral, "integral", version=1))
    draw = replace(draw, variants=several, marginal=_marginal(job, process))
    events = generate(draw, section.share(shard), section.n_events, key=jax.random.key(job.stream(shard)))
    found = {"shard": shard, "integration": _integration_error(integral)}
    header = provenance(job.model_dump(mode="json"), code) | found
    write_batches(out, events_schema(process, several.names if several else (), draw.marginal), events, header)


def _integration_error(integral: Path) -> float:
    """Standard error of the cross section that the events are normalised to, over the cross section."""
    row = read_table(integral, "integral", version=1).data.iloc[0]
    return float(row["cross_section_error"] / row["cross_section"])


def _prepare(job: Job[GeneratedEvents], process: AbstractProcess, grid: Table, integral: Table) -> Draw:
    for table in (grid, integral):
        _check_origin(job, table)
    upstream = grid.provenance["spec"]["section"]
    sampler = load("sampler", upstream["sampler"]["kind"]).model_validate(upstream["sampler"]).restore(grid, process)
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
    is_unweighted = job.section.unweighted
    if not (low.any() or high.any()):
        return draw if is_unweighted else draw.weighted(row["cut_efficiency"])
    return survey(draw, upstream["overweight"] if is_unweighted else None, key=jax.random.key(job.stream("survey")))


def _marginal(job: Job[GeneratedEvents], process: AbstractProcess) -> tuple[str, ...]:
    """The observables whose marginal score is wanted, as the process orders them."""
    asked = job.section.marginal
    for known in process.marginals:
        if set(asked) == set(known):
            return known
    if asked:
        sets = "; ".join(", ".join(known) for known in process.marginals) or "none"
        raise StudyError(
            f"events.{job.label}.marginal: the process knows no exact score of {', '.join(asked)}, but of: {sets}."
        )
    return ()


def _variants(job: Job[GeneratedEvents]) -> Variants | None:
    """The process at each theory variation that the section asks for."""
    asked, spec = job.section.variations, job.process_spec()
    if asked is None:
        return None
    if not isinstance(spec, AbstractHadronSpec):
        raise StudyError(
            f"events.{job.label}.variations: the process has neither scales nor parton densities. Leave it out."
        )
    named = spec.scale_variations() if asked.scales else {}
    named |= {f"member{number}": Variation(member=number) for number in range(1, asked.members + 1)}
    return variants({name: spec.varied(variation).build() for name, variation in named.items()})


def _theta_range(section: GeneratedEvents, process: AbstractProcess) -> tuple[Theta, Theta]:
    unknown = sorted(set(section.theta) - set(process.parameters))
    if unknown:
        raise StudyError(f"theta names {unknown}, expected parameters of the process: {', '.join(process.parameters)}.")
    local = sorted(name for name, bound in section.theta.items() if bound != 0 and name not in process.quadratic)
    if local:
        raise StudyError(
            f"theta moves {local}, in which the rate is no polynomial of degree two: the cross section is known near 0 "
            "only. Draw at 0, and put the value into the process; ranges are possible for "
            f"{', '.join(process.quadratic) or 'no parameter of this process'}."
        )
    bounds = [section.theta.get(name, 0.0) for name in process.parameters]
    pairs = [bound if isinstance(bound, tuple) else (bound, bound) for bound in bounds]
    low, high = np.array(pairs, dtype=float).reshape(-1, 2).T
    return jnp.asarray(low), jnp.asarray(high)


def _check_origin(job: Job[GeneratedEvents], table: Table) -> None:
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
