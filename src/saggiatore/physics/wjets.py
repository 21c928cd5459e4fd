r"""W production with jets at a proton collider: $p p \to W^\pm (\to \ell \nu) + n$ jets.

All tree diagrams of order $g_s^n$ with full colour, unit CKM matrix; see `boson_jets` for what is left out. One
massless charged lepton (a muon) and its neutrino, with spin correlations and a fixed width.

The theory parameter is the mass of the W boson. The amplitude is expanded to first order in its shift $\delta$, with
fixed couplings: $\frac{1}{D} \to \frac{1}{D} \left(1 + \frac{2 M_W - i \Gamma_W}{D} \delta\right)$ with
$D = q^2 - M_W^2 + i M_W \Gamma_W$; the rate is its square, a polynomial of degree two that describes shifts far below
the width.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.errors import EventError
from saggiatore.physics import electroweak as ew
from saggiatore.physics.boson_jets import (
    MAX_JETS,
    MUON,
    MUON_NEUTRINO,
    AbstractBosonJets,
    AbstractBosonJetsSpec,
    BosonJetsCuts,
    Products,
    Resonance,
    decayed,
    on_shell,
    products,
    room,
)
from saggiatore.physics.hadron_collision import Collision
from saggiatore.physics.jet_channel import charged_channels, charged_features, find_channel, identical_factor, squares
from saggiatore.physics.jet_observable import boson_observables, w_observables
from saggiatore.physics.kinematics import beams_along_z, mass_squared
from saggiatore.physics.matrix_element import REFERENCE_ALPHA_S, MatrixElement, parse_pdg
from saggiatore.physics.process import Observable
from saggiatore.spec import Label
from saggiatore.types import Array, Float, Momenta, Scalar, Theta
from saggiatore.units import Energy

W = 24
COEFFICIENTS = ("m_w",)  # GeV
_COVERED = (
    "one W boson (24, -24) or a pair -13,14 or 13,-14, one to three jets of quarks d u s c (1 2 3 4, antiquarks "
    "negative) and gluons (21); two incoming legs first, for example 2,-1,24,21"
)
_CHARGES = {"plus": (1,), "minus": (-1,), "both": (1, -1)}
_LEPTONS = {1: (-MUON, MUON_NEUTRINO), -1: (MUON, -MUON_NEUTRINO)}
# The current of charged lepton and neutrino is left-handed for W-; for W+ the two change ends, which flips it.
_BOSON = {-1: ((0,), (1,)), 1: ((1,), (0,))}
_POLARISATIONS = ((0, 1, 2), (0, 1, 2))


class WJetsSpec(AbstractBosonJetsSpec):
    """W bosons with jets in proton collisions."""

    kind: Literal["wjets"] = "wjets"
    charge: Literal["plus", "minus", "both"] = "both"
    m_lv: Resonance = Field(description="window of the mass of lepton and neutrino")
    parameters: dict[Label, Energy] = Field(
        min_length=1,
        max_length=1,
        description="the theory parameter: the shift of the W mass of which it is a multiple",
    )

    constraints: ClassVar[tuple[Constraint, ...]] = (
        *room("m_lv.low", "a W boson of m_lv.low = {m_lv.low:g} GeV"),
        Constraint(
            "all(parameters.values())",
            "parameters has a shift of 0 GeV, which moves nothing; give one that is not zero.",
        ),
    )

    @classmethod
    def names(cls) -> dict[str, list[str]]:
        """Observables that a study can name, of the most jets; it names the parameter itself."""
        return {"observable": list(boson_observables(MAX_JETS, "W") | w_observables(MAX_JETS)), "parameter": []}

    @classmethod
    def matrix_element(cls, pdg: str, widths: bool) -> MatrixElement:
        """|M|^2 of one flavour channel; see `channel_matrix_element`."""
        return channel_matrix_element(pdg)

    def build(self) -> "WJets":
        """The process.

        Raises:
            PartonDensityError: if the set is missing, damaged, does not cover the scale or states no strong coupling.
        """
        charges = _CHARGES[self.charge]
        channels = [
            (*partons, *_LEPTONS[charge])
            for charge in charges
            for partons in charged_channels(self.n_jets, charge).partons
        ]
        return WJets(
            collision=self.collision(),
            n_jets=self.n_jets,
            cuts=self.cuts,
            window=self.m_lv,
            charges=charges,
            shifts=jnp.array(list(self.parameters.values())),
            parameters=tuple(self.parameters),
            quadratic=tuple(self.parameters),
            channels=tuple(channels),
        )


class WJets(AbstractBosonJets):
    """W bosons with jets; theta is a multiple of the study's shift of the W mass.

    Parity is the reflection in a plane that contains the beam.
    """

    mass: ClassVar[float] = ew.M_W
    width: ClassVar[float] = ew.WIDTH_W

    collision: Collision
    n_jets: int = eqx.field(static=True)
    cuts: BosonJetsCuts = eqx.field(static=True)
    window: Resonance | None = eqx.field(static=True)
    charges: tuple[int, ...] = eqx.field(static=True)
    shifts: Float[Array, " theta"]  # GeV
    parameters: tuple[str, ...] = eqx.field(static=True)
    quadratic: tuple[str, ...] = eqx.field(static=True)
    channels: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    @property
    def boson_legs(self) -> tuple[str, ...]:
        """The leptons."""
        return ("charged lepton", "neutrino")

    @property
    def observables(self) -> Mapping[str, Observable]:
        """Those of the boson and the jets, and of the leptons."""
        return MappingProxyType(boson_observables(self.n_jets, "W") | w_observables(self.n_jets))

    def channel_squares(self, found: Products, boson_squared: Scalar, theta: Theta) -> Float[Array, " channel"]:
        """|M|^2 of all channels, first those of the first charge."""
        strength = _leptonic_strength(boson_squared, theta @ self.shifts)
        each = [
            squares(charged_channels(self.n_jets, charge), charged_features(found.one, found.two, *_BOSON[charge]))
            for charge in self.charges
        ]
        return strength * jnp.concatenate(each)

    def charged_leptons(self, momenta: Momenta) -> list[Array]:
        """The one charged lepton."""
        return [momenta[-2]]


def channel_matrix_element(pdg: str) -> MatrixElement:
    """|M|^2 of the channel with the legs ``pdg`` (PDG numbers with commas between them), in the order of `pdg`.

    1/n! of identical legs is in it; the strong coupling is that of the reference tables.

    Raises:
        EventError: if there is no such channel.
    """
    legs = parse_pdg(pdg, _COVERED)
    charge, colourless = _colourless(legs)
    found = find_channel(legs, colourless, lambda n: charged_channels(n, charge), MAX_JETS) if charge else None
    if found is None:
        raise EventError(f"--pdg {pdg}: no such channel of wjets. Covered: {_COVERED}.")
    channels, row, n_jets, order = found
    is_on_shell = len(colourless) == 1
    strength = (4 * np.pi * REFERENCE_ALPHA_S) ** n_jets * identical_factor(channels.partons[row][2:])

    def function(momenta: Momenta, coefficients: Theta) -> Scalar:
        ordered = beams_along_z(momenta[jnp.array(order)])
        jets, boson = ordered[: n_jets + 2], ordered[n_jets + 2 :]
        if is_on_shell:
            parts = products(jets, on_shell(boson[0], ew.M_W))
            features = ew.G**2 / 2 * charged_features(parts.one, parts.two, *_POLARISATIONS)
        else:
            parts = products(jets, decayed(boson[0], boson[1]))
            leptonic = _leptonic_strength(mass_squared(boson[0] + boson[1]), coefficients[0])
            features = leptonic * charged_features(parts.one, parts.two, *_BOSON[charge])
        return strength * squares(channels, features)[row]

    masses = tuple(ew.M_W if abs(leg) == W else 0.0 for leg in legs)
    return MatrixElement(masses, {} if is_on_shell else dict.fromkeys(COEFFICIENTS, "GeV"), function)


def _colourless(legs: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """Charge of the boson (0 if there is none) and the legs that are it."""
    for charge, leptons in _LEPTONS.items():
        if charge * W in legs:
            return charge, (charge * W,)
        if set(leptons) <= set(legs):
            return charge, leptons
    return 0, ()


def _leptonic_strength(m_squared: Scalar, shift: Scalar) -> Scalar:
    """|couplings x propagator|^2 of a W boson whose mass is shifted by `shift` (GeV), GeV^-4; see the module."""
    inverse = 1 / (m_squared - ew.M_W**2 + 1j * ew.M_W * ew.WIDTH_W)
    amplitude = ew.G**2 / 2 * inverse * (1 + (2 * ew.M_W - 1j * ew.WIDTH_W) * inverse * shift)
    return amplitude.real**2 + amplitude.imag**2
