r"""Binned Poisson likelihoods: -2 log of their ratios, without and with nuisance parameters.

Everywhere q(theta) = -2 log [L(theta) / L(best)], with L a product of Poisson probabilities of the bins, or without the
rate the multinomial probability of the bins given the total. "Asimov" data are the expectation itself, of which
Cowan, Cranmer, Gross and Vitells, arXiv:1007.1727 (sec. 3.2) show that q is the median of that of many experiments.
"""

from dataclasses import dataclass

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
    Gaussian constraint of unit width, and the expectation is linear in them. The minimum is Newton's.
    """
    problem = _Problem.of(template, points, with_rate)
    eta = np.zeros(problem.directions.shape[:2])
    value = problem.objective(eta)
    for _ in range(_STEPS):
        eta, lowered = _descend(problem, eta, problem.step(eta), value)
        if (value - lowered).max() < _PRECISION:
            return lowered
        value = lowered
    return value


@dataclass(frozen=True)
class _Problem:
    """-2 log L of one set of counts at many points, as a function of nuisance parameters eta at each."""

    counts: Float[np.ndarray, " bin"]
    central: Float[np.ndarray, "point bin"]  # expectation at eta = 0
    directions: Float[np.ndarray, "point nuisance bin"]  # what each nuisance parameter adds
    with_rate: bool

    @classmethod
    def of(cls, template: Template, points: Float[np.ndarray, "point theta"], with_rate: bool) -> "_Problem":
        """The problem of the data expected at theta = 0."""
        central = template.require_positive(points)
        n_points, n_bins = central.shape
        simulation = np.broadcast_to(np.diag(np.sqrt(template.variance)), (n_points, n_bins, n_bins))
        shifts = template.shifts.reshape(-1, *template.coefficients.shape)
        varied = np.einsum("pm,jbm->pjb", template.monomials(points), shifts)
        counts = template.expected(np.zeros(points.shape[1]))
        return cls(counts, central, np.concatenate([simulation, varied], axis=1), with_rate)

    def expected(self, eta: Float[np.ndarray, "point nuisance"]) -> Float[np.ndarray, "point bin"]:
        """Expectation; without the rate it is as large as the counts."""
        return self.central + np.einsum("pj,pjb->pb", eta, self.directions)

    def objective(self, eta: Float[np.ndarray, "point nuisance"]) -> Float[np.ndarray, " point"]:
        """-2 log L over that of the counts themselves, plus constraints; infinite where a bin expects no events."""
        expected = self.expected(eta)
        is_possible = (expected > 0).all(axis=1)
        safe = np.where(expected > 0, expected, 1.0)
        if not self.with_rate:
            safe = safe * (self.counts.sum() / safe.sum(axis=1, keepdims=True))
        terms = safe - self.counts + self.counts * np.log(self.counts / safe)
        return np.where(is_possible, 2 * terms.sum(axis=1) + (eta**2).sum(axis=1), np.inf)

    def step(self, eta: Float[np.ndarray, "point nuisance"]) -> Float[np.ndarray, "point nuisance"]:
        """Newton's step towards the minimum."""
        expected, directions = self.expected(eta), self.directions
        slope = eta - np.einsum("pb,pjb->pj", self.counts / expected, directions)
        weighted = directions * (self.counts / expected**2)[:, None]
        curvature = np.eye(eta.shape[1]) + weighted @ directions.swapaxes(1, 2)
        total = directions.sum(axis=2)
        if self.with_rate:
            slope = slope + total
        else:
            share = (self.counts.sum() / expected.sum(axis=1))[:, None]
            slope = slope + share * total
            relative = total / expected.sum(axis=1, keepdims=True)
            curvature = curvature - self.counts.sum() * relative[:, :, None] * relative[:, None, :]
        return -np.linalg.solve(curvature, slope[..., None])[..., 0]


def _descend(problem: _Problem, eta: np.ndarray, step: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The step, halved at the points where it does not lower the objective."""
    length = np.ones(len(value))
    trial, found = eta, value
    for _ in range(_HALVINGS):
        trial = eta + length[:, None] * step
        found = problem.objective(trial)
        is_worse = found > value
        if not is_worse.any():
            break
        length[is_worse] /= 2
    is_better = found <= value
    return np.where(is_better[:, None], trial, eta), np.where(is_better, found, value)
