"""Statistics of an event that estimate its score: a network, a formula, the mean score of a bin, a sign."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import jax
import numpy as np
import sympy

from saggiatore.distill.formula import Formula
from saggiatore.distill.parametric import Parametric
from saggiatore.errors import StudyError
from saggiatore.models.base import AbstractModel, scores
from saggiatore.types import Float

Columns = Mapping[str, Float[np.ndarray, " event"]]
NO_COMPLEXITY = -1


@dataclass(frozen=True)
class Statistic:
    """A named function of the observables of events, with how it is written, if it is."""

    name: str
    kind: str  # model, posterior, exact, formula, form, histogram or sign
    values: Callable[[Columns], Float[np.ndarray, " event"]]
    expression: str = ""
    complexity: int = NO_COMPLEXITY


def of_model(name: str, model: AbstractModel, features: Sequence[str], position: int) -> Statistic:
    """The score of a model, its component `position`."""

    def values(events: Columns) -> Float[np.ndarray, " event"]:
        return np.asarray(scores(model, feature_matrix(name, events, features))[:, position], dtype=float)

    return Statistic(name, "model", values)


def of_column(name: str, kind: str, column: str) -> Statistic:
    """A score that the events carry."""
    return Statistic(name, kind, lambda events: np.asarray(events[column], dtype=float))


def of_formula(name: str, kind: str, formula: Formula) -> Statistic:
    """The value of a formula."""
    function = jax.jit(jax.vmap(formula.function()))

    def values(events: Columns) -> Float[np.ndarray, " event"]:
        return np.asarray(function(feature_matrix(name, events, formula.feature_names)), dtype=float)

    filled = Parametric(formula.expression, formula.constants).filled
    return Statistic(name, kind, values, sympy.srepr(filled), formula.complexity)


def feature_matrix(name: str, events: Columns, features: Sequence[str]) -> Float[np.ndarray, "event feature"]:
    """The columns that a statistic needs, side by side.

    Raises:
        StudyError: if the events lack one.
    """
    missing = [feature for feature in features if feature not in events]
    if missing:
        raise StudyError(f"'{name}' needs {', '.join(missing)}, which the events lack; they have {', '.join(events)}.")
    return np.stack([np.asarray(events[feature], dtype=float) for feature in features], axis=1)


def histogram(
    feature: str, n_bins: int, columns: Columns, score: Float[np.ndarray, " event"], weight: Float[np.ndarray, " event"]
) -> Statistic:
    """The mean joint score in each bin of one feature: what a likelihood fit of its histogram is worth.

    The bins hold the same number of the given events; the outer two are open.
    """
    edges = np.quantile(columns[feature], np.arange(1, n_bins) / n_bins)
    bins = np.digitize(columns[feature], edges)
    total = np.bincount(bins, weight, minlength=n_bins)
    if not (total > 0).all():
        raise StudyError(f"histogram of {feature}: {n_bins} bins leave one without events; lower n_bins.")
    means = np.bincount(bins, weight * score, minlength=n_bins) / total
    return Statistic(f"histogram_{feature}", "histogram", lambda events: means[np.digitize(events[feature], edges)])


def sign(
    feature: str, columns: Columns, score: Float[np.ndarray, " event"], weight: Float[np.ndarray, " event"]
) -> Statistic:
    """The sign of one feature times the mean joint score that it carries: what an asymmetry is worth."""
    mean = np.average(np.sign(columns[feature]) * score, weights=weight)
    return Statistic(f"sign_{feature}", "sign", lambda events: mean * np.sign(events[feature]))


def require_distinct(statistics: list[Statistic]) -> None:
    """Refuse two statistics of one name.

    Raises:
        StudyError: naming both.
    """
    seen: dict[str, Statistic] = {}
    for statistic in statistics:
        if statistic.name in seen:
            kinds = f"a {seen[statistic.name].kind} and a {statistic.kind}"
            raise StudyError(f"'{statistic.name}' names {kinds}; rename one, their scores share a table.")
        seen[statistic.name] = statistic
