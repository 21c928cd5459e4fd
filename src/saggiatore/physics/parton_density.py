r"""Parton densities of the proton: LHAPDF grids and their differentiable log-bicubic interpolation.

The scheme is LHAPDF's ``logcubic`` (Buckley et al., arXiv:1412.7420, section 3): cubic Hermite splines in log x and
log Q^2, within one subgrid, with slopes at the knots from the mean of the left and right finite differences, one-sided at
the edges. A Hermite cubic with such slopes is linear in the four values around a point, so an axis is kept as the *taps* of
its intervals: polynomials in the position s in [0, 1] that multiply those four values.

Outside the grid there is no extrapolation: x > 1 gives zero, x below the lowest knot and Q outside the grid give NaN,
which no table accepts; `PartonDensity.at_scale` refuses a scale outside the grid when it is built.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.errors import PartonDensityError
from saggiatore.physics.lhagrid import Subgrid, find_grid, read_grid
from saggiatore.types import Array, Float, Int, Scalar

FLAVOURS = (-5, -4, -3, -2, -1, 21, 1, 2, 3, 4, 5)  # PDG ids, in the order of every result


class _Axis(eqx.Module):
    """Knots along log x or log Q^2, the taps of their intervals, and a table that finds an interval in O(1)."""

    knots: Float[Array, " knot"]
    taps: Float[Array, "interval 4 4"]  # value number, power of s
    first: Int[Array, " cell"]  # interval in which a cell of the uniform lookup begins

    def locate(self, t: Scalar) -> tuple[Int[Array, ""], Scalar]:
        """Interval of `t` and the position in it; intervals are closed below, the last one also above."""
        low, high = self.knots[0], self.knots[-1]
        cell = ((t - low) * (self.first.shape[0] / (high - low))).astype(int)
        start = self.first[jnp.minimum(jnp.maximum(cell, 0), self.first.shape[0] - 1)]
        # a cell is narrower than every interval; rounding may put t one cell too high
        step = (t >= self.knots[start + 1]).astype(int) - (t < self.knots[start]).astype(int)
        interval = jnp.minimum(jnp.maximum(start + step, 0), self.taps.shape[0] - 1)
        left = self.knots[interval]
        return interval, (t - left) / (self.knots[interval + 1] - left)

    def weights(self, t: Scalar) -> tuple[Int[Array, ""], Float[Array, " 4"]]:
        """Interval of `t` and the weights of the four knots from the one before it on."""
        interval, s = self.locate(t)
        return interval, self.taps[interval] @ s ** jnp.arange(4)


class _Patch(eqx.Module):
    """A subgrid; `values` has one row of zeros around it, so that every interval has four knots."""

    x: _Axis
    q: _Axis
    values: Float[Array, "x_padded q_padded 11"]

    def xf(self, log_x: Scalar, log_q2: Scalar) -> Float[Array, " 11"]:
        i, weights_x = self.x.weights(log_x)
        j, weights_q = self.q.weights(log_q2)
        window = jax.lax.dynamic_slice(self.values, (i, j, 0), (4, 4, len(FLAVOURS)))
        return jnp.einsum("a,b,abf->f", weights_x, weights_q, window)


class ScaledDensity(eqx.Module):
    """Parton densities at one scale, for hot loops: one row of coefficients is looked up for each x."""

    axis: _Axis
    coefficients: Float[Array, "interval 4 11"]  # power of s, flavour
    scale: float = eqx.field(static=True)  # GeV

    def xf(self, x: Scalar) -> Float[Array, " 11"]:
        """x f(x, scale) of the `FLAVOURS`; zero above x = 1, NaN below the grid."""
        log_x = jnp.log(x)
        interval, s = self.axis.locate(log_x)
        c = self.coefficients[interval]
        return _bounded(self.axis, log_x, c[0] + s * (c[1] + s * (c[2] + s * c[3])))


class PartonDensity(eqx.Module):
    """Parton densities of one set, as functions of x and Q."""

    patches: tuple[_Patch, ...]
    name: str = eqx.field(static=True)

    @property
    def scale_range(self) -> tuple[float, float]:
        """Lowest and highest Q of the grid, in GeV."""
        low, high = self.patches[0].q.knots[0], self.patches[-1].q.knots[-1]
        return float(jnp.exp(low / 2)), float(jnp.exp(high / 2))

    def xf(self, x: Scalar, q: Scalar) -> Float[Array, " 11"]:
        """x f(x, Q) of the `FLAVOURS` at Q in GeV; zero above x = 1, NaN below the grid and for Q outside it."""
        log_x, log_q2 = jnp.log(x), 2 * jnp.log(q)
        result = jnp.full(len(FLAVOURS), jnp.nan)
        for patch in self.patches:
            inside = (log_q2 >= patch.q.knots[0]) & (log_q2 <= patch.q.knots[-1])
            result = jnp.where(inside, _bounded(patch.x, log_x, patch.xf(log_x, log_q2)), result)
        return result

    def at_scale(self, q: float) -> ScaledDensity:
        """The densities at the fixed scale `q` (GeV).

        Raises:
            PartonDensityError: if the grid does not cover `q`.
        """
        log_q2 = 2 * np.log(q) if q > 0 else -np.inf
        covering = [p for p in self.patches if float(p.q.knots[0]) <= log_q2 <= float(p.q.knots[-1])]
        if not covering:
            low, high = self.scale_range
            raise PartonDensityError(
                f"scale Q = {q:g} GeV is outside the grid of '{self.name}', which covers {low:g} GeV to {high:g} GeV. "
                "Choose a factorisation scale inside."
            )
        patch = covering[-1]  # LHAPDF takes the upper subgrid at a threshold
        j, weights_q = patch.q.weights(jnp.asarray(log_q2))
        values = jnp.einsum("b,xbf->xf", weights_q, patch.values[:, j : j + 4])
        windows = jnp.stack([values[k : k + len(patch.x.taps)] for k in range(4)], axis=1)
        return ScaledDensity(patch.x, jnp.einsum("iap,iaf->ipf", patch.x.taps, windows), float(q))


def load(name: str) -> PartonDensity:
    """Read the central member of the LHAPDF set `name`; a flavour that the grid lacks is zero.

    Raises:
        PartonDensityError: if the grid is missing (naming the paths tried) or damaged.
    """
    return PartonDensity(tuple(_patch(subgrid) for subgrid in read_grid(find_grid(name))), name)


def _bounded(axis: _Axis, log_x: Scalar, value: Float[Array, " 11"]) -> Float[Array, " 11"]:
    return jnp.where(log_x > 0, 0.0, jnp.where(log_x >= axis.knots[0], value, jnp.nan))


def _patch(subgrid: Subgrid) -> _Patch:
    values = np.zeros((len(subgrid.x) + 2, len(subgrid.q) + 2, len(FLAVOURS)))
    for column, flavour in enumerate(FLAVOURS):
        if flavour in subgrid.ids:
            values[1:-1, 1:-1, column] = subgrid.xf[:, :, subgrid.ids.index(flavour)]
    return _Patch(_axis(np.log(subgrid.x)), _axis(2 * np.log(subgrid.q)), jnp.asarray(values))


def _axis(knots: np.ndarray) -> _Axis:
    cells = int(np.ceil((knots[-1] - knots[0]) / np.diff(knots).min())) + 1
    edges = np.linspace(knots[0], knots[-1], cells, endpoint=False)
    first = np.searchsorted(knots, edges, side="right") - 1
    return _Axis(jnp.asarray(knots), jnp.asarray(_taps(knots)), jnp.asarray(first))


def _taps(knots: np.ndarray) -> np.ndarray:
    """Polynomials in s by which the values at the knots (before, left, right, after) enter, shape (interval, 4, 4)."""
    hermite = np.array([[1, 0, -3, 2], [0, 0, 3, -2], [0, 1, -2, 1], [0, 0, -1, 1]], dtype=float)  # of v0, v1, h m0, h m1
    width = np.diff(knots)
    last = len(width) - 1
    taps = np.empty((len(width), 4, 4))
    for i, h in enumerate(width):
        here = np.array([0.0, -1.0, 1.0, 0.0])  # h times the difference quotient of this interval
        before = h / width[i - 1] * np.array([-1.0, 1.0, 0.0, 0.0]) if i > 0 else here
        after = h / width[i + 1] * np.array([0.0, 0.0, -1.0, 1.0]) if i < last else here
        slopes: Sequence[np.ndarray] = (np.eye(4)[1], np.eye(4)[2], (before + here) / 2, (here + after) / 2)
        taps[i] = np.stack(slopes, axis=1) @ hermite
    return taps
