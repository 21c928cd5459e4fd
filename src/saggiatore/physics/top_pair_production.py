r"""Production of top pairs in hadron collisions: initial states, phase space, cuts and rates.

$dx_1 dx_2 d\Phi_2 = \frac{2}{s} (2\pi)^{-2}\, \tfrac12 p_T dp_T\, d\phi\, dy_t\, \tfrac12 dy_{\bar t}$.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from pydantic import Field

from saggiatore.physics import electroweak as ew
from saggiatore.physics.colour_flow import Flow, along
from saggiatore.physics.hadron_collision import Collision, flavour_places
from saggiatore.physics.jet_phase_space import beams
from saggiatore.physics.kinematics import mass_squared, rapidity
from saggiatore.physics.phase_space import falling
from saggiatore.physics.process import Channel
from saggiatore.physics.top_pair_amplitude import GLUON_FLOWS, gluon_flows, squares, top_momenta
from saggiatore.spec import Spec
from saggiatore.types import Array, Flag, Float, Momenta, Scalar, Theta, UnitPoint
from saggiatore.units import Energy

GLUON = 21
QUARKS = (1, 2, 3, 4)
INITIAL = ((GLUON, GLUON), *((q, -q) for q in QUARKS), *((-q, q) for q in QUARKS))
# gluons in both orders; a quark along +z, as outgoing an antiquark; an antiquark there
PAIR_FLOWS: tuple[Flow, ...] = (*map(along, GLUON_FLOWS), ((2, 0), (1, 3)), ((2, 1), (0, 3)))
PAIR_NUMBERS = 4  # of the unit point


class TopPairCuts(Spec):
    """Fiducial region of production."""

    abs_y_t: float = Field(10, gt=0, le=20, description="greatest |rapidity| of either top quark")
    m_tt: Energy = Field(0, ge=0, description="least mass of the pair")


def pair(sqrt_s: float, u: UnitPoint) -> tuple[Momenta, Scalar]:
    """Partons and top quarks from four numbers, all inside what the energy allows, and log|dx1 dx2 dPhi_2 / du|.

    Transverse mass, azimuth, distance and mean of the rapidities.
    """
    # pT dpT = mT dmT; the density of the transverse mass falls like its fourth power
    cube, log_cube = falling(ew.M_TOP**3, (sqrt_s / 2) ** 3, u[0])
    mt = jnp.cbrt(cube)
    # half the distance of the rapidities, with a density of 1 / cosh^2 up to where the pair takes all energy
    edge = jnp.sqrt((1 - 2 * mt / sqrt_s) * (1 + 2 * mt / sqrt_s))
    tanh = edge * (2 * u[1] - 1)
    half = jnp.arctanh(tanh)
    room = jnp.maximum(jnp.log(sqrt_s / (2 * mt * jnp.cosh(half))), 0.0)
    mean = room * (2 * u[2] - 1)
    phi = 2 * jnp.pi * u[3]
    pt = jnp.sqrt((mt - ew.M_TOP) * (mt + ew.M_TOP))
    px, py = pt * jnp.cos(phi), pt * jnp.sin(phi)
    y_t, y_tx = mean + half, mean - half
    top = jnp.stack([mt * jnp.cosh(y_t), px, py, mt * jnp.sinh(y_t)])
    antitop = jnp.stack([mt * jnp.cosh(y_tx), -px, -py, mt * jnp.sinh(y_tx)])
    incoming = beams(mt * (jnp.exp(y_t) + jnp.exp(y_tx)), mt * (jnp.exp(-y_t) + jnp.exp(-y_tx)))
    log_mt = log_cube - jnp.log(3 * mt)  # of mT dmT
    log_rapidities = jnp.log(8 * edge * room / (1 - tanh**2))
    log_jacobian = log_mt + log_rapidities - jnp.log(4 * jnp.pi * sqrt_s**2)
    return jnp.concatenate([incoming, jnp.stack([top, antitop])]), log_jacobian


class Production(eqx.Module):
    """What both processes share."""

    collision: Collision
    cuts: TopPairCuts = eqx.field(static=True)
    directions: Float[Array, " theta"]  # TeV^-2

    def accepts(self, momenta: Momenta) -> Flag:
        """The cuts of production."""
        inside = mass_squared(jnp.sum(momenta[2:], axis=0)) >= self.cuts.m_tt**2
        for top in top_momenta(momenta):
            inside &= jnp.abs(rapidity(top)) <= self.cuts.abs_y_t
        return inside

    def rates(self, momenta: Momenta, theta: Theta) -> Float[Array, " initial"]:
        """Densities x flux x |M|^2 of each of `INITIAL`, without the colours and propagators of decays."""
        scale = self.scale(momenta)
        luminosities = self.collision.luminosities(momenta, scale).ravel()[flavour_places(INITIAL)]
        found = squares(momenta, theta @ self.directions)
        by_initial = jnp.stack([found.gluons, *[found.quarks] * (len(INITIAL) - 1)])
        return (4 * np.pi * self.collision.coupling(scale)) ** 2 * luminosities * by_initial

    def scale(self, momenta: Momenta) -> Scalar:
        """The scale of an event, GeV, before the factors on it."""
        top = top_momenta(momenta)[0]
        mt = jnp.sqrt(ew.M_TOP**2 + top[1] ** 2 + top[2] ** 2)
        return self.collision.event_scale(mt[None], mt)

    def flow_rates(self, momenta: Momenta, initial: Channel, theta: Theta) -> Float[Array, " flow"]:
        """Rates of `PAIR_FLOWS`: both orders of gluons; a quark pair hands its colours to the tops."""
        of_gluons = jnp.concatenate([gluon_flows(momenta, theta @ self.directions), jnp.zeros(2)])
        of_quarks = jnp.array([2 if partons[0] > 0 else 3 for partons in INITIAL])[initial]
        is_gluons = jnp.array([partons[0] == GLUON for partons in INITIAL])[initial]
        return jnp.where(is_gluons, of_gluons, (jnp.arange(len(PAIR_FLOWS)) == of_quarks).astype(float))
