"""Step `models`: read events, train one model on one task, keep the model and its history."""

import logging
from pathlib import Path
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.errors import StudyError
from saggiatore.job import Job
from saggiatore.learn.loop import HISTORY, TrainingSpec, train
from saggiatore.learn.precision import Precision
from saggiatore.models.base import AbstractModel, Event
from saggiatore.models.initial import initial
from saggiatore.models.store import load_model, save
from saggiatore.provenance import provenance
from saggiatore.registry import ModelSpec, TaskSpec
from saggiatore.spec import ContextName, EventsLabel, FeatureName, ModelLabel, Section
from saggiatore.tables import Column, Table, read_table, write_table
from saggiatore.tasks.base import AbstractTask
from saggiatore.tasks.classifier import labelled, logits, require_classifier
from saggiatore.tasks.columns import context_columns, scored
from saggiatore.tasks.joint import reweighted

log = logging.getLogger(__name__)


class ModelsSection(Section):
    """One trained model."""

    events: EventsLabel
    features: tuple[FeatureName, ...] = Field(
        min_length=1,
        description="observables that the model reads; of events with an amplitude also momenta of legs, such as "
        "leg2_px, and invariants of two, such as s_02",
        json_schema_extra={"uniqueItems": True},
    )
    context: tuple[ContextName, ...] = Field(
        (),
        description="theory parameters that a density, or a likelihood ratio, is a function of; for a density also "
        "nuisances that its events are reweighted by, and observables that it is told, with which it has no score",
    )
    task: TaskSpec
    model: ModelSpec
    start: ModelLabel | None = Field(
        None,
        description="a trained model of the same architecture, features and context: its weights and standardisation "
        "are those that the training starts from; random ones and this section's events without it",
    )
    training: TrainingSpec
    precision: Precision = "float32"

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            "task.kind != 'joint' or start is not None",
            "the task joint goes on from a trained density, and no start is given; name the density in start.",
        ),
    )


def run(
    job: Job[ModelsSection],
    *,
    code: str,
    events: Path,
    against: list[Path],
    start: list[Path],
    classifier: list[Path],
    checkpoint: Path,
    model: Path,
    history: Path,
) -> None:
    """Train a model, a classifier also `against` other events, from the weights of `start` if one is given.

    Go on from `checkpoint` where there is one of this very training, and remove it at the end.

    Raises:
        StudyError: if the task needs another sort of model, `start` is not alike, or `classifier` is none.
    """
    section = job.section
    task = section.task.build(section.context)  # type: ignore[attr-defined]
    table = read_table(events, "events", task.targets())
    data = gather(table, section.features, section.context, task)
    for path in against:
        data = labelled(data, gather(read_table(path, "events"), section.features, section.context, task))
    for path in classifier:
        data = _jointly(data, table, path, section.task.alpha)  # type: ignore[attr-defined]
    net = _started(section, start[0]) if start else _built(job, task).standardise(data)
    trained, losses = train(
        net, task, data, section.training, seed=job.stream("train"), checkpoint=checkpoint, identity=code
    )
    best = int(np.argmin(losses["validation_loss"]))
    log.info("best validation loss %.6g after %d epochs", losses["validation_loss"][best], losses["epoch"][best])
    origin = provenance(job.model_dump(mode="json"), code)
    write_table(history, HISTORY, losses, origin)
    save(model, trained, _header(section, table, task) | {"n_events": len(data.weight), "provenance": origin})
    checkpoint.unlink(missing_ok=True)


def _built(job: Job[ModelsSection], task: AbstractTask) -> AbstractModel:
    """A model with random weights, of the kind that the task needs."""
    section = job.section
    build = section.model.build  # type: ignore[attr-defined]
    net = initial(build, section.features, section.context, key=jax.random.key(job.stream("build")))
    if not isinstance(net, task.needs):
        raise StudyError(
            f"models.{job.label}: the task {section.task.kind} needs a model that is an {task.needs.__name__}, "  # type: ignore[attr-defined]
            f"got {section.model.kind}; choose another model or task."  # type: ignore[attr-defined]
        )
    return net


def _started(section: ModelsSection, path: Path) -> AbstractModel:
    """The trained model at `path`.

    Raises:
        StudyError: if it is not of the architecture, features, context and task that the section names.
    """
    net, header = load_model(path)
    mine = {
        "kind": section.model.kind,  # type: ignore[attr-defined]
        "spec": section.model.model_dump(mode="json"),
        "features": list(section.features),
        "context": list(section.context),
        "task": section.task.model_dump(mode="json"),
    }
    if section.task.kind == "joint" and header["task"]["kind"] in ("density", "joint"):  # type: ignore[attr-defined]
        mine["task"] = header["task"]  # it goes on from a density, however that was trained
    theirs = {key: header[key] for key in mine}
    theirs |= {key: [column["name"] for column in header[key]] for key in ("features", "context")}
    if wrong := [key for key in mine if mine[key] != theirs[key]]:
        said = "; ".join(f"{key} {theirs[key]}, here {mine[key]}" for key in wrong)
        raise StudyError(f"start: the model '{section.start}' has {said}. Name one that is alike, or leave start out.")
    return net


def _jointly(data: Event, table: Table, path: Path, alpha: float) -> Event:
    """The true events, weighted by what the classifier at `path` says of them."""
    model, names = require_classifier(path)
    found = reweighted(data, jnp.asarray(logits(model, table.array(names))), alpha)
    size = float(found.weight.sum() ** 2 / (found.weight**2).sum())
    log.info("%d events, of an effective number of %.6g with w^%g", len(found.weight), size, alpha)
    return found


def _header(section: ModelsSection, table: Table, task: AbstractTask) -> dict:
    """What a reader of the model must know of it."""
    told = context_columns(section.context, table)
    return {
        "kind": section.model.kind,  # type: ignore[attr-defined]
        "spec": section.model.model_dump(mode="json"),
        "features": [_describe(table.column(name)) for name in section.features],
        "context": [_describe(column) | {"name": name, "column": column.name} for name, column in told.items()],
        "parameters": list(scored(told) if told else task.parameters),
        "task": section.task.model_dump(mode="json"),
        "precision": section.precision,
    }


def gather(table: Table, features: tuple[str, ...], context: tuple[str, ...], task: AbstractTask) -> Event:
    """Events of a table as a model reads them, with weights of mean 1.

    Raises:
        SchemaError: if a column is missing.
        StudyError: if what the task needs fixed varies, or what the context names does not, or weights cancel.
    """
    told = [column.name for column in context_columns(context, table).values()]
    for name in (*features, *task.fixed()):
        table.column(name)
    for name in task.fixed():
        if table.data[name].nunique() > 1:
            raise StudyError(f"{name} takes several values in these events; this task needs events drawn at one value.")
    for name in told:
        if table.data[name].nunique() < 2:
            raise StudyError(
                f"{name} takes one value in these events; a model of its context needs events of many values."
            )
    weight = table.data["weight"].to_numpy()
    if not weight.sum() > 0:
        raise StudyError(
            f"the events' weights sum up to {weight.sum():g}, expected a positive number: read more events."
        )
    if (weight < 0).any():
        log.warning("%.3g of the events have negative weights: the loss is a sum of both signs", (weight < 0).mean())
    return Event(
        features=jnp.asarray(table.array(features)),
        context=jnp.asarray(table.array(told)),
        target=jnp.asarray(table.array(column.name for column in task.targets())),
        weight=jnp.asarray(weight / weight.mean()),
    )


def _describe(column: Column) -> dict[str, str]:
    return {"name": column.name, "unit": column.unit, "label": column.label}
