r"""Contractions of two massless currents with the tensors of an h V V vertex, in closed form.

Line 1 takes parton 1 to leg 3, line 2 takes parton 2 to leg 4; the currents are
$J_\chi^\mu = \bar u_\chi(p_f)\gamma^\mu u_\chi(p_i)$ and $q_1$, $q_2$ flow into the vertex. The tensors are,
with $S = J_1 \cdot J_2$,
  metric  $S$,
  even    $E = q_1 \cdot q_2\, S - q_2 \cdot J_1\, q_1 \cdot J_2$,
  odd     $O = \epsilon(q_1, J_1, q_2, J_2)$, with $\epsilon^{0123} = -1$.
The field strength of a massless current, $q_1 \wedge J_1$, is $[31] \lambda_3\lambda_3$ (self-dual) plus
$\langle 13\rangle \tilde\lambda_1\tilde\lambda_1$ (anti-self-dual); E is the sum of what the two parts give, O is i
times their difference. Divided by the phase $S/|S|$, all contractions are therefore functions of two invariants and of
one trace $\tau$: for equal chiralities (left-left) $\tau = -\langle 21\rangle[13]\langle 34\rangle[42]$, for opposite
ones its crossing 2 <-> 4. With the partons along the beam it is a product of light-cone components and of
$\kappa = p_x + i p_y$:
  equal     $\tau = s_{12} (p_3^- p_4^+ - \kappa_3^* \kappa_4)$,
  opposite  $\tau = - s_{12} \kappa_3^* \kappa_4$.
Its imaginary part, $-s_{12}\, p_{T3}\, p_{T4} \sin(\phi_4 - \phi_3)$, is what a CP-odd rate goes with. Flipping both
chiralities conjugates the result. The phases $S/|S|$ of the assignments 1 -> 3, 2 -> 4 and 1 -> 4, 2 -> 3 differ by -1
for equal chiralities, which cancels the Fermi sign: reduced amplitudes add. A test holds this against Dirac matrices.
"""

from typing import NamedTuple

import jax.numpy as jnp

from saggiatore.physics.kinematics import light_cone
from saggiatore.types import Array, Complex, Float, Momenta, Scalar

EQUAL, OPPOSITE = 0, 1  # the axis `helicity`: chirality of line 1 left, that of line 2 the same or the other


class Contractions(NamedTuple):
    """Invariants of two current lines, GeV^2 (`tau` in GeV^4)."""

    q1_squared: Scalar
    q2_squared: Scalar
    metric: Float[Array, " helicity"]  # |S|
    tau: Complex[Array, " helicity"]
    ratio: Float[Array, " helicity"]  # of |S| / 2 to the anti-self-dual invariant: s_34 or s_23


def contractions(quarks: Momenta) -> Contractions:
    """Contractions of the lines 1 -> 3 and 2 -> 4; `quarks` are the momenta 1 (along +z), 2 (along -z), 3, 4."""
    plus_1, minus_2 = 2 * quarks[0, 0], 2 * quarks[1, 0]
    (plus_3, minus_3), (plus_4, minus_4) = light_cone(quarks[2]), light_cone(quarks[3])
    kappa_3, kappa_4 = quarks[2, 1] + 1j * quarks[2, 2], quarks[3, 1] + 1j * quarks[3, 2]
    difference = kappa_4 * plus_3 - kappa_3 * plus_4
    s_12, s_34 = plus_1 * minus_2, (difference.real**2 + difference.imag**2) / (plus_3 * plus_4)
    s_14, s_23 = plus_1 * minus_4, minus_2 * plus_3
    opposite = -s_12 * kappa_3.conj() * kappa_4
    self_dual, anti_self_dual = jnp.stack([s_12, s_14]), jnp.stack([s_34, s_23])
    return Contractions(
        q1_squared=-plus_1 * minus_3,
        q2_squared=-minus_2 * plus_4,
        metric=2 * jnp.sqrt(self_dual * anti_self_dual),
        tau=jnp.stack([opposite + s_12 * minus_3 * plus_4, opposite]),
        ratio=jnp.sqrt(self_dual / anti_self_dual),
    )


def contract(
    kinematics: Contractions, metric: Float[Array, " pair"], even: Float[Array, " pair"], odd: Float[Array, " pair"]
) -> Float[Array, "part helicity pair"]:
    """metric x S + even x E + odd x O for each boson pair, divided by S/|S|; `part`: real, imaginary.

    Line 1 is left-handed; the complex conjugate belongs to both chiralities flipped.
    """
    tau_real, tau_imag = kinematics.tau.real[:, None], kinematics.tau.imag[:, None]
    ratio = kinematics.ratio[:, None]
    real = kinematics.metric[:, None] * metric + (ratio + 1 / ratio) * (tau_real * even - tau_imag * odd)
    imag = (1 / ratio - ratio) * (tau_imag * even + tau_real * odd)
    return jnp.stack([real, imag])
