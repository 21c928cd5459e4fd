r"""Linear ramp: $p(x, y) = 2x$ on the unit square (arXiv:2104.04543, section 3.1).

Its parameter is the fraction f of events that are flat instead: $p(x, y|f) = (1 - f)\,2x + f$, whose score at f = 0 is
$1/(2x) - 1$.
"""

from typing import Literal

import equinox as eqx

from saggiatore.physics.plane import CHANNELS, OBSERVABLES, AbstractPlane
from saggiatore.spec import Spec
from saggiatore.types import Scalar, Theta

_PARAMETERS = ("flat_fraction",)


class RampSpec(Spec):
    """A toy: a density that rises linearly in x and is flat in y."""

    kind: Literal["ramp"] = "ramp"

    @classmethod
    def names(cls) -> dict[str, list[str]]:
        """Observables and parameters that a study can name."""
        return {"observable": list(OBSERVABLES), "parameter": list(_PARAMETERS)}

    def build(self) -> "Ramp":
        """The process."""
        return Ramp()


class Ramp(AbstractPlane):
    """The ramp, with the fraction of flat events as parameter; outside [0, 2] the rate is negative somewhere."""

    parameters: tuple[str, ...] = eqx.field(static=True, default=_PARAMETERS)
    quadratic: tuple[str, ...] = eqx.field(static=True, default=_PARAMETERS)
    channels: tuple[tuple[int, ...], ...] = eqx.field(static=True, default=CHANNELS)
    low: tuple[float, float] = eqx.field(static=True, default=(0.0, 0.0))
    high: tuple[float, float] = eqx.field(static=True, default=(1.0, 1.0))

    def density(self, x: Scalar, y: Scalar, theta: Theta) -> Scalar:
        """(1 - f) 2 x + f."""
        return (1 - theta[0]) * 2 * x + theta[0]
