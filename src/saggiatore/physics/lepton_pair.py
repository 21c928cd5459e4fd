"""Observables of a lepton pair: legs are two partons, the negative and the positive lepton, GeV.

`parity` is the sign that an observable gets when the beams are exchanged.
"""

from collections.abc import Mapping
from types import MappingProxyType

import jax.numpy as jnp

from saggiatore.physics.annihilation import forward_sign
from saggiatore.physics.kinematics import light_cone, mass_squared, pseudorapidity, rapidity, transverse_momentum
from saggiatore.physics.process import Observable
from saggiatore.types import Flag, Momenta, Scalar


def m_ll(momenta: Momenta) -> Scalar:
    """Invariant mass of the leptons."""
    return jnp.sqrt(mass_squared(momenta[2] + momenta[3]))


def leptons_accepted(momenta: Momenta, pt: float, abs_eta: float | None) -> Flag:
    """Whether both leptons have at least `pt` (GeV) and, where it is given, at most `abs_eta`."""
    inside = jnp.array(True)
    for lepton in (momenta[2], momenta[3]):
        inside &= transverse_momentum(lepton) >= pt
        if abs_eta is not None:
            inside &= jnp.abs(pseudorapidity(lepton)) <= abs_eta
    return inside


def x_ll(momenta: Momenta) -> Scalar:
    """Invariant mass of the leptons in TeV: of order one, as formulas like their features."""
    return m_ll(momenta) / 1000


def y_ll(momenta: Momenta) -> Scalar:
    """Rapidity of the pair."""
    return rapidity(momenta[2] + momenta[3])


def cos_theta_star(momenta: Momenta) -> Scalar:
    """Angle of the negative lepton in the frame of Collins and Soper, Phys. Rev. D16 (1977) 2219.

    The polar axis points along the longitudinal momentum of the pair, where the quark most likely came from.
    """
    total = momenta[2] + momenta[3]
    (plus, minus), (anti_plus, anti_minus) = light_cone(momenta[2]), light_cone(momenta[3])
    square = mass_squared(total)
    transverse = total[1] ** 2 + total[2] ** 2
    cos = (plus * anti_minus - minus * anti_plus) / jnp.sqrt(square * (square + transverse))
    return forward_sign(total) * cos


def pt_l(momenta: Momenta) -> Scalar:
    """Transverse momentum of the negative lepton."""
    return transverse_momentum(momenta[2])


def eta_minus(momenta: Momenta) -> Scalar:
    """Pseudorapidity of the negative lepton."""
    return pseudorapidity(momenta[2])


def eta_plus(momenta: Momenta) -> Scalar:
    """Pseudorapidity of the positive lepton."""
    return pseudorapidity(momenta[3])


def resonance_observables(mass: float, width: float) -> dict[str, Observable]:
    r"""Where the pair lies about a resonance of `mass` and `width` (GeV): its propagator is 1/(M Gamma (eps + i))."""

    def eps_ll(momenta: Momenta) -> Scalar:
        return (mass_squared(momenta[2] + momenta[3]) - mass**2) / (mass * width)

    meaning = "(m_ll^2 - M^2)/(M Gamma) of the heaviest resonance"
    return {"eps_ll": Observable(eps_ll, "1", r"$\epsilon_{\ell\ell}$", meaning)}


LEPTON_PAIR_OBSERVABLES: Mapping[str, Observable] = MappingProxyType(
    {
        "m_ll": Observable(m_ll, "GeV", r"$m_{\ell\ell}$", "invariant mass of the leptons"),
        "x_ll": Observable(x_ll, "1", r"$x_{\ell\ell}$", "invariant mass of the leptons over 1 TeV"),
        "y_ll": Observable(y_ll, "1", r"$y_{\ell\ell}$", "rapidity of the lepton pair", parity=-1),
        "cos_theta_star": Observable(
            cos_theta_star,
            "1",
            r"$\cos\theta^*$",
            "cosine of the Collins-Soper angle of the negative lepton to the longitudinal momentum of the pair",
        ),
        "pt_l": Observable(pt_l, "GeV", r"$p_{T,\ell}$", "transverse momentum of either lepton"),
        "eta_minus": Observable(eta_minus, "1", r"$\eta_{\ell^-}$", "pseudorapidity of the negative lepton", parity=-1),
        "eta_plus": Observable(eta_plus, "1", r"$\eta_{\ell^+}$", "pseudorapidity of the positive lepton", parity=-1),
    }
)
