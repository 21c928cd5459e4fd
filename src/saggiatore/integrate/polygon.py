r"""Frequency polygons of the unit interval: continuous densities, linear between fixed knots.

Their quantile functions are the piecewise quadratic maps of Müller et al., arXiv:1808.03856. The knots do not move: a
grid beneath has made the density nearly uniform. They lie as those of Chebyshev, close to each other at the ends, where
the integrand vanishes within a bin of the grid, as it does where parton densities end or a cut begins. The density at a
point, which is all that a training asks for, is an interpolation and needs neither a search nor the root of an
equation.

Axes behind the first one are events, as in `spline`.
"""

import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.types import Array, Float

_LEAST = 1e-3  # of a uniform density: no part of the interval is ever shut out

Values = Float[Array, "*event"]
Heights = Float[Array, "knot *event"]  # of the density at the knots; its integral is one


def from_numbers(numbers: Float[Array, "knot *event"]) -> Heights:
    """The density whose logarithms at the knots are `numbers`, up to a constant; zeros give the uniform one."""
    relative = jnp.exp(numbers - jax.lax.stop_gradient(numbers.max(axis=0)))
    _, widths = _bins(relative)
    integral = jnp.sum(widths * (relative[1:] + relative[:-1]), axis=0) / 2
    return _LEAST + (1 - _LEAST) * relative / integral


def log_density(heights: Heights, x: Values) -> Values:
    """Logarithm of the density at `x`."""
    begins, widths = _bins(heights)
    parts = jnp.clip((x - begins) / widths, 0.0, 1.0)  # of each bin, below x
    return jnp.log(heights[0] + jnp.sum(parts * jnp.diff(heights, axis=0), axis=0))


def quantile(heights: Heights, z: Values) -> tuple[Values, Values]:
    """The x below which a part `z` of the density lies, with log|dx/dz|."""
    begins, widths = _bins(heights)
    areas = widths * (heights[1:] + heights[:-1]) / 2
    ends = jnp.cumsum(areas, axis=0)
    here = jnp.arange(len(areas)).reshape(widths.shape) == jnp.sum(z >= ends[:-1], axis=0)

    def of_bin(values: Float[Array, "bin *#event"]) -> Values:
        return jnp.sum(jnp.where(here, values, 0.0), axis=0)

    left, right, area = of_bin(heights[:-1]), of_bin(heights[1:]), of_bin(areas)
    # rounding may carry the ends of the bin out of it, here and below
    share = jnp.clip((z - of_bin(ends) + area) / area, 0.0, 1.0)
    height = jnp.sqrt(left**2 * (1 - share) + right**2 * share)
    place = share * (left + right) / (left + height)
    return jnp.minimum(of_bin(begins) + of_bin(widths) * place, 1.0), -jnp.log(height)


def _bins(heights: Heights) -> tuple[Float[Array, "bin *#event"], Float[Array, "bin *#event"]]:
    """Where each bin begins, and how wide it is."""
    angles = np.linspace(0.0, np.pi, len(heights))
    knots = jnp.asarray((1 - np.cos(angles)) / 2, heights.dtype).reshape(-1, *[1] * (heights.ndim - 1))
    return knots[:-1], jnp.diff(knots, axis=0)
