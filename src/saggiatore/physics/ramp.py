r"""Linear ramp: $p(x, y) = 2x$ on the unit square (arXiv:2104.04543, section 3.1).

Its parameter is the fraction f of events that are flat instead: $p(x, y|f) = (1 - f)\,2x + f$, whose score at f = 0 is
$1/(2x) - 1$.
"""

from typing import ClassVar, Literal

from saggiatore.physics.plane import SLOPE_PARAMETERS, AbstractSlope, PlaneSpec
from saggiatore.types import Scalar


class RampSpec(PlaneSpec):
    """A toy: a density that rises linearly in x and is flat in y."""

    parameters: ClassVar[tuple[str, ...]] = SLOPE_PARAMETERS

    kind: Literal["ramp"] = "ramp"

    def build(self) -> "Ramp":
        """The process."""
        return Ramp()


class Ramp(AbstractSlope):
    """The ramp, with the fraction of flat events as parameter; outside [0, 2] the rate is negative somewhere."""

    def rise(self, x: Scalar) -> Scalar:
        """2 x."""
        return 2 * x
