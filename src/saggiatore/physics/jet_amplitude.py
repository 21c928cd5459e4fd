r"""Squared amplitudes of a vector boson and jets, without flavour: for every assignment of legs to quark lines.

All legs but the boson are massless partons. A tree has one quark line and gluons, or two quark lines and gluons; which
leg is which end of which line is an *assignment*, an axis along which the recursion is evaluated at once. Couplings of
the boson are taken out. They depend on the chirality of the line that emits it and on the boson's own index, which is
the helicity of a lepton (left, right) or one of three polarisations. Line 1 is left-handed: the amplitude with all
helicities flipped is the complex conjugate, up to a phase that all diagrams share.
"""

import itertools
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.physics import colour, weyl
from saggiatore.physics.recursion import Wave, amplitudes
from saggiatore.physics.recursion_plan import Leg, Plan, plan
from saggiatore.physics.weyl import HELICITIES, Vector
from saggiatore.types import Array, Float, Momenta

EMITTERS = (1, 2)
N_INCOMING = 2


class Boson(NamedTuple):
    """The vector boson: its wave, with an axis for its index, and its momentum."""

    wave: Vector
    momentum: Vector


class OneLine(NamedTuple):
    """One quark line; places of assignments are those of `one_line_assignments`."""

    square: Float[Array, "assignment boson"]


class TwoLines(NamedTuple):
    """Two quark lines: products of the amplitudes in which line 1 or line 2 emits the boson, colours summed.

    `chirality` is that of line 2; places of assignments are those of `two_line_assignments`.
    """

    first: Float[Array, "assignment chirality boson"]  # |A_1|^2
    second: Float[Array, "assignment chirality boson"]  # |A_2|^2
    mixed: Array  # A_1* A_2, complex, the same shape
    exchange: Float[Array, "pair emitter emitter boson"]  # Re A_e* A'_e' of both pairings, with the Fermi sign


@cache
def one_line_assignments(n_partons: int) -> tuple[tuple[int, ...], ...]:
    """(quark, antiquark, gluons ...) as outgoing legs, for every choice of the ends of the line."""
    found = []
    for quark, antiquark in itertools.permutations(range(n_partons), 2):
        found.append((quark, antiquark, *(leg for leg in range(n_partons) if leg not in (quark, antiquark))))
    return tuple(found)


@cache
def two_line_assignments(n_partons: int) -> tuple[tuple[int, ...], ...]:
    """(quark 1, antiquark 1, quark 2, antiquark 2, gluons ...): lines in the order of their quarks.

    The two pairings of the same quarks and antiquarks are neighbours, 2n and 2n + 1.
    """
    found = []
    for ends in itertools.combinations(range(n_partons), 4):
        gluons = tuple(leg for leg in range(n_partons) if leg not in ends)
        for one, two in itertools.combinations(ends, 2):
            low, high = (leg for leg in ends if leg not in (one, two))
            found += [(one, low, two, high, *gluons), (one, high, two, low, *gluons)]
    return tuple(found)


def one_line(partons: Momenta, boson: Boson, chosen: tuple[tuple[int, ...], ...] | None = None) -> OneLine:
    """Squares for one quark line; `partons` are two incoming and the outgoing massless legs, physical momenta.

    Without `chosen` assignments, all are evaluated.
    """
    assignments = np.array(one_line_assignments(len(partons)) if chosen is None else chosen)
    steps, order = one_line_plan(assignments.shape[1] - 2)
    found = evaluate(steps, order, assignments, (-1,), partons, boson)
    return OneLine(hermitian(found, colour.gram_matrix(steps.tensors, steps.tensors), found).real)


def two_lines(partons: Momenta, boson: Boson) -> TwoLines:
    """Products for two quark lines."""
    plans, order, found = two_line_amplitudes(partons, boson)
    gram = {(a, b): colour.gram_matrix(plans[a - 1].tensors, plans[b - 1].tensors) for a in EMITTERS for b in EMITTERS}

    def product(a: int, b: int) -> Array:
        return by_chirality(found, a, b, gram[a, b])

    left = [found[emitter, -1] for emitter in EMITTERS]
    exchange = [[_exchange(plans[a], left[a], plans[b], left[b], order) for b in (0, 1)] for a in (0, 1)]
    return TwoLines(
        product(1, 1).real,
        product(2, 2).real,
        product(1, 2),
        jnp.stack([jnp.stack(row, axis=1) for row in exchange], axis=1),
    )


def one_line_plan(n_gluons: int) -> tuple[Plan, list[int | None]]:
    """The recursion and, for each of its legs, the column of an assignment."""
    steps = plan((Leg("quark", 1), *[Leg("gluon")] * n_gluons, Leg("boson"), Leg("antiquark", 1)), 1)
    return steps, [0, *range(2, 2 + n_gluons), None, 1]


ByEmitter = dict[tuple[int, int], list[Array]]  # amplitudes of each colour, by (emitter, chirality of line 2)


def two_line_amplitudes(partons: Momenta, boson: Boson) -> tuple[list[Plan], list[int | None], ByEmitter]:
    """The recursion for either emitter, the column of each of its legs, and what it gives."""
    assignments = np.array(two_line_assignments(len(partons)))
    n_gluons = assignments.shape[1] - 4
    legs = (
        Leg("quark", 1),
        Leg("quark", 2),
        Leg("antiquark", 2),
        *[Leg("gluon")] * n_gluons,
        Leg("boson"),
        Leg("antiquark", 1),
    )
    order = [0, 2, 3, *range(4, 4 + n_gluons), None, 1]
    plans = [plan(legs, emitter) for emitter in EMITTERS]
    found = {
        (emitter, chi): evaluate(steps, order, assignments, (-1, chi), partons, boson)
        for emitter, steps in zip(EMITTERS, plans, strict=True)
        for chi in HELICITIES
    }
    return plans, order, found


def by_chirality(found: ByEmitter, a: int, b: int, gram: np.ndarray) -> Array:
    """Products of the amplitudes with the emitters `a` and `b`, axes (assignment, chirality, boson)."""
    return jnp.stack([hermitian(found[a, chi], gram, found[b, chi]) for chi in HELICITIES], axis=1)


def evaluate(
    steps: Plan,
    order: list[int | None],
    assignments: np.ndarray,
    chiralities: tuple[int, ...],
    partons: Momenta,
    boson: Boson,
) -> list[Array]:
    """Amplitudes of each colour, axes (boson, gluons ..., assignment); `order` gives the column of each leg."""
    n_gluons = sum(leg.kind == "gluon" for leg in steps.legs)
    incoming = assignments < N_INCOMING
    waves: list[Wave] = []
    momenta = []
    axis = 1
    for leg, column in zip(steps.legs, order, strict=True):
        if column is None:
            waves.append(_on_axis(boson.wave, 0, 1 + n_gluons))
            momenta.append(boson.momentum)
            continue
        momentum = partons[assignments[:, column]].T
        sign = jnp.where(incoming[:, column], -1.0, 1.0)
        momenta.append(weyl.scale(sign, weyl.massless(momentum)))
        if leg.kind == "gluon":
            waves.append(_on_axis(weyl.gluon(momentum), axis, 1 + n_gluons))
            axis += 1
        else:
            make = weyl.massless_row if leg.kind == "quark" else weyl.massless_column
            waves.append(make(momentum, chiralities[leg.line - 1]))
    return amplitudes(steps, waves, momenta)


def _on_axis(wave: Vector, axis: int, n_axes: int) -> Vector:
    """Put the first axis of a wave in its place among those of the amplitude; the last is that of assignments."""

    def put(entry: Array) -> Array:
        trailing = entry.shape[1:] or (1,)
        return entry.reshape(*(1,) * axis, entry.shape[0], *(1,) * (n_axes - axis - 1), *trailing)

    return jax.tree.map(put, wave)


def hermitian(first: list[Array], gram: np.ndarray, second: list[Array]) -> Array:
    """Sum over colours and gluon helicities of A* G B, axes (assignment, boson)."""
    total = jnp.zeros(())
    for row, a in zip(gram, first, strict=True):
        inner = sum((weight * b for weight, b in zip(row, second, strict=True) if weight), jnp.zeros(()))
        total += a.conj() * inner
    return jnp.sum(total, axis=tuple(range(1, total.ndim - 1))).T


def _exchange(plan_1: Plan, one: list[Array], plan_2: Plan, two: list[Array], order: list[int | None]) -> Array:
    """Interference of the pairings 2n and 2n + 1, in which antiquarks change places; the Fermi sign is in it."""
    antiquarks = {1: 3, 3: 1}
    places = {column: place for place, column in enumerate(order)}
    names = [place if column is None else places[antiquarks.get(column, column)] for place, column in enumerate(order)]
    swapped = [colour.relabelled(tensor, names) for tensor in plan_2.tensors]
    gram = colour.gram_matrix(plan_1.tensors, swapped)
    return -hermitian([a[..., 0::2] for a in one], gram, [b[..., 1::2] for b in two]).real
