r"""A vector boson with jets at a proton collider: what Z and W have in common.

All tree diagrams of order $g_s^{n}$ with one vector boson and n jets of two generations of massless quarks and of
gluons, full colour; the jets are not ordered, so that the rate is the sum over ordered flavours over n!. Left out:
diagrams with more electroweak couplings (exchange of vector bosons between quarks, two bosons), bottom quarks, loops.
"""

import abc
import itertools
import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.physics import jet_observable, jet_phase_space, weyl
from saggiatore.physics.colour_flow import Flow
from saggiatore.physics.hadron_collision import AbstractQcdSpec, Collision, flavour_places
from saggiatore.physics.jet_amplitude import N_INCOMING, Boson, OneLine, TwoLines, one_line, two_lines
from saggiatore.physics.jet_colour import jet_flows, one_line_by_flow, two_lines_by_flow
from saggiatore.physics.jet_phase_space import DECAY_NUMBERS, JET_NUMBERS, Region
from saggiatore.physics.kinematics import mass_squared, pseudorapidity, transverse_momentum
from saggiatore.physics.mapping import AbstractMapping, CollinearMapping, Identity, PermutedMapping
from saggiatore.physics.peak_map import ResonantPropagator
from saggiatore.physics.process import AbstractProcess, Channel
from saggiatore.physics.strong_coupling import Q_RANGE
from saggiatore.spec import Spec
from saggiatore.types import Array, Flag, Float, Momenta, Scalar, Theta, UnitPoint
from saggiatore.units import Energy

MUON, MUON_NEUTRINO = 13, 14
MAX_JETS = 3


class BosonJetsCuts(Spec):
    """Fiducial region; the cuts on leptons hold for charged ones."""

    pt_j: Energy = Field(gt=0, description="least transverse momentum of a jet")
    abs_eta_j: float = Field(gt=0, le=20, description="greatest |pseudorapidity| of a jet")
    delta_r_jj: float = Field(0, ge=0, le=5, description="least distance of two jets in pseudorapidity and azimuth")
    pt_l: Energy = Field(0, ge=0, description="least transverse momentum of a charged lepton")
    abs_eta_l: float = Field(20, gt=0, le=20, description="greatest |pseudorapidity| of a charged lepton")


def room(mass: str, says: str) -> tuple[Constraint, Constraint]:
    """That the collision has the energy for the jets and a boson, and that its coupling is known at the least scale.

    Args:
        mass: expression of the least mass of the boson, GeV.
        says: the fields that it comes from, for the messages.
    """
    least = f"hypot({mass}, cuts.pt_j * (n_jets == 1))"  # transverse mass: one jet has only the boson to recoil against
    scale = f"(({least}) if scale.choice == 'mt' else (({least}) + n_jets * cuts.pt_j) / 2)"
    return (
        Constraint(
            f"n_jets * cuts.pt_j + {least} < sqrt_s",
            f"jets of cuts.pt_j = {{cuts.pt_j:g}} GeV and {says} need more than sqrt_s = {{sqrt_s:g}} GeV; lower them.",
        ),
        Constraint(
            f"scale.value is not None or strong_coupling is None or renormalisation_factor * {scale} >= {Q_RANGE[0]}",
            f"scale.choice '{{scale.choice}}' with {says} and renormalisation_factor = {{renormalisation_factor:g}} "
            f"goes below {Q_RANGE[0]:g} GeV, where strong_coupling ends; tighten the cuts, or fix the scale.",
        ),
    )


class AbstractBosonJetsSpec(AbstractQcdSpec):
    """Fields that Z and W with jets share."""

    n_jets: int = Field(ge=1, le=MAX_JETS, description="jets; three take a minute to compile")
    cuts: BosonJetsCuts

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            "n_jets == 1 or cuts.delta_r_jj > 0",
            "cuts.delta_r_jj is 0, and the rate of {n_jets} jets is infinite there; give a distance, such as 0.4.",
        ),
        Constraint(
            "n_jets == 1 or cuts.delta_r_jj < hypot(2 * cuts.abs_eta_j, pi)",
            "cuts.delta_r_jj = {cuts.delta_r_jj:g} leaves no room for two jets within |eta_j| < {cuts.abs_eta_j:g}; "
            "lower it, or raise cuts.abs_eta_j.",
        ),
        Constraint(
            "2 * cuts.pt_l < sqrt_s",
            "cuts.pt_l = {cuts.pt_l:g} GeV is not below half of sqrt_s = {sqrt_s:g} GeV; lower it.",
        ),
    )


class Resonance(Spec):
    """Window of the mass of two leptons."""

    low: Energy = Field(gt=0, description="least mass")
    high: Energy = Field(gt=0, description="greatest mass")

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint("low < high", "low = {low:g} GeV is not below high = {high:g} GeV; lower it, or raise high."),
    )


class Products(eqx.Module):
    """Amplitudes of one event, squared and without flavour."""

    one: OneLine
    two: TwoLines | None


def products(partons: Momenta, boson: Boson) -> Products:
    """The products that the channels of an event need; two quark lines take two jets."""
    return Products(one_line(partons, boson), two_lines(partons, boson) if len(partons) > 3 else None)


def on_shell(momentum: Array, mass: float) -> Boson:
    """A boson with three polarisations."""
    return Boson(weyl.massive_polarisations(momentum, mass), weyl.from_real(momentum))


def decayed(lepton: Array, antilepton: Array) -> Boson:
    """A boson, with unit propagator and couplings, that becomes two massless leptons of either helicity."""
    return Boson(weyl.lepton_current(lepton, antilepton), weyl.add(weyl.massless(lepton), weyl.massless(antilepton)))


class AbstractBosonJets(AbstractProcess):
    """Z or W with jets: legs are the partons along +z and -z, the jets, and the boson or its two leptons."""

    collision: eqx.AbstractVar[Collision]
    n_jets: eqx.AbstractVar[int]
    cuts: eqx.AbstractVar[BosonJetsCuts]
    mass: eqx.AbstractClassVar[float]  # GeV
    width: eqx.AbstractClassVar[float]  # GeV
    window: eqx.AbstractVar[Resonance | None]  # None: the boson is on shell

    @abc.abstractmethod
    def channel_squares(self, found: Products, boson_squared: Scalar, theta: Theta) -> Float[Array, " channel"]:
        """|M|^2 of all channels without the strong coupling, without 1/n!; the boson's mass squared in GeV^2."""

    @property
    @abc.abstractmethod
    def boson_legs(self) -> tuple[str, ...]:
        """Names of the legs behind the jets."""

    @property
    def legs(self) -> tuple[str, ...]:
        """Names of all legs."""
        jets = (f"jet {number}" for number in range(1, self.n_jets + 1))
        return ("parton along +z", "parton along -z", *jets, *self.boson_legs)

    @property
    def dim(self) -> int:
        """Three numbers a jet, one for the boson and three for its decay."""
        return JET_NUMBERS * self.n_jets + 1 + (0 if self.window is None else DECAY_NUMBERS)

    @property
    def mappings(self) -> tuple[AbstractMapping, ...]:
        """The coordinates themselves, in which soft jets are followed, and one for each pair of collinear jets."""
        n = self.n_jets
        first_two = CollinearMapping(self.cuts.abs_eta_j, self.cuts.delta_r_jj, etas=(n, n + 1), turn=2 * n + 1)
        pairs = itertools.combinations(range(n), 2)
        orders = [(*pair, *(jet for jet in range(n) if jet not in pair)) for pair in pairs]
        return (
            Identity(),
            *(first_two if order == tuple(range(n)) else PermutedMapping(first_two, order) for order in orders),
        )

    @property
    def mapping_classes(self) -> tuple[int, ...]:
        """All pairs of jets have one density."""
        return (0, *[1] * (len(self.mappings) - 1))

    def momenta(self, u: UnitPoint) -> tuple[Momenta, Scalar]:
        """Momenta inside the cuts on the jets' pT and eta and inside the mass window."""
        region = Region(self.collision.sqrt_s, self.n_jets, self.cuts.pt_j, self.cuts.abs_eta_j)
        n_production = JET_NUMBERS * self.n_jets + 1
        if self.window is None:
            return jet_phase_space.event(region, jnp.asarray(self.mass**2), u)
        propagator = ResonantPropagator(self.window.low, self.window.high, self.mass, self.width)
        squared, log_mass = propagator(u[n_production])
        momenta, log_event = jet_phase_space.event(region, squared, u[:n_production])
        leptons, log_decay = jet_phase_space.decay(momenta[-1], squared, u[n_production + 1 :])
        return jnp.concatenate([momenta[:-1], leptons]), log_mass + log_event + log_decay

    def accepts(self, momenta: Momenta) -> Flag:
        """All cuts; the mapping covers no more than those on single jets and on the mass, up to rounding."""
        jets = momenta[2 : 2 + self.n_jets]
        pt, eta = transverse_momentum(jets.T), pseudorapidity(jets.T)
        inside = jnp.all(pt >= self.cuts.pt_j) & jnp.all(jnp.abs(eta) <= self.cuts.abs_eta_j)
        for i in range(self.n_jets):
            for j in range(i):
                inside &= jet_observable.delta_r(jets[i], jets[j]) >= self.cuts.delta_r_jj
        for lepton in self.charged_leptons(momenta):
            inside &= transverse_momentum(lepton) >= self.cuts.pt_l
            inside &= jnp.abs(pseudorapidity(lepton)) <= self.cuts.abs_eta_l
        return inside

    def scales(self, momenta: Momenta) -> tuple[Scalar, Scalar]:
        """See `AbstractProcess.scales`."""
        return self.collision.scales(self._scale(momenta, self._boson(momenta)[1]))

    @property
    def colour_flows(self) -> tuple[Flow, ...]:
        """Those of the jets: the boson has no colour."""
        return jet_flows(N_INCOMING + self.n_jets)

    def colour_rates(self, momenta: Momenta, channel: Channel, theta: Theta) -> Float[Array, " flow"]:
        """Squares of the channel's amplitude in each flow."""
        partons, (wave, squared) = momenta[: N_INCOMING + self.n_jets], self._boson(momenta)
        found = Products(one_line_by_flow(partons, wave), two_lines_by_flow(partons, wave) if self.n_jets > 1 else None)
        return jax.vmap(lambda each: self.channel_squares(each, squared, theta)[channel])(found)

    @abc.abstractmethod
    def charged_leptons(self, momenta: Momenta) -> list[Array]:
        """Momenta that the cuts on leptons concern."""

    def rate(self, momenta: Momenta, theta: Theta) -> Scalar:
        """Sum over flavours of densities x flux x |M|^2 / n!, pb per unit of dx1 dx2 dPhi."""
        return jnp.sum(self._rates(momenta, theta))

    def channel_rate(self, momenta: Momenta, channel: Channel, theta: Theta) -> Scalar:
        """The rate of one channel."""
        return self._rates(momenta, theta)[channel]

    def _rates(self, momenta: Momenta, theta: Theta) -> Float[Array, " channel"]:
        n_partons = N_INCOMING + self.n_jets
        wave, squared = self._boson(momenta)
        found = self.channel_squares(products(momenta[:n_partons], wave), squared, theta)
        scale = self._scale(momenta, squared)
        strength = (4 * np.pi * self.collision.coupling(scale)) ** self.n_jets / math.factorial(self.n_jets)
        luminosities = self.collision.luminosities(momenta, scale).ravel()[flavour_places(self.channels)]
        return strength * luminosities * found

    def _scale(self, momenta: Momenta, boson_squared: Scalar) -> Scalar:
        """The scale of an event, GeV, before the factors on it."""
        _, px, py, _ = momenta[N_INCOMING + self.n_jets :].sum(axis=0)
        mt = jnp.sqrt(boson_squared + px**2 + py**2)
        return self.collision.event_scale(jet_observable.jet_pt(momenta, self.n_jets), mt)

    def _boson(self, momenta: Momenta) -> tuple[Boson, Scalar]:
        """The boson or what became of it, and its mass squared, GeV^2."""
        legs = momenta[N_INCOMING + self.n_jets :]
        if self.window is None:
            return on_shell(legs[0], self.mass), jnp.asarray(self.mass**2)
        return decayed(legs[0], legs[1]), mass_squared(legs[0] + legs[1])
