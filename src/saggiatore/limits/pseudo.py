"""Pseudo-experiments: counts drawn from what is expected at some theta, each analysed like data."""

from dataclasses import dataclass

import numpy as np

from saggiatore.limits.interval import threshold
from saggiatore.limits.likelihood import deviance
from saggiatore.limits.template import Template
from saggiatore.types import Float

_BLOCK = 250  # experiments that are analysed at once
_STEPS = 8


@dataclass(frozen=True)
class Experiments:
    """What each pseudo-experiment found."""

    best: Float[np.ndarray, "experiment theta"]
    q_truth: Float[np.ndarray, " experiment"]  # -2 log L ratio of the truth to the best
    ends: Float[np.ndarray, "experiment level 2"]  # of the intervals; empty with several parameters

    def coverage(self, level: float) -> tuple[float, float]:
        """Fraction of experiments whose region of probability `level` holds the truth, and its binomial error."""
        found = float((self.q_truth <= threshold(level, self.best.shape[1])).mean())
        return found, (level * (1 - level) / len(self.q_truth)) ** 0.5


def experiments(
    template: Template,
    truth: Float[np.ndarray, " theta"],
    points: Float[np.ndarray, "point theta"],
    levels: tuple[float, ...],
    n_experiments: int,
    with_rate: bool,
    seed: int,
) -> Experiments:
    """Draw counts at `truth`, Poisson in every bin, and analyse them: see `analyse`."""
    random = np.random.default_rng(seed)
    at_truth = template.require_positive(truth[None])[0]
    counts = random.poisson(at_truth, (n_experiments, template.n_bins)).astype(float)
    return analyse(template, counts, truth, points, levels, with_rate)


def analyse(
    template: Template,
    counts: Float[np.ndarray, "experiment bin"],
    truth: Float[np.ndarray, " theta"],
    points: Float[np.ndarray, "point theta"],
    levels: tuple[float, ...],
    with_rate: bool,
) -> Experiments:
    """Best values and intervals of many experiments, and how far they find the `truth`.

    The best value is that of `points` with the smallest -2 log L, improved by Fisher scoring. The ends of an interval
    of one parameter are interpolated between `points`, which must ascend.

    Raises:
        LikelihoodError: if a bin expects no events somewhere.
    """
    expected, at_truth = template.require_positive(points), template.require_positive(truth[None])
    parts = []
    for first in range(0, len(counts), _BLOCK):
        block = counts[first : first + _BLOCK]
        values = deviance(block, expected, with_rate)
        coarse = values.argmin(axis=1)
        best, lowest = _improve(template, block, points[coarse], values.min(axis=1), with_rate, points)
        q_truth = deviance(block, at_truth, with_rate)[:, 0] - lowest
        parts.append((best, q_truth, _ends(points[:, 0], values - lowest[:, None], coarse, levels, points.shape[1])))
    return Experiments(*(np.concatenate(several) for several in zip(*parts, strict=True)))


def _improve(
    template: Template, counts: np.ndarray, theta: np.ndarray, value: np.ndarray, with_rate: bool, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fisher scoring from the best point; a step that does not lower -2 log L is not taken."""
    low, high = points.min(axis=0), points.max(axis=0)
    for _ in range(_STEPS):
        expected, slopes = template.expected(theta), template.slopes(theta)
        total, relative = slopes.sum(axis=1), slopes / expected[..., None]
        if with_rate:
            gradient = np.einsum("eb,ebi->ei", counts, relative) - total
        else:
            share = expected.sum(axis=1, keepdims=True)
            relative = relative - (total / share)[:, None]
            expected = counts.sum(axis=1, keepdims=True) * expected / share
            gradient = np.einsum("eb,ebi->ei", counts, relative)
        information = np.einsum("ebi,ebj,eb->eij", relative, relative, expected)
        step = np.einsum("eij,ej->ei", np.linalg.pinv(information, rcond=1e-9, hermitian=True), gradient)
        trial = np.clip(theta + step, low, high)
        found = _own_deviance(counts, template.expected(trial), with_rate)
        is_better = found < value
        theta, value = np.where(is_better[:, None], trial, theta), np.where(is_better, found, value)
    return theta, value


def _own_deviance(counts: np.ndarray, expected: np.ndarray, with_rate: bool) -> Float[np.ndarray, " experiment"]:
    """-2 log L of each experiment at its own point."""
    total = expected.sum(axis=1, keepdims=True)
    if with_rate:
        return 2 * (total[:, 0] - (counts * np.log(expected)).sum(axis=1))
    return -2 * (counts * np.log(expected / total)).sum(axis=1)


def _ends(
    theta: np.ndarray, q: np.ndarray, best: np.ndarray, levels: tuple[float, ...], n_theta: int
) -> Float[np.ndarray, "experiment level 2"]:
    """First crossings of the thresholds on both sides of the best point; an end of the grid where there is none."""
    if n_theta > 1:
        return np.zeros((len(q), 0, 2))
    place = np.arange(len(theta))
    found = np.empty((len(q), len(levels), 2))
    for number, level in enumerate(levels):
        is_out = q > threshold(level, 1)
        right = np.where(is_out & (place > best[:, None]), place, len(theta)).min(axis=1)
        left = np.where(is_out & (place < best[:, None]), place, -1).max(axis=1)
        for side, (outer, inner) in enumerate(((left, left + 1), (right, right - 1))):
            outside = np.clip(outer, 0, len(theta) - 1)
            row = np.arange(len(q))
            a, b = q[row, inner], q[row, outside]
            share = np.where(a == b, 0.0, (threshold(level, 1) - a) / np.where(a == b, 1.0, b - a))
            crossing = theta[inner] + share * (theta[outside] - theta[inner])
            edge = theta[0] if side == 0 else theta[-1]
            is_open = (outer < 0) | (outer >= len(theta))
            found[:, number, side] = np.where(is_open, edge, crossing)
    return found
