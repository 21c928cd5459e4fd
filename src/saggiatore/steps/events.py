"""Join the shards of a section's events into one table."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, Tag

from saggiatore.constraint import Constraint
from saggiatore.errors import SchemaError
from saggiatore.formats.source import FlatEvents, LheEvents
from saggiatore.job import Job
from saggiatore.physics.nuisance import Nuisance
from saggiatore.physics.resolution import Resolution
from saggiatore.provenance import provenance
from saggiatore.spec import (
    EventsLabel,
    Label,
    ModelLabel,
    ObservableName,
    ParameterName,
    SamplerLabel,
    Section,
    Spec,
    chosen_by,
)
from saggiatore.tables import TableSchema, iterate_table, read_header, write_batches

MOST_EVENTS = 10**12  # more than any machine holds: a slip of the finger


class Variations(Spec):
    """Theory variations whose weights the events carry, in columns `weight_<variation>`."""

    scales: bool = Field(False, description="half and twice the scales: six points with alpha_s, two without")
    members: int = Field(0, ge=0, le=9999, description="error members of the parton-density set: from 1 to this")


class GeneratedEvents(Section):
    """How many events are drawn, and at which theory parameters."""

    source: Literal["process"] = "process"
    sampler: SamplerLabel
    n_events: int = Field(ge=1, le=MOST_EVENTS, description="events of all shards together")
    n_shards: int = Field(1, ge=1, le=10_000, description="jobs that share the work, each with its own random stream")
    unweighted: bool = Field(
        True,
        description="by accept-reject; false keeps every point inside the cuts with its weight, which measures tails "
        "with fewer events: for testing rather than for learning",
    )
    theta: dict[ParameterName, float | tuple[float, float]] = Field(
        {}, description="value, or [low, high] for uniform draws, of the parameters that are not zero"
    )

    variations: Variations | None = Field(None, description="theory variations; none if absent")
    marginal: tuple[ObservableName, ...] = Field(
        (),
        description="observables whose exact score the events carry, where the process knows it (asymmetry: "
        "cos_theta_mu or cos_tilted_mu; wbf_higgs: x_p1, x_p2, delta_eta, delta_phi): what a network is held against",
    )

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            "n_shards <= n_events", "n_shards is {n_shards}, expected no more than the {n_events} events; lower it."
        ),
        Constraint(
            "all(not isinstance(value, tuple) or value[0] < value[1] for value in theta.values())",
            "theta is {theta}, expected ranges [low, high] with low < high.",
        ),
    )

    def share(self, shard: int) -> int:
        """Events of the shard: an equal share, one more in the first ones where it does not divide."""
        share, rest = divmod(self.n_events, self.n_shards)
        return share + (shard < rest)


class ModelEvents(Section):
    """Events drawn from a trained density."""

    n_shards: ClassVar[int] = 1

    source: Literal["model"]
    model: ModelLabel = Field(description="density that the events are drawn from")
    like: EventsLabel = Field(description="events whose cross section and values of the context they take over")
    n_events: int = Field(ge=1, le=MOST_EVENTS)


class SmearedEvents(Section):
    """Events mixed with the noise of a diffusion, with their joint data score: what the data score is learned from."""

    n_shards: ClassVar[int] = 1

    source: Literal["smeared"]
    model: ModelLabel = Field(description="diffusion whose noise it is")
    like: EventsLabel = Field(description="events that are smeared, from the first one on")
    time: float = Field(gt=0, lt=1, description="from 0, no noise, to 1, noise alone")
    n_events: int = Field(ge=1, le=MOST_EVENTS)


class RatioEvents(Section):
    """Events of two hypotheses, theta and zero, with their joint likelihood ratio: what a ratio is learned from."""

    n_shards: ClassVar[int] = 1

    source: Literal["ratio"]
    numerator: EventsLabel = Field(
        description="events drawn over a range of theta: the prior of the ratio's parameters"
    )
    denominator: EventsLabel = Field(description="events at theta = 0; they get values of theta from the same prior")


class MergedEvents(Section):
    """Events of several sections in one table, in proportion to their cross sections: a mixture of final states.

    An observable that an event's section does not have is zero there. With one section it is a selection (`where`), or
    the same events reweighted by nuisances.
    """

    n_shards: ClassVar[int] = 1

    source: Literal["merged"]
    of: tuple[EventsLabel, ...] = Field(min_length=1, description="unweighted events, of disjoint final states")
    where: dict[ObservableName, tuple[float, float]] = Field(
        {}, description="[low, high] of observables; events outside are left out before cross sections are compared"
    )
    nuisances: dict[Label, Nuisance] = Field(
        {}, description="systematic uncertainties: their values are columns that a density can have as its context"
    )
    n_events: int = Field(ge=1)
    n_parts: int = Field(1, ge=1, description="parts that the events of each section are dealt into")
    part: int = Field(0, ge=0, description="the part that is used, from 0 on: mixtures of other parts are independent")

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint("part < n_parts", "part is {part}, expected one from 0 to n_parts - 1, and n_parts is {n_parts}."),
        Constraint(
            "all(low <= high for low, high in where.values())",
            "where is {where}, expected [low, high] with low <= high.",
        ),
    )


class DetectorEvents(Section):
    """Events of another section with observables as a detector of stated resolutions measures them, detector_NAME.

    Features and context of models may be such observables: a score at detector level, or a density of the true event
    given what was measured, which unfolds.
    """

    n_shards: ClassVar[int] = 1

    source: Literal["detector"]
    like: EventsLabel = Field(description="events that the detector measures")
    response: dict[ObservableName, Resolution] = Field(
        min_length=1, description="the observables that it measures, each by itself"
    )


class Boost(Spec):
    """Events that weigh more: those that a trained network is furthest from, in units of the error that it states."""

    model: ModelLabel = Field(description="network of the amplitude")
    fraction: float = Field(0.1, gt=0, lt=1, description="of the events, those with the largest |pull|")
    factor: float = Field(4, gt=1, description="what their weight is multiplied by")


class AmplitudeEvents(Section):
    """Points of phase space with a squared amplitude, invariants and momenta: what an amplitude is learned from."""

    n_shards: ClassVar[int] = 1

    source: Literal["amplitude"]
    like: EventsLabel = Field(description="events whose momenta they are, whatever their flavours")
    pdg: str = Field(
        description="PDG numbers of the amplitude's legs, ordered as those of the process, such as 2,-2,21,23"
    )
    skip: int = Field(0, ge=0, description="events of `like` that are left out")
    n_events: int = Field(ge=1, description="the events after them")
    keeps_weights: bool = Field(
        True, description="false: every point counts the same, wherever the sampler of weighted events laid it"
    )
    boost: Boost | None = Field(None, description="events of which a second training sees more; none if absent")


EventsSection = Annotated[
    Annotated[GeneratedEvents, Tag("process")]
    | Annotated[LheEvents, Tag("lhe")]
    | Annotated[FlatEvents, Tag("flat")]
    | Annotated[ModelEvents, Tag("model")]
    | Annotated[SmearedEvents, Tag("smeared")]
    | Annotated[RatioEvents, Tag("ratio")]
    | Annotated[MergedEvents, Tag("merged")]
    | Annotated[DetectorEvents, Tag("detector")]
    | Annotated[AmplitudeEvents, Tag("amplitude")],
    *chosen_by(
        "source", ("process", "lhe", "flat", "model", "smeared", "ratio", "merged", "detector", "amplitude"), "process"
    ),
]


def run(job: Job[EventsSection], *, code: str, shards: list[Path], out: Path) -> None:
    """Write the events of all `shards`, ordered by their number, however the files are ordered or named.

    Events of a file or a model are one shard; what was found in the file stays in the header as `sample`, what the
    model is as `generator`; the relative error of the cross section that events are normalised to as `integration`.

    Raises:
        SchemaError: if a shard is missing, doubled, of another study or section, or has other columns.
    """
    ordered, schema = _order(job, shards)
    _, first = read_header(ordered[0], "events")
    sample = {name: first[name] for name in ("sample", "generator", "hypotheses", "integration") if name in first}
    write_batches(out, schema, _rows(ordered), provenance(job.model_dump(mode="json"), code) | sample)


def _order(job: Job[EventsSection], shards: list[Path]) -> tuple[list[Path], TableSchema]:
    mine = job.model_dump(mode="json")
    found: dict[int, Path] = {}
    schemas: set[TableSchema] = set()
    codes: set[str] = set()
    for path in shards:
        schema, header = read_header(path, "events", version=1)
        if header["spec"] != mine or "shard" not in header:
            raise SchemaError(f"{path}: not a shard of events.{job.label} of study '{job.study}'. Re-run events-shard.")
        if header["shard"] in found:
            raise SchemaError(f"{path}: shard {header['shard']} came twice, first as {found[header['shard']]}.")
        found[header["shard"]] = path
        schemas.add(schema)
        codes.add(header["code"])
    missing = sorted(set(range(job.section.n_shards)) - set(found))
    if missing:
        raise SchemaError(f"shards {missing} of events.{job.label} did not come. Run events-shard for them.")
    if len(schemas) > 1 or len(codes) > 1:
        raise SchemaError(f"the shards of events.{job.label} come from different code. Re-run events-shard for all.")
    return [found[number] for number in sorted(found)], schemas.pop()


def _rows(shards: list[Path]) -> Iterator[dict]:
    for path in shards:
        for data in iterate_table(path, "events"):
            yield {name: data[name].to_numpy() for name in data.columns}
