r"""Theory uncertainties of a rate: other scales, and other members of the parton-density set.

A `Variation` multiplies the renormalisation and the factorisation scale by a factor and chooses a member of the set.
The usual seven points are all pairs of factors 1/2, 1, 2 but (1/2, 2) and (2, 1/2), the central one among them; a
tree-level rate without a strong coupling depends on the factorisation scale alone, which leaves three.
A process whose spec can be `varied` has another rate at the same momenta: phase space and cuts do not change.
"""

import abc
from typing import Annotated, NamedTuple, Self

from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.physics import parton_density
from saggiatore.physics.factorisation_scale import Density, Produced, ScaleChoice, at_choice
from saggiatore.physics.process import AbstractProcess
from saggiatore.spec import Spec
from saggiatore.units import Energy

CENTRAL = 0  # member of a set
# of processes whose parameters are directions: without one, no event would know of the parameter
MOVES = Constraint(
    "all(any(direction.values()) for direction in parameters.values())",
    "parameters has one that moves nothing; give each a coefficient that is not zero.",
)

_FACTORS = (0.5, 1.0, 2.0)
_PositiveEnergy = Annotated[Energy, Field(gt=0, json_schema_extra={"x-limits": {"gt": 0}})]


class Variation(NamedTuple):
    """Factors on the scales, and a member of the parton-density set."""

    renormalisation: float = 1.0
    factorisation: float = 1.0
    member: int = CENTRAL


class AbstractHadronSpec(Spec):
    """A process of two protons."""

    sqrt_s: Energy = Field(gt=0, description="energy of the collision")
    parton_density: str = Field(min_length=1, description="an LHAPDF set: its name, or NAME/MEMBER (0 is the central)")

    @abc.abstractmethod
    def build(self) -> AbstractProcess:
        """The process."""

    @abc.abstractmethod
    def scale_variations(self) -> dict[str, Variation]:
        """Further points of the usual variation of scales, by a name that can end a column's."""

    @abc.abstractmethod
    def varied(self, variation: Variation) -> Self:
        """The same process at a variation."""

    def varied_set(self, member: int) -> str:
        """The set that a variation asks for: its own members count within the set that the study names."""
        return self.parton_density if member == CENTRAL else f"{self.parton_density.partition('/')[0]}/{member}"


class AbstractElectroweakSpec(AbstractHadronSpec):
    """A process of two protons without a strong coupling, at one scale or at that of each event."""

    factorisation_scale: _PositiveEnergy | ScaleChoice = Field(
        description="a quantity, or that of each event: a transverse mass or H_T/2 (see the process)"
    )
    factorisation_factor: float = Field(1, gt=0, description="what multiplies the factorisation scale")

    def density(self, produced: Produced) -> Density:
        """Parton densities; at a fixed scale they are interpolated once.

        Raises:
            PartonDensityError: if the set is missing, damaged or does not cover the scale or the least of them.
        """
        densities, scale = parton_density.load(self.parton_density), self.factorisation_scale
        if isinstance(scale, str):
            return at_choice(densities, scale, self.factorisation_factor, produced)
        return densities.at_scale(self.factorisation_factor * scale)

    def scale_variations(self) -> dict[str, Variation]:
        """Half and twice the factorisation scale."""
        return {f"muf{_text(f)}": Variation(factorisation=f) for f in _FACTORS if f != 1}

    def varied(self, variation: Variation) -> Self:
        """See `AbstractHadronSpec.varied`."""
        return self.model_copy(
            update={
                "factorisation_factor": self.factorisation_factor * variation.factorisation,
                "parton_density": self.varied_set(variation.member),
            }
        )


def seven_points() -> dict[str, Variation]:
    """The six points besides the central one, of processes with a strong coupling."""
    pairs = [(r, f) for r in _FACTORS for f in _FACTORS if r * f != 1 or r == f]
    return {f"mur{_text(r)}_muf{_text(f)}": Variation(r, f) for r, f in pairs if (r, f) != (1, 1)}


def _text(factor: float) -> str:
    return f"{factor:g}".replace(".", "p")
