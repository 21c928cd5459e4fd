r"""A map of (0, 1) to the invariant mass squared of a pair that follows its resonances.

The density is an equal mixture of $1/m^2$, the behaviour between peaks, and of one Breit-Wigner shape for each
resonance. Its quantile function is tabulated at equidistant knots and taken linear in $\log m^2$ between them: every
value and its Jacobian belong to the same map, whatever the knots resolve.
"""

import abc
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from saggiatore.types import Array, Float, Scalar

Resonance = tuple[float, float]  # mass and width, GeV
_N_INTERVALS = 2048
_N_FINE = 4096  # points of each component, at which the mixture is tabulated before it is inverted


class PeakMap(eqx.Module):
    """Increasing map of (0, 1) to m^2 in GeV^2."""

    knots: Float[Array, " knot"]  # of log m^2, at equidistant arguments

    def __call__(self, u: Scalar) -> tuple[Scalar, Scalar]:
        """m^2 and log|dm^2/du|."""
        n_intervals = self.knots.shape[0] - 1
        interval = jnp.minimum((u * n_intervals).astype(int), n_intervals - 1)
        left = self.knots[interval]
        width = self.knots[interval + 1] - left
        log_square = left + width * (u * n_intervals - interval)
        return jnp.exp(log_square), log_square + jnp.log(width * n_intervals)

    def inverse(self, square: Scalar) -> tuple[Scalar, Scalar]:
        """The number that is mapped to m^2 = `square`, and log|du/dm^2|."""
        n_intervals = self.knots.shape[0] - 1
        log_square = jnp.log(square)
        interval = jnp.searchsorted(self.knots[1:-1], log_square, side="right")
        left = self.knots[interval]
        width = self.knots[interval + 1] - left
        # rounding may carry the ends of the range out of it
        place = jnp.clip((log_square - left) / width, 0.0, 1.0)
        return (interval + place) / n_intervals, -log_square - jnp.log(width * n_intervals)


class AbstractPropagator(eqx.Module):
    """Increasing map of (0, 1) to m^2 in GeV^2 that follows one propagator."""

    low: float = eqx.field(static=True)  # least mass, GeV
    high: float = eqx.field(static=True)

    @abc.abstractmethod
    def __call__(self, y: Scalar) -> tuple[Scalar, Scalar]:
        """m^2 and log|dm^2/dy|."""

    @abc.abstractmethod
    def inverse(self, square: Scalar) -> tuple[Scalar, Scalar]:
        """The number that is mapped to m^2 = `square`, and log|dy/dm^2|."""


class MasslessPropagator(AbstractPropagator):
    """Density 1/m^2."""

    def __call__(self, y: Scalar) -> tuple[Scalar, Scalar]:
        """m^2 and log|dm^2/dy|."""
        span = 2 * np.log(self.high / self.low)
        square = self.low**2 * jnp.exp(span * y)
        return square, jnp.log(span * square)

    def inverse(self, square: Scalar) -> tuple[Scalar, Scalar]:
        """The number that is mapped to m^2 = `square`, and log|dy/dm^2|."""
        span = 2 * np.log(self.high / self.low)
        return jnp.log(square / self.low**2) / span, -jnp.log(span * square)


class ResonantPropagator(AbstractPropagator):
    """Density 1/((m^2 - M^2)^2 + M^2 Gamma^2)."""

    mass: float = eqx.field(static=True)  # GeV
    width: float = eqx.field(static=True)  # GeV

    def __call__(self, y: Scalar) -> tuple[Scalar, Scalar]:
        """m^2 and log|dm^2/dy|."""
        begin, end = self._angles()
        tangent = jnp.tan(begin + (end - begin) * y)
        square = self.mass**2 + self.mass * self.width * tangent
        return square, jnp.log(self.mass * self.width * (end - begin) * (1 + tangent**2))

    def inverse(self, square: Scalar) -> tuple[Scalar, Scalar]:
        """The number that is mapped to m^2 = `square`, and log|dy/dm^2|."""
        begin, end = self._angles()
        tangent = (square - self.mass**2) / (self.mass * self.width)
        y = jnp.clip((jnp.arctan(tangent) - begin) / (end - begin), 0.0, 1.0)  # rounding at the ends of the range
        return y, -jnp.log(self.mass * self.width * (end - begin) * (1 + tangent**2))

    def _angles(self) -> tuple[float, float]:
        begin, end = (np.arctan((edge**2 - self.mass**2) / (self.mass * self.width)) for edge in (self.low, self.high))
        return float(begin), float(end)


def peak_map(low: float, high: float, resonances: tuple[Resonance, ...]) -> PeakMap:
    """The map to masses from `low` to `high` (GeV) with the `resonances` inside or near that range."""
    bounds = np.array([low, high]) ** 2
    chances = np.linspace(0.0, 1.0, _N_FINE)
    fine = [bounds[0] * (bounds[1] / bounds[0]) ** chances]
    cumulatives = [lambda square: np.log(square / bounds[0]) / np.log(bounds[1] / bounds[0])]
    for mass, width in resonances:
        edges = np.arctan((bounds - mass**2) / (mass * width))
        fine.append(mass**2 + mass * width * np.tan(edges[0] + (edges[1] - edges[0]) * chances))
        cumulatives.append(_breit_wigner(mass, width, edges))
    points = np.unique(np.concatenate([part[(part > bounds[0]) & (part < bounds[1])] for part in fine] + [bounds]))
    mixture = np.mean([cumulative(points) for cumulative in cumulatives], axis=0)
    knots = np.interp(np.linspace(0.0, 1.0, _N_INTERVALS + 1), mixture, np.log(points))
    return PeakMap(jnp.asarray(knots))


def _breit_wigner(mass: float, width: float, edges: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    def cumulative(square: np.ndarray) -> np.ndarray:
        return (np.arctan((square - mass**2) / (mass * width)) - edges[0]) / (edges[1] - edges[0])

    return cumulative
