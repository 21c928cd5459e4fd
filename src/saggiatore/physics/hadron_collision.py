r"""What hadron processes of QCD share: densities, scales, the strong coupling and the flux.

Scales, for a boson V and jets: ``fixed`` is a number; ``half_ht`` is $H_T/2$ with $H_T = m_{T,V} + \sum_j p_{T,j}$;
``mt`` is $m_{T,V} = \sqrt{m_V^2 + p_{T,V}^2}$, with the mass of the pair if V decays. Renormalisation and factorisation
scale are that times a factor each, which is one unless a variation asks for another. Negative densities count as zero,
as in Pythia.
"""

from typing import ClassVar, Literal, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.errors import PartonDensityError
from saggiatore.physics import parton_density, strong_coupling
from saggiatore.physics.parton_density import PartonDensity, ScaledDensity
from saggiatore.physics.strong_coupling import Q_RANGE, EvolvedCoupling, FixedCoupling, StrongCoupling
from saggiatore.physics.variation import AbstractHadronSpec, Variation, seven_points
from saggiatore.spec import Spec
from saggiatore.types import Array, Float, Momenta, Scalar
from saggiatore.units import GEV2_PB, Energy


class Scale(Spec):
    """Renormalisation and factorisation scale."""

    choice: Literal["fixed", "half_ht", "mt"] = Field(description="a number, H_T/2, or the boson's transverse mass")
    value: Energy | None = Field(None, gt=0, description="the scale, if fixed")

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            "(choice == 'fixed') == (value is not None)",
            "choice is '{choice}', value is {value}: 'fixed' needs a value, others have none.",
        ),
    )


class Collision(eqx.Module):
    """Two protons at a scale that may depend on the event."""

    density: PartonDensity | ScaledDensity
    alpha_s: StrongCoupling | FixedCoupling  # of an event's scale
    factors: Float[Array, " 2"]  # on the scale of an event: of renormalisation, of factorisation
    scale: Scale = eqx.field(static=True)
    sqrt_s: float = eqx.field(static=True)  # GeV

    def coupling(self, scale: Scalar) -> Scalar:
        """alpha_s of an event at `scale` (GeV)."""
        return self.alpha_s(self.factors[0] * scale)

    def scales(self, scale: Scalar) -> tuple[Scalar, Scalar]:
        """Factorisation scale (GeV) and alpha_s of an event at `scale`."""
        return self.factors[1] * scale, self.coupling(scale)

    def luminosities(self, partons: Momenta, scale: Scalar) -> Float[Array, "11 11"]:
        """Densities f_1 f_2 times flux, in pb GeV^2, by the flavours (`FLAVOURS`) of the two incoming partons.

        `scale` (GeV) is that of the event.
        """
        x_1, x_2 = 2 * partons[0, 0] / self.sqrt_s, 2 * partons[1, 0] / self.sqrt_s
        one, two = (jnp.maximum(self._xf(x, scale), 0.0) / x for x in (x_1, x_2))
        return GEV2_PB / (2 * x_1 * x_2 * self.sqrt_s**2) * one[:, None] * two

    def event_scale(self, jet_pt: Float[Array, " jet"], boson_mt: Scalar) -> Scalar:
        """The scale of an event, GeV."""
        if self.scale.value is not None:
            return jnp.asarray(self.scale.value)
        return boson_mt if self.scale.choice == "mt" else (boson_mt + jnp.sum(jet_pt)) / 2

    def _xf(self, x: Scalar, scale: Scalar) -> Float[Array, " 11"]:
        return (
            self.density.xf(x)
            if isinstance(self.density, ScaledDensity)
            else self.density.xf(x, self.factors[1] * scale)
        )


class AbstractQcdSpec(AbstractHadronSpec):
    """A process of two protons with a strong coupling."""

    strong_coupling: EvolvedCoupling | None = Field(None, description="without it, that of the set")
    scale: Scale
    renormalisation_factor: float = Field(1, gt=0, description="renormalisation scale over `scale`")
    factorisation_factor: float = Field(1, gt=0, description="factorisation scale over `scale`")

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            "scale.value is None or strong_coupling is None"
            f" or {Q_RANGE[0]} <= renormalisation_factor * scale.value <= {Q_RANGE[1]}",
            "scale.value = {scale.value} GeV times renormalisation_factor = {renormalisation_factor:g} is outside the "
            f"range of strong_coupling, {Q_RANGE[0]:g} to {Q_RANGE[1]:g} GeV; choose one inside.",
        ),
    )

    def scale_variations(self) -> dict[str, Variation]:
        """Six points around the study's own."""
        return seven_points()

    def varied(self, variation: Variation) -> Self:
        """See `AbstractHadronSpec.varied`."""
        return self.model_copy(
            update={
                "renormalisation_factor": self.renormalisation_factor * variation.renormalisation,
                "factorisation_factor": self.factorisation_factor * variation.factorisation,
                "parton_density": self.varied_set(variation.member),
            }
        )

    def collision(self) -> Collision:
        """Densities and coupling; at a fixed scale they are interpolated once.

        Raises:
            PartonDensityError: if the set is missing, damaged, does not cover the scale or states no coupling.
        """
        density = parton_density.load(self.parton_density)
        coupling = strong_coupling.load(self.parton_density, self.strong_coupling)
        factors = jnp.array([self.renormalisation_factor, self.factorisation_factor])
        if self.scale.value is None:
            return Collision(density, coupling, factors, self.scale, self.sqrt_s)
        renormalisation, factorisation = (float(factor * self.scale.value) for factor in factors)
        alpha_s = coupling(jnp.asarray(renormalisation))
        if not np.isfinite(alpha_s):
            raise PartonDensityError(
                f"the strong coupling of '{self.parton_density}' is not known at {renormalisation:g} GeV."
            )
        fixed = density.at_scale(factorisation), FixedCoupling(alpha_s)
        return Collision(*fixed, factors, self.scale, self.sqrt_s)


def flavour_places(channels: tuple[tuple[int, ...], ...]) -> np.ndarray:
    """Place of each channel's incoming partons in a flattened table of luminosities."""
    places = [[parton_density.FLAVOURS.index(parton) for parton in channel[:2]] for channel in channels]
    first, second = np.array(places).T
    return first * len(parton_density.FLAVOURS) + second
