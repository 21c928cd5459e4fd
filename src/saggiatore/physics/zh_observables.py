"""Observables of Z h production: legs are two partons, the Z boson or its leptons (l-, l+), and the Higgs boson, GeV.

The polar axis points along the longitudinal momentum of the final state, where the quark most likely came from, so that
nothing depends on which beam is which. `parity` is the sign that an observable gets when the momenta are reflected in a
plane that contains the beam: that of the CP-odd coefficients.
"""

from collections.abc import Mapping
from types import MappingProxyType

import jax.numpy as jnp

from saggiatore.physics.annihilation import forward_sign
from saggiatore.physics.electroweak import M_Z
from saggiatore.physics.kinematics import boost_along_z, mass_squared, rapidity, transverse_momentum
from saggiatore.physics.process import Observable
from saggiatore.types import Array, Float, FourMomentum, Momenta, Scalar


def z_boson(momenta: Momenta) -> FourMomentum:
    """Momentum of the Z boson."""
    return jnp.sum(momenta[2:-1], axis=0)


def m_ll(momenta: Momenta) -> Scalar:
    """Invariant mass of the leptons."""
    return jnp.sqrt(mass_squared(z_boson(momenta)))


def pt_z(momenta: Momenta) -> Scalar:
    """Transverse momentum of the Z boson, and of the Higgs boson."""
    return transverse_momentum(z_boson(momenta))


def x_z(momenta: Momenta) -> Scalar:
    """Transverse momentum of the Z boson over its mass."""
    return pt_z(momenta) / M_Z


def m_zh(momenta: Momenta) -> Scalar:
    """Invariant mass of the final state."""
    return jnp.sqrt(mass_squared(jnp.sum(momenta[2:], axis=0)))


def y_zh(momenta: Momenta) -> Scalar:
    """Rapidity of the final state."""
    return rapidity(jnp.sum(momenta[2:], axis=0))


def cos_theta_star(momenta: Momenta) -> Scalar:
    """Angle of the Z boson to the longitudinal momentum of the final state, in its rest frame."""
    z = z_boson(_at_rest(momenta))
    return forward_sign(jnp.sum(momenta[2:], axis=0)) * z[3] / jnp.sqrt(jnp.sum(z[1:] ** 2))


def cos_theta_l(momenta: Momenta) -> Scalar:
    """Angle of the negative lepton to the direction of flight of the Z boson, in the rest frame of the latter."""
    rest = _at_rest(momenta)
    z, lepton = z_boson(rest), rest[2]
    momentum = jnp.sqrt(jnp.sum(z[1:] ** 2))
    along = lepton[1:] @ z[1:] / momentum
    return 2 * (z[0] * along - momentum * lepton[0]) / mass_squared(z)


def phi_l(momenta: Momenta) -> Scalar:
    """Azimuth of the negative lepton about the Z boson, from the half plane away from the polar axis."""
    rest = _at_rest(momenta)
    flight, lepton = z_boson(rest)[1:], rest[2, 1:]
    axis = forward_sign(jnp.sum(momenta[2:], axis=0)) * jnp.array([0.0, 0.0, 1.0])
    normal = jnp.cross(axis, flight)
    in_plane = jnp.cross(normal, flight) / jnp.sqrt(jnp.sum(flight**2))
    return jnp.arctan2(lepton @ normal, lepton @ in_plane)


def _at_rest(momenta: Momenta) -> Float[Array, "leg 4"]:
    return boost_along_z(momenta, -y_zh(momenta))


_PRODUCTION = {
    "pt_z": Observable(pt_z, "GeV", r"$p_{T,Z}$", "transverse momentum of the Z boson, and of the Higgs boson"),
    "x_z": Observable(x_z, "1", r"$x_Z$", "transverse momentum of the Z boson over its mass"),
    "m_zh": Observable(m_zh, "GeV", r"$m_{Zh}$", "invariant mass of Z and Higgs boson"),
    "y_zh": Observable(y_zh, "1", r"$y_{Zh}$", "rapidity of Z and Higgs boson together"),
    "cos_theta_star": Observable(
        cos_theta_star,
        "1",
        r"$\cos\theta^*$",
        "cosine of the angle of the Z boson to the longitudinal momentum of the final state, in its rest frame",
    ),
}
_DECAY = {
    "m_ll": Observable(m_ll, "GeV", r"$m_{\ell\ell}$", "invariant mass of the leptons"),
    "cos_theta_l": Observable(
        cos_theta_l,
        "1",
        r"$\cos\theta_\ell$",
        "cosine of the angle of the negative lepton to the flight of the Z boson, in the rest frame of the latter",
    ),
    "phi_l": Observable(
        phi_l,
        "rad",
        r"$\phi_\ell$",
        "azimuth of the negative lepton about the Z boson, from the plane of production, in (-pi, pi]",
        parity=-1,
    ),
}
PRODUCTION_OBSERVABLES: Mapping[str, Observable] = MappingProxyType(_PRODUCTION)
DECAY_OBSERVABLES: Mapping[str, Observable] = MappingProxyType(_PRODUCTION | _DECAY)
