"""Events of two hypotheses with their joint likelihood ratio: what a parameterised ratio is learned from.

Numerators were drawn at theta from a prior that their section states, each at its own; denominators were drawn at zero
and get values of theta from the same prior, which they know nothing of. Both sorts weigh the same in total. No event is
reweighted to another theta: the effective sample sizes in the header are those of the two tables.
"""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from saggiatore.errors import StudyError
from saggiatore.job import Job
from saggiatore.limits.joint_ratio import CrossSectionRatio, cross_section_ratio, log_ratio_and_score, polynomials
from saggiatore.limits.rates import rates
from saggiatore.physics.process import AbstractProcess
from saggiatore.provenance import provenance
from saggiatore.steps.events import RatioEvents
from saggiatore.tables import Column, Table, TableSchema, read_table, write_table
from saggiatore.tasks.columns import IS_NUMERATOR, JOINT_LOG_RATIO, joint_score_column, theta_column
from saggiatore.types import Float

log = logging.getLogger(__name__)
Columns = dict[str, np.ndarray]


def run(job: Job[RatioEvents], *, code: str, numerator: Path, denominator: Path, out: Path) -> None:
    """Write the events of both tables.

    Raises:
        StudyError: if the numerators are all of one theta, the denominators are not at zero, or weights are negative.
        EventError: if the rate of an event vanishes at its theta.
    """
    process = job.process_spec().build()
    above, below = read_table(numerator, "events"), read_table(denominator, "events")
    parameters = _varied(job.label, process, above, below)
    columns = tuple(theta_column(name).name for name in parameters)
    theta = above.array(columns)
    reach = dict(zip(parameters, np.abs(theta).max(axis=0).tolist(), strict=True))
    ratios = rates(process, reach, is_averaged=True)
    cross_section = cross_section_ratio(ratios, [below.data])
    # a table of events at many theta sums to a mean cross section: without it each theta weighs what its prior says
    weight = above.data["weight"].to_numpy() / cross_section(theta)
    drawn = np.random.default_rng(job.stream("theta")).choice(theta, len(below.data), p=weight / weight.sum())
    total = below.data["weight"].sum()
    halves = [
        _half(above.data, polynomials(ratios, above.data), theta, weight, cross_section, 1),
        _half(below.data, polynomials(ratios, below.data), drawn, below.data["weight"].to_numpy(), cross_section, 0),
    ]
    about = {"shard": 0, "hypotheses": _about(halves)}
    log.info("effective sample sizes: %s", about["hypotheses"])
    data = {name: np.concatenate([half[name] for half in halves]) for name in halves[0]}
    data["weight"] *= total / 2
    schema = _schema(process, parameters, below)
    origin = provenance(job.model_dump(mode="json"), code)
    write_table(out, schema, {name: data[name] for name in schema.names}, origin | about)


def _varied(label: str, process: AbstractProcess, above: Table, below: Table) -> tuple[str, ...]:
    """The parameters that the numerators' theta varies in."""
    for table, what in ((above, "numerator"), (below, "denominator")):
        if (table.data["weight"] < 0).any():
            raise StudyError(f"events.{label}.{what}: some weights are negative; hypotheses need densities.")
    columns = {name: theta_column(name).name for name in process.parameters}
    moved = [name for name, column in columns.items() if (below.data[column] != 0).any()]
    if moved:
        raise StudyError(f"events.{label}.denominator: {', '.join(moved)} are not zero; name events at theta = 0.")
    varied = tuple(name for name, column in columns.items() if above.data[column].nunique() > 1)
    fixed = [name for name in columns if name not in varied and (above.data[columns[name]] != 0).any()]
    if not varied or fixed:
        raise StudyError(
            f"events.{label}.numerator: expected events drawn over a range of one parameter or more, the others zero; "
            f"{', '.join(varied) or 'none'} vary and {', '.join(fixed) or 'none'} are fixed elsewhere."
        )
    return varied


def _half(
    events: pd.DataFrame,
    found: Float[np.ndarray, "event monomial"],
    theta: Float[np.ndarray, "event theta"],
    weight: Float[np.ndarray, " event"],
    cross_section: CrossSectionRatio,
    is_numerator: int,
) -> Columns:
    """Columns of one sort of event, whose weights sum to one."""
    parameters, process = cross_section.rates.morph.parameters, cross_section.rates.process
    log_ratio, score = log_ratio_and_score(cross_section, found, theta)
    columns = {name: events[name].to_numpy() for name in process.observables}
    columns |= {theta_column(name).name: values for name, values in zip(parameters, theta.T, strict=True)}
    columns |= {joint_score_column(name).name: values for name, values in zip(parameters, score.T, strict=True)}
    columns |= {IS_NUMERATOR.name: np.full(len(events), is_numerator), JOINT_LOG_RATIO.name: log_ratio}
    return columns | {"weight": weight / weight.sum()}


def _about(halves: list[Columns]) -> dict[str, float]:
    """How many events each sort has, and how many unweighted ones they are worth."""
    stated: dict[str, float] = {}
    for half, name in zip(halves, ("numerator", "denominator"), strict=True):
        stated |= {f"n_{name}": len(half["weight"]), f"ess_{name}": float(1 / (half["weight"] ** 2).sum())}
    return stated


def _schema(process: AbstractProcess, parameters: tuple[str, ...], events: Table) -> TableSchema:
    """Columns of the table; what the observables are, the events say."""
    scores = [
        replace(joint_score_column(name), meaning=f"d joint_log_ratio / d {name}, flavours averaged over")
        for name in parameters
    ]
    weight = Column("weight", "pb", "share of the fiducial cross section at theta = 0, half of it for each hypothesis")
    thetas = [
        replace(theta_column(name), meaning=f"value of {name}: of a numerator, where it was drawn")
        for name in parameters
    ]
    observables = [events.column(name) for name in process.observables]
    return TableSchema("events", 1, (weight, *thetas, *scores, IS_NUMERATOR, JOINT_LOG_RATIO, *observables))
