r"""Are stated errors true? Pulls of held-out events, and the coverage of intervals for their joint score.

The pull of an event is (t - m(x)) / sqrt(var_stat + var_noise). Its mean should be 0 and its width 1 whatever the shape
of p(t|x). A *central interval* m +- k sqrt(var_stat + var_noise) has the stated coverage only if k fits that shape: at
fixed x the joint score is a mixture over flavour channels, narrow with far tails, and the normal k is too wide at 68 %
and too narrow at 99 %. So k is the quantile of |pull| on the training events (split conformal prediction, Lei et al.,
arXiv:1604.04173), and the coverage is counted on others. It holds averaged over events, not at each x.

*Temperature.* The one factor T on var_stat + var_noise that makes the pulls as wide as one: the weighted mean of their
squares on the first part of the held-out events, with which the pulls of the rest are counted once more. It says by how
much the stated variance is off; nothing downstream is scaled by it.

*Where the exact score is known* (events with `marginal`) the statistical part is tested by itself: the pull of an event
is then (t*(x) - m(x)) / sqrt(var_stat), and their width is stated as a ratio of root mean squares, since both vanish at
the zeros of an odd score. These pulls are functions of x and of one training: they fluctuate together, so that one
posterior does not say how wide they are on average; only many trainings do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtri

from saggiatore.errors import ConvergenceError
from saggiatore.infer.base import AbstractPosteriorScore, ScoreEstimate
from saggiatore.infer.batches import Batch, padded
from saggiatore.tables import Column, TableSchema
from saggiatore.types import Float

MARGINAL = Column("marginal_score", "1", "exact score of the event's features", "$t^*$")
JOINT_SCORE = Column("joint_score", "1", "joint score of a held-out event", "$t$")
PULL_COLUMNS = (
    Column(
        "mean", "1", "posterior mean of the score, or of what else was learned, at the event's features", r"$\hat t$"
    ),
    Column("std_stat", "1", "standard deviation of that over the posterior", r"$\sigma_{\rm stat}$"),
    Column(
        "std_noise", "1", "standard deviation of what was learned about it at fixed features", r"$\sigma_{\rm noise}$"
    ),
    Column("pull", "1", "(what was learned - mean) / sqrt(std_stat^2 + std_noise^2)", "pull"),
    Column("weight", "pb", "Monte Carlo weight"),
)
EXACT_COLUMNS = (
    MARGINAL,
    Column("pull_stat", "1", "(marginal_score - mean) / std_stat", "pull of the statistical part"),
)
CALIBRATION = TableSchema(
    "calibration",
    2,
    (
        Column("level", "1", "stated probability of the central interval", "credible level"),
        Column("factor", "1", "half width of the interval in standard deviations: quantile of |pull| in training"),
        Column("coverage", "1", "fraction of held-out events inside", "coverage"),
        Column("coverage_error", "1", "binomial error of the coverage"),
        Column("coverage_normal", "1", "coverage, were the half width that of a normal distribution"),
        Column("coverage_normal_error", "1", "binomial error of coverage_normal"),
        Column("pull_mean", "1", "mean pull of the held-out events (the same in each row)"),
        Column("pull_mean_error", "1", "error of the mean pull"),
        Column("pull_width", "1", "standard deviation of the pulls (the same in each row)"),
        Column("pull_width_error", "1", "error of the pull width, from the fourth moment"),
        Column("n_events", "1", "effective number of held-out events"),
        Column("n_train", "1", "effective number of training events", "training events"),
        Column("temperature", "1", "factor on the variance that makes the first part's pulls as wide as one"),
        Column("temperature_error", "1", "its error"),
        Column("pull_width_tempered", "1", "standard deviation of the other part's pulls with that factor"),
        Column("pull_width_tempered_error", "1", "its error"),
        Column("sharpness_stat", "1", "root mean square of std_stat", r"$\sigma_{\rm stat}$"),
        Column("sharpness_noise", "1", "root mean square of std_noise", r"$\sigma_{\rm noise}$"),
    ),
)
EXACT_CALIBRATION = (
    Column("coverage_stat", "1", "fraction of exact scores within normal quantiles of std_stat about the mean"),
    Column("score_error", "1", "root mean square of mean - marginal_score (the same in each row)"),
    Column("pull_stat_width", "1", "score_error over sharpness_stat, of one training (the same in each row)"),
)


class Evaluated(NamedTuple):
    """Events with what the posterior says about them; one entry an event."""

    features: Float[np.ndarray, "event feature"]
    joint_score: Float[np.ndarray, " event"]
    weight: Float[np.ndarray, " event"]
    mean: Float[np.ndarray, " event"]
    var_stat: Float[np.ndarray, " event"]
    var_noise: Float[np.ndarray, " event"]

    @property
    def pull(self) -> Float[np.ndarray, " event"]:
        """(t - mean) / sqrt(var_stat + var_noise).

        Raises:
            ConvergenceError: if the variance of an event is not positive.
        """
        variance = self.var_stat + self.var_noise
        n_bad = int((~(variance > 0)).sum())
        if n_bad:
            raise ConvergenceError(
                f"{n_bad} of {variance.size} events have no positive variance, so no pull. The network's noise "
                "vanishes or is not finite there: train it longer, or with another seed."
            )
        return (self.joint_score - self.mean) / np.sqrt(variance)


@eqx.filter_jit
def _estimate(posterior: AbstractPosteriorScore, features: Float[jax.Array, "event feature"]) -> ScoreEstimate:
    return jax.vmap(posterior)(features)


def evaluate(posterior: AbstractPosteriorScore, batches: Iterable[Batch]) -> Evaluated:
    """Posterior mean and variances at the features of all events."""
    parts = []
    for batch in batches:
        estimate = _estimate(posterior, jnp.asarray(padded(batch).features))
        parts.append(Evaluated(*batch, *(np.asarray(column)[: len(batch.score)] for column in estimate)))
    return Evaluated(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def pulls_schema(features: Sequence[Column], is_exact: bool, learned: Column = JOINT_SCORE) -> TableSchema:
    """The table [pulls]: one row an event, with its features, and the exact score where it is known."""
    return TableSchema("pulls", 2, (learned, *PULL_COLUMNS, *(EXACT_COLUMNS if is_exact else ()), *features))


def pulls_columns(
    events: Evaluated,
    features: Sequence[Column],
    n_rows: int,
    exact: Float[np.ndarray, " event"] | None = None,
    learned: Column = JOINT_SCORE,
) -> dict[str, np.ndarray]:
    """Columns of the table [pulls], of the first `n_rows` events; `exact` is the score of their features."""
    columns = {feature.name: values for feature, values in zip(features, events.features.T, strict=True)} | {
        learned.name: events.joint_score,
        "mean": events.mean,
        "std_stat": np.sqrt(events.var_stat),
        "std_noise": np.sqrt(events.var_noise),
        "pull": events.pull,
        "weight": events.weight,
    }
    if exact is not None:
        columns |= {"marginal_score": exact, "pull_stat": _pull_stat(events, exact)}
    return {name: values[:n_rows] for name, values in columns.items()}


def _pull_stat(events: Evaluated, exact: Float[np.ndarray, " event"]) -> Float[np.ndarray, " event"]:
    """(t* - mean) / std_stat; 0 where both are, as an odd score at the centre of its reflection."""
    gap = exact - events.mean
    return np.divide(gap, np.sqrt(events.var_stat), out=np.zeros_like(gap), where=gap != 0)


def interval_factors(events: Evaluated, levels: Sequence[float]) -> Float[np.ndarray, " level"]:
    """Half widths, in standard deviations, that hold the fraction `levels` of the events' weight."""
    size = np.abs(events.pull)
    order = np.argsort(size)
    inside = np.cumsum(events.weight[order])
    return np.interp(levels, inside / inside[-1], size[order])


def coverage(events: Evaluated, factors: Float[np.ndarray, " level"]) -> Float[np.ndarray, " level"]:
    """Fraction of the events' weight with |pull| below each factor."""
    return _fraction_inside(np.abs(events.pull), events.weight, factors)


def _fraction_inside(
    size: Float[np.ndarray, " event"], weight: Float[np.ndarray, " event"], factors: Float[np.ndarray, " level"]
) -> Float[np.ndarray, " level"]:
    is_inside = size[:, None] <= factors
    inside, outside = (weight @ mask for mask in (is_inside, ~is_inside))
    return inside / (inside + outside)  # within [0, 1] whatever the rounding


def calibration_schema(is_exact: bool) -> TableSchema:
    """The table [calibration]; with the statistical part by itself where the exact score is known."""
    return replace(CALIBRATION, columns=(*CALIBRATION.columns, *(EXACT_CALIBRATION if is_exact else ())))


def calibration_columns(
    train: Evaluated, test: Evaluated, levels: Sequence[float], exact: Float[np.ndarray, " event"] | None = None
) -> dict[str, np.ndarray]:
    """Columns of the table [calibration]: factors from `train`, all else on `test`, whose exact scores are `exact`."""
    n_events = effective_number(test.weight)
    mean, width, mean_error, width_error = _moments(test, n_events)
    at = np.asarray(levels)
    factors = interval_factors(train, levels)
    conformal, normal = coverage(test, factors), coverage(test, ndtri((1 + at) / 2))
    constant = {
        "pull_mean": mean,
        "pull_mean_error": mean_error,
        "pull_width": width,
        "pull_width_error": width_error,
        "n_events": n_events,
        "n_train": effective_number(train.weight),
        "sharpness_stat": np.average(test.var_stat, weights=test.weight) ** 0.5,
        "sharpness_noise": np.average(test.var_noise, weights=test.weight) ** 0.5,
    } | _tempered(test)
    columns = {
        "level": at,
        "factor": factors,
        "coverage": conformal,
        "coverage_error": np.sqrt(conformal * (1 - conformal) / n_events),
        "coverage_normal": normal,
        "coverage_normal_error": np.sqrt(normal * (1 - normal) / n_events),
    }
    if exact is not None:
        pull = _pull_stat(test, exact)
        columns["coverage_stat"] = _fraction_inside(np.abs(pull), test.weight, ndtri((1 + at) / 2))
        error = np.average((test.mean - exact) ** 2, weights=test.weight) ** 0.5
        constant |= {"score_error": error, "pull_stat_width": error / constant["sharpness_stat"]}
    return columns | {name: np.full(at.size, value) for name, value in constant.items()}


def effective_number(weight: Float[np.ndarray, " event"]) -> float:
    """Kish's effective number of weighted events."""
    return float(weight.sum() ** 2 / (weight**2).sum())


def temperature(events: Evaluated) -> tuple[float, float]:
    """The factor on the variance that makes the pulls' mean square one, and its error."""
    square = events.pull**2
    factor = np.average(square, weights=events.weight)
    spread = np.average((square - factor) ** 2, weights=events.weight)
    return float(factor), float((spread / effective_number(events.weight)) ** 0.5)


def _tempered(events: Evaluated) -> dict[str, float]:
    """Temperature of the first half of the events, and the pulls of the second with it."""
    middle = len(events.weight) // 2
    first, second = (Evaluated(*(column[part] for column in events)) for part in (slice(middle), slice(middle, None)))
    factor, error = temperature(first)
    scaled = second._replace(var_stat=factor * second.var_stat, var_noise=factor * second.var_noise)
    _, width, _, width_error = _moments(scaled, effective_number(scaled.weight))
    return {
        "temperature": factor,
        "temperature_error": error,
        "pull_width_tempered": width,
        "pull_width_tempered_error": width_error,
    }


def _moments(events: Evaluated, n_events: float) -> tuple[float, float, float, float]:
    """Mean and width of the pulls, and their errors."""
    mean = np.average(events.pull, weights=events.weight)
    variance, fourth = (np.average((events.pull - mean) ** n, weights=events.weight) for n in (2, 4))
    return mean, variance**0.5, (variance / n_events) ** 0.5, ((fourth / variance - variance) / n_events) ** 0.5 / 2
