r"""Higgs production by weak-boson fusion at a proton collider: $p p \to j j h$, all t- and u-channel exchanges.

Two generations of massless quarks and antiquarks, W and Z fusion with their interference, photons through the
dimension-six vertices, no widths in the exchanged propagators, leading order. V h production by annihilation, which the
cut on the distance of the jets removes, is left out. See `wbf_amplitude` for the operators. Of the dynamical scales,
``mt`` is the transverse mass of the Higgs boson, and ``half_ht`` half the sum of that and of the jets' pT.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp
from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.physics import electroweak as ew
from saggiatore.physics import parton_density
from saggiatore.physics.colour_flow import Flow
from saggiatore.physics.dimension_six import Direction, in_hisz
from saggiatore.physics.factorisation_scale import Density, Produced
from saggiatore.physics.fusion_mapping import FusionMapping
from saggiatore.physics.helicity import contractions
from saggiatore.physics.kinematics import mirrored, pseudorapidity, transverse_momentum
from saggiatore.physics.mapping import AbstractMapping, Identity
from saggiatore.physics.marginal import MarginalPoint, marginal_score
from saggiatore.physics.matrix_element import MatrixElement
from saggiatore.physics.observables import JET_OBSERVABLES, delta_eta, m_jj
from saggiatore.physics.parton_density import EventDensity, ScaledDensity, positive_xf
from saggiatore.physics.phase_space import JetRegion, event, jet_variables, log_density, rapidity_range
from saggiatore.physics.process import AbstractProcess, Channel, Observable
from saggiatore.physics.variation import MOVES, AbstractElectroweakSpec
from saggiatore.physics.wbf_amplitude import assignments, pair_propagators, vertex_amplitudes
from saggiatore.physics.wbf_channel import (
    channel_matrix_element,
    channel_square,
    chirality_amplitudes,
    existing_channels,
)
from saggiatore.physics.wbf_flavour_sum import Amplitudes, Generation, flavour_sum
from saggiatore.spec import Label, Spec
from saggiatore.types import Array, Flag, Float, Momenta, Scalar, Theta, UnitPoint
from saggiatore.units import GEV2_PB, Energy

_GENERATIONS = ((2, 1, -2, -1), (4, 3, -4, -3))  # up, down, anti-up, anti-down
_PT_SCALE = 60.0  # GeV; of the order of M_W, any value gives the same cross section


class WbfCuts(Spec):
    """Fiducial region of the two jets."""

    pt_j: Energy = Field(gt=0, description="least transverse momentum of a jet")
    abs_eta_j: float = Field(gt=0, le=20, description="greatest |pseudorapidity| of a jet")
    delta_eta_jj: float = Field(0, ge=0, description="least distance of the jets in pseudorapidity")
    m_jj: Energy = Field(0, ge=0, description="least invariant mass of the jets")


class WbfHiggsSpec(AbstractElectroweakSpec):
    """Weak-boson fusion to a Higgs boson in proton collisions."""

    kind: Literal["wbf_higgs"] = "wbf_higgs"
    cuts: WbfCuts
    parameters: dict[Label, Direction] = Field(
        min_length=1, description="each theory parameter: the direction in coefficient space of which it is a multiple"
    )

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            "cuts.delta_eta_jj < 2 * cuts.abs_eta_j",
            "cuts.delta_eta_jj = {cuts.delta_eta_jj:g} leaves no room within |eta_j| < {cuts.abs_eta_j:g}; "
            "lower it below twice abs_eta_j.",
        ),
        Constraint(
            f"max(2 * cuts.pt_j, cuts.m_jj) + {ew.M_H} < sqrt_s",
            "two jets of cuts.pt_j = {cuts.pt_j:g} GeV and cuts.m_jj = {cuts.m_jj:g} GeV need, with a Higgs boson, "
            "more than sqrt_s = {sqrt_s:g} GeV; lower them.",
        ),
        MOVES,
    )

    @classmethod
    def names(cls) -> dict[str, list[str]]:
        """Observables that a study can name; it names the parameters itself."""
        marginals = [", ".join(MarginalPoint._fields)]
        return {"observable": list(JET_OBSERVABLES), "parameter": [], "marginal": marginals}

    @classmethod
    def matrix_element(cls, pdg: str, widths: bool) -> MatrixElement:
        """|M|^2 of one flavour channel; see `channel_matrix_element`."""
        return channel_matrix_element(pdg, widths)

    def build(self) -> "WbfHiggs":
        """The process.

        Raises:
            PartonDensityError: if the set is missing, damaged or does not cover the scale.
        """
        channels = existing_channels()
        return WbfHiggs(
            sqrt_s=self.sqrt_s,
            cuts=self.cuts,
            density=self.density(Produced((4,), ((2,), (3,), (4,)), least=(self.cuts.pt_j, self.cuts.pt_j, ew.M_H))),
            directions=jnp.array([in_hisz(direction) for direction in self.parameters.values()]),
            parameters=tuple(self.parameters),
            quadratic=tuple(self.parameters),  # an amplitude has one dimension-six insertion at most
            channels=tuple((*entry.flavours, 25) for entry in channels),
            couplings_t=jnp.array([entry.t for entry in channels]),
            couplings_u=jnp.array([entry.u for entry in channels]),
        )


class WbfHiggs(AbstractProcess):
    """Weak-boson fusion; theta are multiples of the study's directions in coefficient space, zero the Standard Model.

    Jet 3 is the one of larger pseudorapidity; every flavour assignment of the two jets is summed. Parity is the
    reflection of `observables`: it changes the sign of the CP-odd coefficients.
    """

    dim: ClassVar[int] = 7
    legs: ClassVar[tuple[str, ...]] = (
        "parton along +z",
        "parton along -z",
        "forward jet",
        "backward jet",
        "Higgs boson",
    )
    colour_flows: ClassVar[tuple[Flow, ...]] = (((0, 2), (1, 3)), ((0, 3), (1, 2)))
    observables: ClassVar[Mapping[str, Observable]] = JET_OBSERVABLES

    sqrt_s: float = eqx.field(static=True)  # GeV
    cuts: WbfCuts = eqx.field(static=True)
    density: Density
    directions: Float[Array, "theta coefficient"]  # TeV^-2, HISZ
    parameters: tuple[str, ...] = eqx.field(static=True)
    quadratic: tuple[str, ...] = eqx.field(static=True)
    channels: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    couplings_t: Float[Array, "channel 2 2 pair"]
    couplings_u: Float[Array, "channel 2 2 pair"]

    @property
    def mappings(self) -> tuple[AbstractMapping, ...]:
        """The coordinates themselves, and one that follows the propagators of both exchanged bosons."""
        return (Identity(), FusionMapping(self._region, ew.M_H, ew.M_W))

    @property
    def _region(self) -> JetRegion:
        """Where the jets lie."""
        cuts = self.cuts
        return JetRegion(self.sqrt_s, cuts.pt_j, cuts.abs_eta_j, cuts.delta_eta_jj, _PT_SCALE)

    def momenta(self, u: UnitPoint) -> tuple[Momenta, Scalar]:
        """Momenta inside the cuts on pT, eta and Delta eta."""
        jets, log_jets = jet_variables(self._region, u[:6])
        low, high = rapidity_range(self.sqrt_s, ew.M_H, jets)
        possible = high > low
        width = jnp.where(possible, high - low, 1.0)
        momenta = event(ew.M_H, jets, low + width * u[6])
        log_jacobian = log_jets + log_density(self.sqrt_s, jets) + jnp.log(width)
        return momenta, jnp.where(possible, log_jacobian, -jnp.inf)

    @property
    def marginals(self) -> tuple[tuple[str, ...], ...]:
        """The four observables of `physics.marginal`."""
        return (MarginalPoint._fields,)

    def marginal_score(self, observables: Mapping[str, Scalar], theta: Theta, log_sigma_gradient: Theta) -> Theta:
        """By quadrature over the unobserved rapidities."""
        return marginal_score(self, MarginalPoint(**observables), theta, log_sigma_gradient)

    def accepts(self, momenta: Momenta) -> Flag:
        """All cuts; the mapping covers no more than the cuts on pT, eta and Delta eta, up to rounding."""
        inside = (m_jj(momenta) >= self.cuts.m_jj) & (delta_eta(momenta) >= self.cuts.delta_eta_jj)
        for jet in (momenta[2], momenta[3]):
            inside &= transverse_momentum(jet) >= self.cuts.pt_j
            inside &= jnp.abs(pseudorapidity(jet)) <= self.cuts.abs_eta_j
        return inside

    def images(self, momenta: Momenta) -> Array:
        """The event and its mirror image, at which CP-odd coefficients have the opposite effect."""
        return jnp.stack([momenta, mirrored(momenta)])

    def rate(self, momenta: Momenta, theta: Theta) -> Scalar:
        """Sum over flavours of densities x flux x |M|^2, pb per unit of dPhi / (dx1 dx2)^-1 of `phase_space`."""
        x_1, x_2 = self._fractions(momenta)
        t, u = (_pair_amplitudes(legs, theta @ self.directions) for legs in assignments(momenta))
        density = self.density.at(momenta)
        return self._flux(x_1, x_2) * flavour_sum(_proton(density, x_1), _proton(density, x_2), t, u)

    def scales(self, momenta: Momenta) -> tuple[Scalar, Scalar]:
        """The factorisation scale; no strong coupling."""
        return self.density.at(momenta).scale, jnp.array(jnp.nan)

    def channel_rate(self, momenta: Momenta, channel: Channel, theta: Theta) -> Scalar:
        """The rate of one channel of `wbf_channel`; its legs 3 and 4 are the forward and the backward jet."""
        places = [[parton_density.FLAVOURS.index(legs[i]) for legs in self.channels] for i in (0, 1)]
        first, second = jnp.array(places)[:, channel]
        x_1, x_2 = self._fractions(momenta)
        density = self.density.at(momenta)
        luminosity = positive_xf(density, x_1)[first] * positive_xf(density, x_2)[second] / (x_1 * x_2)
        amplitudes = chirality_amplitudes(momenta, theta @ self.directions, widths=False)
        square = channel_square(self.couplings_t[channel], self.couplings_u[channel], amplitudes)
        return self._flux(x_1, x_2) * luminosity * square

    def colour_rates(self, momenta: Momenta, channel: Channel, theta: Theta) -> Float[Array, " flow"]:
        """Squares of the two ways to join the quark lines; their interference is of subleading colour."""
        amplitudes = chirality_amplitudes(momenta, theta @ self.directions, widths=False)
        t, u = self.couplings_t[channel], self.couplings_u[channel]
        return jnp.stack([channel_square(*pair, amplitudes) for pair in ((t, 0 * u), (0 * t, u))])

    def _fractions(self, momenta: Momenta) -> tuple[Scalar, Scalar]:
        return 2 * momenta[0, 0] / self.sqrt_s, 2 * momenta[1, 0] / self.sqrt_s

    def _flux(self, x_1: Scalar, x_2: Scalar) -> Scalar:
        return GEV2_PB / (2 * x_1 * x_2 * self.sqrt_s**2)


def _proton(density: ScaledDensity | EventDensity, x: Scalar) -> tuple[Generation, ...]:
    """Densities f(x) of the quarks of two generations."""
    xf = dict(zip(parton_density.FLAVOURS, positive_xf(density, x), strict=True))
    return tuple(Generation(*(xf[flavour] / x for flavour in row)) for row in _GENERATIONS)


def _pair_amplitudes(quarks: Momenta, coefficients: Float[Array, " coefficient"]) -> Amplitudes:
    kinematics = contractions(quarks)
    return vertex_amplitudes(kinematics, coefficients) * pair_propagators(kinematics, widths=False)
