"""Observables of top pairs: legs are two partons, then both top quarks or the products of each, GeV.

Angles of decay products are taken in the rest frame of their own top quark, which is reached from that of the pair
without a rotation; the polar axis of each is its top's direction of flight in the rest frame of the pair (helicity
basis). The analysers of the spins are the charged leptons or the down-type quarks, whose analysing power is one at tree
level; see arXiv:hep-ph/0403035. `parity` is the reflection in a plane that contains the beam.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import jax.numpy as jnp

from saggiatore.physics.kinematics import (
    azimuth,
    boost_to_rest,
    mass_squared,
    pseudorapidity,
    rapidity,
    transverse_momentum,
    wrap_angle,
)
from saggiatore.physics.process import Observable
from saggiatore.physics.top_pair_amplitude import PRODUCTS, top_momenta
from saggiatore.types import Array, Float, Momenta, Scalar

BOTTOM, ANALYSER = 0, 1  # places among the products of one top quark
_NAMES = ("top quark", "antitop quark")
_BY_DECAY = ("top quark that decays to leptons", "top quark that decays to quarks")


def m_tt(momenta: Momenta) -> Scalar:
    """Mass of the pair."""
    return jnp.sqrt(mass_squared(jnp.sum(momenta[2:], axis=0)))


def pt_t(momenta: Momenta) -> Scalar:
    """Transverse momentum of either top quark."""
    return transverse_momentum(top_momenta(momenta)[0])


def direction(momenta: Momenta, top: int, product: int) -> Float[Array, " 3"]:
    """Unit vector of a product in the rest frame of its top quark."""
    products = boost_to_rest(momenta[2:], jnp.sum(momenta[2:], axis=0))[3 * top : 3 * top + 3]
    return _unit(boost_to_rest(products, jnp.sum(products, axis=0))[product, 1:])


def cos_theta(momenta: Momenta, top: int, product: int) -> Scalar:
    """Cosine of the angle of a product to the flight of its top quark, in the helicity basis."""
    resting = boost_to_rest(top_momenta(momenta), jnp.sum(momenta[2:], axis=0))
    return direction(momenta, top, product) @ _unit(resting[top, 1:])


def cos_product(momenta: Momenta) -> Scalar:
    """Product of both analysers' cosines, whose mean is -C/9."""
    return cos_theta(momenta, 0, ANALYSER) * cos_theta(momenta, 1, ANALYSER)


def cos_opening(momenta: Momenta) -> Scalar:
    """Cosine of the angle between both analysers, each in its top's rest frame; its mean is -D/3."""
    return direction(momenta, 0, ANALYSER) @ direction(momenta, 1, ANALYSER)


def delta_phi(momenta: Momenta) -> Scalar:
    """Distance of both analysers in azimuth, in the laboratory."""
    one, two = (momenta[legs][ANALYSER] for legs in PRODUCTS)
    angle = wrap_angle(azimuth(one) - azimuth(two))
    return jnp.where(angle < 0, -angle, angle)


def _unit(vector: Float[Array, " 3"]) -> Float[Array, " 3"]:
    return vector / jnp.sqrt(vector @ vector)


def _of(function: Callable[..., Scalar], *places: int) -> Callable[[Momenta], Scalar]:
    return lambda momenta: function(momenta, *places)


def _rapidity(momenta: Momenta, top: int) -> Scalar:
    return rapidity(top_momenta(momenta)[top])


def _of_leg(function: Callable[[Array], Scalar], leg: int) -> Callable[[Momenta], Scalar]:
    return lambda momenta: function(momenta[leg])


_PAIR = {
    "m_tt": Observable(m_tt, "GeV", r"$m_{t\bar t}$", "mass of the pair"),
    "pt_t": Observable(pt_t, "GeV", r"$p_{T,t}$", "transverse momentum of either top quark"),
}
_CHARGES = {
    "y_t": Observable(_of(_rapidity, 0), "1", r"$y_t$", "rapidity of the top quark"),
    "y_tx": Observable(_of(_rapidity, 1), "1", r"$y_{\bar t}$", "rapidity of the antitop quark"),
    "delta_y": Observable(
        lambda p: _rapidity(p, 0) - _rapidity(p, 1),
        "1",
        r"$\Delta y$",
        "rapidity of the top minus the antitop quark",
    ),
}
_DECAYS = {
    "y_tl": Observable(_of(_rapidity, 0), "1", r"$y_{t,\ell}$", f"rapidity of the {_BY_DECAY[0]}"),
    "y_tq": Observable(_of(_rapidity, 1), "1", r"$y_{t,q}$", f"rapidity of the {_BY_DECAY[1]}"),
}
_CORRELATIONS = {
    "cos_product": Observable(
        cos_product, "1", r"$\cos\theta_1 \cos\theta_2$", "product of the analysers' cosines in the helicity basis"
    ),
    "cos_opening": Observable(
        cos_opening, "1", r"$\cos\varphi$", "cosine of the angle between the analysers, each in its top's rest frame"
    ),
    "delta_phi": Observable(
        delta_phi, "rad", r"$|\Delta\phi|$", "distance of the analysers in azimuth in the laboratory, in [0, pi]"
    ),
}


def _cosines(ends: tuple[str, str], symbols: tuple[str, str], tops: tuple[str, str]) -> dict[str, Observable]:
    """Cosines of analysers and bottom quarks; names end as `ends` say."""
    found = {}
    for top, (end, symbol, name) in enumerate(zip(ends, symbols, tops, strict=True)):
        where = f"to the flight of the {name}, in the rest frame of the latter"
        found[f"cos_theta_{end}"] = Observable(
            _of(cos_theta, top, ANALYSER), "1", rf"$\cos\theta_{{{symbol}}}$", f"cosine of the analyser's angle {where}"
        )
        found[f"cos_theta_b{end}"] = Observable(
            _of(cos_theta, top, BOTTOM),
            "1",
            rf"$\cos\theta_{{b,{symbol}}}$",
            f"cosine of the bottom quark's angle {where}",
        )
    return found


def _lepton(end: str, symbol: str, leg: int, name: str) -> dict[str, Observable]:
    pt, eta = _of_leg(transverse_momentum, leg), _of_leg(pseudorapidity, leg)
    return {
        f"pt_{end}": Observable(pt, "GeV", rf"$p_{{T,{symbol}}}$", f"transverse momentum of the {name}"),
        f"eta_{end}": Observable(eta, "1", rf"$\eta_{{{symbol}}}$", f"pseudorapidity of the {name}"),
    }


_BY_CHARGE = _PAIR | _CHARGES | _CORRELATIONS | _cosines(("plus", "minus"), ("+", "-"), _NAMES)
UNDECAYED: Mapping[str, Observable] = MappingProxyType(_PAIR | _CHARGES)
DECAYED: Mapping[str, Mapping[str, Observable]] = MappingProxyType(
    {
        "dilepton": _BY_CHARGE
        | _lepton("plus", r"\ell^+", 3, "positive lepton")
        | _lepton("minus", r"\ell^-", 6, "negative lepton")
        | {
            "m_ll": Observable(
                lambda p: jnp.sqrt(mass_squared(p[3] + p[6])), "GeV", r"$m_{\ell\ell}$", "mass of the charged leptons"
            )
        },
        "semileptonic": _PAIR
        | _DECAYS
        | _CORRELATIONS
        | _cosines(("l", "q"), (r"\ell", "q"), _BY_DECAY)
        | _lepton("l", r"\ell", 3, "charged lepton"),
        "hadronic": _BY_CHARGE,
    }
)
ALL: Mapping[str, Observable] = MappingProxyType({**UNDECAYED, **DECAYED["dilepton"], **DECAYED["semileptonic"]})
