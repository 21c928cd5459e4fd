"""|M|^2 of one flavour channel of top pairs, with or without their decays."""

import itertools

import jax.numpy as jnp
import numpy as np

from saggiatore.errors import EventError
from saggiatore.physics import electroweak as ew
from saggiatore.physics.colour import N_COLOURS
from saggiatore.physics.kinematics import beams_along_z, mass_squared
from saggiatore.physics.matrix_element import REFERENCE_ALPHA_S, MatrixElement, parse_pdg
from saggiatore.physics.top_decay import top_width
from saggiatore.physics.top_pair_amplitude import squares, top_momenta
from saggiatore.physics.top_pair_decays import BOTTOM, DOWN_QUARKS, LEPTONS, TOP, products
from saggiatore.physics.top_pair_production import GLUON, INITIAL
from saggiatore.types import Array, Momenta, Scalar, Theta

COEFFICIENTS = ("c_tg",)
_N_UNDECAYED = 4  # legs
_COVERED = (
    "two gluons (21,21) or a quark and its antiquark (1 2 3 4), then in any order 6,-6 or the products 5 and -11,12 "
    "(-13,14 -15,16 -1,2 -3,4) of a top and the antiparticles of such of an antitop quark; for example 21,21,6,-6 or "
    "2,-2,5,-11,12,-5,1,-2"
)


def channel_matrix_element(pdg: str, widths: bool) -> MatrixElement:
    """|M|^2 of the channel with the legs ``pdg``, in the order of `pdg`; the strong coupling is that of the tables.

    By default exchanged tops have no width; `widths` gives them one, as MadGraph's standalone code does. With decays
    it is that of the diagrams with two resonant tops, whose propagators have the width of `top_decay`, or with `widths`
    that of MadGraph's model.

    Raises:
        EventError: if there is no such channel.
    """
    legs = parse_pdg(pdg, _COVERED)
    order = _order(legs)
    if legs[:2] not in INITIAL or order is None:
        raise EventError(f"--pdg {pdg}: no such channel of top_pair. Covered: {_COVERED}.")
    exchanged, resonant = (ew.WIDTH_TOP, ew.WIDTH_TOP) if widths else (0.0, top_width())
    n_colours = N_COLOURS ** sum(abs(legs[place]) < BOTTOM for place in order[3::3])
    is_decayed = len(legs) > _N_UNDECAYED

    def function(momenta: Momenta, coefficients: Theta) -> Scalar:
        event = beams_along_z(momenta[jnp.array(order)])
        found = squares(event, coefficients[0], exchanged)
        poles = n_colours * _poles(top_momenta(event), resonant) if is_decayed else 1.0
        return (4 * np.pi * REFERENCE_ALPHA_S) ** 2 * poles * (found.gluons if legs[0] == GLUON else found.quarks)

    masses = tuple(ew.M_TOP if abs(leg) == TOP else 0.0 for leg in legs)
    return MatrixElement(masses, dict.fromkeys(COEFFICIENTS, "TeV^-2"), function)


def _poles(tops: Array, width: float) -> Scalar:
    """|propagators|^2 of both resonant tops, GeV^-8."""
    excess = mass_squared(tops.T) - ew.M_TOP**2
    return jnp.prod(1 / (excess**2 + (ew.M_TOP * width) ** 2))


def _order(legs: tuple[int, ...]) -> tuple[int, ...] | None:
    """Places of the legs in the order of the amplitude; None if they are no channel."""
    if sorted(legs[2:]) == [-TOP, TOP]:
        return (0, 1, legs.index(TOP), legs.index(-TOP))
    downs = (*LEPTONS.values(), *DOWN_QUARKS)
    for one, two in itertools.product(downs, downs):
        wanted = (*products(one), *products(two, -1))
        if sorted(wanted) == sorted(legs[2:]):
            return (0, 1, *(2 + legs[2:].index(leg) for leg in wanted))
    return None
