r"""Kicker ramp: a quarter circle in x, flat in y, on the unit square (arXiv:2104.04543, section 3.2).

$p(x, y) = (1 - \sqrt{1 - x^2}) / (1 - \pi/4)$: flat at x = 0 and vertical at x = 1. Its parameter is the fraction f of
events that are flat instead: $p(x, y|f) = (1 - f)\,p(x, y) + f$.
"""

import math
from typing import ClassVar, Literal

import jax.numpy as jnp

from saggiatore.physics.plane import SLOPE_PARAMETERS, AbstractSlope, PlaneSpec
from saggiatore.types import Scalar


class KickerSpec(PlaneSpec):
    """A toy: a density that rises in x as a quarter circle does and is flat in y."""

    parameters: ClassVar[tuple[str, ...]] = SLOPE_PARAMETERS

    kind: Literal["kicker"] = "kicker"

    def build(self) -> "Kicker":
        """The process."""
        return Kicker()


class Kicker(AbstractSlope):
    """The kicker ramp, with the fraction of flat events as parameter; below 0 the rate is negative somewhere."""

    def rise(self, x: Scalar) -> Scalar:
        """(1 - sqrt(1 - x^2)) / (1 - pi/4), written without the difference that cancels."""
        return x**2 / (1 + jnp.sqrt(1 - x**2)) / (1 - math.pi / 4)
