"""Learned likelihood ratios against the exact one, on events at theta = 0."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from pydantic import Field
from tqdm import tqdm

from saggiatore.compilation import fill
from saggiatore.constraint import Constraint
from saggiatore.errors import StudyError
from saggiatore.infer.batches import WEIGHT
from saggiatore.job import Job
from saggiatore.limits.joint_ratio import CrossSectionRatio, cross_section_ratio
from saggiatore.limits.rates import Rates, rates
from saggiatore.limits.ratio_estimate import Estimate, Learned, learned_ratios, ratio_posteriors
from saggiatore.limits.statistic import Columns, feature_matrix
from saggiatore.physics.marginal_rate import Marginal, marginal
from saggiatore.physics.process import AbstractProcess
from saggiatore.provenance import provenance
from saggiatore.spec import DensityLabel, EventsLabel, ModelLabel, ParameterName, Section
from saggiatore.tables import Column, TableSchema, iterate_table, write_table
from saggiatore.tasks.columns import theta_column
from saggiatore.types import Array, Float

_ROWS = 16384  # events that are read at once
_BLOCK = 256  # events whose rest is integrated over at once
_EXACT = "exact"
RATIOS = TableSchema(
    "ratios",
    1,
    (
        Column("name", "1", "name of the model", kind="str"),
        Column("kind", "1", "ratio; posterior: mean over draws of one; score: theta times that at zero", kind="str"),
        Column("task", "1", "what the model was trained with", kind="str"),
        Column("theta", "1", "value of the parameter", r"$\theta$"),
        Column("mse", "1", "mean squared error of log r over the events", r"MSE of $\log r$"),
        Column("mse_error", "1", "its standard error"),
        Column("bias", "1", "mean of log r minus the exact one", r"bias of $\log r$"),
        Column("bias_error", "1", "its standard error"),
        Column("mean_square", "1", "mean square of the exact log r: the MSE of knowing nothing"),
        Column("spread", "1", "root mean square over events of log r's standard deviation over draws; 0 without draws"),
        Column("pull", "1", "root mean square over events of (mean - exact) / that deviation; 0 without draws"),
        Column("n_events", "1", "events", kind="int"),
    ),
)


class RatiosSection(Section):
    """Models whose likelihood ratio is compared with the exact one."""

    test: EventsLabel = Field(description="events at theta = 0 that no model was trained on")
    parameter: ParameterName = Field(description="theory parameter; all others stay zero")
    values: tuple[float, ...] = Field(min_length=1, description="its values at which ratios are compared")
    models: tuple[ModelLabel, ...] = Field(
        min_length=1, description="learned ratios, and networks for the score, whose log r is theta times the score"
    )
    posteriors: tuple[DensityLabel, ...] = Field(
        (), description="posteriors of learned ratios: the mean of log r over their draws, its spread and its pulls"
    )
    n_events: int = Field(20_000, ge=100, description="events that are compared, at most")

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            "not set(models) & set(posteriors)",
            "models {models} and posteriors {posteriors} share a name, expected different names; rename one.",
        ),
    )


def run(
    job: Job[RatiosSection],
    *,
    code: str,
    test: Path,
    models: list[Path],
    draws: list[Path],
    drawn: list[Path],
    ratios: Path,
    log_ratios: Path,
) -> None:
    """Write how far each model is from the exact ratio, and log r of each event at the last of the values.

    `draws` are those of the posteriors, and `drawn` the trained models behind them.

    Raises:
        StudyError: if the exact ratio is not known, the events are not at theta = 0, a model has another parameter, or
            a posterior is of no ratio.
        ModelError: if draws are of another model.
    """
    section = job.section
    trained = dict(zip(section.models, models, strict=True))
    posteriors = dict(zip(section.posteriors, zip(draws, drawn, strict=True), strict=True))
    learned = [*learned_ratios(trained, section.parameter), *ratio_posteriors(posteriors, section.parameter)]
    events, truth = _known(job, test)
    found = {(m.name, value): m.log_ratio(events, value) for m in learned for value in section.values}
    made = provenance(job.model_dump(mode="json"), code)
    rows = [_row(m, value, found[m.name, value], truth[value], events) for m in learned for value in section.values]
    write_table(ratios, RATIOS, {name: [row[name] for row in rows] for name in RATIOS.names}, made)
    shown = section.values[-1]
    exact = {WEIGHT: events["weight"], _log_ratio_column(section, _EXACT): truth[shown]}
    table = exact | _columns(section, {m.name: found[m.name, shown] for m in learned})
    schema = TableSchema("log_ratios", 1, tuple(table))
    write_table(log_ratios, schema, {column.name: values for column, values in table.items()}, made)


def _columns(section: RatiosSection, found: Mapping[str, Estimate]) -> dict[Column, np.ndarray]:
    """log r by each name, and its spread where there is one."""
    columns = {}
    for name, (value, spread) in found.items():
        columns[_log_ratio_column(section, name)] = value
        if spread is not None:
            meaning = f"standard deviation of log_ratio_{name} over draws"
            columns[Column(f"spread_{name}", "1", meaning)] = spread
    return columns


def _log_ratio_column(section: RatiosSection, name: str) -> Column:
    at = f"{section.parameter} = {section.values[-1]:g}"
    return Column(f"log_ratio_{name}", "1", f"log r at {at}: {name}", r"$\log r$")


def _known(job: Job[RatiosSection], test: Path) -> tuple[Columns, dict[float, np.ndarray]]:
    """Events whose exact ratio is known, and its logarithm at each of the values."""
    section, process = job.section, job.process_spec().build()
    known = marginal(process)
    size = max(abs(value) for value in section.values)
    around = rates(process, {section.parameter: size or 1.0}, is_averaged=True)
    cross_section = cross_section_ratio(around, _at_zero(test, process))
    events = _first(_at_zero(test, process), section.n_events)
    exact = _exact(known, around, feature_matrix(_EXACT, events, known.features))
    is_known = np.isfinite(exact).all(axis=1)
    tqdm.write(f"{int((~is_known).sum())} of {len(is_known)} events lie where the exact ratio is not known; left out")
    events, exact = {name: column[is_known] for name, column in events.items()}, exact[is_known]
    return events, {value: _log_ratio(around, exact, cross_section, value) for value in section.values}


def _at_zero(path: Path, process: AbstractProcess) -> Iterator[pd.DataFrame]:
    """Batches of events, which must be at theta = 0."""
    names = [theta_column(name).name for name in process.parameters]
    for batch in tqdm(iterate_table(path, "events", _ROWS, require=(WEIGHT,)), "events", unit="batch"):
        moved = [name for name in names if (batch[name] != 0).any()]
        if moved:
            raise StudyError(f"{path}: {', '.join(moved)} are not zero, expected events at theta = 0. Name others.")
        yield batch


def _first(batches: Iterator[pd.DataFrame], n_events: int) -> Columns:
    """The columns of the first events."""
    kept: list[pd.DataFrame] = []
    for batch in batches:
        kept.append(batch.iloc[:n_events])
        n_events -= len(kept[-1])
        if n_events == 0:
            break
    return {str(name): np.concatenate([part[name].to_numpy() for part in kept]) for name in kept[0].columns}


def _exact(
    known: Marginal, around: Rates, features: Float[np.ndarray, "event feature"]
) -> Float[np.ndarray, "event monomial"]:
    """Polynomials of the rates of observables relative to theta = 0; NaN where they are not known."""
    points = jnp.asarray(around.points)

    @jax.jit
    def block(features: Float[Array, "event feature"]) -> Float[Array, "event point"]:
        found = jax.vmap(lambda x: jax.vmap(lambda theta: known.rate(x, theta))(points))(features)
        return found / found[:, :1]

    starts = tqdm(range(0, len(features), _BLOCK), "exact ratios", unit="block", mininterval=1)
    parts = [np.asarray(block(fill(features[s : s + _BLOCK], _BLOCK))) for s in starts]
    return around.morph.coefficients(np.concatenate(parts)[: len(features)])


def _log_ratio(around: Rates, exact: np.ndarray, cross_section: CrossSectionRatio, value: float) -> np.ndarray:
    theta = np.full((len(exact), 1), value)
    return np.log(around.morph.each_weight(exact, theta) / cross_section(theta))


def _row(learned: Learned, value: float, found: Estimate, truth: np.ndarray, events: Columns) -> dict[str, object]:
    weight, error = np.asarray(events["weight"]), found.value - truth
    mse, mse_error = _mean(error**2, weight)
    bias, bias_error = _mean(error, weight)
    row = {"name": learned.name, "kind": learned.kind, "task": learned.task, "theta": value, "n_events": len(truth)}
    row |= {"mse": mse, "mse_error": mse_error, "bias": bias, "bias_error": bias_error}
    row |= {"mean_square": _mean(truth**2, weight)[0], "spread": 0.0, "pull": 0.0}
    if found.spread is not None and value != 0:  # where every draw has log r = 0
        row |= {"spread": _mean(found.spread**2, weight)[0] ** 0.5}
        row |= {"pull": _mean((error / found.spread) ** 2, weight)[0] ** 0.5}
    return row


def _mean(values: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Weighted mean and its standard error."""
    mean = np.average(values, weights=weight)
    return float(mean), float(np.sqrt((weight**2 * (values - mean) ** 2).sum()) / weight.sum())
