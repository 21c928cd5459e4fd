r"""Flavour channels of a vector boson with jets, and their |M|^2 from the products of `jet_amplitude`.

Flavours of two massless generations enter through the couplings of the quark lines only, so that many channels share
their kinematics: |M|^2 of a channel is a sum of a few *features* (one for each pairing of quarks and antiquarks, one
for the interference of two pairings of identical ends), times the average over incoming spins and colours. A neutral
feature belongs to an assignment of legs and the types (up, down) of its lines, a charged one to an assignment and the
line that emits the W boson.
"""

import math
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import product
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from saggiatore.physics import electroweak as ew
from saggiatore.physics.jet_amplitude import (
    N_INCOMING,
    OneLine,
    TwoLines,
    one_line_assignments,
    two_line_assignments,
)
from saggiatore.types import Array, Complex, Float

QUARKS = (1, 2, 3, 4)
GLUON = 21
UP, DOWN = 0, 1  # the axis `type` of couplings
_N_TERMS = 3  # two pairings and their interference
_AVERAGES = {GLUON: 1 / 16}  # spin and colour of an incoming gluon; of a quark:
_QUARK_AVERAGE = 1 / 6

NeutralCouplings = Complex[Array, "type chirality boson"]  # chirality: left, right


class Channels(NamedTuple):
    """All channels of partons 1, 2 and ordered jets, and of which features their |M|^2 consist."""

    partons: tuple[tuple[int, ...], ...]  # PDG numbers, incoming first
    average: np.ndarray  # (channel,)
    terms: np.ndarray  # (channel, term): places of features, of which the last is zero


def identical_factor(outgoing: tuple[int, ...]) -> float:
    """1/n! of identical legs."""
    return 1 / math.prod(math.factorial(n) for n in Counter(outgoing).values())


class FoundChannel(NamedTuple):
    """A channel as somebody named it."""

    channels: Channels
    row: int  # among the channels
    n_jets: int
    order: tuple[int, ...]  # of the legs as given: partons, then the boson or its leptons


def find_channel(
    legs: tuple[int, ...], colourless: tuple[int, ...], channels: Callable[[int], Channels], max_jets: int
) -> FoundChannel | None:
    """The channel with these legs, incoming first and the others in any order; None if there is none."""
    partons = tuple(leg for leg in legs if leg not in colourless)
    n_jets = len(partons) - N_INCOMING
    is_complete = sorted(legs) == sorted((*partons, *colourless)) and legs[:N_INCOMING] == partons[:N_INCOMING]
    if not (is_complete and 1 <= n_jets <= max_jets and partons in channels(n_jets).partons):
        return None
    order = [place for place, leg in enumerate(legs) if leg not in colourless]
    order += [legs.index(leg) for leg in colourless]
    return FoundChannel(channels(n_jets), channels(n_jets).partons.index(partons), n_jets, tuple(order))


@cache
def neutral_channels(n_jets: int) -> Channels:
    """Channels with a photon or Z boson, which changes no flavour."""
    n_partons = N_INCOMING + n_jets
    found: dict[tuple[int, ...], list[int]] = {}
    n_one, n_two = len(one_line_assignments(n_partons)), len(two_line_assignments(n_partons))
    for place, legs in enumerate(one_line_assignments(n_partons)):
        for flavour in QUARKS:
            _add(found, legs, (flavour, -flavour), 2 * place + _type(flavour))
    for place, legs in enumerate(two_line_assignments(n_partons)):
        for one, two in product(QUARKS, QUARKS):
            feature = 2 * n_one + 4 * place + 2 * _type(one) + _type(two)
            _add(found, legs, (one, -one, two, -two), feature)
            if one == two and place % 2:
                exchange = 2 * n_one + 4 * n_two + 2 * (place // 2) + _type(one)
                _add(found, legs, (one, -one, two, -two), exchange)
    return _channels(found, 2 * n_one + 5 * n_two)


@cache
def charged_channels(n_jets: int, charge: int) -> Channels:
    """Channels with a W boson of the given charge, which changes one flavour within its doublet."""
    n_partons = N_INCOMING + n_jets
    found: dict[tuple[int, ...], list[int]] = {}
    n_one, n_two = len(one_line_assignments(n_partons)), len(two_line_assignments(n_partons))
    emitting = [quark for quark in QUARKS if ew.is_up_type(quark) == (charge < 0)]
    for place, legs in enumerate(one_line_assignments(n_partons)):
        for quark in emitting:
            _add(found, legs, (quark, -ew.partner(quark)), place)
    lines: dict[tuple[int, tuple[int, ...]], int] = {}
    for place, legs in enumerate(two_line_assignments(n_partons)):
        for quark, other, emitter in product(emitting, QUARKS, (0, 1)):
            pairs = ((quark, -ew.partner(quark)), (other, -other))
            ends = (*pairs[emitter], *pairs[1 - emitter])
            partons = _add(found, legs, ends, n_one + 2 * place + emitter)
            lines[place, partons] = emitter
            if place % 2 and (place - 1, partons) in lines:
                first = lines[place - 1, partons]
                exchange = n_one + 2 * n_two + 4 * (place // 2) + 2 * first + emitter
                _add(found, legs, ends, exchange)
    return _channels(found, n_one + 4 * n_two)


def neutral_features(
    one: OneLine, two: TwoLines | None, couplings: NeutralCouplings, flip: tuple[int, ...]
) -> Float[Array, " feature"]:
    """Features of `neutral_channels`; `flip` is the boson's index when all helicities are flipped."""
    mirror = couplings[:, ::-1, np.array(flip)]
    # with the flipped helicities; [:, 0] is that of line 1
    folded = couplings.real**2 + couplings.imag**2 + mirror.real**2 + mirror.imag**2
    features = [_sum(one.square[:, None], folded[:, 0]).ravel()]
    if two is not None:
        first = _sum(two.first.sum(axis=1)[:, None], folded[:, 0])
        second = jnp.sum(two.second[:, None] * folded, axis=(2, 3))
        weight = couplings[:, None, :1].conj() * couplings[None]
        flipped = mirror[:, None, :1] * mirror[None].conj()
        mixed = jnp.sum((two.mixed[:, None, None] * (weight + flipped)).real, axis=(3, 4))
        features.append((first[:, :, None] + second[:, None, :] + 2 * mixed).ravel())
        features.append(2 * _sum(two.exchange.sum(axis=(1, 2))[:, None], folded[:, 0]).ravel())
    return jnp.concatenate([*features, jnp.zeros(1)])


def charged_features(
    one: OneLine, two: TwoLines | None, boson: tuple[int, ...], flipped: tuple[int, ...]
) -> Float[Array, " feature"]:
    """Features of `charged_channels` without the coupling: the line that emits is left-handed.

    `boson` are the indices of the boson that couple, `flipped` the same when all helicities are flipped.
    """
    left, right = np.array(boson), np.array(flipped)
    features = [one.square[:, left].sum(axis=1)]
    if two is not None:
        first = two.first[:, :, left].sum(axis=(1, 2))
        # line 1 is left-handed in `two`: right-handed, it is found flipped
        second = (two.second[:, 0, left] + two.second[:, 1, right]).sum(axis=1)
        features.append(jnp.stack([first, second], axis=1).ravel())
        features.append(2 * two.exchange[..., left].sum(axis=3).ravel())
    return jnp.concatenate([*features, jnp.zeros(1)])


def squares(channels: Channels, features: Float[Array, " feature"]) -> Float[Array, " channel"]:
    """|M|^2 of all channels, averaged over incoming and summed over outgoing spins and colours, without 1/n!."""
    return jnp.asarray(channels.average) * features[channels.terms].sum(axis=1)


def _type(flavour: int) -> int:
    return UP if ew.is_up_type(flavour) else DOWN


def _add(
    found: dict[tuple[int, ...], list[int]], legs: tuple[int, ...], ends: tuple[int, ...], feature: int
) -> tuple[int, ...]:
    """Note a feature of the channel whose first `legs` have the outgoing flavours `ends`; others are gluons."""
    partons = [GLUON] * len(legs)
    for leg, flavour in zip(legs, ends, strict=False):
        partons[leg] = -flavour if leg < N_INCOMING else flavour
    found.setdefault(tuple(partons), []).append(feature)
    return tuple(partons)


def _channels(found: dict[tuple[int, ...], list[int]], n_features: int) -> Channels:
    partons = tuple(sorted(found))
    terms = np.full((len(partons), _N_TERMS), n_features)
    for row, channel in zip(terms, partons, strict=True):
        row[: len(found[channel])] = found[channel]
    average = [math.prod(_AVERAGES.get(parton, _QUARK_AVERAGE) for parton in each[:N_INCOMING]) for each in partons]
    return Channels(partons, np.array(average), terms)


def _sum(kinematics: Array, weights: Array) -> Array:
    """Sum over the last axis, that of the boson."""
    return jnp.sum(kinematics * weights, axis=-1)
