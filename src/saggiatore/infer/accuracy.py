r"""How accurate a learned amplitude is, and whether it knows: $\Delta = (A - A_{net}) / A$ and pulls.

The network gives the mean m of log A, its systematic variance (what the likelihood learned) and, over a posterior of
its weights, its statistical one; $\Delta = 1 - e^{m - \log A}$. An amplitude has no noise, so that the pull
$(\log A - m) / \sigma$ can be taken with each part of the error: with $\sigma_{syst}$ and with both it is as wide as
one where the network knows its error; with $\sigma_{stat}$ alone it is wider where more than the number of events
limits the network (arXiv:2412.12069, sec. 4).
"""

from typing import NamedTuple

import numpy as np

from saggiatore.infer.calibrate import Evaluated, effective_number
from saggiatore.types import Float

Values = Float[np.ndarray, " event"]
NORMAL_68 = 0.9944578832097531  # the quantile of |pull| that holds 68 % of a normal distribution


class Region(NamedTuple):
    """Part of phase space, between quantiles of the amplitude."""

    name: str
    low: float
    high: float


REGIONS = (
    Region("all", 0, 1),
    Region("below_50", 0, 0.5),
    Region("50_to_90", 0.5, 0.9),
    Region("90_to_99", 0.9, 0.99),
    Region("above_99", 0.99, 1),
)


def delta(events: Evaluated) -> Values:
    """(A - A_net) / A of each event."""
    return -np.expm1(events.mean - events.joint_score)


def pull_stat(events: Evaluated) -> Values:
    """(log A - m) / sigma_stat; zero where there are no draws."""
    return _over(events.joint_score - events.mean, events.var_stat)


def pull_syst(events: Evaluated) -> Values:
    """(log A - m) / sigma_syst."""
    return _over(events.joint_score - events.mean, events.var_noise)


def inside(events: Evaluated, region: Region) -> Float[np.ndarray, " event"]:
    """Which events lie in a region, by the quantiles of the amplitude over all of them."""
    low, high = np.quantile(events.joint_score, (region.low, region.high))
    return (events.joint_score >= low) & (events.joint_score <= high)


def part(events: Evaluated, rows: np.ndarray) -> Evaluated:
    """Some of the events."""
    return Evaluated(*(column[rows] for column in events))


def quantile(values: Values, weight: Values, level: float) -> tuple[float, float]:
    """Weighted quantile, and its standard error by the order statistics one binomial error away."""
    order = np.argsort(values)
    ordered, below = values[order], np.cumsum(weight[order]) / weight.sum()
    step = (level * (1 - level) / effective_number(weight)) ** 0.5
    low, found, high = (float(np.interp(at, below, ordered)) for at in (level - step, level, level + step))
    return found, (high - low) / 2


def summary(events: Evaluated) -> dict[str, float]:
    """Quantiles of |Delta|, its mean, pulls and the sizes of both errors, with standard errors where they have one."""
    found, pull, weight = delta(events), events.pull, events.weight
    n_events = effective_number(weight)
    row = {"n_events": n_events}
    for name, level in (("delta_50", 0.5), ("delta_68", 0.68), ("delta_95", 0.95), ("delta_99", 0.99)):
        row[name], row[f"{name}_error"] = quantile(np.abs(found), weight, level)
    row["bias"], row["bias_error"] = _mean(found, weight)
    row["pull_mean"], row["pull_mean_error"] = _mean(pull, weight)
    for name, pulls in (("", pull), ("_syst", pull_syst(events)), ("_stat", pull_stat(events))):
        size, error = quantile(np.abs(pulls), weight, 0.68)
        row[f"pull{name}_68"], row[f"pull{name}_68_error"] = size / NORMAL_68, error / NORMAL_68
    square, error = _mean((pull - row["pull_mean"]) ** 2, weight)
    row["pull_width"], row["pull_width_error"] = square**0.5, error / (2 * square**0.5)
    for name, variance in (("sigma_syst", events.var_noise), ("sigma_stat", events.var_stat)):
        row[name], row[f"{name}_error"] = quantile(np.sqrt(variance), weight, 0.5)
    return row


def _mean(values: Values, weight: Values) -> tuple[float, float]:
    mean = float(np.average(values, weights=weight))
    return mean, float((np.average((values - mean) ** 2, weights=weight) / effective_number(weight)) ** 0.5)


def _over(gap: Values, variance: Values) -> Values:
    return np.divide(gap, np.sqrt(variance), out=np.zeros_like(gap), where=variance > 0)
