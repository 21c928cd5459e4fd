r"""The processes $p p \to Z h$ and $p p \to \ell^- \ell^+ h$ that `zh` builds: phase space, cuts and rates.

$d\Phi_3 = \frac{dm^2}{2\pi}\, d\Phi_2(\hat s; m^2, M_h^2)\, d\Phi_2(m^2; 0, 0)$ with the mass m of the leptons.
"""

from collections.abc import Mapping
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.physics import annihilation
from saggiatore.physics import electroweak as ew
from saggiatore.physics.colour_flow import Flow
from saggiatore.physics.factorisation_scale import Density
from saggiatore.physics.kinematics import boost_along_z, massless_pair, mirrored
from saggiatore.physics.lepton_pair import leptons_accepted
from saggiatore.physics.mapping import AbstractMapping, propagator_mappings
from saggiatore.physics.peak_map import PeakMap
from saggiatore.physics.process import AbstractProcess, Channel, Observable
from saggiatore.physics.wbf_amplitude import Coefficients
from saggiatore.physics.zh_amplitude import emission, square
from saggiatore.physics.zh_channel import helicities
from saggiatore.physics.zh_observables import DECAY_OBSERVABLES, PRODUCTION_OBSERVABLES, m_ll, m_zh, pt_z
from saggiatore.spec import Spec
from saggiatore.types import Array, Flag, Float, Momenta, Scalar, Theta, UnitPoint
from saggiatore.units import Energy


class ZhCuts(Spec):
    """Fiducial region of production."""

    pt_z: Energy = Field(0, ge=0, description="least transverse momentum of the Z boson")
    max_m_zh: Energy | None = Field(
        None, gt=0, description="greatest invariant mass of Z and Higgs boson, where an effective theory ends"
    )


class ZhDecay(Spec):
    """The decay of the Z boson to muons, and their fiducial region."""

    m_ll: Energy = Field(66, gt=0, description="least invariant mass of the muons")
    max_m_ll: Energy = Field(116, gt=0, description="greatest invariant mass of the muons")
    pt_l: Energy = Field(0, ge=0, description="least transverse momentum of each muon")
    abs_eta_l: float | None = Field(None, gt=0, description="greatest |pseudorapidity| of each muon; none if absent")

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            "m_ll < max_m_ll", "m_ll = {m_ll:g} GeV leaves no room below max_m_ll = {max_m_ll:g} GeV; lower it."
        ),
    )


class Flight(eqx.Module):
    """A Z boson of `mass` in the rest frame of the partons (GeV), with log|dx1 dx2 dPhi_2 / du|."""

    mass: Scalar
    s_hat: Scalar
    rapidity: Scalar  # of the rest frame
    momentum: Scalar
    cos: Scalar
    phi: Scalar
    log_jacobian: Scalar

    @property
    def energy(self) -> Scalar:
        """Energy of the Z boson."""
        return jnp.sqrt(self.mass**2 + self.momentum**2)

    @property
    def vector(self) -> Float[Array, " 3"]:
        """Momentum of the Z boson."""
        return self.momentum * annihilation.direction(self.cos, self.phi)

    def event(self, visible: Momenta) -> Momenta:
        """All momenta in the laboratory, from those of the Z boson or its leptons in the rest frame."""
        higgs = annihilation.with_energy(jnp.sqrt(ew.M_H**2 + self.momentum**2), -self.vector)
        return boost_along_z(jnp.concatenate([annihilation.partons(self.s_hat), visible, higgs[None]]), self.rapidity)


def fly(mass: Scalar, sqrt_s: float, cuts: ZhCuts, u: UnitPoint) -> Flight:
    """Map four numbers to Z and Higgs boson inside the cuts of production, flat in log s-hat, rapidity and cos."""
    min_pt, highest = cuts.pt_z, min(cuts.max_m_zh or sqrt_s, sqrt_s)
    threshold = (jnp.sqrt(mass**2 + min_pt**2) + jnp.sqrt(ew.M_H**2 + min_pt**2)) ** 2
    log_range = jnp.log(highest**2 / threshold)
    s_hat = threshold * jnp.exp(log_range * u[0])
    rapidity, log_rapidity = annihilation.rapidity(sqrt_s, s_hat, u[1])
    square = (s_hat - (mass + ew.M_H) ** 2) * (s_hat - (mass - ew.M_H) ** 2) / (4 * s_hat)
    room = square - min_pt**2
    possible = (room > 0) & (log_range > 0)
    momentum = jnp.sqrt(jnp.where(possible, square, ew.M_H**2))
    span = 2 * jnp.sqrt(jnp.where(possible, room, ew.M_H**2)) / momentum
    log_density = annihilation.two_body_log_density(momentum, s_hat)
    log_jacobian = jnp.log(jnp.where(possible, log_range, 1.0) * s_hat * span * 2 * jnp.pi) + log_rapidity + log_density
    return Flight(
        mass,
        s_hat,
        rapidity,
        momentum,
        span * (u[2] - 0.5),
        2 * jnp.pi * u[3],
        jnp.where(possible, log_jacobian, -jnp.inf),
    )


def decay_products(flight: Flight, cos: Scalar, phi: Scalar) -> Momenta:
    """Momenta of both leptons; angles of the negative one about the flight of the Z boson, from its plane."""
    axis = annihilation.direction(flight.cos, flight.phi)
    normal = jnp.stack([-jnp.sin(flight.phi), jnp.cos(flight.phi), jnp.zeros_like(flight.phi)])
    boson = annihilation.with_energy(flight.energy, flight.vector)
    return massless_pair(boson, flight.mass, (axis, normal), annihilation.direction(cos, phi))


class ZhSettings(eqx.Module):
    """What both processes share."""

    sqrt_s: float = eqx.field(static=True)  # GeV
    cuts: ZhCuts = eqx.field(static=True)
    density: Density
    directions: Float[Array, "theta coefficient"]  # TeV^-2, HISZ

    def rate(self, momenta: Momenta, theta: Theta) -> Scalar:
        """Sum over flavours of densities x flux x |M|^2, pb per unit of dx1 dx2 dPhi."""
        flux = annihilation.type_sums(annihilation.fluxes(self.density, momenta, self.sqrt_s))
        return square(emission(flux), helicities(momenta, self.coefficients(theta)))

    def channel_rate(self, momenta: Momenta, channel: Channel, theta: Theta) -> Scalar:
        """The rate of one channel."""
        place = annihilation.place(channel)
        flux = annihilation.fluxes(self.density, momenta, self.sqrt_s)[channel]
        weights = jnp.zeros((2, 2)).at[place.is_reversed, place.quark_type].set(flux)
        return square(emission(weights), helicities(momenta, self.coefficients(theta)))

    def accepts(self, momenta: Momenta) -> Flag:
        """The cuts of production; the mapping covers no more, up to rounding."""
        inside = pt_z(momenta) >= self.cuts.pt_z
        return inside if self.cuts.max_m_zh is None else inside & (m_zh(momenta) <= self.cuts.max_m_zh)

    def coefficients(self, theta: Theta) -> Coefficients:
        """Coefficients at `theta`."""
        return theta @ self.directions


class ZhOnShell(AbstractProcess):
    """Z and Higgs boson; theta are multiples of the study's directions, zero the Standard Model.

    Parity is the reflection of `zh_observables`; without decay nothing observable is odd.
    """

    dim: ClassVar[int] = 4
    colour_flows: ClassVar[tuple[Flow, ...]] = annihilation.COLOUR_FLOWS
    legs: ClassVar[tuple[str, ...]] = ("parton along +z", "parton along -z", "Z boson", "Higgs boson")
    observables: ClassVar[Mapping[str, Observable]] = PRODUCTION_OBSERVABLES

    settings: ZhSettings
    parameters: tuple[str, ...] = eqx.field(static=True)
    quadratic: tuple[str, ...] = eqx.field(static=True)
    channels: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    def momenta(self, u: UnitPoint) -> tuple[Momenta, Scalar]:
        """Events inside the cuts."""
        flight = fly(jnp.asarray(ew.M_Z), self.settings.sqrt_s, self.settings.cuts, u)
        z = annihilation.with_energy(flight.energy, flight.vector)
        return flight.event(z[None]), flight.log_jacobian

    def accepts(self, momenta: Momenta) -> Flag:
        """See `ZhSettings`."""
        return self.settings.accepts(momenta)

    def rate(self, momenta: Momenta, theta: Theta) -> Scalar:
        """See `ZhSettings`."""
        return self.settings.rate(momenta, theta)

    def scales(self, momenta: Momenta) -> tuple[Scalar, Scalar]:
        """The factorisation scale; no strong coupling."""
        return self.settings.density.at(momenta).scale, jnp.array(jnp.nan)

    def channel_rate(self, momenta: Momenta, channel: Channel, theta: Theta) -> Scalar:
        """See `ZhSettings`."""
        return self.settings.channel_rate(momenta, channel, theta)


class ZhLeptons(AbstractProcess):
    """A lepton pair and a Higgs boson; theta are multiples of the study's directions, zero the Standard Model.

    Parity is the reflection of `zh_observables`: it changes the sign of the CP-odd coefficients, save for what the
    widths of the exchanged bosons add.
    """

    dim: ClassVar[int] = 7
    colour_flows: ClassVar[tuple[Flow, ...]] = annihilation.COLOUR_FLOWS
    legs: ClassVar[tuple[str, ...]] = (
        "parton along +z",
        "parton along -z",
        "negative muon",
        "positive muon",
        "Higgs boson",
    )
    observables: ClassVar[Mapping[str, Observable]] = DECAY_OBSERVABLES

    settings: ZhSettings
    decay: ZhDecay = eqx.field(static=True)
    pair_mass: PeakMap
    parameters: tuple[str, ...] = eqx.field(static=True)
    quadratic: tuple[str, ...] = eqx.field(static=True)
    channels: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    @property
    def mappings(self) -> tuple[AbstractMapping, ...]:
        """One for a virtual photon, one for the Z boson, in the mass of the leptons."""
        masses = (self.decay.m_ll, self.decay.max_m_ll)
        return propagator_mappings(self.pair_mass, masses, ((ew.M_Z, ew.WIDTH_Z),), coordinate=4)

    def momenta(self, u: UnitPoint) -> tuple[Momenta, Scalar]:
        """Events inside the cuts on production and on the mass of the leptons."""
        mass_squared, log_mass = self.pair_mass(u[4])
        flight = fly(jnp.sqrt(mass_squared), self.settings.sqrt_s, self.settings.cuts, u[:4])
        leptons = decay_products(flight, 2 * u[5] - 1, 2 * jnp.pi * (u[6] - 0.5))
        log_decay = log_mass - jnp.log(2 * jnp.pi) + jnp.log(4 * jnp.pi / (32 * jnp.pi**2))
        return flight.event(leptons), flight.log_jacobian + log_decay

    def accepts(self, momenta: Momenta) -> Flag:
        """All cuts; the mapping covers no more than those on the Z boson, up to rounding."""
        mass = m_ll(momenta)
        inside = self.settings.accepts(momenta) & (mass >= self.decay.m_ll) & (mass <= self.decay.max_m_ll)
        return inside & leptons_accepted(momenta, self.decay.pt_l, self.decay.abs_eta_l)

    def images(self, momenta: Momenta) -> Array:
        """The event and its mirror image, at which CP-odd coefficients have the opposite effect but for the widths."""
        return jnp.stack([momenta, mirrored(momenta)])

    def rate(self, momenta: Momenta, theta: Theta) -> Scalar:
        """See `ZhSettings`."""
        return self.settings.rate(momenta, theta)

    def scales(self, momenta: Momenta) -> tuple[Scalar, Scalar]:
        """The factorisation scale; no strong coupling."""
        return self.settings.density.at(momenta).scale, jnp.array(jnp.nan)

    def channel_rate(self, momenta: Momenta, channel: Channel, theta: Theta) -> Scalar:
        """See `ZhSettings`."""
        return self.settings.channel_rate(momenta, channel, theta)
