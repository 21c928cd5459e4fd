r"""The posterior over formulas: what single draws of a posterior over networks distil to, by structure.

*Structures.* Each draw is distilled by itself, and its choice counts for its structure: `probability` is the fraction
of the draws. That a search ends elsewhere with another seed is in it. `probability_pooled` is without that: every draw
chooses anew, by the same rule, among the formula's structure and all that any draw brought forward, and does so on
resampled held-out events, so that the events' own fluctuations are in it.

*Constants.* One form of each structure is fitted to every draw's score over phase space. With $c_k$ the constants of
draw k and $C$ their covariance at fixed score (`sandwich`: the rows are finite, the form is not exact),
$\mathrm{cov}\,c = \mathrm{cov}_k\,c_k + C$, the law of total covariance. The first term is the teacher's covariance.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from saggiatore.distill.constant_fit import Columns, fit_constants, fit_covariance, linearise
from saggiatore.distill.election import elect
from saggiatore.distill.expression import complexity, evaluate
from saggiatore.distill.parametric import Parametric
from saggiatore.distill.sample import Sample
from saggiatore.distill.select import Estimate, SelectionSpec
from saggiatore.distill.structure import Structure, structure
from saggiatore.errors import ConvergenceError

_MAX_STEPS = 60  # of a fit


@dataclass(frozen=True)
class Targets:
    """Scores of draws, shape (draw, row), on rows of phase space that count with `share` (of sum one)."""

    columns: Columns
    share: np.ndarray
    scores: np.ndarray

    def fit(self, form: Parametric, score: np.ndarray) -> Parametric:
        """The form with the constants that are nearest to a score of shape (row,).

        Raises:
            ConvergenceError: if the form is not finite on every row.
        """
        found = fit_constants(form, self.columns, score, self.share, max_steps=_MAX_STEPS)
        if not np.isfinite(found.loss):
            raise ConvergenceError(f"'{form.expression}' is not finite on every row that constants are fitted on.")
        return Parametric(form.expression, found.values)

    def mse(self, form: Parametric, score: np.ndarray) -> float:
        """Mean squared distance of a form from a score of shape (row,)."""
        found = np.asarray(evaluate(form.expression, {**self.columns, **form.values}, np))
        return float(self.share @ (found - score) ** 2)

    def fit_all(self, form: Parametric) -> list[Parametric]:
        """The form fitted to every draw, in their order; see `fit`."""
        return [self.fit(form, score) for score in self.scores]


class Constants(NamedTuple):
    """Constants of one form over the posterior: `form` has their means, the covariances are (constant, constant)."""

    form: Parametric
    draws: np.ndarray  # (draw, constant)
    covariance_draws: np.ndarray
    covariance_refit: np.ndarray

    @property
    def covariance(self) -> np.ndarray:
        """Of the posterior and of the fit together."""
        return self.covariance_draws + self.covariance_refit


class Found(NamedTuple):
    """A structure of the posterior, with all that is stated about it."""

    key: Structure
    constants: Constants
    n_draws: int  # whose own search and selection ended there
    probability_pooled: float
    mse: Estimate  # of the form with the constants' means, on held-out events
    information: Estimate  # that it keeps, on the same events
    is_formula: bool  # whether it is the structure of the formula of the posterior's mean


class Votes(NamedTuple):
    """How draws choose among structures: arrays of shape (draw, structure) or (draw,)."""

    chosen: np.ndarray  # (draw,)
    frequency: np.ndarray  # (draw, structure), fraction of resamplings of the held-out events

    @property
    def probability(self) -> np.ndarray:
        """Mean over draws of how often each structure is chosen; without resamplings, of whether it is."""
        n_draws, n_structures = self.frequency.shape
        if self.frequency.any():
            return self.frequency.mean(axis=0)
        return np.bincount(self.chosen, minlength=n_structures) / n_draws


class Band(NamedTuple):
    """Prediction over the posterior at some rows, each of shape (row,), and the three parts of its variance."""

    mean: np.ndarray
    var_draws: np.ndarray  # of the constants over the posterior
    var_refit: np.ndarray  # of the constants at fixed score
    var_structure: np.ndarray  # between structures


def pool(forms: Iterable[Parametric], features: Sequence[str]) -> dict[Structure, Parametric]:
    """The structures of some forms, each with its simplest form, in the order of complexity."""
    simplest: dict[Structure, Parametric] = {}
    for form in forms:
        key = structure(form, features)
        if key not in simplest or _rank(form) < _rank(simplest[key]):
            simplest[key] = form
    return dict(sorted(simplest.items(), key=lambda item: _rank(item[1])))


def vote(spec: SelectionSpec, fits: Sequence[Sequence[Parametric]], held_out: Sample, seed: int) -> Votes:
    """Each draw chooses by the rule of `spec` among its `fits`, which are forms of the same structures for every draw.

    Raises:
        EngineError: if no form has the demanded symmetries.
    """
    nodes = [complexity(form.expression) for form in fits[0]]
    found = [elect(spec, forms, nodes, held_out, seed) for forms in fits]  # the same resamplings for every draw
    return Votes(np.array([each.chosen for each in found]), np.stack([each.frequency for each in found]))


def constants_of(form: Parametric, targets: Targets) -> Constants:
    """The form's constants over all draws of `targets`.

    Raises:
        ConvergenceError: if the rows do not determine every constant.
    """
    score = targets.scores.mean(axis=0)
    centre = targets.fit(form, score)
    covariance_refit = fit_covariance(centre, targets.columns, score, targets.share)
    fits = targets.fit_all(centre)
    draws = np.array([list(fit.values.values()) for fit in fits]).reshape(len(fits), -1)
    means = dict(zip(form.values, draws.mean(axis=0).tolist(), strict=True))
    spread = np.cov(draws.T).reshape(covariance_refit.shape)
    return Constants(Parametric(form.expression, means), draws, spread, covariance_refit)


def band_of(found: Sequence[Constants], probabilities: Sequence[float], columns: Columns) -> Band:
    """The mixture of all structures with their probabilities, by the law of total variance."""
    share = np.asarray(probabilities) / np.sum(probabilities)
    values = [_values_of_draws(each, columns) for each in found]
    means = np.stack([value.mean(axis=0) for value in values])
    mean = share @ means
    return Band(
        mean=mean,
        var_draws=share @ np.stack([value.var(axis=0, ddof=1) for value in values]),
        var_refit=share @ np.stack([_propagated(each, columns) for each in found]),
        var_structure=share @ (means - mean) ** 2,
    )


def fraction_error(fraction: float, n: int) -> float:
    """Error of a fraction of `n` draws: the standard deviation of its posterior with Jeffreys' prior, never zero."""
    one, other = n * fraction + 0.5, n * (1 - fraction) + 0.5
    return float(np.sqrt(one * other / ((n + 1) ** 2 * (n + 2))))


def _rank(form: Parametric) -> tuple[int, int, str]:
    return complexity(form.expression), len(form.values), str(form.expression)


def _values_of_draws(found: Constants, columns: Columns) -> np.ndarray:
    """Shape (draw, row)."""
    n_rows = len(next(iter(columns.values())))
    names = tuple(found.form.values)
    rows = [
        evaluate(found.form.expression, {**columns, **dict(zip(names, draw, strict=True))}, np) for draw in found.draws
    ]
    return np.stack([np.broadcast_to(row, n_rows) for row in rows])


def _propagated(found: Constants, columns: Columns) -> np.ndarray:
    """Variance at each row from the covariance of the constants at fixed score, by linear propagation."""
    values: Mapping = {**columns, **found.form.values}
    _, slopes = linearise(found.form.expression, values, frozenset(found.form.values))
    n_rows = len(next(iter(columns.values())))
    jacobian = np.array([np.broadcast_to(slopes[name], n_rows) for name in found.form.values]).reshape(-1, n_rows)
    return np.einsum("ir,ij,jr->r", jacobian, found.covariance_refit, jacobian)
