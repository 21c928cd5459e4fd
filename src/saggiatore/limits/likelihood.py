r"""Binned Poisson likelihoods: -2 log of their ratios, without and with nuisance parameters.

Everywhere q(theta) = -2 log [L(theta) / L(best)], with L a product of Poisson probabilities of the bins, or without the
rate the multinomial probability of the bins given the total. "Asimov" data are the expectation itself, of which
Cowan, Cranmer, Gross and Vitells, arXiv:1007.1727 (sec. 3.2) show that q is the median of that of many experiments.
"""

import numpy as np

from saggiatore.limits.template import Template
from saggiatore.types import Float

_STEPS = 30
_HALVINGS = 30
_PRECISION = 1e-9  # of q


def deviance(
    counts: Float[np.ndarray, "experiment bin"], expected: Float[np.ndarray, "point bin"], with_rate: bool
) -> Float[np.ndarray, "experiment point"]:
    """-2 log L of each experiment at each point, up to a constant of the experiment."""
    total = expected.sum(axis=1)
    if with_rate:
        return 2 * (total - counts @ np.log(expected).T)
    return -2 * counts @ np.log(expected / total[:, None]).T


def asimov(
    template: Template, points: Float[np.ndarray, "point theta"], with_rate: bool
) -> Float[np.ndarray, " point"]:
    """q of the data expected at theta = 0.

    Raises:
        LikelihoodError: if a bin expects no events somewhere.
    """
    counts = template.expected(np.zeros(points.shape[1]))
    expected = template.require_positive(points)
    if not with_rate:
        expected = expected * (counts.sum() / expected.sum(axis=1, keepdims=True))
    # term by term, since the sums are large and their difference is small
    return 2 * (expected - counts + counts * np.log(counts / expected)).sum(axis=1)


def profiled_asimov(
    template: Template, points: Float[np.ndarray, "point theta"], with_rate: bool
) -> Float[np.ndarray, " point"]:
    r"""q of the data expected at theta = 0, minimised over the nuisance parameters.

    These are the template's `shifts`, and one for each bin for the number of simulated events at theta = 0; all have a
    Gaussian constraint of unit width. Without the rate a free total is one more. The minimum is Newton's: -2 log L is
    convex, since the expectation is linear in the nuisance parameters.
    """
    counts = template.expected(np.zeros(points.shape[1]))
    central = template.require_positive(points)
    directions, constraint = _directions(template, points, central, with_rate)
    eta = np.zeros(directions.shape[:2])
    value = _objective(counts, central, directions, constraint, eta)
    for _ in range(_STEPS):
        expected = central + np.einsum("pj,pjb->pb", eta, directions)
        slope = 2 * np.einsum("pb,pjb->pj", 1 - counts / expected, directions) + 2 * constraint * eta
        curvature = 2 * np.einsum("pjb,pkb,pb->pjk", directions, directions, counts / expected**2, optimize=True)
        curvature += 2 * np.diag(constraint)
        step = -np.linalg.solve(curvature, slope[..., None])[..., 0]
        eta, lowered = _descend(counts, central, directions, constraint, eta, step, value)
        if (value - lowered).max() < _PRECISION:
            return lowered
        value = lowered
    return value


def _directions(
    template: Template, points: np.ndarray, central: np.ndarray, with_rate: bool
) -> tuple[Float[np.ndarray, "point nuisance bin"], Float[np.ndarray, " nuisance"]]:
    """What each nuisance parameter adds to the bins at each point, and the weights of the constraints."""
    n_points, n_bins = central.shape
    statistical = np.broadcast_to(np.diag(np.sqrt(template.variance)), (n_points, n_bins, n_bins))
    parts, constraint = [statistical], [np.ones(n_bins)]
    if len(template.shifts):
        parts.append(np.einsum("pm,jbm->pjb", template.monomials(points), template.shifts))
        constraint.append(np.ones(len(template.shifts)))
    if not with_rate:
        parts.append(central[:, None])
        constraint.append(np.zeros(1))
    return np.concatenate(parts, axis=1), np.concatenate(constraint)


def _objective(
    counts: np.ndarray, central: np.ndarray, directions: np.ndarray, constraint: np.ndarray, eta: np.ndarray
) -> Float[np.ndarray, " point"]:
    """-2 log L against the data themselves, plus constraints; infinite where a bin expects no events."""
    expected = central + np.einsum("pj,pjb->pb", eta, directions)
    is_possible = (expected > 0).all(axis=1)
    safe = np.where(expected > 0, expected, 1.0)
    value = 2 * (safe - counts + counts * np.log(counts / safe)).sum(axis=1) + (constraint * eta**2).sum(axis=1)
    return np.where(is_possible, value, np.inf)


def _descend(
    counts: np.ndarray,
    central: np.ndarray,
    directions: np.ndarray,
    constraint: np.ndarray,
    eta: np.ndarray,
    step: np.ndarray,
    value: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The step, halved at the points where it does not lower the objective."""
    length = np.ones(len(value))
    for _ in range(_HALVINGS):
        trial = eta + length[:, None] * step
        found = _objective(counts, central, directions, constraint, trial)
        is_worse = found > value
        if not is_worse.any():
            break
        length[is_worse] /= 2
    better = found <= value
    return np.where(better[:, None], trial, eta), np.where(better, found, value)
