"""Learned likelihood ratios against the exact one, on events at theta = 0."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from pydantic import Field
from tqdm import tqdm

from saggiatore.compilation import fill
from saggiatore.errors import StudyError
from saggiatore.infer.batches import WEIGHT, feature_names, parameter_position
from saggiatore.job import Job
from saggiatore.limits.joint_ratio import CrossSectionRatio, polynomials
from saggiatore.limits.rates import Rates, rates
from saggiatore.limits.statistic import Columns, feature_matrix
from saggiatore.models.base import AbstractModel, scores
from saggiatore.models.ratio import AbstractRatio, log_ratios_at
from saggiatore.models.store import load_model
from saggiatore.physics.marginal_rate import Marginal, marginal
from saggiatore.provenance import provenance
from saggiatore.spec import EventsLabel, ModelLabel, ParameterName, Section
from saggiatore.tables import Column, TableSchema, iterate_table, write_table
from saggiatore.tasks.columns import theta_column
from saggiatore.types import Array, Float, Theta

_BLOCK = 256  # events whose rest is integrated over at once
_EXACT = "exact"
RATIOS = TableSchema(
    "ratios",
    1,
    (
        Column("name", "1", "name of the model", kind="str"),
        Column("kind", "1", "ratio, or score: theta times the score at zero", kind="str"),
        Column("task", "1", "what the model was trained with", kind="str"),
        Column("theta", "1", "value of the parameter", r"$\theta$"),
        Column("mse", "1", "mean squared error of log r over the events", r"MSE of $\log r$"),
        Column("mse_error", "1", "its standard error"),
        Column("bias", "1", "mean of log r minus the exact one", r"bias of $\log r$"),
        Column("bias_error", "1", "its standard error"),
        Column("mean_square", "1", "mean square of the exact log r: the MSE of knowing nothing"),
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
    n_events: int = Field(20_000, ge=100, description="events that are compared, at most")


@dataclass(frozen=True)
class Learned:
    """A model as a function of events and of the parameter's value."""

    name: str
    kind: str
    task: str
    log_ratio: Callable[[Columns, float], Float[np.ndarray, " event"]]


def run(job: Job[RatiosSection], *, code: str, test: Path, models: list[Path], ratios: Path, log_ratios: Path) -> None:
    """Write how far each model is from the exact ratio, and log r of each event at the last of the values.

    Raises:
        StudyError: if the exact ratio is not known, the events are not at theta = 0, or a model has another parameter.
    """
    section, process = job.section, job.process_spec().build()
    known = marginal(process)
    size = max(abs(value) for value in section.values)
    around = rates(process, {section.parameter: size or 1.0}, is_averaged=True)
    cross_section, events = _read(test, around, section.n_events)
    exact = _exact(known, around, feature_matrix(_EXACT, events, known.features))
    is_known = np.isfinite(exact).all(axis=1)
    tqdm.write(f"{int((~is_known).sum())} of {len(is_known)} events lie where the exact ratio is not known; left out")
    events, exact = {name: column[is_known] for name, column in events.items()}, exact[is_known]
    learned = list(_learned(section, models))
    truth = {value: _log_ratio(around, exact, cross_section, value) for value in section.values}
    found = {(m.name, value): m.log_ratio(events, value) for m in learned for value in section.values}
    made = provenance(job.model_dump(mode="json"), code)
    rows = [_row(m, value, found[m.name, value], truth[value], events) for m in learned for value in section.values]
    write_table(ratios, RATIOS, {name: [row[name] for row in rows] for name in RATIOS.names}, made)
    shown = section.values[-1]
    columns = {_EXACT: truth[shown], **{m.name: found[m.name, shown] for m in learned}}
    table = {f"log_ratio_{name}": column for name, column in columns.items()}
    write_table(log_ratios, log_ratios_schema(section, list(columns)), {WEIGHT.name: events["weight"], **table}, made)


def log_ratios_schema(section: RatiosSection, names: list[str]) -> TableSchema:
    """Weight, and log r by each name."""
    at = f"{section.parameter} = {section.values[-1]:g}"
    columns = (Column(f"log_ratio_{name}", "1", f"log r at {at}: {name}", r"$\log r$") for name in names)
    return TableSchema("log_ratios", 1, (WEIGHT, *columns))


def _read(path: Path, around: Rates, n_events: int) -> tuple[CrossSectionRatio, Columns]:
    """sigma(theta)/sigma(0) by all events, and the columns of the first of them."""
    names = [theta_column(name).name for name in around.process.parameters]
    total, size = np.zeros(around.morph.design.shape[1]), 0.0
    kept: list[pd.DataFrame] = []
    n_left = n_events
    for batch in tqdm(iterate_table(path, "events", 16384, require=(WEIGHT,)), "events", unit="batch"):
        moved = [name for name in names if (batch[name] != 0).any()]
        if moved:
            raise StudyError(f"{path}: {', '.join(moved)} are not zero, expected events at theta = 0. Name others.")
        weight = batch["weight"].to_numpy()
        total, size = total + weight @ polynomials(around, batch), size + weight.sum()
        kept.append(batch.iloc[:n_left])
        n_left -= len(kept[-1])
    columns = [str(name) for name in kept[0].columns]
    return CrossSectionRatio(around, total / size), {
        name: np.concatenate([part[name].to_numpy() for part in kept]) for name in columns
    }


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


def _learned(section: RatiosSection, paths: list[Path]) -> Iterator[Learned]:
    for name, path in zip(section.models, paths, strict=True):
        model, header = load_model(path)
        features = feature_names(header)
        place, task = parameter_position(header, section.parameter), header["task"]["kind"]
        if isinstance(model, AbstractRatio):
            yield Learned(name, "ratio", task, _of_ratio(name, model, features, place))
        else:
            yield Learned(name, "score", task, _of_score(name, model, features, place))


def _of_ratio(name: str, model: AbstractRatio, features: list[str], place: int) -> Callable:
    def log_ratio(events: Columns, value: float) -> Float[np.ndarray, " event"]:
        theta: Theta = jnp.zeros_like(model.scale).at[place].set(value)
        return log_ratios_at(model, feature_matrix(name, events, features), theta)

    return log_ratio


def _of_score(name: str, model: AbstractModel, features: list[str], place: int) -> Callable:
    """The local case: log r to first order in theta."""

    def log_ratio(events: Columns, value: float) -> Float[np.ndarray, " event"]:
        found = scores(model, feature_matrix(name, events, features))
        return value * np.asarray(found[:, place], dtype=float)

    return log_ratio


def _row(learned: Learned, value: float, found: np.ndarray, truth: np.ndarray, events: Columns) -> dict[str, object]:
    weight = np.asarray(events["weight"])
    mse, mse_error = _mean((found - truth) ** 2, weight)
    bias, bias_error = _mean(found - truth, weight)
    row = {"name": learned.name, "kind": learned.kind, "task": learned.task, "theta": value, "n_events": len(truth)}
    row |= {"mse": mse, "mse_error": mse_error, "bias": bias, "bias_error": bias_error}
    return row | {"mean_square": _mean(truth**2, weight)[0]}


def _mean(values: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Weighted mean and its standard error."""
    mean = np.average(values, weights=weight)
    return float(mean), float(np.sqrt((weight**2 * (values - mean) ** 2).sum()) / weight.sum())
