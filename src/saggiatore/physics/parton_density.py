r"""Parton densities of the proton: LHAPDF grids and their differentiable log-bicubic interpolation.

Within one subgrid, x f is the cubic polynomial in log x through the four knots around a point (the last four at an
edge), and likewise in log Q^2: exact on the knots, of fourth order between them. This is the scheme of Pythia's own
reader (LHAGrid1), with which it agrees to rounding, save that Pythia sets negative densities to zero. LHAPDF's
``logcubic`` (arXiv:1412.7420, section 3) takes slopes from the mean of two finite differences instead; where the
spacing of the knots changes, at x = 0.1, that differs by up to 2e-3. Derivatives jump at the knots by what the
interpolation errs.

A polynomial through four knots is linear in their values, so an axis is kept as the *taps* of its intervals:
polynomials in the position s in [0, 1] that multiply the four values.

Outside the grid there is no extrapolation: x > 1 gives zero, x below the lowest knot and Q outside the grid give NaN,
which no table accepts; `PartonDensity.at_scale` refuses a scale outside the grid when it is built.
"""

from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.errors import PartonDensityError
from saggiatore.physics.lhagrid import Subgrid, find_grid, read_grid
from saggiatore.types import Array, Float, Int, Momenta, Scalar

FLAVOURS = (-5, -4, -3, -2, -1, 21, 1, 2, 3, 4, 5)  # PDG ids, in the order of every result
_ROUNDING = 1e-10  # of a logarithm, at the edges of the grid


class _Axis(eqx.Module):
    """Knots along log x or log Q^2, the taps of their intervals, and a table that finds an interval in O(1)."""

    knots: Float[Array, " knot"]
    taps: Float[Array, "interval tap power"]  # up to four each
    start: Int[Array, " interval"]  # knot of an interval's first tap
    first: Int[Array, " cell"]  # interval in which a cell of the uniform lookup begins

    def locate(self, t: Scalar) -> tuple[Int[Array, ""], Scalar]:
        """Interval of `t` and the position in it; intervals are closed below, the last one also above."""
        low, high = self.knots[0], self.knots[-1]
        cell = ((t - low) * (self.first.shape[0] / (high - low))).astype(int)
        guess = self.first[jnp.minimum(jnp.maximum(cell, 0), self.first.shape[0] - 1)]
        # a cell is narrower than every interval; rounding may put t one cell too high
        step = (t >= self.knots[guess + 1]).astype(int) - (t < self.knots[guess]).astype(int)
        interval = jnp.minimum(jnp.maximum(guess + step, 0), self.taps.shape[0] - 1)
        left = self.knots[interval]
        return interval, (t - left) / (self.knots[interval + 1] - left)

    def weights(self, t: Scalar) -> tuple[Int[Array, ""], Float[Array, " tap"]]:
        """First of the knots that determine the value at `t`, and their weights."""
        interval, s = self.locate(t)
        return self.start[interval], self.taps[interval] @ s ** jnp.arange(self.taps.shape[2])


class _Patch(eqx.Module):
    """A subgrid."""

    x: _Axis
    q: _Axis
    values: Float[Array, "x q 11"]

    def xf(self, log_x: Scalar, log_q2: Scalar) -> Float[Array, " 11"]:
        i, weights_x = self.x.weights(log_x)
        j, weights_q = self.q.weights(log_q2)
        window = jax.lax.dynamic_slice(self.values, (i, j, 0), (len(weights_x), len(weights_q), len(FLAVOURS)))
        return jnp.einsum("a,b,abf->f", weights_x, weights_q, window)


class ScaledDensity(eqx.Module):
    """Parton densities at one scale, for hot loops: one row of coefficients is looked up for each x."""

    axis: _Axis
    coefficients: Float[Array, "interval power 11"]  # of s, the highest first
    scale: Scalar  # GeV

    def xf(self, x: Scalar) -> Float[Array, " 11"]:
        """x f(x, scale) of the `FLAVOURS`; zero above x = 1, NaN below the grid."""
        log_x = jnp.log(x)
        interval, s = self.axis.locate(log_x)
        return _bounded(self.axis, log_x, jnp.polyval(self.coefficients[interval], s))

    def at(self, momenta: Momenta) -> Self:
        """The densities for an event: the same for all."""
        return self


class EventDensity(eqx.Module):
    """Parton densities at the scale of one event."""

    density: "PartonDensity"
    scale: Scalar  # GeV

    def xf(self, x: Scalar) -> Float[Array, " 11"]:
        """See `PartonDensity.xf`."""
        return self.density.xf(x, self.scale)


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
            inside = (log_q2 >= patch.q.knots[0] - _ROUNDING) & (log_q2 <= patch.q.knots[-1] + _ROUNDING)
            result = jnp.where(inside, _bounded(patch.x, log_x, patch.xf(log_x, log_q2)), result)
        return result

    def at_scale(self, q: float) -> ScaledDensity:
        """The densities at the fixed scale `q` (GeV).

        Raises:
            PartonDensityError: if the grid does not cover `q`.
        """
        log_q2 = 2 * np.log(q) if q > 0 else -np.inf
        covering = [p for p in self.patches if p.q.knots[0] - _ROUNDING <= log_q2 <= p.q.knots[-1] + _ROUNDING]
        if not covering:
            low, high = self.scale_range
            raise PartonDensityError(
                f"scale Q = {q:g} GeV is outside the grid of '{self.name}', which covers {low:g} GeV to {high:g} GeV. "
                "Choose a factorisation scale inside."
            )
        patch = covering[-1]  # LHAPDF takes the upper subgrid at a threshold
        j, weights_q = patch.q.weights(jnp.asarray(log_q2))
        values = jnp.einsum("b,xbf->xf", weights_q, patch.values[:, j : j + len(weights_q)])
        windows = values[patch.x.start[:, None] + jnp.arange(patch.x.taps.shape[1])]
        coefficients = jnp.einsum("iap,iaf->ipf", patch.x.taps, windows)
        return ScaledDensity(patch.x, coefficients[:, ::-1], jnp.asarray(q, float))


def positive_xf(density: ScaledDensity | EventDensity, x: Scalar) -> Float[Array, " 11"]:
    """x f(x), with zero where a fitted density is negative, as Pythia and LHAPDF's ForcePositive take it.

    NNPDF has such densities at large x, where no data are (strange quarks beyond x = 0.2); events need probabilities.
    The cross section of the study `quick` is 1.1 % larger than with the negative values.
    """
    return jnp.maximum(density.xf(x), 0.0)


def load(name: str) -> PartonDensity:
    """Read the LHAPDF set `name` (or NAME/MEMBER); a flavour that the grid lacks is zero.

    Raises:
        PartonDensityError: if the grid is missing (naming the paths tried) or damaged.
    """
    return PartonDensity(tuple(_patch(subgrid) for subgrid in read_grid(find_grid(name))), name)


def _bounded(axis: _Axis, log_x: Scalar, value: Float[Array, " 11"]) -> Float[Array, " 11"]:
    return jnp.where(log_x > 0, 0.0, jnp.where(log_x >= axis.knots[0] - _ROUNDING, value, jnp.nan))


def _patch(subgrid: Subgrid) -> _Patch:
    values = np.zeros((len(subgrid.x), len(subgrid.q), len(FLAVOURS)))
    for column, flavour in enumerate(FLAVOURS):
        if flavour in subgrid.ids:
            values[:, :, column] = subgrid.xf[:, :, subgrid.ids.index(flavour)]
    return _Patch(_axis(np.log(subgrid.x)), _axis(2 * np.log(subgrid.q)), jnp.asarray(values))


def _axis(knots: np.ndarray) -> _Axis:
    cells = int(np.ceil((knots[-1] - knots[0]) / np.diff(knots).min())) + 1
    edges = np.linspace(knots[0], knots[-1], cells, endpoint=False)
    first = np.searchsorted(knots, edges, side="right") - 1
    start, taps = _taps(knots)
    return _Axis(jnp.asarray(knots), jnp.asarray(taps), jnp.asarray(start), jnp.asarray(first))


def _taps(knots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First knot of each interval's taps, and the taps: Lagrange polynomials in s, shape (interval, tap, power)."""
    degree = min(4, len(knots))
    start = np.minimum(np.maximum(np.arange(len(knots) - 1) - 1, 0), len(knots) - degree)
    position = knots[start[:, None] + np.arange(degree)]
    s = (position - knots[:-1, None]) / np.diff(knots)[:, None]
    powers = s[:, :, None] ** np.arange(degree)  # (interval, knot, power)
    return start, np.linalg.inv(powers).transpose(0, 2, 1)
