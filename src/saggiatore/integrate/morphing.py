r"""Morphing: weights at any theory parameters from the weights at a few benchmarks.

In parameters theta in which the squared amplitude is jointly a polynomial of degree two, so is every event's weight,
$w(z|\theta) = \sum_m c_m(z)\, m(\theta)$ over the monomials $1, \theta_i, \theta_i \theta_j$. Weights at as many
benchmarks as there are monomials, in general position, determine the coefficients c (arXiv:1805.00013, sec. II C;
arXiv:1907.10621, sec. 3.2); more of them are solved by least squares, and what is left over tells whether the weights
are such a polynomial. The weight at another theta and its derivative, which is the joint score up to the one of the
cross section, are then sums over the benchmarks.

Imports no jax: the workflow checks the benchmarks of a study before anything runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from saggiatore.errors import StudyError

if TYPE_CHECKING:
    from saggiatore.types import Float

MAX_CONDITION = 1e6  # weights in files have eight digits or so: beyond it, two of them would be left
_RANK = 1e-10  # singular values below this fraction of the largest are zero
_ZERO = 1e-6  # of the entries of an undetermined direction


@dataclass(frozen=True)
class Morphing:
    """Benchmarks that span the polynomials of degree two in theta.

    The polynomial is written in $x = (\\theta - \\text{centre}) / \\text{width}$: the benchmarks fill [-1, 1].
    """

    parameters: tuple[str, ...]
    centre: Float[np.ndarray, " theta"]
    width: Float[np.ndarray, " theta"]
    design: Float[np.ndarray, "benchmark monomial"]
    solution: Float[np.ndarray, "monomial benchmark"]  # pseudo-inverse of the design
    condition: float  # of the design: largest over smallest singular value

    @property
    def n_spare(self) -> int:
        """Benchmarks beyond those that are needed."""
        return int(self.design.shape[0] - self.design.shape[1])

    def coefficients(self, weights: Float[np.ndarray, "event benchmark"]) -> Float[np.ndarray, "event monomial"]:
        """Coefficients of each event's polynomial, in the unit of `weights`."""
        return weights @ self.solution.T

    def fitted(self, coefficients: Float[np.ndarray, "event monomial"]) -> Float[np.ndarray, "event benchmark"]:
        """Weights at the benchmarks by the polynomial."""
        return coefficients @ self.design.T

    def weight(
        self, coefficients: Float[np.ndarray, "*event monomial"], theta: Float[np.ndarray, " theta"]
    ) -> Float[np.ndarray, "*event"]:
        """Weights at `theta`."""
        return coefficients @ monomials((theta - self.centre) / self.width)

    def gradient(
        self, coefficients: Float[np.ndarray, "*event monomial"], theta: Float[np.ndarray, " theta"]
    ) -> Float[np.ndarray, "*event theta"]:
        """Derivatives of the weights by the parameters at `theta`."""
        return coefficients @ (slopes((theta - self.centre) / self.width) / self.width)

    def each_weight(
        self, coefficients: Float[np.ndarray, "event monomial"], theta: Float[np.ndarray, "event theta"]
    ) -> Float[np.ndarray, " event"]:
        """Weight of each event at its own `theta`."""
        return np.einsum("em,em->e", coefficients, monomials((theta - self.centre) / self.width))

    def each_gradient(
        self, coefficients: Float[np.ndarray, "event monomial"], theta: Float[np.ndarray, "event theta"]
    ) -> Float[np.ndarray, "event theta"]:
        """Derivatives of each event's weight at its own `theta`."""
        return np.einsum("em,emi->ei", coefficients, slopes((theta - self.centre) / self.width)) / self.width

    def amplification(self, theta: Float[np.ndarray, " theta"]) -> float:
        """Root of the summed squares of the benchmarks' shares in the weight at `theta`: by how much noise grows."""
        return float(np.linalg.norm(monomials((theta - self.centre) / self.width) @ self.solution))


def monomials(x: Float[np.ndarray, "*point theta"]) -> Float[np.ndarray, "*point monomial"]:
    """1, then all x_i, then x_i x_j for i <= j."""
    first, second = np.triu_indices(x.shape[-1])
    return np.concatenate([np.ones((*x.shape[:-1], 1)), x, x[..., first] * x[..., second]], axis=-1)


def slopes(x: Float[np.ndarray, "*point theta"]) -> Float[np.ndarray, "*point monomial theta"]:
    """Derivatives of the monomials by x."""
    n = x.shape[-1]
    unit = np.eye(n)
    first, second = np.triu_indices(n)
    linear = np.broadcast_to(unit, (*x.shape[:-1], n, n))
    square = unit[first] * x[..., second, None] + unit[second] * x[..., first, None]
    return np.concatenate([np.zeros((*x.shape[:-1], 1, n)), linear, square], axis=-2)


def n_monomials(n_theta: int) -> int:
    """Monomials of degree two at most in `n_theta` parameters: (n + 1)(n + 2)/2."""
    return (n_theta + 1) * (n_theta + 2) // 2


def morphing(parameters: Sequence[str], benchmarks: Mapping[str, Mapping[str, float]]) -> Morphing:
    """The morphing of weights at `benchmarks`: a name, and the parameters that are not zero there.

    Raises:
        StudyError: if the benchmarks do not determine every coefficient of the polynomial, or only just.
    """
    points = np.array([[point.get(name, 0.0) for name in parameters] for point in benchmarks.values()], dtype=float)
    points = points.reshape(-1, len(parameters))
    low, high = points.min(axis=0), points.max(axis=0)
    centre, width = (low + high) / 2, np.where(high > low, (high - low) / 2, 1.0)
    design = monomials((points - centre) / width)
    values = np.linalg.svd(design, compute_uv=False)
    rank = int((values > _RANK * values[0]).sum())
    if rank < design.shape[1]:
        raise StudyError(
            f"the benchmarks determine {rank} of the {design.shape[1]} terms of an event's weight, a polynomial of "
            f"degree two in {', '.join(parameters)}: {design.shape[1]} independent benchmarks are needed, the events' "
            f"own weight is one of them, and {rank} of the {len(points)} that came are independent. Undetermined: "
            f"{'; '.join(_undetermined(parameters, points))}. Add weights at points where these differ from zero."
        )
    condition = float(values[0] / values[-1])
    if condition > MAX_CONDITION:
        raise StudyError(
            f"the benchmarks determine an event's weight only just: their condition number is {condition:.3g}, at most "
            f"{MAX_CONDITION:g} keeps digits. Choose benchmarks that lie further apart, and not nearly on one conic."
        )
    return Morphing(tuple(parameters), centre, width, design, np.linalg.pinv(design), condition)


def _undetermined(parameters: Sequence[str], points: Float[np.ndarray, "benchmark theta"]) -> list[str]:
    """Polynomials that vanish at all points, as text: the directions in which the weights say nothing."""
    scale = np.where(points.any(axis=0), np.abs(points).max(axis=0), 1.0)
    matrix = monomials(points / scale)
    _, values, rows = np.linalg.svd(matrix)
    kernel = rows[int((values > _RANK * values[0]).sum()) :] / monomials(scale)
    pivots: list[int] = []
    for row in range(len(kernel)):  # reduced, so that each direction has few terms
        free = np.array([0.0 if place in pivots else abs(value) for place, value in enumerate(kernel[row])])
        pivots.append(int(free.argmax()))
        kernel[row] /= kernel[row, pivots[-1]]
        for other in set(range(len(kernel))) - {row}:
            kernel[other] -= kernel[other, pivots[-1]] * kernel[row]
    return [_text(parameters, row) for row in kernel]


def _text(parameters: Sequence[str], row: Float[np.ndarray, " monomial"]) -> str:
    first, second = np.triu_indices(len(parameters))
    products = [
        f"{parameters[i]}*{parameters[j]}" if i != j else f"{parameters[i]}^2"
        for i, j in zip(first.tolist(), second.tolist(), strict=True)
    ]
    terms = zip(row.tolist(), ["1", *parameters, *products], strict=True)
    return " ".join(f"{value:+.4g}*{name}" for value, name in terms if abs(value) > _ZERO)
