r"""What hadron processes of QCD share: densities, scales, the strong coupling and the flux.

Scales, for a boson V and jets: ``fixed`` is a number; ``half_ht`` is $H_T/2$ with $H_T = m_{T,V} + \sum_j p_{T,j}$;
``mt`` is $m_{T,V} = \sqrt{m_V^2 + p_{T,V}^2}$, with the mass of the pair if V decays. Renormalisation and factorisation
scale are the same. Negative densities count as zero, as in Pythia.
"""

from typing import Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from pydantic import Field, model_validator

from saggiatore.errors import PartonDensityError
from saggiatore.physics import parton_density, strong_coupling
from saggiatore.physics.parton_density import PartonDensity, ScaledDensity
from saggiatore.physics.strong_coupling import EvolvedCoupling, FixedCoupling, StrongCoupling
from saggiatore.spec import Spec
from saggiatore.types import Array, Float, Momenta, Scalar
from saggiatore.units import GEV2_PB, Energy


class Scale(Spec):
    """Renormalisation and factorisation scale."""

    choice: Literal["fixed", "half_ht", "mt"] = Field(description="a number, H_T/2, or the boson's transverse mass")
    value: Energy | None = Field(None, description="the scale, if fixed")

    @model_validator(mode="after")
    def _value_belongs_to_fixed(self) -> "Scale":
        if (self.choice == "fixed") != (self.value is not None):
            raise ValueError(
                f"choice is '{self.choice}', value is {self.value}: 'fixed' needs a value, others have none."
            )
        return self


class Collision(eqx.Module):
    """Two protons at a scale that may depend on the event."""

    density: PartonDensity | ScaledDensity
    alpha_s: StrongCoupling | FixedCoupling  # of an event's scale
    scale: Scale = eqx.field(static=True)
    sqrt_s: float = eqx.field(static=True)  # GeV

    def luminosities(self, partons: Momenta, scale: Scalar) -> Float[Array, "11 11"]:
        """Densities f_1 f_2 times flux, in pb GeV^2, by the flavours (`FLAVOURS`) of the two incoming partons."""
        x_1, x_2 = 2 * partons[0, 0] / self.sqrt_s, 2 * partons[1, 0] / self.sqrt_s
        one, two = (jnp.maximum(self._xf(x, scale), 0.0) / x for x in (x_1, x_2))
        return GEV2_PB / (2 * x_1 * x_2 * self.sqrt_s**2) * one[:, None] * two

    def event_scale(self, jet_pt: Float[Array, " jet"], boson_mt: Scalar) -> Scalar:
        """The scale of an event, GeV."""
        if self.scale.value is not None:
            return jnp.asarray(self.scale.value)
        return boson_mt if self.scale.choice == "mt" else (boson_mt + jnp.sum(jet_pt)) / 2

    def _xf(self, x: Scalar, scale: Scalar) -> Float[Array, " 11"]:
        return self.density.xf(x) if isinstance(self.density, ScaledDensity) else self.density.xf(x, scale)


def collision(sqrt_s: float, set_name: str, scale: Scale, evolved: EvolvedCoupling | None) -> Collision:
    """Densities and coupling of a set; at a fixed scale they are interpolated once.

    Raises:
        PartonDensityError: if the set is missing, damaged, does not cover the scale or states no coupling.
    """
    density = parton_density.load(set_name)
    coupling = strong_coupling.load(set_name, evolved)
    if scale.value is None:
        return Collision(density, coupling, scale, sqrt_s)
    alpha_s = coupling(jnp.asarray(scale.value))
    if not np.isfinite(alpha_s):
        raise PartonDensityError(f"the strong coupling of '{set_name}' is not known at {scale.value:g} GeV.")
    return Collision(density.at_scale(scale.value), FixedCoupling(alpha_s), scale, sqrt_s)


def flavour_places(channels: tuple[tuple[int, ...], ...]) -> np.ndarray:
    """Place of each channel's incoming partons in a flattened table of luminosities."""
    places = [[parton_density.FLAVOURS.index(parton) for parton in channel[:2]] for channel in channels]
    first, second = np.array(places).T
    return first * len(parton_density.FLAVOURS) + second
