r"""A map of (0, 1) to the invariant mass squared of a pair that follows its resonances.

The density is an equal mixture of $1/m^2$, the behaviour between peaks, and of one Breit-Wigner shape for each
resonance. Its quantile function is tabulated at equidistant knots and taken linear in $\log m^2$ between them: every
value and its Jacobian belong to the same map, whatever the knots resolve.
"""

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
