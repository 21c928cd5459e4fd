r"""A normal response of a detector to one observable, as of a calorimeter: $\sigma^2 = n^2 + s^2 |x| + c^2 x^2$."""

from typing import ClassVar

import numpy as np
from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.spec import Spec
from saggiatore.types import Float


class Resolution(Spec):
    """The parts of the response's width; they add in quadrature."""

    noise: float = Field(0, ge=0, description="n, in the observable's unit")
    stochastic: float = Field(0, ge=0, description="s, in the root of that unit")
    constant: float = Field(0, ge=0, description="c, a fraction")

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint("noise + stochastic + constant > 0", "all parts of the resolution are 0; expected one above."),
    )

    def width(self, true: Float[np.ndarray, " event"]) -> Float[np.ndarray, " event"]:
        """Standard deviation of the response to each true value, in the observable's unit."""
        return np.sqrt(self.noise**2 + self.stochastic**2 * np.abs(true) + (self.constant * true) ** 2)

    def measured(
        self, true: Float[np.ndarray, " event"], *, is_angle: bool, rng: np.random.Generator
    ) -> Float[np.ndarray, " event"]:
        """A measured value of each true one; an angle in radians stays on its circle."""
        seen = true + self.width(true) * rng.normal(size=len(true))
        return np.pi - np.mod(np.pi - seen, 2 * np.pi) if is_angle else seen
