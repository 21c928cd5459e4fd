"""Directions in the space of dimension-six coefficients, as a study names them."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from saggiatore.physics import electroweak as ew
from saggiatore.physics.wbf_amplitude import COEFFICIENTS
from saggiatore.units import InverseTeV2

# coefficients of -(c/Lambda^2)(phi^+ phi) V V, the normalisation of arXiv:2109.10414, in those of HISZ
_IN_HISZ = {
    **{name: (name, 1.0) for name in COEFFICIENTS},
    **{f"c_{name}": (f"f_{name}", 4 / ew.G**2) for name in ("ww", "wwt")},
    **{f"c_{name}": (f"f_{name}", 4 / ew.G_PRIME**2) for name in ("bb", "bbt")},
}

_Coefficient = Literal["f_w", "f_b", "f_ww", "f_bb", "f_wwt", "f_bbt", "c_ww", "c_wwt", "c_bb", "c_bbt"]  # of _IN_HISZ
Direction = Annotated[dict[_Coefficient, InverseTeV2], Field(min_length=1)]


def in_hisz(direction: Mapping[_Coefficient, float]) -> list[float]:
    """A direction in the coefficients of `wbf_amplitude`, in their order; TeV^-2."""
    row = dict.fromkeys(COEFFICIENTS, 0.0)
    for name, value in direction.items():
        target, factor = _IN_HISZ[name]
        row[target] += factor * value
    return list(row.values())
