"""Observables of a vector boson with jets: legs are partons 1, 2, the jets, and the boson or the two leptons, GeV.

None depends on the order of the jets, which are ranked by transverse momentum.
"""

from collections.abc import Mapping
from types import MappingProxyType

import jax.numpy as jnp

from saggiatore.physics.kinematics import (
    azimuth,
    mass_squared,
    pseudorapidity,
    rapidity,
    transverse_momentum,
    wrap_angle,
)
from saggiatore.physics.process import Observable
from saggiatore.types import Array, Float, FourMomentum, Momenta, Scalar

_RANKS = ("hardest", "second", "third")


def jet_pt(momenta: Momenta, n_jets: int) -> Float[Array, " jet"]:
    """Transverse momenta of the jets, in the order of the legs."""
    return transverse_momentum(momenta[2 : 2 + n_jets].T)


def boson(momenta: Momenta, n_jets: int) -> FourMomentum:
    """Momentum of the boson, decayed or not."""
    return momenta[2 + n_jets :].sum(axis=0)


def ranked(momenta: Momenta, n_jets: int, rank: int) -> FourMomentum:
    """The jet of the given rank in transverse momentum, 0 the hardest."""
    order = jnp.argsort(-jet_pt(momenta, n_jets))
    return momenta[2 + order[rank]]


def delta_r(first: FourMomentum, second: FourMomentum) -> Scalar:
    """Distance of two momenta in pseudorapidity and azimuth."""
    angle = wrap_angle(azimuth(first) - azimuth(second))
    return jnp.hypot(pseudorapidity(first) - pseudorapidity(second), angle)


def cos_theta_cs(momenta: Momenta) -> Scalar:
    """Cosine of the negative lepton's angle in the Collins-Soper frame; +z is the direction of the pair's pz.

    Phys. Rev. D16 (1977) 2219; the leptons are the last two legs, the negative one first.
    """
    lepton, antilepton = momenta[-2], momenta[-1]
    pair = lepton + antilepton
    m_squared = mass_squared(pair)
    mt = jnp.sqrt(m_squared + pair[1] ** 2 + pair[2] ** 2)
    plus, minus = lepton[0] + lepton[3], lepton[0] - lepton[3]
    anti_plus, anti_minus = antilepton[0] + antilepton[3], antilepton[0] - antilepton[3]
    sign = jnp.where(pair[3] >= 0, 1.0, -1.0)
    return sign * (plus * anti_minus - minus * anti_plus) / (jnp.sqrt(m_squared) * mt)


def lepton_observables(n_jets: int) -> dict[str, Observable]:
    """Observables of a decayed neutral boson."""
    return {
        "m_ll": Observable(
            lambda p: jnp.sqrt(mass_squared(boson(p, n_jets))), "GeV", r"$m_{\ell\ell}$", "mass of the leptons"
        ),
        "cos_theta_cs": Observable(
            cos_theta_cs, "1", r"$\cos\theta_{CS}$", "cosine of the negative lepton's angle in the Collins-Soper frame"
        ),
    }


def w_observables(n_jets: int) -> dict[str, Observable]:
    """Observables of a W boson: leptons are the charged one and the neutrino."""

    def m_t(momenta: Momenta) -> Scalar:
        lepton, neutrino = momenta[-2], momenta[-1]
        product = transverse_momentum(lepton) * transverse_momentum(neutrino)
        return jnp.sqrt(2 * (product - lepton[1] * neutrino[1] - lepton[2] * neutrino[2]))

    return {
        "m_t": Observable(m_t, "GeV", r"$m_T$", "transverse mass of charged lepton and neutrino"),
        "m_lv": Observable(
            lambda p: jnp.sqrt(mass_squared(boson(p, n_jets))), "GeV", r"$m_{\ell\nu}$", "mass of lepton and neutrino"
        ),
        "pt_l": Observable(
            lambda p: transverse_momentum(p[-2]), "GeV", r"$p_{T,\ell}$", "transverse momentum of the charged lepton"
        ),
        "eta_l": Observable(
            lambda p: pseudorapidity(p[-2]), "1", r"$\eta_\ell$", "pseudorapidity of the charged lepton"
        ),
    }


def boson_observables(n_jets: int, symbol: str) -> dict[str, Observable]:
    """Observables of the jets, and of the boson V that recoils against them."""
    found = {
        "n_jets": Observable(lambda p: jnp.asarray(float(n_jets)), "1", r"$n_{\rm jets}$", "number of jets"),
        "pt_v": Observable(
            lambda p: transverse_momentum(boson(p, n_jets)), "GeV", rf"$p_{{T,{symbol}}}$", "pT of the boson"
        ),
        "y_v": Observable(lambda p: rapidity(boson(p, n_jets)), "1", rf"$y_{symbol}$", "rapidity of the boson"),
    }
    for rank in range(n_jets):
        found |= _jet_observables(n_jets, rank)
    if n_jets > 1:
        found |= _pair_observables(n_jets)
    return found


def _jet_observables(n_jets: int, rank: int) -> Mapping[str, Observable]:
    number, name = rank + 1, f"{_RANKS[rank]} jet"

    def pt(momenta: Momenta) -> Scalar:
        return transverse_momentum(ranked(momenta, n_jets, rank))

    def eta(momenta: Momenta) -> Scalar:
        return pseudorapidity(ranked(momenta, n_jets, rank))

    return MappingProxyType(
        {
            f"pt_j{number}": Observable(pt, "GeV", rf"$p_{{T,{number}}}$", f"transverse momentum of the {name}"),
            f"eta_j{number}": Observable(eta, "1", rf"$\eta_{number}$", f"pseudorapidity of the {name}"),
        }
    )


def _pair_observables(n_jets: int) -> Mapping[str, Observable]:
    def pair(momenta: Momenta) -> tuple[FourMomentum, FourMomentum]:
        return ranked(momenta, n_jets, 0), ranked(momenta, n_jets, 1)

    def m_jj(momenta: Momenta) -> Scalar:
        first, second = pair(momenta)
        return jnp.sqrt(mass_squared(first + second))

    return MappingProxyType(
        {
            "m_jj": Observable(m_jj, "GeV", r"$m_{jj}$", "mass of the two hardest jets"),
            "delta_r_jj": Observable(
                lambda p: delta_r(*pair(p)), "1", r"$\Delta R_{jj}$", "distance of the two hardest jets"
            ),
        }
    )
