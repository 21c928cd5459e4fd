r"""Kicker ramp: a quarter circle in x, flat in y, on the unit square (arXiv:2104.04543, section 3.2).

$p(x, y) = (1 - \sqrt{1 - x^2}) / (1 - \pi/4)$: flat at x = 0 and vertical at x = 1. Its parameter is the fraction f of
events that are flat instead: $p(x, y|f) = (1 - f)\,p(x, y) + f$.
"""

import math
from typing import Literal

import equinox as eqx
import jax.numpy as jnp

from saggiatore.physics.plane import CHANNELS, OBSERVABLES, AbstractPlane
from saggiatore.spec import Spec
from saggiatore.types import Scalar, Theta

_PARAMETERS = ("flat_fraction",)


class KickerSpec(Spec):
    """A toy: a density that rises in x as a quarter circle does and is flat in y."""

    kind: Literal["kicker"] = "kicker"

    @classmethod
    def names(cls) -> dict[str, list[str]]:
        """Observables and parameters that a study can name."""
        return {"observable": list(OBSERVABLES), "parameter": list(_PARAMETERS)}

    def build(self) -> "Kicker":
        """The process."""
        return Kicker()


class Kicker(AbstractPlane):
    """The kicker ramp, with the fraction of flat events as parameter; below 0 the rate is negative somewhere."""

    parameters: tuple[str, ...] = eqx.field(static=True, default=_PARAMETERS)
    quadratic: tuple[str, ...] = eqx.field(static=True, default=_PARAMETERS)
    channels: tuple[tuple[int, ...], ...] = eqx.field(static=True, default=CHANNELS)
    low: tuple[float, float] = eqx.field(static=True, default=(0.0, 0.0))
    high: tuple[float, float] = eqx.field(static=True, default=(1.0, 1.0))

    def density(self, x: Scalar, y: Scalar, theta: Theta) -> Scalar:
        """(1 - f) (1 - sqrt(1 - x^2)) / (1 - pi/4) + f, written without the difference that cancels."""
        rise = x**2 / (1 + jnp.sqrt(1 - x**2))
        return (1 - theta[0]) * rise / (1 - math.pi / 4) + theta[0]
