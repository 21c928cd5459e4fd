"""Draw from the posterior of the weights of a density, or of a likelihood ratio."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from pydantic import Field

from saggiatore.errors import ModelError, StudyError
from saggiatore.infer.base import draws_columns, draws_schema
from saggiatore.infer.batches import learned_task
from saggiatore.infer.density import AbstractDensityMethod, LearnedDensity, effective, rebuild
from saggiatore.infer.diagnostics import DIAGNOSTICS, diagnostics_columns
from saggiatore.infer.ratio import AbstractRatioMethod, LearnedRatio
from saggiatore.job import Job
from saggiatore.learn.precision import Precision
from saggiatore.models.base import AbstractModel, Event
from saggiatore.models.density import AbstractDensity
from saggiatore.models.ratio import AbstractRatio
from saggiatore.models.store import load_model
from saggiatore.provenance import provenance
from saggiatore.registry import MethodSpec
from saggiatore.spec import EventsLabel, ModelLabel, Section
from saggiatore.steps.models import gather
from saggiatore.tables import read_table, write_table
from saggiatore.tasks.base import AbstractTask


class DensitiesSection(Section):
    """The posterior of a density, or of a likelihood ratio."""

    model: ModelLabel = Field(
        description="a trained density or ratio: its architecture, its standardisation, where svi starts"
    )
    train: EventsLabel = Field(description="events of the likelihood, or of the training that is repeated")
    method: MethodSpec = Field(description="replicas, or svi of a density; the others know scores alone")
    precision: Precision = "float32"


def run(job: Job[DensitiesSection], *, code: str, model: Path, train: Path, draws: Path, diagnostics: Path) -> None:
    """Draw, and write draws and diagnostics.

    Raises:
        ModelError: if the model is neither density nor ratio, or the method knows none.
        StudyError: if events have negative weights, or the model learned jointly with a classifier.
        ConvergenceError: if the draws must not be used.
    """
    section = job.section
    network, header = load_model(model)
    method = _require(job, network, header)
    task, events = _training(train, header)
    key, build = jax.random.key(job.stream("draws")), rebuild(header)
    if isinstance(network, AbstractRatio):
        chains = method.draw_ratio(LearnedRatio(network, build, events, task), key=key)
    else:
        chains = method.draw_density(LearnedDensity(network, build, events, task), key=key)
    made = provenance(job.model_dump(mode="json"), code)
    drawn = made | {"method": section.method.model_dump(mode="json"), "n_events": float(events.weight.sum())}
    write_table(draws, draws_schema(chains), draws_columns(chains), drawn)
    write_table(diagnostics, DIAGNOSTICS, diagnostics_columns(chains), made)


def _require(job: Job[DensitiesSection], network: AbstractModel, header: Mapping) -> Any:
    """The method, if it knows the posterior of such a model."""
    kind, method = job.section.method.kind, job.section.method.build()
    if not isinstance(network, (AbstractDensity, AbstractRatio)):
        raise ModelError(
            f"densities.{job.label}: the model is a {header['kind']}, expected a density or a likelihood ratio. Name "
            "another."
        )
    if header["task"]["kind"] == "joint":
        raise StudyError(
            f"densities.{job.label}: the model learned jointly with a classifier, whose weights no posterior knows. "
            "Name the density that it started from."
        )
    is_ratio = isinstance(network, AbstractRatio)
    if not isinstance(method, AbstractRatioMethod if is_ratio else AbstractDensityMethod):
        of, choice = ("likelihood ratio", "replicas") if is_ratio else ("density", "replicas or svi")
        raise ModelError(f"densities.{job.label}: {kind} knows no posterior of a {of}; choose {choice}.")
    return method


def _training(train: Path, header: Mapping) -> tuple[AbstractTask, Event]:
    """What the model was trained for, and the events as it reads them."""
    features, context = (tuple(column["name"] for column in header[field]) for field in ("features", "context"))
    task = learned_task(header)
    table = read_table(train, "events", task.targets())
    return task, effective(gather(table, features, context, task))
