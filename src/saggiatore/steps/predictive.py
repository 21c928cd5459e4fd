"""What the posterior of a density says in bins, held against the truth."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple

import jax
import numpy as np
from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.errors import StudyError
from saggiatore.infer.batches import model_context, model_features
from saggiatore.infer.density_draws import DensityDraws, density_draws
from saggiatore.infer.predictive import Bins, Edges, averaged, by_quadrature, by_sampling, in_bins, polynomial_std
from saggiatore.infer.truth import exact_bins, toy
from saggiatore.job import Job
from saggiatore.models.store import load_model
from saggiatore.provenance import provenance
from saggiatore.spec import ContextName, DensityLabel, EventsLabel, ObservableName, Section, Spec
from saggiatore.tables import Column, Table, TableSchema, read_table, write_table
from saggiatore.types import Float

PREDICTED = (
    Column("probability", "1", "posterior mean of the probability of the bin", "$P$"),
    Column("std", "1", "its standard deviation over the posterior", r"$\sigma$"),
    Column("relative_std", "1", "std over probability", r"$\sigma/P$"),
    Column("sampling_error", "1", "error of the mean by the number of sampled events; 0 by quadrature"),
    Column("truth", "1", "true probability of the bin", r"$P_{\rm true}$"),
    Column("truth_error", "1", "its statistical error; 0 where the density is known"),
    Column("pull", "1", "(probability - truth) / sqrt(std^2 + sampling_error^2 + truth_error^2)", "pull"),
    Column("n_expected", "1", "events of the likelihood that the truth expects in the bin", "expected events"),
    Column("is_populated", "1", "1 if n_expected is at least what the section asks for", kind="int"),
)


NUISANCE = Column("nuisance_std", "1", "standard deviation of probability over the values of the nuisance")


class BinsSpec(Spec):
    """Equal bins of a feature; one bin integrates it out."""

    low: float = Field(description="lower edge, in the feature's unit")
    high: float = Field(description="upper edge")
    n: int = Field(1, ge=1, le=1000, description="bins")

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint("low < high", "low is {low:g} and high is {high:g}, expected low < high."),
    )

    def edges(self) -> Edges:
        """All edges."""
        return np.linspace(self.low, self.high, self.n + 1)


Predicted = tuple[Bins] | tuple[Bins, Float[np.ndarray, " bin"]]


class PredictiveSection(Section):
    """Bins of one or two features. Where they span all features of a density at one context, nothing is sampled."""

    density: DensityLabel = Field(description="posterior of a density")
    bins: dict[ObservableName, BinsSpec] = Field(min_length=1, description="bins along each feature")
    truth: EventsLabel | None = Field(
        None, description="true events that no network saw; without them the process must be a toy in closed form"
    )
    n_events: int = Field(20_000, ge=100, description="events of the predictive, where it is sampled")
    n_populated: int = Field(100, ge=1, description="events that a well-populated bin expects in the likelihood")
    nuisance: ContextName | None = Field(
        None, description="nuisance in the density's context: its error bar is the spread over the values in truth"
    )
    n_values: int = Field(9, ge=2, description="values of the nuisance, equally likely ones of the true events")
    fit_degrees: tuple[Annotated[int, Field(ge=1, le=9)], ...] = Field(
        (), description="of polynomials along the one feature with several bins, whose fits are compared"
    )


class Truth(NamedTuple):
    """Probability of each bin, and its statistical error."""

    probability: Float[np.ndarray, " bin"]
    error: Float[np.ndarray, " bin"]


def run(job: Job[PredictiveSection], *, code: str, model: Path, draws: Path, truth: list[Path], out: Path) -> None:
    """Write one row a bin, the last feature's bins running fastest.

    Raises:
        StudyError: if a feature is not the density's, there is no truth, or a fit is asked of two features.
        ModelError: if the draws are of another model.
    """
    section = job.section
    density, header = load_model(model)
    table = read_table(draws, "draws")
    columns = {feature.name: feature for feature in model_features(header)}
    unknown = [name for name in section.bins if name not in columns]
    if unknown:
        raise StudyError(f"bins: {', '.join(unknown)} not among the density's features {', '.join(columns)}.")
    edges = {name: bins.edges() for name, bins in section.bins.items()}
    found, *of_nuisance = _predicted(job, density_draws(density, table), header, edges, truth)
    true = _counted(truth[0], edges) if truth else _exact(job, edges)
    n_events = float(table.provenance["n_events"])
    filled = _low_and_high(edges) | _compared(found, true, n_events, section.n_populated)
    fits = {degree: fitted_column(degree) for degree in section.fit_degrees}
    for degree, column in fits.items():
        filled[column.name] = polynomial_std(list(edges.values()), true.probability, n_events, degree)
    filled |= dict(zip([NUISANCE.name], of_nuisance, strict=False))
    more = (*fits.values(), *([NUISANCE] if of_nuisance else []))
    made = provenance(job.model_dump(mode="json"), code) | {"method": table.provenance["method"]["kind"]}
    write_table(out, predictive_schema([columns[name] for name in edges], more), filled, made)


def fitted_column(degree: int) -> Column:
    """The error that a fit would have."""
    meaning = f"standard deviation of the bin by the fit of a polynomial of degree {degree} to as many events"
    return Column(f"fit_std_{degree}", "1", meaning, r"$\sigma_{\rm fit}$")


def predictive_schema(features: list[Column], fits: tuple[Column, ...] = ()) -> TableSchema:
    """The table [predictive]: lower and upper edge of each feature's bin, and what is said about it."""
    ends = [
        Column(f"{f.name}_{end}", f.unit, f"{end} edge of the bin", f.label)
        for f in features
        for end in ("low", "high")
    ]
    return TableSchema("predictive", 1, (*ends, *PREDICTED, *fits))


def _predicted(
    job: Job[PredictiveSection], draws: DensityDraws, header: dict, edges: dict[str, Edges], truth: list[Path]
) -> Predicted:
    """Bins, and where there is a nuisance its standard deviation of them."""
    names, nuisance = [feature["name"] for feature in header["features"]], job.section.nuisance
    positions, key = [names.index(name) for name in edges], jax.random.key(job.stream("events"))

    def at(context: Float[np.ndarray, "event context"]) -> Bins:
        """By quadrature, where bins span all features and there is one context."""
        if set(names) == set(edges) and (context == context[0]).all():
            points = by_quadrature(draws, [edges[name] for name in names], context[0].tolist())
        else:
            points = by_sampling(draws, context, job.section.n_events, key=key)
        return in_bins(points, positions, list(edges.values()))

    context = _contexts(header, truth)
    if nuisance is None:
        return (at(context),)
    parameters = [column["name"] for column in header["context"]]
    if nuisance not in parameters:
        raise StudyError(f"nuisance: {nuisance} not in the density's context, {', '.join(parameters) or 'none'}.")
    return averaged([at(each) for each in _at_values(context, parameters.index(nuisance), job.section.n_values)])


def _at_values(
    context: Float[np.ndarray, "event context"], position: int, n_values: int
) -> Iterator[Float[np.ndarray, "event context"]]:
    """The contexts with one of their numbers at equally likely values."""
    for value in np.quantile(context[:, position], (np.arange(n_values) + 0.5) / n_values):
        yield np.where(np.arange(context.shape[1]) == position, value, context)


def _contexts(header: dict, truth: list[Path]) -> Float[np.ndarray, "event context"]:
    """Those of the true events."""
    names = [column.name for column in model_context(header)]
    if not names:
        return np.zeros((1, 0))
    if not truth:
        raise StudyError(f"the density has the context {', '.join(names)}: name true events, which have it, in truth.")
    return read_table(truth[0], "events").array(names)


def _exact(job: Job[PredictiveSection], edges: dict[str, Edges]) -> Truth:
    found = exact_bins(toy(job.process_spec().build()), edges)
    return Truth(found, np.zeros_like(found))


def _counted(path: Path, edges: dict[str, Edges]) -> Truth:
    """Shares of the true events, with the error of weighted counts."""
    table: Table = read_table(path, "events")
    weight = table.data["weight"].to_numpy()
    values = table.array(edges)
    sums, squares = (
        np.histogramdd(values, list(edges.values()), weights=w)[0].reshape(-1) for w in (weight, weight**2)
    )
    share, total = sums / weight.sum(), weight.sum()
    rest = squares * (1 - 2 * share) + share**2 * (weight**2).sum()
    return Truth(share, np.sqrt(rest) / total)


def _low_and_high(edges: dict[str, Edges]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for end, part in (("low", slice(None, -1)), ("high", slice(1, None))):
        grids = np.meshgrid(*(each[part] for each in edges.values()), indexing="ij")
        found |= {f"{name}_{end}": grid.reshape(-1) for name, grid in zip(edges, grids, strict=True)}
    return found


def _compared(found: Bins, true: Truth, n_events: float, n_populated: int) -> dict[str, np.ndarray]:
    """Raises: StudyError if a bin has no probability."""
    if not (found.mean > 0).all():
        raise StudyError(
            f"{int((~(found.mean > 0)).sum())} of {found.mean.size} bins hold no event of the predictive: take fewer, "
            "a narrower range, or more n_events."
        )
    expected = n_events * true.probability
    return {
        "probability": found.mean,
        "std": found.std,
        "relative_std": found.std / found.mean,
        "sampling_error": found.sampling_error,
        "truth": true.probability,
        "truth_error": true.error,
        "pull": (found.mean - true.probability) / np.sqrt(found.std**2 + found.sampling_error**2 + true.error**2),
        "n_expected": expected,
        "is_populated": (expected >= n_populated).astype(int),
    }
