r"""Z production with jets at a proton collider: $p p \to Z + n$ jets, the Z on shell or decayed to muons.

All tree diagrams of order $g_s^n$ with full colour, see `boson_jets` for what is left out. Final states: ``z`` is an
on-shell Z boson; ``z_muons`` its decay to $\mu^- \mu^+$ with spin correlations and a fixed width; ``muons`` adds the
photon and the interference. Muons are massless.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.errors import EventError
from saggiatore.physics import electroweak as ew
from saggiatore.physics import neutral_coupling
from saggiatore.physics.boson_jets import (
    MAX_JETS,
    MUON,
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
from saggiatore.physics.jet_channel import find_channel, identical_factor, neutral_channels, neutral_features, squares
from saggiatore.physics.jet_observable import boson_observables, lepton_observables
from saggiatore.physics.kinematics import beams_along_z, mass_squared
from saggiatore.physics.matrix_element import REFERENCE_ALPHA_S, MatrixElement, parse_pdg
from saggiatore.physics.process import Observable
from saggiatore.physics.variation import MOVES
from saggiatore.spec import Label
from saggiatore.types import Array, Float, Momenta, Scalar, Theta

Z = 23
_ON_SHELL_FLIP: tuple[int, ...] = (0, 1, 2)  # linear polarisations are their own mirror images
_LEPTON_FLIP: tuple[int, ...] = (1, 0)
_COVERED = (
    "one Z boson (23) or a pair 13,-13, one to three jets of quarks d u s c (1 2 3 4, antiquarks negative) and gluons "
    "(21); two incoming legs first, for example 2,-2,23,21"
)

_Coefficient = Literal["sin2_eff", "g_l_up", "g_r_up", "g_l_down", "g_r_down"]  # those of neutral_coupling
Direction = Annotated[dict[_Coefficient, float], Field(min_length=1)]


class ZJetsSpec(AbstractBosonJetsSpec):
    """Z bosons with jets in proton collisions."""

    kind: Literal["zjets"] = "zjets"
    final_state: Literal["z", "z_muons", "muons"] = Field(
        description="an on-shell Z; its decay to muons; the same with the photon"
    )
    m_ll: Resonance | None = Field(None, description="window of the muons' mass")
    parameters: dict[Label, Direction] = Field(
        min_length=1, description="each theory parameter: the shift of couplings of which it is a multiple"
    )

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            "(final_state == 'z') == (m_ll is None)",
            "final_state is '{final_state}': muons need a window m_ll, an on-shell Z has none.",
        ),
        Constraint(
            "final_state != 'z' or cuts.pt_l == 0 and cuts.abs_eta_l == 20",
            "final_state is 'z', which has no leptons to cut on: leave cuts.pt_l and cuts.abs_eta_l out.",
        ),
        *room(f"({ew.M_Z} if m_ll is None else m_ll.low)", "a Z boson (m_ll, if it decays)"),
        MOVES,
    )

    @classmethod
    def names(cls) -> dict[str, list[str]]:
        """Observables that a study can name, of the most jets; it names the parameters itself."""
        return {"observable": list(boson_observables(MAX_JETS, "Z") | lepton_observables(MAX_JETS)), "parameter": []}

    @classmethod
    def matrix_element(cls, pdg: str, widths: bool) -> MatrixElement:
        """|M|^2 of one flavour channel; see `channel_matrix_element`."""
        return channel_matrix_element(pdg)

    def build(self) -> "ZJets":
        """The process.

        Raises:
            PartonDensityError: if the set is missing, damaged, does not cover the scale or states no strong coupling.
        """
        boson = (Z,) if self.m_ll is None else (MUON, -MUON)
        return ZJets(
            collision=self.collision(),
            n_jets=self.n_jets,
            cuts=self.cuts,
            window=self.m_ll,
            photon=self.final_state == "muons",
            directions=jnp.array([_row(direction) for direction in self.parameters.values()]),
            parameters=tuple(self.parameters),
            quadratic=tuple(self.parameters),
            channels=tuple((*partons, *boson) for partons in neutral_channels(self.n_jets).partons),
        )


class ZJets(AbstractBosonJets):
    """Z bosons with jets; theta are multiples of the study's shifts of couplings, zero the Standard Model.

    Parity is the reflection in a plane that contains the beam.
    """

    mass: ClassVar[float] = ew.M_Z
    width: ClassVar[float] = ew.WIDTH_Z

    collision: Collision
    n_jets: int = eqx.field(static=True)
    cuts: BosonJetsCuts = eqx.field(static=True)
    window: Resonance | None = eqx.field(static=True)
    photon: bool = eqx.field(static=True)
    directions: Float[Array, "theta coefficient"]
    parameters: tuple[str, ...] = eqx.field(static=True)
    quadratic: tuple[str, ...] = eqx.field(static=True)
    channels: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    @property
    def boson_legs(self) -> tuple[str, ...]:
        """The Z boson or its muons."""
        return ("Z boson",) if self.window is None else ("negative muon", "positive muon")

    @property
    def observables(self) -> Mapping[str, Observable]:
        """Those of the boson and the jets, and of the muons."""
        of_leptons = {} if self.window is None else lepton_observables(self.n_jets)
        return MappingProxyType(boson_observables(self.n_jets, "Z") | of_leptons)

    def channel_squares(self, found: Products, boson_squared: Scalar, theta: Theta) -> Float[Array, " channel"]:
        """|M|^2 of all channels, with the shifted couplings."""
        coefficients = theta @ self.directions
        if self.window is None:
            couplings, flip = neutral_coupling.pole_couplings(coefficients), _ON_SHELL_FLIP
        else:
            couplings = neutral_coupling.lepton_couplings(boson_squared, coefficients, self.photon)
            flip = _LEPTON_FLIP
        return squares(neutral_channels(self.n_jets), neutral_features(found.one, found.two, couplings, flip))

    def charged_leptons(self, momenta: Momenta) -> list[Array]:
        """Both muons."""
        return [] if self.window is None else [momenta[-2], momenta[-1]]


def channel_matrix_element(pdg: str) -> MatrixElement:
    """|M|^2 of the channel with the legs ``pdg`` (PDG numbers with commas between them), in the order of `pdg`.

    1/n! of identical legs is in it; the strong coupling is that of the reference tables; muons come from a photon or a
    Z boson.

    Raises:
        EventError: if there is no such channel.
    """
    legs = parse_pdg(pdg, _COVERED)
    is_on_shell = Z in legs
    colourless = (Z,) if is_on_shell else (MUON, -MUON)
    found = find_channel(legs, colourless, neutral_channels, MAX_JETS)
    if found is None:
        raise EventError(f"--pdg {pdg}: no such channel of zjets. Covered: {_COVERED}.")
    channels, row, n_jets, order = found
    strength = (4 * np.pi * REFERENCE_ALPHA_S) ** n_jets * identical_factor(channels.partons[row][2:])

    def function(momenta: Momenta, coefficients: Theta) -> Scalar:
        ordered = beams_along_z(momenta[jnp.array(order)])
        jets, boson = ordered[: n_jets + 2], ordered[n_jets + 2 :]
        if is_on_shell:
            parts = products(jets, on_shell(boson[0], ew.M_Z))
            couplings, flip = neutral_coupling.pole_couplings(coefficients), _ON_SHELL_FLIP
        else:
            parts = products(jets, decayed(boson[0], boson[1]))
            couplings = neutral_coupling.lepton_couplings(mass_squared(boson[0] + boson[1]), coefficients, True)
            flip = _LEPTON_FLIP
        return strength * squares(channels, neutral_features(parts.one, parts.two, couplings, flip))[row]

    masses = tuple(ew.M_Z if leg == Z else 0.0 for leg in legs)
    return MatrixElement(masses, dict.fromkeys(neutral_coupling.COEFFICIENTS, "1"), function)


def _row(direction: Mapping[_Coefficient, float]) -> list[float]:
    return [direction.get(name, 0.0) for name in neutral_coupling.COEFFICIENTS]  # type: ignore[call-overload]
