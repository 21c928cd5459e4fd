"""Draw from the posterior of a density's weights."""

from pathlib import Path
from typing import Literal

import jax
from pydantic import Field

from saggiatore.errors import ModelError
from saggiatore.infer.base import draws_columns, draws_schema
from saggiatore.infer.density import AbstractDensityMethod, LearnedDensity, effective, rebuild
from saggiatore.infer.diagnostics import DIAGNOSTICS, diagnostics_columns
from saggiatore.job import Job
from saggiatore.models.density import AbstractDensity
from saggiatore.models.store import load_model
from saggiatore.provenance import provenance
from saggiatore.registry import MethodSpec, load
from saggiatore.spec import EventsLabel, ModelLabel, Section
from saggiatore.steps.models import gather
from saggiatore.tables import read_table, write_table
from saggiatore.tasks.columns import theta_column


class DensitiesSection(Section):
    """The posterior of a density."""

    model: ModelLabel = Field(description="a trained density: its architecture, its standardisation, where svi starts")
    train: EventsLabel = Field(description="events of the likelihood")
    method: MethodSpec = Field(description="replicas or svi; the others know scores alone")
    precision: Literal["float32", "float64"] = "float32"


def run(job: Job[DensitiesSection], *, code: str, model: Path, train: Path, draws: Path, diagnostics: Path) -> None:
    """Draw, and write draws and diagnostics.

    Raises:
        ModelError: if the model is no density, or the method knows none.
        StudyError: if events have negative weights.
        ConvergenceError: if the draws must not be used.
    """
    section, method = job.section, job.section.method.build()
    density, header = load_model(model)
    if not isinstance(density, AbstractDensity):
        raise ModelError(f"densities.{job.label}: the model is a {header['kind']}, expected a density. Name another.")
    if not isinstance(method, AbstractDensityMethod):
        raise ModelError(
            f"densities.{job.label}: {section.method.kind} knows no posterior of a density; choose replicas or svi."
        )
    features, context = (tuple(column["name"] for column in header[field]) for field in ("features", "context"))
    task = load("task", header["task"]["kind"]).model_validate(header["task"]).build(context)
    table = read_table(train, "events", (*task.targets(), *map(theta_column, context)))
    learned = LearnedDensity(density, rebuild(header), effective(gather(table, features, context, task)), task)
    chains = method.draw_density(learned, key=jax.random.key(job.stream("draws")))
    made = provenance(job.model_dump(mode="json"), code)
    drawn = made | {"method": section.method.model_dump(mode="json"), "n_events": float(learned.events.weight.sum())}
    write_table(draws, draws_schema(chains), draws_columns(chains), drawn)
    write_table(diagnostics, DIAGNOSTICS, diagnostics_columns(chains), made)
