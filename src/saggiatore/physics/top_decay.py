r"""The decay of a top quark on its mass shell, $t \to b W^+ \to b \bar f f'$, at tree level.

Three massless products are in the order bottom, down type (a charged lepton or d, s; for $t$ its antiparticle), up type
(a neutrino or u, c). The W boson has a Breit-Wigner curve of fixed width between the `W_MASSES`; the CKM matrix is one.
A decay becomes the outgoing wave of its top quark in the amplitude of production,
$\bar u_b \gamma^\mu P_L (\slashed p + m_t)\, \bar u_{f'} \gamma_\mu P_L v_{\bar f}$, whose sum over spins
$\slashed p + m_t$ keeps all spin correlations. In the narrow-width approximation a rate has the factor
$1/(2 m_t \Gamma_t)$ for each decay, with
$\Gamma_t = 9\, \frac{g^4 m_t^3}{3072 \pi^3} \int dq^2\, \frac{(1 - x)^2 (1 + 2x)}{(q^2 - M_W^2)^2 + M_W^2 \Gamma_W^2}$
and $x = q^2/m_t^2$: the width of the same approximations, so that the nine decays (three leptons, two quark pairs of
three colours) have branching ratios of one ninth each. Phase space:
$d\Phi_3 = \frac{dq^2}{2\pi}\, \frac{1 - x}{8\pi} \frac{d\Omega_W}{4\pi}\, \frac{1}{8\pi} \frac{d\Omega_f}{4\pi}$.
"""

from functools import cache

import jax.numpy as jnp
import numpy as np

from saggiatore.physics import electroweak as ew
from saggiatore.physics import weyl
from saggiatore.physics.annihilation import direction, with_energy
from saggiatore.physics.kinematics import boost_from_rest, mass_squared, massless_pair
from saggiatore.physics.peak_map import ResonantPropagator
from saggiatore.physics.weyl import HELICITIES, Column, Row
from saggiatore.types import FourMomentum, Momenta, Scalar, UnitPoint

DECAY_NUMBERS = 5  # of the unit point, for each top quark
W_MASSES = (1.0, ew.M_TOP - 1.0)  # GeV; 2e-6 of all decays lie outside
N_DECAYS = 9  # of equal width
_LEFT = HELICITIES[0]
_NODES = 200


def top_row(products: Momenta) -> Row:
    """The wave of an outgoing top quark that decays, without couplings and the propagator of the W boson."""
    bottom, down, up = products
    current = weyl.current(weyl.massless_row(up, _LEFT), weyl.massless_column(down, _LEFT))
    absorbed = weyl.row_slash(weyl.massless_row(bottom, _LEFT), current)
    moved = weyl.row_slash(absorbed, weyl.from_real(products.sum(axis=0)))
    assert absorbed.beta is not None
    return Row(moved.alpha, (ew.M_TOP * absorbed.beta[0], ew.M_TOP * absorbed.beta[1]))


def antitop_column(products: Momenta) -> Column:
    """The wave of an outgoing antitop quark that decays; see `top_row`."""
    bottom, down, up = products
    current = weyl.current(weyl.massless_row(down, _LEFT), weyl.massless_column(up, _LEFT))
    absorbed = weyl.slash_column(current, weyl.massless_column(bottom, _LEFT))
    moved = weyl.slash_column(weyl.from_real(products.sum(axis=0)), absorbed)
    assert absorbed.xi is not None
    return Column((-ew.M_TOP * absorbed.xi[0], -ew.M_TOP * absorbed.xi[1]), moved.zeta)


def strength(products: Momenta) -> Scalar:
    """|couplings x propagator of the W boson|^2 of one decay, GeV^-4."""
    squared = mass_squared(products[1] + products[2])
    return ew.G**4 / 4 / ((squared - ew.M_W**2) ** 2 + (ew.M_W * ew.WIDTH_W) ** 2)


@cache
def top_width() -> float:
    """Total width of the top quark, GeV; see the module."""
    angles = np.arctan((np.square(W_MASSES) - ew.M_W**2) / (ew.M_W * ew.WIDTH_W))
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    angle = angles.mean() + np.diff(angles) / 2 * nodes
    x = (ew.M_W**2 + ew.M_W * ew.WIDTH_W * np.tan(angle)) / ew.M_TOP**2
    integral = np.diff(angles)[0] / 2 * np.sum(weights * (1 - x) ** 2 * (1 + 2 * x)) / (ew.M_W * ew.WIDTH_W)
    return float(N_DECAYS * ew.G**4 * ew.M_TOP**3 / (3072 * np.pi**3) * integral)


def decay(top: FourMomentum, u: UnitPoint) -> tuple[Momenta, Scalar]:
    """The three products of a top quark from five numbers, and log|dPhi_3 / du|."""
    squared, log_mass = ResonantPropagator(*W_MASSES, ew.M_W, ew.WIDTH_W)(u[0])
    momentum = (ew.M_TOP**2 - squared) / (2 * ew.M_TOP)  # of W boson and bottom quark in the rest frame of the top
    phi = 2 * jnp.pi * u[2]
    axis = direction(2 * u[1] - 1, phi)
    normal = jnp.stack([-jnp.sin(phi), jnp.cos(phi), jnp.zeros_like(phi)])
    boson = with_energy(ew.M_TOP - momentum, momentum * axis)
    pair = massless_pair(boson, jnp.sqrt(squared), (axis, normal), direction(2 * u[3] - 1, 2 * jnp.pi * u[4]))
    at_rest = jnp.concatenate([with_energy(momentum, -momentum * axis)[None], pair])
    log_density = jnp.log(2 * momentum / ew.M_TOP) - jnp.log(2 * jnp.pi * (8 * jnp.pi) ** 2)
    return boost_from_rest(at_rest, top, jnp.asarray(ew.M_TOP)), log_mass + log_density
