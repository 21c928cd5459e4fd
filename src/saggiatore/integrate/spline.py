r"""Monotone rational-quadratic splines of the unit interval onto itself.

Between knots $(x_k, y_k)$ with slopes $\delta_k$ the map is the rational-quadratic function of Gregory and Delbourgo, as
in Durkan et al., arXiv:1906.04032 (eqs. 4 to 8): increasing, once continuously differentiable, and inverted by the root
of a quadratic equation. Knots and slopes have a smallest size, so that no part of the interval is ever shut out.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.types import Array, Float, Scalar

_LEAST_BIN = 1e-3  # of a bin's width and height
_LEAST_SLOPE = 1e-3
_UNIT_SLOPE = float(np.log(np.expm1(1 - _LEAST_SLOPE)))  # softplus of it, with the least slope, is one


class Spline(NamedTuple):
    """Knots and slopes of one dimension."""

    x: Float[Array, " knot"]  # from 0 to 1, increasing
    y: Float[Array, " knot"]
    slope: Float[Array, " knot"]


class _Bin(NamedTuple):
    x: Scalar
    width: Scalar
    y: Scalar
    height: Scalar
    left: Scalar
    right: Scalar


def n_numbers(n_bins: int) -> int:
    """How many numbers make a spline of `n_bins`."""
    return 3 * n_bins + 1


def from_numbers(numbers: Float[Array, " number"]) -> Spline:
    """The spline of 3 K + 1 unbounded numbers: widths, heights and slopes; zeros give the identity."""
    n_bins = (len(numbers) - 1) // 3
    widths, heights, slopes = jnp.split(numbers, [n_bins, 2 * n_bins])
    return Spline(_knots(widths), _knots(heights), _LEAST_SLOPE + jax.nn.softplus(slopes + _UNIT_SLOPE))


def through(x: Float[Array, " knot"]) -> Spline:
    """The spline from equidistant numbers to the knots `x`: a histogram's quantile function, with a smooth density.

    The slope at a knot is the harmonic mean of those of both sides, weighted as Fritsch and Butland, SIAM J. Sci. Stat.
    Comput. 5 (1984) 300, do it for bins of equal width; it vanishes nowhere.
    """
    n_bins = len(x) - 1
    steps = jnp.diff(x) * n_bins
    inner = 2 / (1 / steps[:-1] + 1 / steps[1:])
    return Spline(jnp.linspace(0.0, 1.0, n_bins + 1), x, jnp.concatenate([steps[:1], inner, steps[-1:]]))


def forward(spline: Spline, x: Scalar) -> tuple[Scalar, Scalar]:
    """Value at `x`, with log|dy/dx|."""
    found = _bin(spline, spline.x, x)
    place = (x - found.x) / found.width
    return found.y + found.height * _share(found, place), _log_slope(found, place)


def inverse(spline: Spline, y: Scalar) -> tuple[Scalar, Scalar]:
    """The argument whose value is `y`, with log|dx/dy|."""
    found = _bin(spline, spline.y, y)
    mean = found.height / found.width
    share = (y - found.y) / found.height
    curve = found.left + found.right - 2 * mean
    a = mean - found.left + share * curve
    b = found.left - share * curve
    c = -mean * share
    place = 2 * c / (-b - jnp.sqrt(b**2 - 4 * a * c))  # the root that does not cancel
    return found.x + found.width * place, -_log_slope(found, place)


def _share(found: _Bin, place: Scalar) -> Scalar:
    """How much of the bin's height lies below a place from 0 to 1 (eq. 4)."""
    mean = found.height / found.width
    both = place * (1 - place)
    return (mean * place**2 + found.left * both) / (mean + (found.left + found.right - 2 * mean) * both)


def _log_slope(found: _Bin, place: Scalar) -> Scalar:
    """Logarithm of the derivative (eq. 5)."""
    mean = found.height / found.width
    both = place * (1 - place)
    above = found.right * place**2 + 2 * mean * both + found.left * (1 - place) ** 2
    return 2 * jnp.log(mean) + jnp.log(above) - 2 * jnp.log(mean + (found.left + found.right - 2 * mean) * both)


def _bin(spline: Spline, knots: Float[Array, " knot"], value: Scalar) -> _Bin:
    """The bin of `knots` that holds `value`; sums over a mask have a cheaper derivative than indexing."""
    inside = jnp.concatenate([jnp.ones(1, bool), value >= knots[1:-1], jnp.zeros(1, bool)])
    mask = inside[:-1] & ~inside[1:]

    def pick(values: Float[Array, " bin"]) -> Scalar:
        return jnp.sum(jnp.where(mask, values, 0.0))

    return _Bin(
        pick(spline.x[:-1]),
        pick(jnp.diff(spline.x)),
        pick(spline.y[:-1]),
        pick(jnp.diff(spline.y)),
        pick(spline.slope[:-1]),
        pick(spline.slope[1:]),
    )


def _knots(numbers: Float[Array, " bin"]) -> Float[Array, " knot"]:
    n_bins = len(numbers)
    shares = _LEAST_BIN + (1 - n_bins * _LEAST_BIN) * jax.nn.softmax(numbers)
    inner = jnp.cumsum(shares[:-1])
    return jnp.concatenate([jnp.zeros(1, shares.dtype), inner, jnp.ones(1, shares.dtype)])
