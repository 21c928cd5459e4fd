r"""Muon pairs at a proton collider, $p p \to \mu^- \mu^+$: q and q-bar annihilate into photon, Z and an optional Z'.

Included: the s-channel diagrams of u, d, s and c quarks at leading order, with all interferences. Left out: bottom
quarks, gluons in the initial state, photon fusion, and all radiation, so that the pair has no transverse momentum.
The couplings of the Z' are those of the Z times $\kappa$, the sequential Z' of Altarelli, Mele, Ruiz-Altaba,
Z. Phys. C45 (1989) 109; its width is an input and does not follow mass or coupling, and it does not mix with the Z.
The weak mixing angle enters as in the scheme ($G_F$, $\sin^2\theta_w$, $M_Z$) of arXiv:1906.11569: in
$T_3 - Q \sin^2\theta_w$ alone, while $g/\cos\theta_w = 2 M_Z/v$, $\alpha$, $M_Z$ and the widths stay.
Of the dynamical scales, ``mt`` is the transverse mass of the pair, here its mass, and ``half_ht`` half of that.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp
from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.physics import annihilation
from saggiatore.physics import electroweak as ew
from saggiatore.physics.colour_flow import Flow
from saggiatore.physics.drell_yan_amplitude import (
    Inputs,
    Invariants,
    channel_matrix_element,
    coupling_squares,
    invariants,
    square,
)
from saggiatore.physics.factorisation_scale import Density, Produced
from saggiatore.physics.kinematics import boost_along_z
from saggiatore.physics.lepton_pair import LEPTON_PAIR_OBSERVABLES, leptons_accepted, m_ll, resonance_observables
from saggiatore.physics.mapping import AbstractMapping, propagator_mappings
from saggiatore.physics.matrix_element import MatrixElement
from saggiatore.physics.peak_map import PeakMap, Resonance, peak_map
from saggiatore.physics.process import AbstractProcess, Channel, Observable
from saggiatore.physics.variation import AbstractElectroweakSpec
from saggiatore.spec import Label, Spec
from saggiatore.types import Array, Flag, Float, Momenta, Scalar, Theta, UnitPoint
from saggiatore.units import Energy


class ZPrime(Spec):
    """A Z' with the couplings of the Z times a factor."""

    mass: Energy = Field(gt=0)
    width: Energy = Field(gt=0)
    coupling: float = Field(description="its couplings over those of the Z")

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            "width < mass",
            "width = {width:g} GeV is not below mass = {mass:g} GeV: no resonance of fixed width; lower it.",
        ),
    )


class DrellYanDirection(Spec):
    """By how much one unit of a theory parameter moves each input."""

    z_prime_coupling: float = Field(0, description="factor between the couplings of Z' and Z")
    z_prime_strength: float = Field(0, description="square of that factor, in which the rate is a parabola")
    z_prime_mass: Energy = Field(0, description="mass of the Z'; its width stays")
    sin2_theta_w: float = Field(0, description="weak mixing angle in the couplings of Z and Z'")

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            "z_prime_coupling or z_prime_strength or z_prime_mass or sin2_theta_w",
            "the direction moves nothing; expected a value for one of z_prime_coupling, z_prime_strength, "
            "z_prime_mass, sin2_theta_w.",
        ),
    )

    def values(self) -> list[float]:
        """Steps of coupling, strength, mass (GeV) and sin^2."""
        return list(self.model_dump().values())


class DrellYanCuts(Spec):
    """Fiducial region."""

    m_ll: Energy = Field(gt=0, description="least invariant mass of the leptons")
    max_m_ll: Energy | None = Field(None, gt=0, description="greatest invariant mass; none if absent")
    pt_l: Energy = Field(0, ge=0, description="least transverse momentum of each lepton")
    abs_eta_l: float | None = Field(None, gt=0, description="greatest |pseudorapidity| of each lepton; none if absent")


class DrellYanSpec(AbstractElectroweakSpec):
    """Muon pairs by photon, Z and an optional Z' in proton collisions."""

    kind: Literal["drell_yan"] = "drell_yan"
    z_prime: ZPrime | None = Field(None, description="none if absent")
    cuts: DrellYanCuts
    parameters: dict[Label, DrellYanDirection] = Field(
        min_length=1, description="each theory parameter: the direction in the inputs of which it is a multiple"
    )

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            "max(cuts.m_ll, 2 * cuts.pt_l) < min(sqrt_s, sqrt_s if cuts.max_m_ll is None else cuts.max_m_ll)",
            "no lepton pair fits: its mass must be above cuts.m_ll = {cuts.m_ll:g} GeV and twice cuts.pt_l = "
            "{cuts.pt_l:g} GeV, and below cuts.max_m_ll = {cuts.max_m_ll} and sqrt_s = {sqrt_s:g} GeV. Widen the cuts.",
        ),
        Constraint(
            "z_prime is not None or not any("
            "d.z_prime_coupling or d.z_prime_strength or d.z_prime_mass for d in parameters.values())",
            "parameters move the Z', of which there is none; add z_prime.",
        ),
    )

    @classmethod
    def names(cls) -> dict[str, list[str]]:
        """Observables that a study can name; it names the parameters itself."""
        return {"observable": [*LEPTON_PAIR_OBSERVABLES, *resonance_observables(ew.M_Z, ew.WIDTH_Z)], "parameter": []}

    @classmethod
    def matrix_element(cls, pdg: str, widths: bool) -> MatrixElement:
        """|M|^2 of one flavour channel; see `channel_matrix_element`."""
        return channel_matrix_element(pdg)

    def build(self) -> "DrellYan":
        """The process.

        Raises:
            PartonDensityError: if the set is missing, damaged or does not cover the scale.
        """
        resonances = ((ew.M_Z, ew.WIDTH_Z), *((p.mass, p.width) for p in (self.z_prime,) if p is not None))
        directions = [direction.values() for direction in self.parameters.values()]
        return DrellYan(
            sqrt_s=self.sqrt_s,
            cuts=self.cuts,
            z_prime=self.z_prime or ZPrime(mass=ew.M_Z, width=ew.WIDTH_Z, coupling=0),  # decoupled
            density=self.density(Produced((2, 3), objects=((2, 3),), least=(_mass_range(self)[0],))),
            pair_mass=peak_map(*_mass_range(self), resonances),
            mass_range=_mass_range(self),
            resonances=resonances,
            directions=jnp.array(directions),
            parameters=tuple(self.parameters),
            quadratic=tuple(
                name
                for name, steps in self.parameters.items()
                if not (steps.z_prime_coupling or steps.z_prime_mass or steps.sin2_theta_w)
            ),
            channels=tuple((*pair, 13, -13) for pair in annihilation.CHANNELS),
        )


class DrellYan(AbstractProcess):
    """Muon pairs; theta are multiples of the study's directions, zero the inputs of the spec.

    Parity is the exchange of the two beams, under which rates do not change.
    """

    dim: ClassVar[int] = 4
    colour_flows: ClassVar[tuple[Flow, ...]] = annihilation.COLOUR_FLOWS
    legs: ClassVar[tuple[str, ...]] = ("parton along +z", "parton along -z", "negative muon", "positive muon")

    sqrt_s: float = eqx.field(static=True)  # GeV
    cuts: DrellYanCuts = eqx.field(static=True)
    z_prime: ZPrime = eqx.field(static=True)
    density: Density
    pair_mass: PeakMap
    mass_range: tuple[float, float] = eqx.field(static=True)  # GeV
    resonances: tuple[Resonance, ...] = eqx.field(static=True)
    directions: Float[Array, "theta input"]  # of coupling, strength, mass (GeV) and sin^2
    parameters: tuple[str, ...] = eqx.field(static=True)
    quadratic: tuple[str, ...] = eqx.field(static=True)
    channels: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    @property
    def observables(self) -> Mapping[str, Observable]:
        """Those of any lepton pair, and its mass in units of the heaviest resonance."""
        return MappingProxyType({**LEPTON_PAIR_OBSERVABLES, **resonance_observables(*max(self.resonances))})

    @property
    def mappings(self) -> tuple[AbstractMapping, ...]:
        """One for the photon, one for each resonance, in the mass of the pair."""
        return propagator_mappings(self.pair_mass, self.mass_range, self.resonances, coordinate=0)

    def momenta(self, u: UnitPoint) -> tuple[Momenta, Scalar]:
        """Muon pairs inside the cuts on mass and pT, flat in rapidity and cos(theta)."""
        s_hat, log_mass = self.pair_mass(u[0])
        y, log_rapidity = annihilation.rapidity(self.sqrt_s, s_hat, u[1])
        energy = jnp.sqrt(s_hat) / 2
        sin_2 = (self.cuts.pt_l / energy) ** 2
        has_room = sin_2 < 1
        span = 2 * jnp.sqrt(jnp.where(has_room, 1 - sin_2, 1.0))
        muon = energy * annihilation.direction(span * (u[2] - 0.5), 2 * jnp.pi * u[3])
        leptons = jnp.stack([annihilation.with_energy(energy, muon), annihilation.with_energy(energy, -muon)])
        momenta = boost_along_z(jnp.concatenate([annihilation.partons(s_hat), leptons]), y)
        log_angles = jnp.log(span * 2 * jnp.pi) + annihilation.two_body_log_density(energy, s_hat)
        return momenta, jnp.where(has_room, log_mass + log_rapidity + log_angles, -jnp.inf)

    def accepts(self, momenta: Momenta) -> Flag:
        """All cuts; the mapping covers no more than those on mass and pT, up to rounding."""
        mass = m_ll(momenta)
        inside = mass >= self.cuts.m_ll
        if self.cuts.max_m_ll is not None:
            inside &= mass <= self.cuts.max_m_ll
        return inside & leptons_accepted(momenta, self.cuts.pt_l, self.cuts.abs_eta_l)

    def rate(self, momenta: Momenta, theta: Theta) -> Scalar:
        """Sum over flavours of densities x flux x |M|^2, pb per unit of dx1 dx2 dPhi_2."""
        flux = annihilation.type_sums(annihilation.fluxes(self.density, momenta, self.sqrt_s))
        (s, t, u), inputs = invariants(momenta), self._inputs(theta)
        total = jnp.zeros(())
        for number, numbers in enumerate(jnp.array(annihilation.QUARK_TYPES)):
            equal, opposite = coupling_squares(numbers, inputs, s)
            total += flux[0, number] * (equal * u**2 + opposite * t**2)
            total += flux[1, number] * (equal * t**2 + opposite * u**2)
        return total

    def scales(self, momenta: Momenta) -> tuple[Scalar, Scalar]:
        """The factorisation scale; no strong coupling."""
        return self.density.at(momenta).scale, jnp.array(jnp.nan)

    def channel_rate(self, momenta: Momenta, channel: Channel, theta: Theta) -> Scalar:
        """The rate of one channel."""
        is_reversed, quark_type = annihilation.place(channel)
        numbers = jnp.array(annihilation.QUARK_TYPES)[quark_type]
        s, t, u = invariants(momenta)
        kinematics = Invariants(s, jnp.where(is_reversed, u, t), jnp.where(is_reversed, t, u))
        flux = annihilation.fluxes(self.density, momenta, self.sqrt_s)[channel]
        return flux * square(numbers, self._inputs(theta), kinematics)

    def _inputs(self, theta: Theta) -> Inputs:
        coupling, strength, mass, sin2 = theta @ self.directions
        return Inputs(
            strength=(self.z_prime.coupling + coupling) ** 2 + strength,
            mass=self.z_prime.mass + mass,
            width=jnp.asarray(self.z_prime.width),
            sin2=ew.SIN2 + sin2,
        )


def _mass_range(spec: DrellYanSpec) -> tuple[float, float]:
    """Masses of the pair that the cuts leave, GeV."""
    high = spec.sqrt_s if spec.cuts.max_m_ll is None else min(spec.cuts.max_m_ll, spec.sqrt_s)
    return max(spec.cuts.m_ll, 2 * spec.cuts.pt_l), high
