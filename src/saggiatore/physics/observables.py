"""Observables of an event with two jets and a Higgs boson: legs are partons 1, 2, jets 3, 4 and the boson, GeV.

None depends on the order of the two jets. CP shows in this process as a reflection of the momenta in a plane that
contains the beam: `parity` is the sign that an observable gets under it.
"""

from collections.abc import Mapping
from types import MappingProxyType

import jax.numpy as jnp

from saggiatore.physics.electroweak import M_H
from saggiatore.physics.kinematics import azimuth, pseudorapidity, rapidity, transverse_momentum, wrap_angle
from saggiatore.physics.process import Observable
from saggiatore.types import Momenta, Scalar


def pt_j1(momenta: Momenta) -> Scalar:
    """Larger transverse momentum of the two jets."""
    return jnp.maximum(transverse_momentum(momenta[2]), transverse_momentum(momenta[3]))


def pt_j2(momenta: Momenta) -> Scalar:
    """Smaller transverse momentum of the two jets."""
    return jnp.minimum(transverse_momentum(momenta[2]), transverse_momentum(momenta[3]))


def x_p1(momenta: Momenta) -> Scalar:
    """pT of the harder jet over the Higgs mass."""
    return pt_j1(momenta) / M_H


def x_p2(momenta: Momenta) -> Scalar:
    """pT of the softer jet over the Higgs mass."""
    return pt_j2(momenta) / M_H


def eta_j1(momenta: Momenta) -> Scalar:
    """Pseudorapidity of the jet of larger transverse momentum."""
    is_first = transverse_momentum(momenta[2]) >= transverse_momentum(momenta[3])
    return pseudorapidity(jnp.where(is_first, momenta[2], momenta[3]))


def eta_j2(momenta: Momenta) -> Scalar:
    """Pseudorapidity of the jet of smaller transverse momentum."""
    is_second = transverse_momentum(momenta[2]) < transverse_momentum(momenta[3])
    return pseudorapidity(jnp.where(is_second, momenta[2], momenta[3]))


def delta_eta(momenta: Momenta) -> Scalar:
    """Distance of the jets in pseudorapidity."""
    return jnp.abs(pseudorapidity(momenta[2]) - pseudorapidity(momenta[3]))


def delta_phi(momenta: Momenta) -> Scalar:
    """Azimuth of the jet of larger pseudorapidity minus that of the other, in (-pi, pi]."""
    difference = azimuth(momenta[2]) - azimuth(momenta[3])
    is_ordered = pseudorapidity(momenta[2]) >= pseudorapidity(momenta[3])
    return wrap_angle(jnp.where(is_ordered, difference, -difference))


def m_jj(momenta: Momenta) -> Scalar:
    """Invariant mass of the two jets."""
    pt = transverse_momentum(momenta[2]) * transverse_momentum(momenta[3])
    angle = azimuth(momenta[2]) - azimuth(momenta[3])
    return jnp.sqrt(2 * pt * (jnp.cosh(delta_eta(momenta)) - jnp.cos(angle)))


def pt_h(momenta: Momenta) -> Scalar:
    """Transverse momentum of the Higgs boson."""
    return transverse_momentum(momenta[4])


def y_h(momenta: Momenta) -> Scalar:
    """Rapidity of the Higgs boson."""
    return rapidity(momenta[4])


JET_OBSERVABLES: Mapping[str, Observable] = MappingProxyType(
    {
        "x_p1": Observable(x_p1, "1", r"$p_{T,1}/m_H$", "pT of the harder jet over the Higgs mass"),
        "x_p2": Observable(x_p2, "1", r"$p_{T,2}/m_H$", "pT of the softer jet over the Higgs mass"),
        "delta_eta": Observable(delta_eta, "1", r"$|\Delta\eta_{jj}|$", "distance of the jets in pseudorapidity"),
        "delta_phi": Observable(
            delta_phi,
            "rad",
            r"$\Delta\phi_{jj}$",
            "azimuth of the jet of larger pseudorapidity minus that of the other, in (-pi, pi]",
            parity=-1,
        ),
        "m_jj": Observable(m_jj, "GeV", r"$m_{jj}$", "invariant mass of the two jets"),
        "pt_h": Observable(pt_h, "GeV", r"$p_{T,h}$", "transverse momentum of the Higgs boson"),
        "y_h": Observable(y_h, "1", r"$y_h$", "rapidity of the Higgs boson"),
        "pt_j1": Observable(pt_j1, "GeV", r"$p_{T,1}$", "transverse momentum of the harder jet"),
        "pt_j2": Observable(pt_j2, "GeV", r"$p_{T,2}$", "transverse momentum of the softer jet"),
        "eta_j1": Observable(eta_j1, "1", r"$\eta_1$", "pseudorapidity of the harder jet"),
        "eta_j2": Observable(eta_j2, "1", r"$\eta_2$", "pseudorapidity of the softer jet"),
    }
)
