r"""Matrix elements of three jets in the collinear limit, which ties all of their channels to those of two jets.

Two legs of momentum fractions z and 1 - z and invariant mass s have $|M_{n+1}|^2 \to 2 g^2 P(z) |M_n|^2 / s$ on the
average over their azimuth, with the splitting functions of Altarelli and Parisi in four dimensions (Catani and Seymour,
hep-ph/9605323, eqs. 4.16 to 4.19). Channels of two jets are held against reference tables.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.compilation import RUN_ONCE
from saggiatore.physics import electroweak as ew
from saggiatore.physics.boson_jets import on_shell, products
from saggiatore.physics.jet_channel import (
    Channels,
    charged_channels,
    charged_features,
    neutral_channels,
    neutral_features,
    squares,
)
from saggiatore.physics.jet_phase_space import Region, event
from saggiatore.physics.neutral_coupling import COEFFICIENTS, pole_couplings

GLUON = 21
POLARISATIONS = (0, 1, 2)
Z, Y = 0.6, 1e-6  # fraction of the first leg; invariant mass of both over that with the spectator
ANGLES = 0.3 + np.pi / 2 * np.arange(4)  # the average over which knows cos(phi) and cos(2 phi) no more
C_F, C_A, T_R = 4 / 3, 3, 1 / 2


class Limit(NamedTuple):
    """|M|^2 of all channels of a boson, without the strong coupling: of two jets, and of three on the average."""

    two: Channels
    squares_of_two: np.ndarray
    three: Channels
    squares_of_three: np.ndarray


def product(a, b):
    return a[0] * b[0] - a[1:] @ b[1:]


def divided(whole, spectator, angle):
    """Two massless momenta in the place of one, and the spectator, which gives what they need."""
    scale = product(whole, spectator)
    directions = []
    for vector in np.eye(4)[1:3]:
        vector = vector - (whole * product(vector, spectator) + spectator * product(vector, whole)) / scale
        vector = vector + sum((other * product(vector, other) for other in directions), np.zeros(4))
        directions.append(vector / np.sqrt(-product(vector, vector)))
    across = np.array([np.cos(angle), np.sin(angle)]) @ directions * np.sqrt(2 * scale * Y * Z * (1 - Z))
    first = Z * whole + Y * (1 - Z) * spectator + across
    return first, (1 - Z) * whole + Y * Z * spectator - across, (1 - Y) * spectator


def all_squares(found, channels, charge):
    if charge:
        features = charged_features(found.one, found.two, POLARISATIONS, POLARISATIONS)
    else:
        couplings = pole_couplings(jnp.zeros(len(COEFFICIENTS)))
        features = neutral_features(found.one, found.two, couplings, POLARISATIONS)
    return squares(channels, features)


@pytest.fixture(scope="module")
def limits():
    """For the Z boson and both W bosons; one mass serves all."""
    u = jax.random.uniform(jax.random.key(5), (7,))
    parent = np.array(event(Region(13_000.0, 2, 20.0, 3.0), jnp.asarray(ew.M_Z**2), u)[0])
    splits = []
    for angle in ANGLES:
        first, second, spectator = divided(parent[2], parent[3], angle)
        splits.append(np.stack([*parent[:2], first, spectator, second, parent[4]]))
    evaluate = jax.jit(jax.vmap(lambda p: products(p[:-1], on_shell(p[-1], ew.M_Z))), compiler_options=RUN_ONCE)
    whole, parts = (evaluate(jnp.array(momenta)) for momenta in ([parent], splits))
    found = []
    for charge in (0, 1, -1):
        two, three = (charged_channels(n, charge) if charge else neutral_channels(n) for n in (2, 3))
        means = [
            np.asarray(jax.vmap(lambda p, c=c, q=charge: all_squares(p, c, q))(each)).mean(axis=0)
            for each, c in ((whole, two), (parts, three))
        ]
        found.append(Limit(two, means[0], three, means[1]))
    return 2 * product(parent[2], parent[3]) * Y, found


def merged(first, second):
    """The leg that two become, and the splitting function; None if they cannot."""
    if first == second == GLUON:
        return GLUON, 2 * C_A * (Z / (1 - Z) + (1 - Z) / Z + Z * (1 - Z))
    if first == -second:
        return GLUON, T_R * (Z**2 + (1 - Z) ** 2)
    if second == GLUON:
        return first, C_F * (1 + Z**2) / (1 - Z)
    if first == GLUON:
        return second, C_F * (1 + (1 - Z) ** 2) / Z
    return None


@pytest.mark.thorough
def test_three_jets_become_two_where_two_legs_are_collinear(limits):
    """All channels whose first and third jet can come from one leg: up to the order of Y, and rounding over Y."""
    squared_mass, found = limits
    n_checked = 0
    for limit in found:
        place = {partons: row for row, partons in enumerate(limit.two.partons)}
        for row, (*incoming, first, spectator, second) in enumerate(limit.three.partons):
            parent = merged(first, second)
            if parent is None or (*incoming, parent[0], spectator) not in place:
                continue
            before = limit.squares_of_two[place[*incoming, parent[0], spectator]]
            expected = 2 * parent[1] / squared_mass * before
            assert limit.squares_of_three[row] == pytest.approx(expected, rel=1e-4), limit.three.partons[row]
            n_checked += 1
    assert n_checked == 1440
