r"""Amplitudes of $q \bar q \to Z h$ and $q \bar q \to \ell^- \ell^+ h$, up to one dimension-six insertion.

The h V V vertex and its coefficients are those of `wbf_amplitude`: weak-boson fusion with two legs crossed. Line 1 is
the current of the quarks, line 2 the Z boson or the current of the leptons. Photons enter through the dimension-six
vertices, in line 1 and, where leptons are in the final state, in line 2 as well.

With leptons, the contractions of both currents are functions of the invariants of `helicity` at crossed momenta: for
equal chiralities $|S| = 2\sqrt{s_{q\ell^+} s_{\bar q\ell^-}}$, the ratio $\sqrt{s_{q\ell^+}/s_{\bar q\ell^-}}$ and
$\tau^* = -s_{q\bar q} (p_{\ell^+}^- p_{\ell^-}^+ - \kappa_{\ell^+}^* \kappa_{\ell^-})$ with the quark along +z; for
opposite ones the leptons change places. A test holds this against Dirac matrices. With a Z boson, the amplitudes of
its three linear polarisations (in the plane of production, normal to it, longitudinal) are, over $\sqrt{\hat s}$ and
for quarks of helicity $\lambda$ at the angle $\theta$ in the rest frame,
$A_\parallel = t \cos\theta + i \lambda w$, $A_\perp = i \lambda t - w \cos\theta$,
$A_0 = (M_Z \sqrt{\hat s}\, e - m E_Z/M_Z) \sin\theta$ with $t = \sqrt{\hat s} E_Z e - m$ and $w = -\sqrt{\hat s} k\, o$
from the coefficients m, e, o of the metric, the even and the odd tensor.
"""

from typing import NamedTuple

import jax.numpy as jnp

from saggiatore.physics import electroweak as ew
from saggiatore.physics.annihilation import QUARK_TYPES
from saggiatore.physics.helicity import EQUAL, OPPOSITE, Contractions
from saggiatore.physics.kinematics import light_cone
from saggiatore.physics.wbf_amplitude import (
    N_NEUTRAL,
    Coefficients,
    pair_propagators,
    propagators,
    vertex_amplitudes,
    vertex_tensors,
)
from saggiatore.types import Array, Complex, Float, Momenta, Scalar

_COLOUR_SPIN = 1 / 12
_WITH_Z = slice(1, N_NEUTRAL, 2)  # of the boson pairs: (photon, Z) and (Z, Z)

Couplings = Float[Array, "chirality boson"]  # of a fermion to photon and Z, left, then right
Emission = Float[Array, "chirality boson boson"]  # products of couplings, weighted and summed over quarks
Helicities = Complex[Array, "chirality final boson"]  # amplitudes of photon and Z in line 1, without its coupling


class ZhVariables(NamedTuple):
    """Production in the rest frame of the partons: GeV; theta is the angle of the Z boson to the quark."""

    sqrt_s_hat: Scalar
    energy: Scalar  # of the Z boson
    momentum: Scalar
    cos: Scalar
    sin: Scalar


def quark_couplings() -> Float[Array, "order type chirality boson"]:
    """Couplings of up and down type; with the antiquark along +z the two chiralities change places."""
    rows = [
        [(ew.E_CHARGE * charge, z) for z in ew.z_couplings(charge, isospin, ew.SIN2)] for charge, isospin in QUARK_TYPES
    ]
    couplings = jnp.array(rows)
    return jnp.stack([couplings, couplings[:, ::-1]])


def lepton_couplings() -> Couplings:
    """Couplings of a charged lepton."""
    charge, isospin = ew.LEPTON_NUMBERS
    return jnp.array([(ew.E_CHARGE * charge, z) for z in ew.z_couplings(charge, isospin, ew.SIN2)])


def emission(weights: Float[Array, "order type"]) -> Emission:
    """Sum over quarks of `weights` times both couplings of the quark."""
    couplings = quark_couplings()
    return jnp.einsum("ot,otcv,otcw->cvw", weights, couplings, couplings)


def square(emissions: Emission, helicities: Helicities) -> Scalar:
    """|M|^2, averaged over initial, summed over final spins and colours, times the weights in `emissions`.

    Written in scalars, which vectorise over events.
    """
    total = jnp.zeros(())
    for chirality in (0, 1):
        photon_photon, photon_z, z_z = emissions[chirality][jnp.array([0, 0, 1]), jnp.array([0, 1, 1])]
        for final in range(helicities.shape[1]):
            photon, z = helicities[chirality, final]
            mixed = photon.real * z.real + photon.imag * z.imag
            total += photon_photon * _norm(photon) + 2 * photon_z * mixed + z_z * _norm(z)
    return _COLOUR_SPIN * total


def z_helicities(variables: ZhVariables, coefficients: Coefficients) -> Helicities:
    """Amplitudes of a Z boson on its mass shell; `final` is its polarisation."""
    root, energy, momentum, cos, sin = variables
    tensors = vertex_tensors(root**2, ew.M_Z**2, coefficients)
    propagator = root * propagators(root**2, widths=True)[:2]
    metric, even, odd = (tensor[_WITH_Z] * propagator for tensor in tensors)
    transverse, normal = root * energy * even - metric, -root * momentum * odd
    longitudinal = (ew.M_Z * root * even - metric * energy / ew.M_Z) * sin
    rows = [jnp.stack([transverse * cos + i * normal, i * transverse - normal * cos, longitudinal]) for i in (-1j, 1j)]
    return jnp.stack(rows)


def lepton_helicities(momenta: Momenta, coefficients: Coefficients) -> Helicities:
    """Amplitudes of a lepton pair; `final` is its chirality. `momenta`: quark along +z, antiquark, l-, l+."""
    kinematics = crossed_contractions(momenta)
    real, imag = vertex_amplitudes(kinematics, coefficients)[:, :, :N_NEUTRAL]
    vertex = (real + 1j * imag)[jnp.array([[EQUAL, OPPOSITE], [OPPOSITE, EQUAL]])]
    flipped = jnp.stack([vertex[0], vertex[1].conj()])  # line 1 right-handed
    exchanged = flipped * pair_propagators(kinematics, widths=True)[:N_NEUTRAL]
    return jnp.einsum("jkvw,kw->jkv", exchanged.reshape(2, 2, 2, 2), lepton_couplings())


def crossed_contractions(momenta: Momenta) -> Contractions:
    """Contractions of the currents of the quarks and of the leptons; see above for the order of `momenta`."""
    plus_1, minus_2 = 2 * momenta[0, 0], 2 * momenta[1, 0]
    (plus_3, minus_3), (plus_4, minus_4) = light_cone(momenta[2]), light_cone(momenta[3])
    kappa_3, kappa_4 = momenta[2, 1] + 1j * momenta[2, 2], momenta[3, 1] + 1j * momenta[3, 2]
    difference = kappa_4 * plus_3 - kappa_3 * plus_4
    from_quark = plus_1 * jnp.stack([minus_4, minus_3])
    from_antiquark = minus_2 * jnp.stack([plus_3, plus_4])
    traces = jnp.stack([minus_4 * plus_3 - kappa_4.conj() * kappa_3, minus_3 * plus_4 - kappa_3.conj() * kappa_4])
    return Contractions(
        q1_squared=plus_1 * minus_2,
        q2_squared=_norm(difference) / (plus_3 * plus_4),
        metric=2 * jnp.sqrt(from_quark * from_antiquark),
        tau=-plus_1 * minus_2 * traces.conj(),
        ratio=jnp.sqrt(from_quark / from_antiquark),
    )


def _norm(value: Complex[Array, "..."]) -> Float[Array, "..."]:
    return value.real**2 + value.imag**2
