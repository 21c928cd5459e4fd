r"""Annihilation of a quark and an antiquark of the protons: flavours, parton luminosities, phase space.

$dx_1 dx_2 = d\hat s\, dy / s$ with the rapidity y of the partonic system; a two-body final state of momentum k in its
rest frame adds $d\Phi_2 = \frac{2k}{\sqrt{\hat s}} \frac{d\cos\theta\, d\phi}{32 \pi^2}$. The quarks u, d, s and c are
massless and the CKM matrix is one, so that a quark meets its own antiquark; bottom quarks are left out, as in the
proton of MadGraph's four-flavour scheme.
"""

from typing import NamedTuple

import jax.numpy as jnp

from saggiatore.physics.electroweak import quark_numbers
from saggiatore.physics.factorisation_scale import Density
from saggiatore.physics.parton_density import FLAVOURS, positive_xf
from saggiatore.types import Array, Float, FourMomentum, Int, Momenta, Scalar
from saggiatore.units import GEV2_PB

QUARKS = (2, 4, 1, 3)  # up type first: the order within a row of `CHANNELS`
# quark along +z in the first half of the channels, antiquark along +z in the second
CHANNELS = tuple((quark, -quark) for quark in QUARKS) + tuple((-quark, quark) for quark in QUARKS)
COLOUR_FLOWS = (((0, 1),),)  # the quark's colour is the antiquark's anticolour
QUARK_TYPES = tuple(quark_numbers(quark) for quark in QUARKS[::2])  # charge and isospin, up type and down type


class ChannelPlace(NamedTuple):
    """What a channel's amplitude depends on."""

    is_reversed: Int[Array, ""]  # 1 where the antiquark runs along +z
    quark_type: Int[Array, ""]  # place in `QUARK_TYPES`


def place(channel: Int[Array, ""]) -> ChannelPlace:
    """Order and type of the quarks of a channel."""
    n_quarks = len(QUARKS)
    return ChannelPlace(channel // n_quarks, channel % n_quarks // (n_quarks // 2))


def fluxes(density: Density, momenta: Momenta, sqrt_s: float) -> Float[Array, " channel"]:
    """f_1(x_1) f_2(x_2) / (2 s-hat) of each of the `CHANNELS`, pb: what multiplies |M|^2."""
    x_1, x_2 = 2 * momenta[0, 0] / sqrt_s, 2 * momenta[1, 0] / sqrt_s
    at_event = density.at(momenta)
    first, second = (jnp.array([FLAVOURS.index(pair[leg]) for pair in CHANNELS]) for leg in (0, 1))
    pairs = positive_xf(at_event, x_1)[first] * positive_xf(at_event, x_2)[second]
    return GEV2_PB / (2 * (x_1 * x_2 * sqrt_s) ** 2) * pairs


def type_sums(flux: Float[Array, " channel"]) -> Float[Array, "order type"]:
    """The `fluxes` summed over quarks of one type, for either order of quark and antiquark."""
    return flux.reshape(2, len(QUARK_TYPES), -1).sum(axis=2)


def rapidity(sqrt_s: float, s_hat: Scalar, u: Scalar) -> tuple[Scalar, Scalar]:
    """Rapidity of the partonic system, flat where both momentum fractions are below one, and log|dx1 dx2 / ds-hat du|.

    The logarithm is -inf where `s_hat` is above s.
    """
    possible = s_hat < sqrt_s**2
    span = jnp.where(possible, jnp.log(sqrt_s**2 / s_hat), 1.0)
    return span * (u - 0.5), jnp.where(possible, jnp.log(span / sqrt_s**2), -jnp.inf)


def two_body_log_density(momentum: Scalar, s_hat: Scalar) -> Scalar:
    """Logarithm of dPhi_2 / dcos(theta) dphi for two particles of `momentum` (GeV) in their rest frame."""
    return jnp.log(2 * momentum / jnp.sqrt(s_hat) / (32 * jnp.pi**2))


def partons(s_hat: Scalar) -> Momenta:
    """Both incoming momenta in the partonic rest frame."""
    energy, zero = jnp.sqrt(s_hat) / 2, jnp.zeros_like(s_hat)
    return jnp.stack([jnp.stack([energy, zero, zero, energy]), jnp.stack([energy, zero, zero, -energy])])


def direction(cos: Scalar, phi: Scalar) -> Float[Array, " 3"]:
    """Unit vector of given polar and azimuthal angle."""
    sin = jnp.sqrt(1 - cos**2)
    return jnp.stack([sin * jnp.cos(phi), sin * jnp.sin(phi), cos])


def with_energy(energy: Scalar, vector: Float[Array, " 3"]) -> FourMomentum:
    """Four-momentum."""
    return jnp.concatenate([energy[None], vector])


def forward_sign(total: FourMomentum) -> Scalar:
    """Sign of the longitudinal momentum of the final state: where the quark most likely came from."""
    return jnp.where(total[3] >= 0, 1.0, -1.0)
