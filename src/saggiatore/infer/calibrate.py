r"""Are stated errors true? Pulls of held-out events, and the coverage of intervals for their joint score.

The pull of an event is (t - m(x)) / sqrt(var_stat + var_noise). Its mean should be 0 and its width 1 whatever the shape
of p(t|x). A *central interval* m +- k sqrt(var_stat + var_noise) has the stated coverage only if k fits that shape: at
fixed x the joint score is a mixture over flavour channels, narrow with far tails, and the normal k is too wide at 68 %
and too narrow at 99 %. So k is the quantile of |pull| on the training events (split conformal prediction, Lei et al.,
arXiv:1604.04173), and the coverage is counted on others. It holds averaged over events, not at each x.
"""

from collections.abc import Iterable, Sequence
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

PULLS = TableSchema(
    "pulls",
    1,
    (
        Column("joint_score", "1", "joint score of a held-out event", "$t$"),
        Column("mean", "1", "posterior mean of the score at the event's features", r"$\hat t$"),
        Column("std_stat", "1", "standard deviation of the score over the posterior", r"$\sigma_{\rm stat}$"),
        Column("std_noise", "1", "standard deviation of the joint score at fixed features", r"$\sigma_{\rm noise}$"),
        Column("pull", "1", "(joint_score - mean) / sqrt(std_stat^2 + std_noise^2)", "pull"),
        Column("weight", "pb", "Monte Carlo weight"),
    ),
)
CALIBRATION = TableSchema(
    "calibration",
    1,
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
    ),
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


def pulls_columns(events: Evaluated, n_rows: int) -> dict[str, np.ndarray]:
    """Columns of the table [pulls], of the first `n_rows` events."""
    columns = {
        "joint_score": events.joint_score,
        "mean": events.mean,
        "std_stat": np.sqrt(events.var_stat),
        "std_noise": np.sqrt(events.var_noise),
        "pull": events.pull,
        "weight": events.weight,
    }
    return {name: values[:n_rows] for name, values in columns.items()}


def interval_factors(events: Evaluated, levels: Sequence[float]) -> Float[np.ndarray, " level"]:
    """Half widths, in standard deviations, that hold the fraction `levels` of the events' weight."""
    size = np.abs(events.pull)
    order = np.argsort(size)
    inside = np.cumsum(events.weight[order])
    return np.interp(levels, inside / inside[-1], size[order])


def coverage(events: Evaluated, factors: Float[np.ndarray, " level"]) -> Float[np.ndarray, " level"]:
    """Fraction of the events' weight with |pull| below each factor."""
    is_inside = np.abs(events.pull)[:, None] <= factors
    inside, outside = (events.weight @ mask for mask in (is_inside, ~is_inside))
    return inside / (inside + outside)  # within [0, 1] whatever the rounding


def calibration_columns(train: Evaluated, test: Evaluated, levels: Sequence[float]) -> dict[str, np.ndarray]:
    """Columns of the table [calibration]: factors from `train`, everything else counted on `test`."""
    n_events = test.weight.sum() ** 2 / (test.weight**2).sum()
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
    }
    return {
        "level": at,
        "factor": factors,
        "coverage": conformal,
        "coverage_error": np.sqrt(conformal * (1 - conformal) / n_events),
        "coverage_normal": normal,
        "coverage_normal_error": np.sqrt(normal * (1 - normal) / n_events),
    } | {name: np.full(at.size, value) for name, value in constant.items()}


def _moments(events: Evaluated, n_events: float) -> tuple[float, float, float, float]:
    """Mean and width of the pulls, and their errors."""
    mean = np.average(events.pull, weights=events.weight)
    variance, fourth = (np.average((events.pull - mean) ** n, weights=events.weight) for n in (2, 4))
    return mean, variance**0.5, (variance / n_events) ** 0.5, ((fourth / variance - variance) / n_events) ** 0.5 / 2
