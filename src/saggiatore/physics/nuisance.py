"""A systematic uncertainty of the shape of events, as a function that their weights are multiplied by."""

from typing import ClassVar

from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.spec import ObservableName, Spec


class Nuisance(Spec):
    r"""A systematic uncertainty of a shape: events weigh $1 + a\,((x - x_0)/s)^2$ (arXiv:2110.13632)."""

    observable: ObservableName = Field(description="x, of which the weight is a function")
    origin: float = Field(description="x_0, where the weight is one, in the observable's unit")
    scale: float = Field(gt=0, description="s, in the observable's unit")
    value: float | tuple[float, float] = Field(description="a, or [low, high] of which every event draws its own")

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            "0 <= value[0] <= value[1] if isinstance(value, tuple) else 0 <= value",
            "value is {value}, expected a number, or low <= high, none of them negative.",
        ),
    )

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and greatest value."""
        return self.value if isinstance(self.value, tuple) else (self.value, self.value)
