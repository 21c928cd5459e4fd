"""Weigh scores on the same held-out events: mean squared error, and the share of the joint information they keep."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from pydantic import Field
from tqdm import tqdm

from saggiatore.distill.form import fit_form
from saggiatore.distill.formula import Formula
from saggiatore.errors import StudyError
from saggiatore.infer.batches import WEIGHT, feature_names, parameter_position
from saggiatore.infer.density_draws import density_draws
from saggiatore.infer.weights import with_weights
from saggiatore.job import Job
from saggiatore.limits import fisher
from saggiatore.limits.bootstrap import Bootstrap
from saggiatore.limits.first_events import first_events
from saggiatore.limits.information import (
    AGREEMENT,
    INFORMATION,
    agreement_columns,
    information_columns,
    observable_columns,
    scores_schema,
)
from saggiatore.limits.score_posterior import JointScore, ScorePosterior, posteriors_table
from saggiatore.limits.singular import SingularParts
from saggiatore.limits.statistic import (
    Columns,
    Statistic,
    feature_matrix,
    histogram,
    of_column,
    of_formula,
    of_model,
    require_distinct,
    sign,
)
from saggiatore.models.base import scores as model_scores
from saggiatore.models.density import AbstractDensity
from saggiatore.models.store import load_model
from saggiatore.provenance import provenance
from saggiatore.spec import (
    DensityLabel,
    EventsLabel,
    Form,
    FormulaLabel,
    Label,
    ModelLabel,
    ObservableName,
    ParameterName,
    Section,
)
from saggiatore.tables import TableSchema, iterate_table, read_header, read_table, write_batches, write_table
from saggiatore.tasks.columns import (
    flavour_variance_column,
    joint_score_column,
    marginal_score_column,
    parton_score_column,
)


class InformationSection(Section):
    """Scores that are compared on the same events."""

    test: EventsLabel = Field(description="events that no score was fitted to")
    train: EventsLabel = Field(description="events that refit the forms and fill the histograms")
    parameter: ParameterName = Field(description="theory parameter whose score is compared")
    models: tuple[ModelLabel, ...] = ()
    posteriors: tuple[DensityLabel, ...] = Field(
        (), description="posteriors of densities: the mean score of their draws, and its spread"
    )
    exact: bool = Field(
        False, description="also the exact score that the test events carry (`marginal`), by the name `exact`"
    )
    formulas: tuple[FormulaLabel, ...] = ()
    histograms: tuple[ObservableName, ...] = Field((), description="observables whose binned mean score is a statistic")
    signs: tuple[ObservableName, ...] = Field((), description="observables whose sign is a statistic")
    forms: dict[Label, Form] = Field({}, description="expressions of observables and free constants, to be refitted")
    references: tuple[Label, ...] = Field(
        (), description="names of scores that all others are held against, beside the joint score"
    )
    n_bootstrap: int = Field(200, ge=20, description="resamplings of the test events")
    n_bins: int = Field(20, ge=2, le=10_000, description="bins of the histograms, equally filled")
    n_fit: int = Field(100_000, ge=100, description="training events that fit forms, histograms and signs, at most")
    n_rows: int = Field(100_000, ge=1, description="test events in the table of scores; the information uses all")


def run(
    job: Job[InformationSection],
    *,
    code: str,
    test: Path,
    train: Path,
    models: list[Path],
    densities: list[Path],
    draws: list[Path],
    formulas: list[Path],
    scores: Path,
    information: Path,
    agreement: Path,
    posteriors: Path,
) -> None:
    """Write every score of the test events, what each is worth, how they agree, and what posteriors say.

    `draws` are those of the posteriors, and `densities` the trained models behind them.

    Raises:
        StudyError: if two scores have one name, a reference is none of them, or a score is asked for that is not there.
        ModelError: if draws are of another model.
    """
    section = job.section
    drawn = [_posterior(section, *each) for each in zip(section.posteriors, densities, draws, strict=True)]
    statistics = [
        *(posterior.statistic for posterior in drawn),
        *_exact(section, test),
        *_models(section, models),
        *_formulas(section, formulas),
        *_fitted(section, train),
    ]
    require_distinct(statistics)
    made = provenance(job.model_dump(mode="json"), code)
    references, bootstrap = _positions(section.references, statistics), _bootstrap(job, len(statistics))
    schema, parts = scores_schema(test, section.parameter, statistics, section.posteriors), SingularParts(statistics)
    write_batches(scores, schema, _scored(section, test, schema, statistics, drawn, references, bootstrap, parts), made)
    write_table(information, INFORMATION, information_columns(statistics, bootstrap.sums, parts.found()), made)
    write_table(agreement, AGREEMENT, agreement_columns(statistics, references, bootstrap.sums), made)
    write_table(posteriors, *posteriors_table(drawn, section.references, _has_exact(test, section)), made)


def _bootstrap(job: Job[InformationSection], n_statistics: int) -> Bootstrap:
    n_terms = 2 + (2 + len(job.section.references)) * n_statistics
    return Bootstrap(job.section.n_bootstrap, n_terms, job.stream("bootstrap"))


def _positions(references: Sequence[str], statistics: Sequence[Statistic]) -> list[int]:
    names = [statistic.name for statistic in statistics]
    unknown = [name for name in references if name not in names]
    if unknown:
        raise StudyError(
            f"references: {', '.join(unknown)} are no scores of this section; there are {', '.join(names)}."
        )
    return [names.index(name) for name in references]


def _scored(
    section: InformationSection,
    test: Path,
    schema: TableSchema,
    statistics: list[Statistic],
    drawn: list[ScorePosterior],
    references: list[int],
    bootstrap: Bootstrap,
    parts: SingularParts,
) -> Iterator[dict[str, np.ndarray]]:
    """Rows of the scores table, batch by batch; all events go into the sums, the first n_rows into the table."""
    columns = (joint_score_column, parton_score_column, flavour_variance_column)
    joint, *moments = (column(section.parameter) for column in columns)
    exact = marginal_score_column(section.parameter).name
    n_left = section.n_rows
    batches = iterate_table(test, "events", 16384, require=(joint, *moments, WEIGHT))
    for batch in tqdm(batches, f"scores of {test}", unit="batch", mininterval=1):
        events = {str(name): batch[name].to_numpy() for name in batch.columns}
        parts.add(events)
        mean_score, variance, weight = (events[column.name] for column in (*moments, WEIGHT))
        draws = [posterior.draws(events) for posterior in drawn]
        means = (each.mean(axis=1) for each in draws)
        values = np.stack([*means, *(s.values(events) for s in statistics[len(drawn) :])], axis=1)
        joint_scores = JointScore(mean_score, variance, weight)
        spreads = [
            posterior.add(each, values[:, references], joint_scores, events.get(exact))
            for posterior, each in zip(drawn, draws, strict=True)
        ]
        terms = fisher.score_terms(values, mean_score, variance, weight)
        bootstrap.add(np.concatenate([terms, fisher.agreement_terms(values, references, weight)], axis=1))
        table = {name: events[name] for name in schema.names if name in events} | {"joint_score": events[joint.name]}
        table |= {f"score_{s.name}": values[:, i] for i, s in enumerate(statistics)}
        table |= {f"spread_{s.name}": spread for s, spread in zip(statistics, spreads, strict=False)}
        if n_left > 0:
            yield {name: column[:n_left] for name, column in table.items()}
        n_left -= len(values)


def _has_exact(test: Path, section: InformationSection) -> bool:
    return marginal_score_column(section.parameter).name in read_header(test, "events")[0].names


def _exact(section: InformationSection, test: Path) -> Iterator[Statistic]:
    """The exact score, where it is asked for."""
    if section.exact and not _has_exact(test, section):
        raise StudyError(
            f"exact: {test} does not carry the exact score of {section.parameter}; give the test events `marginal`."
        )
    if section.exact:
        yield of_column("exact", "exact", marginal_score_column(section.parameter).name)


def _posterior(section: InformationSection, label: str, model: Path, draws: Path) -> ScorePosterior:
    """The scores of all draws of a density."""
    density, header = load_model(model)
    if not isinstance(density, AbstractDensity) or not header["parameters"]:
        raise StudyError(
            f"posteriors: '{label}' is of a model without a score; name one of a density "
            "whose context is theory parameters."
        )
    features, position = feature_names(header), parameter_position(header, section.parameter)
    drawn = density_draws(density, read_table(draws, "draws"))

    def values(events: Columns) -> np.ndarray:
        x = feature_matrix(label, events, features)
        each = [model_scores(with_weights(drawn.density, weights), x)[:, position] for weights in drawn.weights]
        return np.stack(each, axis=1).astype(float)

    return ScorePosterior(label, values)


def _models(section: InformationSection, paths: list[Path]) -> Iterator[Statistic]:
    for label, path in zip(section.models, paths, strict=True):
        model, header = load_model(path)
        features = feature_names(header)
        yield of_model(label, model, features, parameter_position(header, section.parameter))


def _formulas(section: InformationSection, paths: list[Path]) -> Iterator[Statistic]:
    for label, path in zip(section.formulas, paths, strict=True):
        yield of_formula(label, "formula", Formula.read(path))


def _fitted(section: InformationSection, train: Path) -> Iterator[Statistic]:
    """Forms, histograms and signs, fitted to the joint score of training events, averaged over flavours."""
    events, score, weight = _first(train, section)
    unknown = sorted({*section.histograms, *section.signs} - events.keys())
    if unknown:
        raise StudyError(f"histograms, signs: {', '.join(unknown)} are no observables; there are {', '.join(events)}.")
    x = np.stack(list(events.values()), axis=1)
    for name, form in tqdm(section.forms.items(), "refit forms", mininterval=1):
        yield of_formula(name, "form", fit_form(form, list(events), x, score, weight, section.parameter))
    yield from (histogram(name, section.n_bins, events, score, weight) for name in section.histograms)
    yield from (sign(name, events, score, weight) for name in section.signs)


def _first(train: Path, section: InformationSection) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Observables, parton score and weight of the first `n_fit` events."""
    target = parton_score_column(section.parameter)
    events = first_events(train, section.n_fit, (target, WEIGHT))
    features = {column.name: events[column.name].to_numpy() for column in observable_columns(train)}
    return features, events[target.name].to_numpy(), events[WEIGHT.name].to_numpy()
