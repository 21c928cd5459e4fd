"""Draw from the posterior of a network, and hold its errors against events that it was not fitted to."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import jax
import numpy as np
from pydantic import Field

from saggiatore.infer.base import draws_columns, draws_schema, posterior_score
from saggiatore.infer.batches import (
    Batch,
    feature_names,
    learned_column,
    learned_task,
    model_features,
    parameter_position,
    require_positive,
    target_batches,
)
from saggiatore.infer.calibrate import (
    JOINT_SCORE,
    calibration_columns,
    calibration_schema,
    evaluate,
    pulls_columns,
    pulls_schema,
)
from saggiatore.infer.diagnostics import DIAGNOSTICS, diagnostics_columns
from saggiatore.job import Job
from saggiatore.models.store import load_model
from saggiatore.provenance import provenance
from saggiatore.registry import MethodSpec
from saggiatore.spec import EventsLabel, ModelLabel, Section
from saggiatore.tables import read_header, read_table, write_table
from saggiatore.tasks.columns import marginal_score_column
from saggiatore.types import Float


class DrawsSection(Section):
    """The posterior of a network."""

    model: ModelLabel
    train: EventsLabel = Field(description="events of the likelihood")
    test: EventsLabel = Field(description="held-out events, for pulls and coverage")
    method: MethodSpec
    levels: tuple[float, ...] = Field(
        (0.5, 0.68, 0.9, 0.95, 0.99),
        min_length=1,
        description="probabilities of the intervals whose coverage is counted",
    )
    n_pulls: int = Field(20_000, ge=1, description="events in the table of pulls; the calibration uses all")


def run(
    job: Job[DrawsSection],
    *,
    code: str,
    model: Path,
    train: Path,
    test: Path,
    checkpoint: Path,
    draws: Path,
    diagnostics: Path,
    pulls: Path,
    calibration: Path,
) -> None:
    """Draw, check convergence, and write draws, diagnostics, pulls and coverage.

    Go on from `checkpoint` where there is one of these very draws, and remove it at the end.
    """
    section = job.section
    network, header = load_model(model)
    target = learned_column(header)

    def batches(path: Path) -> Iterator[Batch]:
        return require_positive(target_batches(path, model_features(header), target), path)

    method = section.method.build().learning(learned_task(header), header["precision"]).resuming(checkpoint, code)
    chains = method.draw(network, partial(batches, train), key=jax.random.key(job.stream("draws")))
    made = provenance(job.model_dump(mode="json"), code)
    drawn = made | {"method": section.method.model_dump(mode="json")}
    write_table(draws, draws_schema(chains), draws_columns(chains), drawn)
    write_table(diagnostics, DIAGNOSTICS, diagnostics_columns(chains), made)

    posterior = posterior_score(network, read_table(draws, "draws"))
    fitted, held_out = evaluate(posterior, batches(train)), evaluate(posterior, batches(test))
    learned = JOINT_SCORE if header["parameters"] else target  # none: another quantity stands in the score's place
    features, exact = model_features(header), _exact(test, header)
    shown = pulls_columns(held_out, features, section.n_pulls, exact, learned)
    write_table(pulls, pulls_schema(features, exact is not None, learned), shown, made)
    counted = calibration_columns(fitted, held_out, section.levels, exact)
    write_table(calibration, calibration_schema(exact is not None), counted, made)
    checkpoint.unlink(missing_ok=True)


def _exact(test: Path, header: dict) -> Float[np.ndarray, " event"] | None:
    """The exact score of the model's features of the events at `test`, if the table has that of these very features."""
    if not header["parameters"]:
        return None
    column = marginal_score_column(header["parameters"][parameter_position(header, None)])
    schema, origin = read_header(test, "events")
    if column.name not in schema.names:
        return None
    if set(origin["spec"]["section"]["marginal"]) != set(feature_names(header)):
        return None
    return read_table(test, "events", require=(column,)).data[column.name].to_numpy()
