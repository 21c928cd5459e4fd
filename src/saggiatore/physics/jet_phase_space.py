r"""Phase space of any number of massless jets and a vector boson that may decay, in hadron collisions.

$dx_1 dx_2 d\Phi_{n+1} = \frac{2}{s} (2\pi)^{4 - 3(n+1)}
\prod_j \left(\tfrac12 p_{Tj} dp_{Tj}\, d\eta_j\, d\phi_j\right) \tfrac12 dy$,
where y is the rapidity of the boson, whose transverse momentum balances the jets; a decay multiplies by
$\frac{dm^2}{2\pi} \frac{1}{8\pi} \frac{d\cos\theta\, d\phi}{4\pi}$, in the boson's rest frame. Jets lie inside the cuts
on pT and eta, the mass inside its range; cuts between jets are left to the process. Azimuths of further jets count
from the first.
"""

from typing import NamedTuple

import jax.numpy as jnp

from saggiatore.physics.kinematics import boost_from_rest, massless
from saggiatore.physics.phase_space import falling
from saggiatore.types import Array, Float, FourMomentum, Momenta, Scalar, UnitPoint

JET_NUMBERS = 3  # of the unit point, for each jet
DECAY_NUMBERS = 3


class Region(NamedTuple):
    """Where the jets lie."""

    sqrt_s: float  # GeV
    n_jets: int
    min_pt: float  # GeV
    max_abs_eta: float


def event(region: Region, mass_squared: Scalar, u: UnitPoint) -> tuple[Momenta, Scalar]:
    """Momenta of partons 1 and 2, of the jets and of a boson from 3 n + 1 numbers, and log of dx1 dx2 dPhi/du.

    The logarithm is -inf where the collision's energy does not suffice.
    """
    n = region.n_jets
    pt, log_pt = falling(region.min_pt, region.sqrt_s / 2, u[:n])
    eta = region.max_abs_eta * (2 * u[n : 2 * n] - 1)
    phi = 2 * jnp.pi * u[2 * n : 3 * n]
    jets = massless(pt, eta, phi.at[1:].add(phi[0]))
    transverse = -jets[1:3].sum(axis=1)
    mt = jnp.sqrt(mass_squared + transverse @ transverse)
    plus, minus = jnp.sum(pt * jnp.exp(eta)), jnp.sum(pt * jnp.exp(-eta))
    low, high = _rapidity_range(region.sqrt_s, mt, plus, minus)
    possible = high > low
    width = jnp.where(possible, high - low, 1.0)
    rapidity = jnp.where(possible, low + width * u[3 * n], 0.0)
    boson = jnp.stack([mt * jnp.cosh(rapidity), *transverse, mt * jnp.sinh(rapidity)])
    incoming = beams(plus + mt * jnp.exp(rapidity), minus + mt * jnp.exp(-rapidity))
    log_jets = jnp.sum(log_pt + jnp.log(pt / 2)) + n * jnp.log(4 * jnp.pi * region.max_abs_eta)
    log_jacobian = log_jets + jnp.log(width) - jnp.log(region.sqrt_s**2) + (1 - 3 * n) * jnp.log(2 * jnp.pi)
    return jnp.concatenate([incoming, jets.T, boson[None]]), jnp.where(possible, log_jacobian, -jnp.inf)


def decay(boson: FourMomentum, mass_squared: Scalar, u: UnitPoint) -> tuple[Momenta, Scalar]:
    """Momenta of two massless particles from two numbers, and log of dPhi_2 dm^2 / (2 pi) over du dm^2."""
    cos, phi = 2 * u[0] - 1, 2 * jnp.pi * u[1]
    sin = jnp.sqrt(1 - cos**2)
    direction = jnp.stack([sin * jnp.cos(phi), sin * jnp.sin(phi), cos])
    mass = jnp.sqrt(mass_squared)
    one = jnp.ones(1)
    pair = mass / 2 * jnp.stack([jnp.concatenate([one, direction]), jnp.concatenate([one, -direction])])
    return boost_from_rest(pair, boson, mass), -jnp.log(16 * jnp.pi**2)


def _rapidity_range(sqrt_s: float, mt: Scalar, plus: Scalar, minus: Scalar) -> tuple[Scalar, Scalar]:
    """Rapidities for which both momentum fractions are below one; low is above high where there are none."""
    forward, backward = sqrt_s - plus, sqrt_s - minus
    possible = (forward > 0) & (backward > 0)
    high = jnp.log(jnp.where(possible, forward, 1.0) / mt)
    low = -jnp.log(jnp.where(possible, backward, 1.0) / mt)
    return jnp.where(possible, low, 1.0), jnp.where(possible, high, 0.0)


def beams(plus: Scalar, minus: Scalar) -> Float[Array, "2 4"]:
    """Momenta of two partons from their sums of E + pz and of E - pz, GeV."""
    zero = jnp.zeros_like(plus)
    return jnp.stack([jnp.stack([plus, zero, zero, plus]), jnp.stack([minus, zero, zero, -minus])]) / 2
