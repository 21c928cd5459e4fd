"""|M|^2 of one flavour channel of q qbar -> Z h and q qbar -> l- l+ h, and the variables of production."""

from collections.abc import Callable

import jax.numpy as jnp

from saggiatore.errors import EventError
from saggiatore.physics import annihilation
from saggiatore.physics import electroweak as ew
from saggiatore.physics.kinematics import beams_along_z
from saggiatore.physics.matrix_element import MatrixElement
from saggiatore.physics.wbf_amplitude import COEFFICIENTS, Coefficients
from saggiatore.physics.zh_amplitude import (
    Helicities,
    ZhVariables,
    emission,
    lepton_helicities,
    square,
    z_helicities,
)
from saggiatore.types import FourMomentum, Momenta, Scalar

_COVERED = (
    "a quark and its antiquark (1 2 3 4, antiquarks negative) in either order, then 23,25 or 13,-13,25 in any order, "
    "for example 2,-2,23,25"
)


def production(incoming: Momenta, z: FourMomentum) -> ZhVariables:
    """Variables of production from the partons along the z axis, the quark along +z, and the Z boson."""
    root = 2 * jnp.sqrt(incoming[0, 0] * incoming[1, 0])
    boost = jnp.sqrt(incoming[0, 0] / incoming[1, 0])
    plus, minus = (z[0] + z[3]) / boost, (z[0] - z[3]) * boost
    energy, along, across = (plus + minus) / 2, (plus - minus) / 2, jnp.hypot(z[1], z[2])
    momentum = jnp.hypot(along, across)
    return ZhVariables(root, energy, momentum, along / momentum, across / momentum)


def helicities(momenta: Momenta, coefficients: Coefficients) -> Helicities:
    """Amplitudes of an event; legs are quark along +z, antiquark, Z boson or both leptons, Higgs boson."""
    if len(momenta) == 4:
        return z_helicities(production(momenta[:2], momenta[2]), coefficients)
    return lepton_helicities(momenta[:4], coefficients)


def channel_matrix_element(pdg: str) -> MatrixElement:
    """|M|^2 of the channel with the legs ``pdg``; all propagators are s-channel and have their widths.

    Raises:
        EventError: if the process has no such legs.
    """
    legs = pdg.replace(" ", "").split(",")
    final = next((want for want in (["23", "25"], ["13", "-13", "25"]) if sorted(want) == sorted(legs[2:])), None)
    pairs = {(str(first), str(second)): (first, second) for first, second in annihilation.CHANNELS}
    if final is None or tuple(legs[:2]) not in pairs:
        raise EventError(f"--pdg {pdg}: no such channel of zh. Covered: {_COVERED}.")
    number = annihilation.CHANNELS.index(pairs[legs[0], legs[1]])
    masses = {"23": ew.M_Z, "25": ew.M_H}
    order = [0, 1, *(legs.index(name) for name in final)]
    return MatrixElement(
        tuple(masses.get(leg, 0.0) if place > 1 else 0.0 for place, leg in enumerate(legs)),
        dict.fromkeys(COEFFICIENTS, "TeV^-2"),
        _function(number, order),
    )


def _function(number: int, order: list[int]) -> Callable[[Momenta, Coefficients], Scalar]:
    def function(momenta: Momenta, coefficients: Coefficients) -> Scalar:
        place = annihilation.place(jnp.asarray(number))
        weights = jnp.zeros((2, 2)).at[place.is_reversed, place.quark_type].set(1.0)
        return square(emission(weights), helicities(beams_along_z(momenta[jnp.array(order)]), coefficients))

    return function
