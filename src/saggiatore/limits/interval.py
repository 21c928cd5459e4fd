"""Intervals of stated probability from q(theta) on a grid, by Wilks' theorem: q follows a chi-squared distribution."""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import gammaincinv

from saggiatore.types import Float

_FINER = 20  # points of a spline for one of the grid, where a minimum is looked for


@dataclass(frozen=True)
class Interval:
    """The connected part around the best value; where q stays below its threshold, an end is that of the grid."""

    low: float
    high: float
    is_bounded: bool  # both ends lie inside the grid
    is_connected: bool  # no other part of the grid lies below the threshold


def threshold(level: float, n_theta: int) -> float:
    """Value of q that bounds the region of probability `level` in `n_theta` parameters."""
    return float(2 * gammaincinv(n_theta / 2, level))  # of chi2; scipy.stats takes a second to import


def interval(theta: Float[np.ndarray, " point"], q: Float[np.ndarray, " point"], at: float, level: float) -> Interval:
    """Where q stays below the threshold of one parameter, around `at`; a cubic spline joins the points."""
    crossings = CubicSpline(theta, q - threshold(level, 1)).roots(extrapolate=False)
    below, above = crossings[crossings < at], crossings[crossings > at]
    low = float(below[-1]) if len(below) else float(theta[0])
    high = float(above[0]) if len(above) else float(theta[-1])
    return Interval(low, high, bool(len(below) and len(above)), bool(len(below) <= 1 and len(above) <= 1))


def fisher_interval(information: Float[np.ndarray, "theta theta"], place: int, level: float) -> float:
    """Half width of the interval of one parameter, the others free; infinite if the information leaves it open."""
    values = np.linalg.eigvalsh(information)
    if not values[0] > 1e-9 * values[-1]:
        return np.inf
    return float(np.sqrt(threshold(level, 1) * np.linalg.inv(information)[place, place]))


def profile(
    axes: tuple[Float[np.ndarray, " point"], ...], q: Float[np.ndarray, "*point"], place: int
) -> Float[np.ndarray, " point"]:
    """q of one parameter, minimised over the other one if there are two."""
    if q.ndim == 1:
        return q
    other = 1 - place
    fine = np.linspace(axes[other][0], axes[other][-1], _FINER * len(axes[other]))
    return CubicSpline(axes[other], q, axis=other)(fine).min(axis=other)
