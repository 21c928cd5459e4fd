r"""Amplitudes of $q q' \to q q' h$ by fusion of two weak bosons or photons, up to one dimension-six insertion.

The HISZ operators with coefficients f/Lambda^2 in TeV^-2 (Corbett et al., arXiv:1211.4580):
  $-\frac{g^2}{4} f_{WW}\, \phi^\dagger\phi\, W^a_{\mu\nu} W^{a\mu\nu}$, with the dual $\tilde W^{a\mu\nu}$ for f_WWt;
  with g' and B for f_BB and f_BBt;
  $\frac{g M_W}{2} f_W (W^+_{\mu\nu} W^{-\mu} \partial^\nu h + h.c.)$ with its Z Z and photon Z parts, and f_B with the
  Z Z part of f_W times $s^2/c^2$ and its photon Z part times -1.
An amplitude is bilinear in the couplings of the two quark lines to the bosons that they emit; the axis `pair` runs over
(photon, photon), (photon, Z), (Z, photon), (Z, Z), (W, W): the boson of line 1, then that of line 2.
All exchanges are t- or u-channel; V h production by annihilation is a separate process and is left out.
"""

import jax.numpy as jnp

from saggiatore.physics import electroweak as ew
from saggiatore.physics.helicity import Contractions, contract
from saggiatore.types import Array, Complex, Float, Momenta, Scalar

COEFFICIENTS = ("f_w", "f_b", "f_ww", "f_bb", "f_wwt", "f_bbt")
N_NEUTRAL = 4  # the boson pairs before (W, W)
_GEV2_TEV2 = 1e-6

Coefficients = Float[Array, " coefficient"]  # TeV^-2, in the order of COEFFICIENTS
Pairs = Float[Array, " pair"]


def standard_model_vertex() -> Pairs:
    """Coefficient of the metric tensor in h V V, GeV."""
    return jnp.array([0, 0, 0, 2 * ew.M_Z**2 / ew.VEV, 2 * ew.M_W**2 / ew.VEV])


def field_strength_vertex() -> Float[Array, "coefficient pair"]:
    """Coefficients of the even tensor for f_w, f_b, f_ww, f_bb; those of the odd one are the last two. GeV."""
    s, c = ew.SIN, ew.COS
    w = -(ew.G**2) * ew.VEV / 4 * jnp.array([0, s / c, s / c, 2, 2])
    b = -(ew.G_PRIME**2) * ew.VEV / 4 * jnp.array([0, -c / s, -c / s, 2, 0])
    ww = ew.G**2 * ew.VEV * jnp.array([s * s, s * c, s * c, c * c, 1])
    bb = ew.G_PRIME**2 * ew.VEV * jnp.array([c * c, -s * c, -s * c, s * s, 0])
    return jnp.stack([w, b, ww, bb])


def off_shell_vertex() -> Float[Array, "coefficient line pair"]:
    """Coefficients of q^2 of line 1, 2 in the metric part of f_w and f_b, GeV; a photon's own q^2 only."""
    t = ew.SIN / ew.COS
    w = -(ew.G**2) * ew.VEV / 4 * jnp.array([[0, t, 0, 1, 1], [0, 0, t, 1, 1]])
    b = -(ew.G_PRIME**2) * ew.VEV / 4 * jnp.array([[0, -1 / t, 0, 1, 0], [0, 0, -1 / t, 1, 0]])
    return jnp.stack([w, b])


def propagators(q_squared: Scalar, widths: bool) -> Float[Array, " boson"] | Complex[Array, " boson"]:
    """1/(q^2 - M^2 + i M Gamma) of photon, Z, W; real without widths. GeV^-2."""
    masses, gammas = jnp.array([0.0, ew.M_Z, ew.M_W]), jnp.array([0.0, ew.WIDTH_Z, ew.WIDTH_W])
    inverse = q_squared - masses**2
    return 1 / (inverse + 1j * masses * gammas) if widths else 1 / inverse


def pair_propagators(kinematics: Contractions, widths: bool) -> Float[Array, " pair"] | Complex[Array, " pair"]:
    """Product of the two propagators of each boson pair, GeV^-4."""
    first, second = propagators(kinematics.q1_squared, widths), propagators(kinematics.q2_squared, widths)
    neutral = (first[:2, None] * second[None, :2]).ravel()
    return jnp.append(neutral, first[2] * second[2])


def vertex_tensors(
    q1_squared: Scalar | float, q2_squared: Scalar | float, coefficients: Coefficients
) -> tuple[Pairs, Pairs, Pairs]:
    """Coefficients of the metric (GeV), the even and the odd tensor (1/GeV) of `helicity` in the h V V vertex.

    At most one dimension-six insertion: linear in the `coefficients`.
    """
    f_w, f_b, f_ww, f_bb, f_wwt, f_bbt = coefficients * _GEV2_TEV2
    even = jnp.stack([f_w, f_b, f_ww, f_bb]) @ field_strength_vertex()
    odd = jnp.stack([f_wwt, f_bbt]) @ field_strength_vertex()[2:]
    virtualities = jnp.stack([jnp.asarray(q1_squared), jnp.asarray(q2_squared)])
    off_shell = jnp.einsum("c,l,clp->p", jnp.stack([f_w, f_b]), virtualities, off_shell_vertex())
    return standard_model_vertex() + off_shell, even, odd


def vertex_amplitudes(kinematics: Contractions, coefficients: Coefficients) -> Float[Array, "part helicity pair"]:
    """Currents contracted with the h V V vertex, without couplings and propagators; see `helicity.contract`."""
    return contract(kinematics, *vertex_tensors(kinematics.q1_squared, kinematics.q2_squared, coefficients))


def assignments(momenta: Momenta) -> tuple[Momenta, Momenta]:
    """Momenta of the quark legs for the lines 1 -> 3, 2 -> 4 and for 1 -> 4, 2 -> 3."""
    return momenta[jnp.array([0, 1, 2, 3])], momenta[jnp.array([0, 1, 3, 2])]
