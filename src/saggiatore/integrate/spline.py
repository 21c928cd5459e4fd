r"""Monotone rational-quadratic splines of the unit interval onto itself.

In a bin from $(x_k, y_k)$ to $(x_{k+1}, y_{k+1})$ with slopes $\delta_k$ and $\delta_{k+1}$ at its ends the map is the
rational-quadratic function of Gregory and Delbourgo, as in Durkan et al., arXiv:1906.04032 (eqs. 4 to 8): increasing,
once continuously differentiable, and inverted by the root of a quadratic equation. Bins and slopes have a smallest
size, so that no part of the interval is ever shut out.

Axes behind the first one are events: in that order a step of training takes half the time (docs/benchmarks.md).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.types import Array, Float, Int

_LEAST_BIN = 1e-3  # of a bin's width and height
_LEAST_SLOPE = 1e-3
_UNIT_SLOPE = float(np.log(np.expm1(1 - _LEAST_SLOPE)))  # softplus of it, with the least slope, is one

Values = Float[Array, "*event"]


class Spline(NamedTuple):
    """A spline for each event, in unbounded numbers: what a bin is made of is worked out for the bin that is needed."""

    widths: Float[Array, "bin *event"]  # logarithms, up to a constant
    heights: Float[Array, "bin *event"]
    slopes: Float[Array, "knot *event"]  # zero is a slope of one


class Bin(NamedTuple):
    """The bin that holds a value."""

    x: Values
    width: Values
    y: Values
    height: Values
    left: Values  # slopes at its ends
    right: Values


def n_numbers(n_bins: int) -> int:
    """How many numbers make a spline of `n_bins`."""
    return 3 * n_bins + 1


def from_numbers(numbers: Float[Array, "number *event"]) -> Spline:
    """The spline of 3 K + 1 unbounded numbers: widths, heights and slopes; zeros give the identity."""
    n_bins = (len(numbers) - 1) // 3
    widths, heights, slopes = jnp.split(numbers, [n_bins, 2 * n_bins])
    return Spline(widths, heights, slopes)


def forward(spline: Spline, x: Values) -> tuple[Values, Values]:
    """Value at `x`, with log|dy/dx|."""
    return value_in(_find(spline, x, is_inverse=False), x)


def inverse(spline: Spline, y: Values) -> tuple[Values, Values]:
    """The argument whose value is `y`, with log|dx/dy|."""
    return argument_in(_find(spline, y, is_inverse=True), y)


def smooth_forward(edges: Float[Array, " knot"], x: Values) -> tuple[Values, Values]:
    """Value at `x`, with log|dy/dx|, of the spline through `edges` at equidistant arguments.

    `edges` are those of a histogram with equally filled bins: this is its quantile function with a continuous density.
    """
    n_bins = len(edges) - 1
    return value_in(_smooth_bin(edges, jnp.minimum((x * n_bins).astype(int), n_bins - 1)), x)


def smooth_inverse(edges: Float[Array, " knot"], y: Values) -> tuple[Values, Values]:
    """The argument at which `smooth_forward` gives `y`, with log|dx/dy|."""
    return argument_in(_smooth_bin(edges, jnp.searchsorted(edges[1:-1], y, side="right", method="compare_all")), y)


def value_in(found: Bin, x: Values) -> tuple[Values, Values]:
    """Value at an `x` in the bin (eq. 4), with log|dy/dx|."""
    place = (x - found.x) / found.width
    mean, both = found.height / found.width, place * (1 - place)
    share = (mean * place**2 + found.left * both) / (mean + (found.left + found.right - 2 * mean) * both)
    return found.y + found.height * share, _log_slope(found, place)


def argument_in(found: Bin, y: Values) -> tuple[Values, Values]:
    """The argument of a `y` in the bin (eqs. 6 to 8), with log|dx/dy|.

    The discriminant is written as a sum of two terms that are not negative, and no difference of near numbers is taken:
    in bins much steeper than their ends rounding carries the textbook root out of the bin, in single precision so far
    that its slope is not positive.
    """
    # rounding may carry the ends of the bin out of it
    share, mean = jnp.clip((y - found.y) / found.height, 0.0, 1.0), found.height / found.width
    tilt, cross = found.left * (1 - share) - found.right * share, 4 * mean**2 * share * (1 - share)
    size = jnp.abs(tilt) + jnp.sqrt(tilt**2 + cross)
    below, above = 2 * mean * share, jnp.where(tilt > 0, size, cross / size)
    place = below / (below + above)
    return found.x + found.width * place, -_log_slope(found, place)


def _log_slope(found: Bin, place: Values) -> Values:
    """Logarithm of the derivative (eq. 5)."""
    mean, both = found.height / found.width, place * (1 - place)
    above = found.right * place**2 + 2 * mean * both + found.left * (1 - place) ** 2
    return 2 * jnp.log(mean) + jnp.log(above) - 2 * jnp.log(mean + (found.left + found.right - 2 * mean) * both)


def _find(spline: Spline, value: Values, *, is_inverse: bool) -> Bin:
    """The bin that holds `value`; sums over masks have the cheapest derivatives.

    Only the sums that are needed are divided by their total, and only two slopes are made positive. What is common to
    all numbers of a spline, in the derivative too, has to end in a reduction or a division: XLA would work it out again
    for each of them.
    """
    widths, heights = _sizes(spline.widths), _sizes(spline.heights)
    exponentials, whole = jax.lax.stop_gradient(heights if is_inverse else widths)
    n_bins, share = len(exponentials), value * whole
    free = 1 - n_bins * _LEAST_BIN
    fixed = free * exponentials + _LEAST_BIN * whole
    edges = [fixed[0]]
    for size in fixed[1:-1]:
        edges.append(edges[-1] + size)
    number = jnp.sum(share >= jnp.stack(edges), axis=0, dtype=jnp.int32)
    places = jnp.arange(n_bins, dtype=number.dtype).reshape(-1, *[1] * value.ndim)
    here, below = places == number, places < number
    counts = jnp.stack([number, jnp.ones_like(number)]).astype(value.dtype)  # bins below, and the bin

    def total(mask: Array, values: Float[Array, "bin *event"]) -> Values:
        return jnp.sum(jnp.where(mask, values, 0.0), axis=0)

    def start_and_size(sizes: Float[Array, "bin *event"], whole: Values) -> Values:
        shares = jnp.stack([total(below, sizes), total(here, sizes)]) / whole
        return free * shares + _LEAST_BIN * counts

    def slope(numbers: Float[Array, "bin *event"]) -> Values:
        return _LEAST_SLOPE + jax.nn.softplus(total(here, numbers) + _UNIT_SLOPE)

    (x, width), (y, height) = start_and_size(*widths), start_and_size(*heights)
    return Bin(x, width, y, height, slope(spline.slopes[:-1]), slope(spline.slopes[1:]))


def _smooth_bin(edges: Float[Array, " knot"], number: Int[Array, "*event"]) -> Bin:
    """A bin of the smooth quantile function; its slope at a knot is the harmonic mean of the slopes on both sides.

    That is the choice of Fritsch and Butland, SIAM J. Sci. Stat. Comput. 5 (1984) 300, for bins of equal width. At both
    ends the density goes on as it falls or rises in the outermost bin: where the integrand vanishes there, as parton
    densities do at large x, that bin is wide and its density far from constant.
    """
    n_bins = len(edges) - 1
    steps = jnp.diff(edges) * n_bins
    inner = 2 / (1 / steps[:-1] + 1 / steps[1:])
    slopes = jnp.concatenate([steps[:1] ** 2 / inner[:1], inner, steps[-1:] ** 2 / inner[-1:]])
    height = edges[number + 1] - edges[number]
    width = jnp.full_like(height, 1 / n_bins)
    return Bin(number / n_bins, width, edges[number], height, slopes[number], slopes[number + 1])


def _sizes(logs: Float[Array, "bin *event"]) -> tuple[Float[Array, "bin *event"], Values]:
    """Positive numbers and their sum, of which a softmax's shares are made."""
    exponentials = jnp.exp(logs - jax.lax.stop_gradient(jnp.max(logs, axis=0)))
    return exponentials, jnp.sum(exponentials, axis=0)
