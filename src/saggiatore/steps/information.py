"""Weigh scores on the same held-out events: mean squared error, and the share of the joint information they keep."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field
from tqdm import tqdm

from saggiatore.distill.form import fit_form
from saggiatore.distill.formula import Formula
from saggiatore.errors import StudyError
from saggiatore.infer.batches import WEIGHT, feature_names, parameter_position
from saggiatore.job import Job
from saggiatore.limits import fisher
from saggiatore.limits.bootstrap import Bootstrap, estimate
from saggiatore.limits.statistic import Statistic, histogram, of_formula, of_model, require_distinct, sign
from saggiatore.models.store import load_model
from saggiatore.provenance import provenance
from saggiatore.spec import EventsLabel, FormulaLabel, Label, ModelLabel, ObservableName, ParameterName, Section
from saggiatore.tables import Column, TableSchema, iterate_table, read_header, write_batches, write_table
from saggiatore.tasks.columns import flavour_variance_column, joint_score_column, parton_score_column

INFORMATION = TableSchema(
    "information",
    1,
    (
        Column("name", "1", "name of the score", kind="str"),
        Column("kind", "1", "model, formula, form (refitted), histogram or sign", kind="str"),
        Column("expression", "1", "sympy's srepr of the score; empty if it has none", kind="str"),
        Column("complexity", "1", "nodes of the expression; -1 if it has none", "complexity", "int"),
        Column("mse", "1", "E[(s - t)^2] over the test events, t the joint score", "MSE"),
        Column("mse_error", "1", "bootstrap error of mse"),
        Column("e_t2", "1", "E[t^2] of the same events: joint Fisher information per event", "$E[t^2]$"),
        Column("e_t2_error", "1", "bootstrap error of e_t2"),
        Column("information", "1", "share of the joint information, E[s t]^2 / (E[s^2] E[t^2])", "information kept"),
        Column("information_error", "1", "bootstrap error of information"),
        Column("behind", "1", "information of the best score minus this one's", "information behind the best"),
        Column("behind_error", "1", "bootstrap error of the difference, on the same events"),
    ),
)
AGREEMENT = TableSchema(
    "agreement",
    1,
    (
        Column("name", "1", "name of the score", kind="str"),
        Column("reference", "1", "joint_score, or the name of the score that it is held against", kind="str"),
        Column("correlation", "1", "E[s r] / sqrt(E[s^2] E[r^2]), r the reference", "correlation"),
        Column("correlation_error", "1", "bootstrap error of correlation"),
        Column("slope", "1", "E[s r] / E[r^2]: below one, the score is flatter than the reference", "slope"),
        Column("slope_error", "1", "bootstrap error of slope"),
    ),
)
JOINT = "joint_score"


class InformationSection(Section):
    """Scores that are compared on the same events."""

    test: EventsLabel = Field(description="events that no score was fitted to")
    train: EventsLabel = Field(description="events that refit the forms and fill the histograms")
    parameter: ParameterName = Field(description="theory parameter whose score is compared")
    models: tuple[ModelLabel, ...] = ()
    formulas: tuple[FormulaLabel, ...] = ()
    histograms: tuple[ObservableName, ...] = Field((), description="observables whose binned mean score is a statistic")
    signs: tuple[ObservableName, ...] = Field((), description="observables whose sign is a statistic")
    forms: dict[Label, str] = Field({}, description="expressions of observables and free constants, to be refitted")
    references: tuple[Label, ...] = Field(
        (), description="names of scores that all others are held against, beside the joint score"
    )
    n_bootstrap: int = Field(200, ge=20, description="resamplings of the test events")
    n_bins: int = Field(20, ge=2, description="bins of the histograms, equally filled")
    n_fit: int = Field(100_000, ge=100, description="training events that fit forms, histograms and signs, at most")
    n_rows: int = Field(100_000, ge=1, description="test events in the table of scores; the information uses all")


def run(
    job: Job[InformationSection],
    *,
    code: str,
    test: Path,
    train: Path,
    models: list[Path],
    formulas: list[Path],
    scores: Path,
    information: Path,
    agreement: Path,
) -> None:
    """Write every score of the test events, what each is worth, and how they agree.

    Raises:
        StudyError: if two scores have one name, or a reference is none of them.
    """
    section = job.section
    labelled = zip(section.formulas, formulas, strict=True)
    statistics = [
        *_models(section, models),
        *(of_formula(label, "formula", Formula.read(path)) for label, path in labelled),
        *_fitted(section, train),
    ]
    require_distinct(statistics)
    made = provenance(job.model_dump(mode="json"), code)
    references = _positions(section.references, statistics)
    n_terms = 2 + (2 + len(references)) * len(statistics)
    bootstrap = Bootstrap(section.n_bootstrap, n_terms, job.stream("bootstrap"))
    schema = scores_schema(test, section.parameter, statistics)
    write_batches(scores, schema, _evaluated(section, test, schema, statistics, references, bootstrap), made)
    n_information = 2 + 2 * len(statistics)
    write_table(information, INFORMATION, information_columns(statistics, bootstrap.sums[:, :n_information]), made)
    write_table(agreement, AGREEMENT, agreement_columns(statistics, references, bootstrap.sums), made)


def observable_columns(events: Path) -> list[Column]:
    """Columns of an event table that are observables: neither weight, nor parameters, nor scores, nor momenta."""
    schema, _ = read_header(events, "events")
    others = ("theta_", "joint_score_", "parton_score_", "flavour_variance_", "leg", "weight_")
    return [column for column in schema.columns if column.name != WEIGHT.name and not column.name.startswith(others)]


def scores_schema(test: Path, parameter: str, statistics: Sequence[Statistic]) -> TableSchema:
    """Observables of the test events, weight, joint score and every statistic."""
    truth = Column("joint_score", "1", joint_score_column(parameter).meaning, "joint score $t$")
    columns = [Column(f"score_{s.name}", "1", f"score of the {s.kind} {s.name}", s.name) for s in statistics]
    return TableSchema("scores", 1, (*observable_columns(test), WEIGHT, truth, *columns))


def information_columns(statistics: Sequence[Statistic], sums: np.ndarray) -> dict[str, object]:
    """Columns of the table [information] from the bootstrapped sums of `fisher.score_terms`."""
    mse, mse_error = estimate(fisher.mean_squared_error, sums)
    e_t2, e_t2_error = estimate(fisher.mean_squared_score, sums)
    kept, kept_error = estimate(fisher.information_kept, sums)
    behind, behind_error = estimate(fisher.information_behind, sums)
    return {
        "name": [statistic.name for statistic in statistics],
        "kind": [statistic.kind for statistic in statistics],
        "expression": [statistic.expression for statistic in statistics],
        "complexity": [statistic.complexity for statistic in statistics],
        "mse": mse,
        "mse_error": mse_error,
        "e_t2": np.full(len(statistics), e_t2),
        "e_t2_error": np.full(len(statistics), e_t2_error),
        "information": kept,
        "information_error": kept_error,
        "behind": behind,
        "behind_error": behind_error,
    }


def agreement_columns(
    statistics: Sequence[Statistic], references: Sequence[int], sums: np.ndarray
) -> dict[str, object]:
    """Columns of the table [agreement]: all scores against the joint score, then against each reference."""
    found, error = estimate(lambda each: fisher.agreement(each, len(statistics), references), sums)
    names = [statistic.name for statistic in statistics]
    against = [JOINT, *(names[position] for position in references)]
    return {
        "name": names * len(against),
        "reference": np.repeat(against, len(names)).tolist(),
        "correlation": found[0].reshape(-1),
        "correlation_error": error[0].reshape(-1),
        "slope": found[1].reshape(-1),
        "slope_error": error[1].reshape(-1),
    }


def _positions(references: Sequence[str], statistics: Sequence[Statistic]) -> list[int]:
    names = [statistic.name for statistic in statistics]
    unknown = [name for name in references if name not in names]
    if unknown:
        raise StudyError(
            f"references: {', '.join(unknown)} are no scores of this section; there are {', '.join(names)}."
        )
    return [names.index(name) for name in references]


def _evaluated(
    section: InformationSection,
    test: Path,
    schema: TableSchema,
    statistics: list[Statistic],
    references: list[int],
    bootstrap: Bootstrap,
) -> Iterator[dict[str, np.ndarray]]:
    """Rows of the scores table, batch by batch; all events go into the sums, the first n_rows into the table."""
    joint, *moments = (
        column(section.parameter) for column in (joint_score_column, parton_score_column, flavour_variance_column)
    )
    n_left = section.n_rows
    batches = iterate_table(test, "events", 16384, require=(joint, *moments, WEIGHT))
    for batch in tqdm(batches, f"scores of {test}", unit="batch", mininterval=1):
        events = {str(name): batch[name].to_numpy() for name in batch.columns}
        values = np.stack([statistic.values(events) for statistic in statistics], axis=1)
        terms = fisher.score_terms(values, *(events[column.name] for column in (*moments, WEIGHT)))
        bootstrap.add(np.concatenate([terms, fisher.agreement_terms(values, references, events[WEIGHT.name])], axis=1))
        table = {name: events[name] for name in schema.names if name in events}
        table |= {"joint_score": events[joint.name]} | {
            f"score_{s.name}": values[:, i] for i, s in enumerate(statistics)
        }
        if n_left > 0:
            yield {name: column[:n_left] for name, column in table.items()}
        n_left -= len(values)


def _models(section: InformationSection, paths: list[Path]) -> Iterator[Statistic]:
    for label, path in zip(section.models, paths, strict=True):
        model, header = load_model(path)
        features = feature_names(header)
        yield of_model(label, model, features, parameter_position(header, section.parameter))


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
    target, n_left, parts = parton_score_column(section.parameter), section.n_fit, []
    for batch in iterate_table(train, "events", require=(target, WEIGHT)):
        parts.append(batch.iloc[:n_left])
        n_left -= len(parts[-1])
        if n_left == 0:
            break
    events = pd.concat(parts)
    features = {column.name: events[column.name].to_numpy() for column in observable_columns(train)}
    return features, events[target.name].to_numpy(), events[WEIGHT.name].to_numpy()
