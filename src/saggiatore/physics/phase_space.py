r"""Phase space of two massless jets and a massive particle in hadron collisions, without rejection.

$dx_1 dx_2 d\Phi_3 = \frac{2}{s} (2\pi)^{-5}\, \frac18\, p_{T3} dp_{T3}\, d\eta_3\, d\phi_3\,
p_{T4} dp_{T4}\, d\eta_4\, d\phi_4\, dy$:
the momentum fractions are fixed by the conservation of E and pz, the transverse momentum of the massive particle by
that of the jets. Legs are ordered, eta_3 > eta_4, so that fusion processes have a single peak; the two pseudorapidities
enter as their difference and their mean.
"""

from typing import NamedTuple

import jax.numpy as jnp

from saggiatore.physics.kinematics import massless
from saggiatore.types import Momenta, Scalar, UnitPoint


class JetVariables(NamedTuple):
    """Coordinates of an event with two jets (GeV, radians); jet 3 is the one of larger pseudorapidity."""

    pt_3: Scalar
    pt_4: Scalar
    delta_eta: Scalar  # eta_3 - eta_4
    mean_eta: Scalar
    phi_4: Scalar
    delta_phi: Scalar  # phi_3 - phi_4


class JetRegion(NamedTuple):
    """Region that the mapping covers; cuts that it contains cost no points."""

    sqrt_s: float  # GeV
    min_pt: float  # GeV
    max_abs_eta: float
    min_delta_eta: float
    pt_scale: float  # GeV; transverse momenta are drawn from a density that falls beyond it


def jet_variables(region: JetRegion, u: UnitPoint) -> tuple[JetVariables, Scalar]:
    """Map six numbers in (0, 1) to jet variables inside the region, and the logarithm of their Jacobian."""
    (pt_3, log_3), (pt_4, log_4) = _transverse_momentum(region, u[0]), _transverse_momentum(region, u[1])
    span = 2 * region.max_abs_eta - region.min_delta_eta
    delta_eta = region.min_delta_eta + span * u[2]
    room = 2 * region.max_abs_eta - delta_eta
    variables = JetVariables(pt_3, pt_4, delta_eta, room * (u[3] - 0.5), 2 * jnp.pi * u[4], 2 * jnp.pi * (u[5] - 0.5))
    return variables, log_3 + log_4 + jnp.log(span * room) + 2 * jnp.log(2 * jnp.pi)


def rapidity_range(sqrt_s: float, mass: float, jets: JetVariables) -> tuple[Scalar, Scalar]:
    """Rapidities of the massive particle for which both momentum fractions are below one; empty if low > high.

    Where the jets alone need more energy than there is, low is above high.
    """
    mt = jnp.sqrt(mass**2 + recoil_squared(jets))
    eta_3, eta_4 = _pseudorapidities(jets)
    forward = sqrt_s - jets.pt_3 * jnp.exp(eta_3) - jets.pt_4 * jnp.exp(eta_4)
    backward = sqrt_s - jets.pt_3 * jnp.exp(-eta_3) - jets.pt_4 * jnp.exp(-eta_4)
    possible = (forward > 0) & (backward > 0)
    high = jnp.log(jnp.where(possible, forward, 1.0) / mt)
    low = -jnp.log(jnp.where(possible, backward, 1.0) / mt)
    return jnp.where(possible, low, 1.0), jnp.where(possible, high, 0.0)


def mean_eta_range(sqrt_s: float, mass: float, jets: JetVariables) -> tuple[Scalar, Scalar]:
    """Mean pseudorapidities of the jets, all else fixed, at which `rapidity_range` is not empty; empty if low > high.

    With u = exp(mean_eta) and S+- = pt_3 exp(+-delta_eta/2) + pt_4 exp(-+delta_eta/2), both momentum fractions can be
    below one where (sqrt_s - u S+)(sqrt_s - S-/u) exceeds the transverse mass squared: a quadratic inequality in u.
    """
    half = jnp.exp(jets.delta_eta / 2)
    plus, minus = jets.pt_3 * half + jets.pt_4 / half, jets.pt_3 / half + jets.pt_4 * half
    most = (sqrt_s**2 + plus * minus - mass**2 - recoil_squared(jets)) / sqrt_s
    square = most**2 - 4 * plus * minus
    possible = (square > 0) & (most > 0)
    largest = (most + jnp.sqrt(jnp.where(possible, square, 1.0))) / (2 * plus)
    smallest = minus / (plus * jnp.where(possible, largest, 1.0))  # the product of the roots is minus/plus
    low, high = jnp.log(smallest), jnp.log(jnp.where(possible, largest, 1.0))
    return jnp.where(possible, low, 1.0), jnp.where(possible, high, 0.0)


def event(mass: float, jets: JetVariables, rapidity: Scalar) -> Momenta:
    """Momenta of partons 1 and 2, jets 3 and 4 and of a particle of `mass` (GeV) and `rapidity`."""
    eta_3, eta_4 = _pseudorapidities(jets)
    jet_3 = massless(jets.pt_3, eta_3, jets.phi_4 + jets.delta_phi)
    jet_4 = massless(jets.pt_4, eta_4, jets.phi_4)
    px, py = -(jet_3 + jet_4)[1:3]
    mt = jnp.sqrt(mass**2 + px**2 + py**2)
    heavy = jnp.stack([mt * jnp.cosh(rapidity), px, py, mt * jnp.sinh(rapidity)])
    plus = mt * jnp.exp(rapidity) + jets.pt_3 * jnp.exp(eta_3) + jets.pt_4 * jnp.exp(eta_4)
    minus = mt * jnp.exp(-rapidity) + jets.pt_3 * jnp.exp(-eta_3) + jets.pt_4 * jnp.exp(-eta_4)
    zero = jnp.zeros_like(plus)
    parton_1 = jnp.stack([plus / 2, zero, zero, plus / 2])
    parton_2 = jnp.stack([minus / 2, zero, zero, -minus / 2])
    return jnp.stack([parton_1, parton_2, jet_3, jet_4, heavy])


def log_density(sqrt_s: float, jets: JetVariables) -> Scalar:
    """Logarithm of dx1 dx2 dPhi over the differentials of the jet variables and of the rapidity."""
    return jnp.log(jets.pt_3 * jets.pt_4) - jnp.log(4 * sqrt_s**2 * (2 * jnp.pi) ** 5)


def falling(low: float, high: float, u: Scalar) -> tuple[Scalar, Scalar]:
    """Map (0, 1) to the range from `low` to `high` with a density proportional to 1/x^2, and log|dx/du|."""
    x = 1 / (1 / low + (1 / high - 1 / low) * u)
    return x, jnp.log(1 / low - 1 / high) + 2 * jnp.log(x)


def _transverse_momentum(region: JetRegion, u: Scalar) -> tuple[Scalar, Scalar]:
    """Density proportional to 1/(pT + scale)^2 between the cut and half the energy."""
    shifted, log_jacobian = falling(region.min_pt + region.pt_scale, region.sqrt_s / 2 + region.pt_scale, u)
    return shifted - region.pt_scale, log_jacobian


def _pseudorapidities(jets: JetVariables) -> tuple[Scalar, Scalar]:
    return jets.mean_eta + jets.delta_eta / 2, jets.mean_eta - jets.delta_eta / 2


def recoil_squared(jets: JetVariables) -> Scalar:
    """Transverse momentum squared of the massive particle, GeV^2."""
    return jets.pt_3**2 + jets.pt_4**2 + 2 * jets.pt_3 * jets.pt_4 * jnp.cos(jets.delta_phi)
