r"""|M|^2 of $q \bar q \to \mu^- \mu^+$ by photon, Z and a Z' with the couplings of the Z times $\kappa$.

With $P_V = 1/(\hat s - M_V^2 + i M_V \Gamma_V)$ and chiralities i of the quark and j of the lepton
(Ellis, Stirling, Webber, "QCD and Collider Physics", section 9.2),
$|M|^2 = \frac13 \sum_{ij} |e^2 Q_q Q_l P_\gamma + g_{q,i} g_{l,j} (P_Z + \kappa^2 P_{Z'})|^2\,
(\hat u^2 \text{ for } i = j,\ \hat t^2 \text{ otherwise})$,
averaged over initial and summed over final spins and colours.
"""

from types import MappingProxyType
from typing import NamedTuple

import jax.numpy as jnp

from saggiatore.errors import EventError
from saggiatore.physics import annihilation
from saggiatore.physics import electroweak as ew
from saggiatore.physics.kinematics import beams_along_z, light_cone
from saggiatore.physics.matrix_element import MatrixElement
from saggiatore.types import Array, Float, Momenta, Scalar, Theta

_COLOUR_SPIN = 1 / 3  # average of 4 x (spins 1/4, colours 1/3)
_COEFFICIENTS = MappingProxyType(
    {"z_prime_coupling": "1", "z_prime_mass": "GeV", "z_prime_width": "GeV", "sin2_theta_w": "1"}
)


Numbers = Float[Array, "2"]  # charge and weak isospin


class Inputs(NamedTuple):
    """The Z' (GeV) and sin^2 of the weak mixing angle."""

    strength: Scalar  # square of the coupling factor
    mass: Scalar
    width: Scalar
    sin2: Scalar


class Invariants(NamedTuple):
    """Mandelstam variables; t is that of the quark and the negative lepton. GeV^2."""

    s: Scalar
    t: Scalar
    u: Scalar


def invariants(momenta: Momenta) -> Invariants:
    """For a quark along +z, without loss of digits."""
    energy = 2 * momenta[0, 0]
    (_, minus), (_, anti_minus) = light_cone(momenta[2]), light_cone(momenta[3])
    return Invariants(2 * energy * momenta[1, 0], -energy * minus, -energy * anti_minus)


def _propagator(s: Scalar, mass: Scalar | float, width: Scalar | float) -> tuple[Scalar, Scalar]:
    """Real and imaginary part of 1/(s - M^2 + i M Gamma), GeV^-2."""
    distance, damping = s - mass**2, mass * width
    norm = distance**2 + damping**2
    return distance / norm, -damping / norm


def square(numbers: Numbers, inputs: Inputs, kinematics: Invariants) -> Scalar:
    """|M|^2 of a quark with `numbers`, averaged over initial, summed over final spins and colours."""
    equal, opposite = coupling_squares(numbers, inputs, kinematics.s)
    return equal * kinematics.u**2 + opposite * kinematics.t**2


def coupling_squares(numbers: Numbers, inputs: Inputs, s: Scalar) -> tuple[Scalar, Scalar]:
    """|M|^2 over u^2 from equal chiralities of quark and lepton, and over t^2 from opposite ones, GeV^-4."""
    charge, isospin = numbers
    lepton_charge, lepton_isospin = jnp.array(ew.LEPTON_NUMBERS)
    photon = ew.E_CHARGE**2 * charge * lepton_charge / s
    z, z_prime = _propagator(s, ew.M_Z, ew.WIDTH_Z), _propagator(s, inputs.mass, inputs.width)
    real, imag = (a + inputs.strength * b for a, b in zip(z, z_prime, strict=True))
    quark = ew.z_couplings(charge, isospin, inputs.sin2)
    lepton = ew.z_couplings(lepton_charge, lepton_isospin, inputs.sin2)

    def squared(i: int, j: int) -> Scalar:
        coupling = quark[i] * lepton[j]
        return _COLOUR_SPIN * ((photon + coupling * real) ** 2 + (coupling * imag) ** 2)

    return squared(0, 0) + squared(1, 1), squared(0, 1) + squared(1, 0)


def channel_matrix_element(pdg: str) -> MatrixElement:
    """|M|^2 of one flavour channel; all propagators are s-channel and have their widths.

    The coefficients are the Z' as it is and the shift of sin^2(theta_w) from its value in `electroweak`.

    Raises:
        EventError: if the process has no such legs.
    """
    legs = pdg.replace(" ", "").split(",")
    pairs = {f"{first},{second}": first for first, second in annihilation.CHANNELS}
    leptons = {"13,-13": (2, 3), "-13,13": (3, 2)}
    incoming, outgoing = ",".join(legs[:2]), ",".join(legs[2:])
    if incoming not in pairs or outgoing not in leptons:
        raise EventError(
            f"--pdg {pdg}: no such channel of drell_yan. Covered: a quark and its antiquark (1 2 3 4, antiquarks "
            "negative) in either order, then 13,-13 or -13,13, for example 2,-2,13,-13."
        )
    quark = pairs[incoming]
    order = jnp.array([*((0, 1) if quark > 0 else (1, 0)), *leptons[outgoing]])

    def function(momenta: Momenta, coefficients: Theta) -> Scalar:
        coupling, mass, width, sin2_shift = coefficients
        inputs = Inputs(coupling**2, mass, width, ew.SIN2 + sin2_shift)
        return square(jnp.array(ew.quark_numbers(quark)), inputs, invariants(beams_along_z(momenta[order])))

    return MatrixElement((0.0,) * 4, _COEFFICIENTS, function)
