"""Tabulate what formulas are distilled from: the score that a network states, and how sure it is of it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from pydantic import Field

from saggiatore.errors import SchemaError, StudyError
from saggiatore.infer.base import AbstractPosteriorScore, PointScore, posterior_score
from saggiatore.infer.batches import Batch, model_features, parameter_position, score_batches
from saggiatore.infer.calibrate import Evaluated, evaluate
from saggiatore.job import Job
from saggiatore.models.base import AbstractModel
from saggiatore.models.store import load_model
from saggiatore.provenance import provenance
from saggiatore.spec import DrawsLabel, EventsLabel, ModelLabel, ObservableName, ParameterName, Section
from saggiatore.tables import Column, TableSchema, read_header, read_table, write_table
from saggiatore.tasks.columns import data_parameter
from saggiatore.types import Float

SCORE = (
    Column("score", "1", "posterior mean of the score; the model's score where it has no draws", r"$\hat t$"),
    Column("var_stat", "1", "variance of the score over the posterior; 0 without draws"),
    Column("var_noise", "1", "variance of the joint score at fixed features; 0 without draws"),
    Column("weight", "1", "1 / (var_stat + var_floor), of mean 1: how much the event counts; 1 without draws"),
)


class TeachersSection(Section):
    """A teacher table."""

    model: ModelLabel
    draws: DrawsLabel | None = Field(None, description="posterior of the model; without it every event counts the same")
    parameter: ParameterName | None = Field(
        None, description="theory parameter of the score, if the model learned several"
    )
    component: ObservableName | None = Field(
        None, description="feature along which the data score of a diffusion is taught, at the time of smeared events"
    )
    events: EventsLabel = Field(description="events whose features the teacher labels")
    n_events: int = Field(20_000, ge=1, description="events in the table, the first of `events`")
    floor_quantile: float = Field(
        0.5, gt=0, le=1, description="var_floor of the weights 1/(var_stat + var_floor), as a quantile of var_noise"
    )


def run(job: Job[TeachersSection], *, code: str, model: Path, draws: list[Path], events: Path, out: Path) -> None:
    """Write features, score, its variances and the weights that a distillation uses."""
    section = job.section
    network, header = load_model(model)
    features = model_features(header)
    posterior, parameter = (
        _data_score(section, network, features, events)
        if section.component
        else _score(section, network, header, draws)
    )
    batches = score_batches(events, features, parameter)
    labelled = evaluate(posterior, _first(batches, section.n_events))
    n_found = len(labelled.mean)
    if n_found < section.n_events:
        raise SchemaError(f"{events}: {n_found} events, the teacher needs {section.n_events}. Lower its n_events.")
    columns = dict(zip([feature.name for feature in features], labelled.features.T, strict=True))
    columns |= {
        "score": labelled.mean,
        "var_stat": labelled.var_stat,
        "var_noise": labelled.var_noise,
        "weight": teacher_weight(labelled, section.floor_quantile),
    }
    schema = TableSchema("teacher", 1, (*features, *SCORE))
    floor = variance_floor(labelled, section.floor_quantile)
    made = provenance(job.model_dump(mode="json"), code) | {"parameter": parameter, "var_floor": floor}
    write_table(out, schema, columns, made)


def _score(
    section: TeachersSection, network: AbstractModel, header: Mapping, draws: list[Path]
) -> tuple[AbstractPosteriorScore, str]:
    """The score in a theory parameter, and the parameter."""
    position = parameter_position(header, section.parameter)
    parameter = header["parameters"][position]
    if draws:
        return posterior_score(network, read_table(draws[0], "draws")), parameter
    return PointScore(network, position), parameter


def _data_score(
    section: TeachersSection, network: AbstractModel, features: tuple[Column, ...], events: Path
) -> tuple[AbstractPosteriorScore, str]:
    """The data score along `component` at the time of the events, and what stands for its parameter.

    Raises:
        StudyError: if the model is no diffusion, the component no feature of it, or the events are not smeared by it.
    """
    from saggiatore.infer.data_score import DataScore, Diffusion  # and diffrax: a second that other teachers save

    names = [feature.name for feature in features]
    made = read_header(events, "events")[1]["spec"]["section"]
    if not isinstance(network, Diffusion) or section.component not in names:
        raise StudyError(f"component {section.component}: expected a feature ({', '.join(names)}) of a diffusion.")
    if made.get("source") != "smeared" or made["model"] != section.model:
        raise StudyError(f"component: the events of {events} are not smeared by the model '{section.model}'.")
    time = jnp.asarray(made["time"])
    return DataScore(network, time, names.index(section.component)), data_parameter(section.component)


def teacher_weight(labelled: Evaluated, floor_quantile: float) -> Float[np.ndarray, " event"]:
    r"""Weights 1/(var_stat + var_floor) of mean 1, with var_floor the given quantile of var_noise.

    A formula is an approximation, so that an event whose score is known better than var_floor says no more about it
    than others; the events that count less are those of which the network itself knows little.
    """
    var_floor = variance_floor(labelled, floor_quantile)
    if not var_floor > 0:  # no draws: nothing tells the events apart
        return np.ones_like(labelled.mean)
    weight = 1 / (labelled.var_stat + var_floor)
    return weight / weight.mean()


def variance_floor(labelled: Evaluated, floor_quantile: float) -> float:
    """The given quantile of var_noise; 0 without draws."""
    return float(np.quantile(labelled.var_noise, floor_quantile))


def _first(batches: Iterator[Batch], n_events: int) -> Iterator[Batch]:
    """The first events of `batches`."""
    for batch in batches:
        part = Batch(*(column[:n_events] for column in batch))
        n_events -= len(part.score)
        yield part
        if n_events == 0:
            return
