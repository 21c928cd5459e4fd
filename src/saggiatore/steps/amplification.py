r"""How many true events generated ones are worth: their quantiles against the truth, beside those of the training.

The truth is divided into q parts of equal probability along one feature. The error of a sample is the mean over parts
of (fraction - 1/q)^2, as in "GANplification" (arXiv:2008.06545, sec. 2); n true events have (1/q)(1 - 1/q)/n on
average. That of generated events falls alike until the density's own error is all that is left, which is known by
quadrature. The true events that have the same error, over those of the training, are the amplification: above one where
the smoothness of a network knows more than its events do.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field
from tqdm import tqdm

from saggiatore.errors import StudyError
from saggiatore.infer.density_draws import DensityDraws
from saggiatore.infer.predictive import Edges, by_quadrature
from saggiatore.infer.truth import exact_quantiles, toy
from saggiatore.infer.weights import flatten
from saggiatore.job import Job
from saggiatore.learn.loop import TrainingSpec, train
from saggiatore.learn.precision import Precision
from saggiatore.models.base import Event
from saggiatore.models.density import AbstractDensity
from saggiatore.models.initial import initial
from saggiatore.physics.plane import OBSERVABLES, AbstractPlane
from saggiatore.provenance import provenance
from saggiatore.registry import ModelSpec
from saggiatore.spec import EventsLabel, ObservableName, Section
from saggiatore.steps.models import gather
from saggiatore.tables import Column, TableSchema, read_table, write_table
from saggiatore.tasks.density import Density
from saggiatore.types import Array, Float, PRNGKeyArray

AMPLIFICATION = TableSchema(
    "amplification",
    1,
    (
        Column("kind", "1", "training: its events; generated: events of the density; density: itself", kind="str"),
        Column("n_events", "1", "events of a sample; 0 for the density itself", "events", "int"),
        Column("error", "1", "mean over trainings of the mean squared error of quantiles", "MSE of quantiles"),
        Column("error_error", "1", "its standard error"),
        Column("expected", "1", "the error of as many true events, on average; 0 for the density itself"),
        Column("worth", "1", "true events of the same error, over the events of a training", "amplification"),
        Column("worth_error", "1", "its standard error, to first order in error_error"),
    ),
)
_BLOCK = 10_000  # events that are generated at once


class AmplificationSection(Section):
    """Trainings on disjoint parts of the events of a toy."""

    events: EventsLabel
    n_train: int = Field(500, ge=10, description="events of a training, its validation included")
    n_sets: int = Field(10, ge=2, description="trainings, on disjoint parts of the events")
    model: ModelSpec
    training: TrainingSpec
    feature: ObservableName = Field(description="along which quantiles are taken")
    n_quantiles: int = Field(10, ge=2, description="parts of equal probability under the truth")
    sizes: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (100, 1000, 10_000, 100_000), min_length=1, description="numbers of generated events"
    )
    precision: Precision = "float32"


def run(job: Job[AmplificationSection], *, code: str, events: Path, out: Path) -> None:
    """Write the errors of training events, of generated events by their number, and of the density itself.

    Raises:
        StudyError: if the process is no toy in closed form, the model no density, or there are too few events.
    """
    section, process = job.section, toy(job.process_spec().build())
    features = tuple(OBSERVABLES)
    data = gather(read_table(events, "events"), features, (), Density(()))
    n_asked, n_found = section.n_train * section.n_sets, len(data.weight)
    if n_found < n_asked:
        raise StudyError(f"{events}: {n_found} events, {section.n_sets} trainings need {n_asked}. Lower n_sets.")
    quantiles = exact_quantiles(process, section.feature, section.n_quantiles)
    found: dict[tuple[str, int], list[float]] = {}
    for number in tqdm(range(section.n_sets), "trainings", unit="training", mininterval=1):
        rows = slice(number * section.n_train, (number + 1) * section.n_train)
        mine = Event(*(column[rows] for column in data))
        density = _trained(section, features, mine, job.stream("train", number))
        found.setdefault(("training", section.n_train), []).append(
            _error(_fractions(np.asarray(mine.features), section.feature, quantiles))
        )
        key = jax.random.key(job.stream("draw", number))
        for entry, error in _errors(section, density, process, quantiles, key):
            found.setdefault(entry, []).append(error)
    write_table(out, AMPLIFICATION, _columns(found, section), provenance(job.model_dump(mode="json"), code))


def _trained(section: AmplificationSection, features: tuple[str, ...], events: Event, seed: int) -> AbstractDensity:
    built = initial(section.model.build, features, (), key=jax.random.key(seed))
    if not isinstance(built, AbstractDensity):
        raise StudyError(f"amplification: the model is a {section.model.kind}, expected a density. Choose another one.")
    density, _ = train(built.standardise(events), Density(()), events, section.training, seed=seed)
    assert isinstance(density, AbstractDensity)
    return density


def _errors(
    section: AmplificationSection, density: AbstractDensity, process: AbstractPlane, quantiles: Edges, key: PRNGKeyArray
) -> Iterator[tuple[tuple[str, int], float]]:
    """Errors of generated events, each sample the first of one, and of the density itself."""
    blocks = [_generated(density, each) for each in jax.random.split(key, -(-max(section.sizes) // _BLOCK))]
    drawn = np.concatenate([np.asarray(block) for block in blocks])
    for n in section.sizes:
        yield ("generated", n), _error(_fractions(drawn[:n], section.feature, quantiles))
    spans = dict(zip(OBSERVABLES, np.stack([process.low, process.high], axis=1), strict=True))
    points = by_quadrature(
        DensityDraws(density, flatten(density)[None]), list((spans | {section.feature: quantiles}).values())
    )
    share = _fractions(points.features, section.feature, quantiles, points.shares[0])
    yield ("density", 0), _error(share)


@eqx.filter_jit
def _generated(density: AbstractDensity, key: PRNGKeyArray) -> Float[Array, "event feature"]:
    return jax.vmap(lambda k: density.sample(jnp.zeros(0), key=k))(jax.random.split(key, _BLOCK))


def _fractions(
    features: Float[np.ndarray, "event feature"],
    feature: str,
    quantiles: Edges,
    weight: Float[np.ndarray, " event"] | None = None,
) -> Float[np.ndarray, " quantile"]:
    """Share of each part; the outer ones have no end."""
    part = np.searchsorted(quantiles[1:-1], features[:, list(OBSERVABLES).index(feature)])
    sums = np.bincount(part, weight, minlength=len(quantiles) - 1)
    return sums / sums.sum()


def _error(fractions: Float[np.ndarray, " quantile"]) -> float:
    return float(np.mean((fractions - 1 / len(fractions)) ** 2))


def _columns(found: dict[tuple[str, int], list[float]], section: AmplificationSection) -> dict[str, list]:
    one = (1 - 1 / section.n_quantiles) / section.n_quantiles  # the error of one true event, on average
    columns: dict[str, list] = {name: [] for name in AMPLIFICATION.names}
    for (kind, n_events), errors in found.items():
        error, spread = float(np.mean(errors)), float(np.std(errors, ddof=1)) / len(errors) ** 0.5
        worth = one / error / section.n_train
        row = (kind, n_events, error, spread, one / n_events if n_events else 0.0, worth, worth * spread / error)
        for name, value in zip(AMPLIFICATION.names, row, strict=True):
            columns[name].append(value)
    return columns
