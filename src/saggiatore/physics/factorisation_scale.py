r"""Parton densities at the scale of each event, for processes without a strong coupling.

With the transverse mass $m_T = \sqrt{m^2 + p_T^2}$, ``mt`` is that of what the process names, and ``half_ht`` is
$H_T/2$, H_T being the sum of m_T over all that is produced: jets, the Higgs boson, and vector bosons,
whose leptons count together, as in `hadron_collision`. Generators that sum over single leptons have a smaller H_T.
"""

from typing import Literal, NamedTuple

import equinox as eqx
import jax.numpy as jnp

from saggiatore.errors import PartonDensityError
from saggiatore.physics.kinematics import transverse_mass
from saggiatore.physics.parton_density import EventDensity, PartonDensity, ScaledDensity
from saggiatore.types import Momenta, Scalar

ScaleChoice = Literal["half_ht", "mt"]
_Objects = tuple[tuple[int, ...], ...]  # legs of each


class Produced(NamedTuple):
    """What a process produces, by its legs."""

    reference: tuple[int, ...]  # that of which ``mt`` is the transverse mass
    objects: _Objects  # whose transverse masses add up to H_T
    least: tuple[float, ...]  # transverse mass that the cuts leave to each of them, GeV


class DynamicalDensity(eqx.Module):
    """Parton densities at a multiple of a sum of transverse masses."""

    density: PartonDensity
    factor: Scalar
    objects: _Objects = eqx.field(static=True)

    def at(self, momenta: Momenta) -> EventDensity:
        """The densities at the scale of an event; NaN if that is outside the grid."""
        masses = [transverse_mass(jnp.sum(momenta[jnp.array(legs)], axis=0)) for legs in self.objects]
        return EventDensity(self.density, self.factor * jnp.sum(jnp.stack(masses)))


Density = ScaledDensity | DynamicalDensity


def at_choice(density: PartonDensity, choice: ScaleChoice, factor: float, produced: Produced) -> DynamicalDensity:
    """Densities at `factor` times the scale of each event.

    Raises:
        PartonDensityError: if the smallest scale is below the grid.
    """
    if choice == "half_ht":
        factor, objects, least = factor / 2, produced.objects, sum(produced.least)
    else:
        objects, parts = (produced.reference,), zip(produced.objects, produced.least, strict=True)
        least = sum(each for legs, each in parts if set(legs) <= set(produced.reference))
    lowest, _ = density.scale_range
    if factor * least < lowest:
        raise PartonDensityError(
            f"factorisation_scale '{choice}' goes down to {factor * least:g} GeV inside the cuts, below the grid of "
            f"'{density.name}', which begins at {lowest:g} GeV. Tighten the cuts, raise the factor or fix the scale."
        )
    return DynamicalDensity(density, jnp.asarray(factor, float), objects)
