r"""Gaussian ring: $p(x, y) \propto \exp(-(r - R)^2 / 2w^2)$ with $r = \sqrt{x^2 + y^2}$, normalised in dx dy.

Its logarithm has the gradient $(x, y)\,(R/r - 1)/w^2$. The ring of arXiv:2104.04543 (section 3.3) is normal in r as a
polar coordinate, half of it is drawn, and its density in the plane has a further factor 1/r.
Its parameter is a shift of R, in the units of x and y: the score at zero is $(r - R)/w^2 - \partial_R \log N(R)$.
"""

import math
from typing import ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.special import ndtr
from pydantic import Field

from saggiatore.physics.plane import CHANNELS, AbstractPlane, PlaneSpec
from saggiatore.types import Scalar, Theta

_PARAMETERS = ("radius_shift",)
_REACH = 5.0  # widths beyond the radius at which the rectangle ends


class RingSpec(PlaneSpec):
    """A toy: a ring with a Gaussian profile."""

    parameters: ClassVar[tuple[str, ...]] = _PARAMETERS

    kind: Literal["ring"] = "ring"
    radius: float = Field(4, gt=0, description="radius at which the density is largest")
    width: float = Field(1, gt=0, description="standard deviation of the profile")

    def build(self) -> "Ring":
        """The process."""
        edge = self.radius + _REACH * self.width
        return Ring(radius=self.radius, width=self.width, low=(-edge, -edge), high=(edge, edge))


class Ring(AbstractPlane):
    """The ring, with a shift of its radius as parameter. Parity is a reflection at either axis."""

    parameters: tuple[str, ...] = eqx.field(static=True, default=_PARAMETERS)
    quadratic: tuple[str, ...] = eqx.field(static=True, default=())
    channels: tuple[tuple[int, ...], ...] = eqx.field(static=True, default=CHANNELS)

    radius: float = eqx.field(static=True, kw_only=True)
    width: float = eqx.field(static=True, kw_only=True)
    low: tuple[float, float] = eqx.field(static=True, kw_only=True)
    high: tuple[float, float] = eqx.field(static=True, kw_only=True)

    def density(self, x: Scalar, y: Scalar, theta: Theta) -> Scalar:
        """exp(-(r - R)^2 / 2 w^2) over its integral in the plane."""
        radius = self.radius + theta[0]
        ratio = radius / self.width
        profile = jnp.exp(-0.5 * ((jnp.sqrt(x**2 + y**2) - radius) / self.width) ** 2)
        mean = jnp.exp(-0.5 * ratio**2) + math.sqrt(2 * math.pi) * ratio * ndtr(ratio)  # of r/w over the profile
        return profile / (2 * math.pi * self.width**2 * mean)
