r"""How far generated events are from true ones: distances of histograms and samples, and what a classifier says.

A $\chi^2$ a bin compares two histograms with their own statistical errors: 1 is what two samples of one density have.
Bins are equally filled by the true events. The weights w of a perfect generator are 1 (arXiv:2305.16774).
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import ks_2samp, rankdata, wasserstein_distance

from saggiatore.types import Float

Values = Float[np.ndarray, " event"]


class Estimate(NamedTuple):
    """A number and its standard error."""

    value: float
    error: float


def wasserstein(true: Values, other: Values, weight: Values | None = None) -> float:
    """Wasserstein-1 distance, in standard deviations of the true events; the others may carry weights."""
    return float(wasserstein_distance(true, other, v_weights=weight) / true.std())


def kolmogorov_smirnov(true: Values, other: Values) -> float:
    """Greatest distance of the two distribution functions."""
    return float(ks_2samp(true, other, method="asymp").statistic)


def chi2_per_bin(
    true: Float[np.ndarray, "event feature"],
    other: Float[np.ndarray, "event feature"],
    n_bins: int,
    weight: Values | None = None,
) -> float:
    """chi2 over the number of bins, `n_bins` along each feature, of two samples; the true events are unweighted.

    Bins that hold fewer than ten true events and ten expected others say little and are left out. The others' weights
    count relative to their mean, and their sums have the variance of the sums of their squares.
    """
    relative = np.ones(len(other)) if weight is None else weight / weight.mean()
    edges = [np.quantile(column, np.linspace(0, 1, n_bins + 1)[1:-1]) for column in true.T]
    places = [
        np.ravel_multi_index(
            [np.searchsorted(edge, column, side="right") for edge, column in zip(edges, sample.T, strict=True)],
            [n_bins] * len(edges),
        )
        for sample in (true, other)
    ]
    size = n_bins ** len(edges)
    first = np.bincount(places[0], minlength=size)
    second, variance = (np.bincount(places[1], weights=each, minlength=size) for each in (relative, relative**2))
    ratio = len(other) / len(true)
    kept = (first >= 10) & (first * ratio >= 10)
    gap = second - ratio * first
    return float(np.mean(gap[kept] ** 2 / (variance + ratio**2 * first)[kept]))


def area_under_curve(true: Values, other: Values) -> Estimate:
    """Probability that a true event has a greater logit than another one, with the error of Hanley and McNeil.

    Radiology 143 (1982) 29, eq. 1.
    """
    n, m = len(true), len(other)
    ranks = rankdata(np.concatenate([true, other]))
    area = (ranks[:n].sum() - n * (n + 1) / 2) / (n * m)
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (area * (1 - area) + (n - 1) * (one - area**2) + (m - 1) * (two - area**2)) / (n * m)
    return Estimate(float(area), float(variance**0.5))


def reliability(true: Values, other: Values, n_bins: int) -> dict[str, np.ndarray]:
    """In bins of D, equally filled: its mean, the fraction of true events with its error, and the number of events.

    Both samples count as equally large, as in the training.
    """
    logits = np.concatenate([true, other])
    stated = 1 / (1 + np.exp(-logits))
    is_true = np.repeat([1.0, 0.0], [len(true), len(other)])
    weight = np.where(is_true, 0.5 / len(true), 0.5 / len(other))
    parts = np.array_split(np.argsort(logits, kind="stable"), n_bins)
    mean = np.array([np.average(stated[p], weights=weight[p]) for p in parts])
    fraction = np.array([np.average(is_true[p], weights=weight[p]) for p in parts])
    size = np.array([len(p) for p in parts])
    return {"stated": mean, "found": fraction, "found_error": np.sqrt(mean * (1 - mean) / size), "n_events": size}
