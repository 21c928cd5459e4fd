r"""Two correlated normal numbers of unit variance: $\log p = -(x^2 - 2\rho x y + y^2) / 2(1 - \rho^2) + $ const.

Its parameter m is the mean of x: the score at zero is $(x - \rho y) / (1 - \rho^2)$.
"""

import math
from typing import ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp
from pydantic import Field

from saggiatore.physics.plane import CHANNELS, AbstractPlane, PlaneSpec
from saggiatore.types import Scalar, Theta

_PARAMETERS = ("mean_x",)
_REACH = 7.0  # standard deviations from the origin at which the square ends


class GaussianSpec(PlaneSpec):
    """A toy: two correlated normal numbers."""

    parameters: ClassVar[tuple[str, ...]] = _PARAMETERS

    kind: Literal["gaussian"] = "gaussian"
    correlation: float = Field(0.6, gt=-1, lt=1)

    def build(self) -> "Gaussian":
        """The process."""
        return Gaussian(correlation=self.correlation)


class Gaussian(AbstractPlane):
    """The normal distribution, with the mean of x as parameter."""

    parameters: tuple[str, ...] = eqx.field(static=True, default=_PARAMETERS)
    quadratic: tuple[str, ...] = eqx.field(static=True, default=())
    channels: tuple[tuple[int, ...], ...] = eqx.field(static=True, default=CHANNELS)
    low: tuple[float, float] = eqx.field(static=True, default=(-_REACH, -_REACH))
    high: tuple[float, float] = eqx.field(static=True, default=(_REACH, _REACH))

    correlation: float = eqx.field(static=True, kw_only=True)

    def density(self, x: Scalar, y: Scalar, theta: Theta) -> Scalar:
        """The normal density."""
        d, rest = x - theta[0], 1 - self.correlation**2
        return jnp.exp(-0.5 * (d**2 - 2 * self.correlation * d * y + y**2) / rest) / (2 * math.pi * math.sqrt(rest))
