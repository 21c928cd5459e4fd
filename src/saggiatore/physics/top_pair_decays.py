"""What top pairs decay to: final states by the role of their legs, their cuts, and the flow of their colour.

Legs are bottom quark, charged lepton or down-type quark, neutrino or up-type quark, twice. The first three are those of
the top quark, then come those of the antitop quark; where one decays to leptons and one to quarks, the first three are
the leptonic ones, whatever their charge.
"""

import itertools
from typing import ClassVar, Literal, NamedTuple

import jax.numpy as jnp
from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.physics.colour import N_COLOURS
from saggiatore.physics.colour_flow import Flow
from saggiatore.physics.intermediate import Intermediate
from saggiatore.physics.kinematics import pseudorapidity, transverse_momentum
from saggiatore.physics.top_pair_production import PAIR_FLOWS
from saggiatore.spec import Spec
from saggiatore.types import Flag, Momenta
from saggiatore.units import Energy

BOTTOM, TOP, W = 5, 6, 24
LEPTONS = {"e": 11, "mu": 13, "tau": 15}
DOWN_QUARKS = (1, 3)
INTERMEDIATES = (
    Intermediate(TOP, (2, 3, 4)),
    Intermediate(W, (4, 3)),
    Intermediate(TOP, (5, 6, 7)),
    Intermediate(W, (7, 6)),
)
_BOTTOMS = (2, 5)  # legs
_DEFAULT_LEPTONS = ("e", "mu")
_EVERYWHERE = 20.0  # |pseudorapidity|, no cut


class Decays(NamedTuple):
    """What top pairs decay to: legs behind the partons, and which of them are quarks of a W boson."""

    channels: tuple[tuple[int, ...], ...]
    charged_leptons: tuple[int, ...]  # legs
    quark_pairs: tuple[tuple[int, int], ...]  # legs
    by_charge: bool  # whether the first three legs come from the top quark

    @property
    def n_colours(self) -> int:
        """Colours of the quarks of W bosons."""
        return N_COLOURS ** len(self.quark_pairs)

    @property
    def flows(self) -> tuple[Flow, ...]:
        """Colour flows: the bottom quark has the colour of its top quark, quarks of a W boson are a singlet."""
        ends = ((2, 5),) if self.by_charge else ((2, 5), (5, 2))
        return tuple((*_relabelled(flow, pair), *self.quark_pairs) for pair in ends for flow in PAIR_FLOWS)


def dilepton(leptons: tuple[str, ...]) -> Decays:
    """Both W bosons decay to leptons."""
    numbers = [LEPTONS[name] for name in leptons]
    pairs = itertools.product(numbers, numbers)
    return Decays(tuple((*products(one), *products(two, -1)) for one, two in pairs), (3, 6), (), True)


def semileptonic(leptons: tuple[str, ...]) -> Decays:
    """One W boson of either charge decays to leptons, the other one to quarks."""
    choices = itertools.product((1, -1), (LEPTONS[name] for name in leptons), DOWN_QUARKS)
    channels = tuple((*products(one, charge), *products(two, -charge)) for charge, one, two in choices)
    return Decays(channels, (3,), ((6, 7),), False)


def hadronic() -> Decays:
    """Both W bosons decay to quarks."""
    pairs = itertools.product(DOWN_QUARKS, DOWN_QUARKS)
    return Decays(tuple((*products(one), *products(two, -1)) for one, two in pairs), (), ((3, 4), (6, 7)), True)


def products(down: int, charge: int = 1) -> tuple[int, int, int]:
    """Products of a top quark (antitop for `charge` -1) whose W boson makes the weak doublet of `down`."""
    return charge * BOTTOM, -charge * down, charge * (down + 1)


def _relabelled(flow: Flow, bottoms: tuple[int, int]) -> Flow:
    names = {0: 0, 1: 1, 2: bottoms[0], 3: bottoms[1]}
    return tuple((names[one], names[two]) for one, two in flow)


class TopDecays(Spec):
    """The decays of both top quarks, and the fiducial region of what they decay to."""

    channel: Literal["dilepton", "semileptonic", "hadronic"]
    leptons: tuple[Literal["e", "mu", "tau"], ...] | None = Field(
        None, min_length=1, description="flavours of charged leptons; electrons and muons if absent"
    )
    pt_l: Energy = Field(0, ge=0, description="least transverse momentum of each charged lepton")
    abs_eta_l: float = Field(_EVERYWHERE, gt=0, le=20, description="greatest |pseudorapidity| of each charged lepton")
    pt_j: Energy = Field(0, ge=0, description="least transverse momentum of each quark, bottom quarks included")
    abs_eta_j: float = Field(_EVERYWHERE, gt=0, le=20, description="greatest |pseudorapidity| of each quark")

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            f"channel != 'hadronic' or not leptons and pt_l == 0 and abs_eta_l == {_EVERYWHERE}",
            "the channel 'hadronic' has no charged leptons: leave out leptons, pt_l and abs_eta_l.",
        ),
        Constraint(
            "not leptons or len(set(leptons)) == len(leptons)", "leptons are {leptons}: name each flavour once."
        ),
    )

    def states(self) -> Decays:
        """The final states."""
        leptons = self.leptons or _DEFAULT_LEPTONS
        states = {"dilepton": dilepton(leptons), "semileptonic": semileptonic(leptons), "hadronic": hadronic()}
        return states[self.channel]

    def accepts(self, momenta: Momenta) -> Flag:
        """The cuts on what the top quarks decay to."""
        states, inside = self.states(), jnp.array(True)
        quarks = (*_BOTTOMS, *itertools.chain.from_iterable(states.quark_pairs))
        for legs, pt, eta in (
            (states.charged_leptons, self.pt_l, self.abs_eta_l),
            (quarks, self.pt_j, self.abs_eta_j),
        ):
            for leg in legs:
                inside &= transverse_momentum(momenta[leg]) >= pt
                inside &= jnp.abs(pseudorapidity(momenta[leg])) <= eta
        return inside
