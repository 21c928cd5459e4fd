r"""Flavour channels of $q q' \to q q' h$: which quark lines exist, how they couple, and |M|^2 of one channel.

A channel is (1, 2) -> (3, 4) h in PDG numbers. In its t assignment parton 1 becomes leg 3 and parton 2 leg 4, in its
u assignment 1 -> 4 and 2 -> 3; each exchanges photons and Z bosons if no flavour changes along the lines, W bosons if
both do. Reduced amplitudes of the two (see `helicity`) add, and interfere where all four chiralities are equal, with a
third of the colour weight.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from saggiatore.errors import EventError
from saggiatore.physics import electroweak as ew
from saggiatore.physics.helicity import EQUAL, OPPOSITE, contractions
from saggiatore.physics.kinematics import beams_along_z
from saggiatore.physics.matrix_element import MatrixElement, parse_pdg
from saggiatore.physics.wbf_amplitude import (
    COEFFICIENTS,
    Coefficients,
    assignments,
    pair_propagators,
    vertex_amplitudes,
)
from saggiatore.physics.wbf_flavour_sum import COLOUR_INTERFERENCE, SPIN_AVERAGE
from saggiatore.types import Array, Complex, Float, Momenta, Scalar

QUARKS = (1, 2, 3, 4)
FLAVOURS = QUARKS + tuple(-flavour for flavour in QUARKS)
N_PAIRS = 5

ChiralityAmplitudes = Complex[Array, "chirality chirality pair"]
PairCouplings = np.ndarray  # (chirality of line 1, chirality of line 2, pair): left, then right


class Channel(NamedTuple):
    """One set of flavours, PDG numbers of partons 1, 2 and legs 3, 4, and the couplings of its assignments."""

    flavours: tuple[int, int, int, int]
    t: PairCouplings  # zeros where the assignment does not exist
    u: PairCouplings

    @property
    def exists(self) -> bool:
        """Whether t- or u-channel fusion leads from these partons to these legs."""
        return bool(self.t.any() or self.u.any())

    @property
    def identical_factor(self) -> float:
        """1/n! of identical legs."""
        return 0.5 if self.flavours[2] == self.flavours[3] else 1.0


def channel(flavours: tuple[int, int, int, int]) -> Channel:
    """The channel of partons 1, 2 and legs 3, 4; its couplings are zero if it does not exist."""
    one, two, three, four = flavours
    return Channel(flavours, _pair_couplings((one, three), (two, four)), _pair_couplings((one, four), (two, three)))


def existing_channels() -> tuple[Channel, ...]:
    """All channels of two generations of massless quarks and antiquarks, with the legs in either order."""
    found = []
    for one in FLAVOURS:
        for two in FLAVOURS:
            ends = {(one, two), (two, one), (ew.partner(one), ew.partner(two)), (ew.partner(two), ew.partner(one))}
            found += [channel((one, two, *end)) for end in sorted(ends)]
    return tuple(candidate for candidate in found if candidate.exists)


def _pair_couplings(line_1: tuple[int, int], line_2: tuple[int, int]) -> PairCouplings:
    """Products of the couplings of two lines (initial, final flavour) for the boson pairs of `wbf_amplitude`."""
    couplings = np.zeros((2, 2, N_PAIRS))
    if all(initial == final for initial, final in (line_1, line_2)):
        first, second = np.array(ew.neutral_couplings(line_1[0])), np.array(ew.neutral_couplings(line_2[0]))
        couplings[:, :, :4] = np.einsum("jv,kw->jkvw", first, second).reshape(2, 2, 4)
    changes = all(final == ew.partner(initial) for initial, final in (line_1, line_2))
    if changes and _emits_w_plus(line_1[0]) != _emits_w_plus(line_2[0]):
        left, right = (0 if line[0] > 0 else 1 for line in (line_1, line_2))
        couplings[left, right, 4] = ew.G**2 / 2
    return couplings


def _emits_w_plus(flavour: int) -> bool:
    return ew.is_up_type(flavour) == (flavour > 0)


def chirality_amplitudes(
    momenta: Momenta, coefficients: Coefficients, widths: bool
) -> tuple[ChiralityAmplitudes, ChiralityAmplitudes]:
    """Reduced amplitudes without couplings of the t and of the u assignment, for each chirality of the currents.

    `momenta` are those of partons 1 (along +z) and 2 and of legs 3, 4.
    """

    def one(quarks: Momenta) -> ChiralityAmplitudes:
        kinematics = contractions(quarks)
        real, imag = vertex_amplitudes(kinematics, coefficients)
        vertex = (real + 1j * imag)[jnp.array([[EQUAL, OPPOSITE], [OPPOSITE, EQUAL]])]
        flipped = jnp.stack([vertex[0], vertex[1].conj()])  # line 1 right-handed
        return flipped * pair_propagators(kinematics, widths)

    t, u = assignments(momenta)
    return one(t), one(u)


def channel_square(
    couplings_t: Float[Array, "2 2 pair"],
    couplings_u: Float[Array, "2 2 pair"],
    amplitudes: tuple[ChiralityAmplitudes, ChiralityAmplitudes],
) -> Scalar:
    """|M|^2 of one channel, averaged over initial, summed over final spins and colours, without 1/n!; GeV^-2."""
    total = jnp.zeros(())
    for j, k in ((0, 0), (0, 1), (1, 0), (1, 1)):
        t = _contract(couplings_t[j, k], amplitudes[0][j, k])
        u = _contract(couplings_u[j, k], amplitudes[1][j, k])
        interference = 2 * COLOUR_INTERFERENCE * (t[0] * u[0] + t[1] * u[1]) if j == k else 0.0
        total += t[0] ** 2 + t[1] ** 2 + u[0] ** 2 + u[1] ** 2 + interference
    return SPIN_AVERAGE * total


def _contract(couplings: Float[Array, " pair"], amplitudes: Complex[Array, " pair"]) -> tuple[Scalar, Scalar]:
    """Real and imaginary part of the coherent sum over boson pairs; in scalars, which vectorise over channels."""
    zero = jnp.zeros(())
    real = sum((couplings[pair] * amplitudes.real[pair] for pair in range(N_PAIRS)), zero)
    imag = sum((couplings[pair] * amplitudes.imag[pair] for pair in range(N_PAIRS)), zero)
    return real, imag


def channel_matrix_element(pdg: str, widths: bool) -> MatrixElement:
    """|M|^2 of the channel with the legs ``pdg`` (PDG numbers with commas between them), in the order of `pdg`.

    1/n! of identical legs is in it. By default widths act in s-channel propagators only, of which there are none;
    `widths` keeps them in all, as MadGraph's standalone code does.

    Raises:
        EventError: if no t- or u-channel fusion has these legs.
    """
    places, found = parse_legs(pdg)
    masses = tuple(ew.M_H if place == places[4] else 0.0 for place in range(5))

    def function(momenta: Momenta, coefficients: Coefficients) -> Scalar:
        amplitudes = chirality_amplitudes(beams_along_z(momenta[jnp.array(places)]), coefficients, widths)
        return found.identical_factor * channel_square(jnp.array(found.t), jnp.array(found.u), amplitudes)

    return MatrixElement(masses, dict.fromkeys(COEFFICIENTS, "TeV^-2"), function)


def parse_legs(pdg: str) -> tuple[tuple[int, int, int, int, int], Channel]:
    """Places of partons 1, 2, quarks 3, 4 and the Higgs boson among the legs of ``--pdg``, and their channel.

    Raises:
        EventError: if no t- or u-channel fusion has these legs.
    """
    covered = (
        "q q' -> q q' h with quarks d u s c (1 2 3 4, antiquarks negative), photon and Z exchange (flavours kept) or W "
        "exchange (both flavours change within their doublet), in the t and u channels; two incoming legs first, three "
        "outgoing with 25 anywhere among them, for example 2,1,2,1,25"
    )
    legs = parse_pdg(pdg, covered)
    if len(legs) == 5 and legs.count(25) == 1 and 25 in legs[2:] and set(legs) - {25} <= set(FLAVOURS):
        quarks = [place for place in range(5) if legs[place] != 25]
        one, two, three, four = quarks
        found = channel((legs[one], legs[two], legs[three], legs[four]))
        if found.exists:
            return (one, two, three, four, legs.index(25)), found
    raise EventError(f"--pdg {pdg}: no such channel of wbf_higgs. Covered: {covered}.")
