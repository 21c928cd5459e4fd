r"""Colour flows of a vector boson with jets: how the colour of an event runs, and how likely each way is.

An amplitude is expanded in strings of generators along its quark lines, which are the flows; the square of a flow's
coefficient, summed over helicities, is its likelihood up to a factor that all flows share (leading colour, without the
interference of flows; as in MadGraph, arXiv:1405.0301, sec. 2.4). For parton showers, and for nothing else: rates
have full colour.
"""

import functools
import itertools
from functools import cache

import jax.numpy as jnp
import numpy as np

from saggiatore.physics import colour
from saggiatore.physics.colour_flow import Flow, along
from saggiatore.physics.jet_amplitude import (
    Boson,
    OneLine,
    TwoLines,
    by_chirality,
    evaluate,
    hermitian,
    one_line_assignments,
    one_line_plan,
    two_line_amplitudes,
    two_line_assignments,
)
from saggiatore.physics.recursion_plan import Plan
from saggiatore.types import Array, Momenta

Strings = tuple[tuple[int, ...], ...]  # one flow: columns of an assignment along each quark line


@cache
def jet_flows(n_partons: int) -> tuple[Flow, ...]:
    """Every flow of every assignment, as pairs of legs."""
    return tuple(sorted({flow for table in _tables(n_partons) for row in table for flow in row}))


def one_line_by_flow(partons: Momenta, boson: Boson) -> OneLine:
    """Squares of one quark line for each of `jet_flows`, which are a first axis."""
    return OneLine(_spread(one_line_flows(partons, boson).square, len(partons), 0))


def two_lines_by_flow(partons: Momenta, boson: Boson) -> TwoLines:
    """Products of two quark lines for each of `jet_flows`, which are a first axis."""
    found = two_line_flows(partons, boson)
    first, second, mixed = (_spread(each, len(partons), 1) for each in found[:3])
    return TwoLines(first, second, mixed, jnp.zeros((len(first), *found.exchange.shape[1:])))


@cache
def _tables(n_partons: int) -> list[list[list[Flow]]]:
    """For one and two quark lines: the flow of each assignment (row) and each of its strings (column)."""
    several = [(one_line_assignments(n_partons), one_line_strings(n_partons - 2))]
    if n_partons > 3:
        n_leading, strings = two_line_strings(n_partons - 4)
        several.append((two_line_assignments(n_partons), strings[:n_leading]))
    return [[[_flow(legs, flow) for flow in strings] for legs in assignments] for assignments, strings in several]


def _flow(assignment: tuple[int, ...], strings: Strings) -> Flow:
    lines = (along(tuple(assignment[column] for column in line)) for line in strings)
    return tuple(sorted(itertools.chain.from_iterable(lines)))


def _spread(values: Array, n_partons: int, lines: int) -> Array:
    """From axes (string, assignment, ...) to (flow, assignment, ...): an assignment's string is one of the flows."""
    table, flows = _tables(n_partons)[lines], jet_flows(n_partons)
    mask = np.array([[[flow == own for own in row] for row in table] for flow in flows], dtype=float)
    return jnp.einsum("fas,sa...->fa...", mask, values)


def one_line_flows(partons: Momenta, boson: Boson) -> OneLine:
    """The same for each colour flow of an assignment, see `one_line_strings`: a first axis of flows."""
    assignments = np.array(one_line_assignments(len(partons)))
    steps, order = one_line_plan(assignments.shape[1] - 2)
    found = evaluate(steps, order, assignments, (-1,), partons, boson)
    flows = _projection(steps, order, one_line_strings(assignments.shape[1] - 2))
    return OneLine(jnp.stack([hermitian(found, np.outer(row, row), found).real for row in flows]))


def two_line_flows(partons: Momenta, boson: Boson) -> TwoLines:
    """The same for each colour flow of an assignment, see `two_line_strings`: a first axis of flows.

    The interference of the two pairings, between different flows, is left out: it is zero here.
    """
    plans, order, found = two_line_amplitudes(partons, boson)
    n_leading, strings = two_line_strings(len(partons) - 4)
    rows = [_projection(steps, order, strings)[:n_leading] for steps in plans]

    def product(a: int, b: int) -> Array:
        grams = [np.outer(one, two) for one, two in zip(rows[a - 1], rows[b - 1], strict=True)]
        return jnp.stack([by_chirality(found, a, b, gram) for gram in grams])

    first = product(1, 1).real
    exchange = jnp.zeros((n_leading, first.shape[1] // 2, 2, 2, first.shape[3]))
    return TwoLines(first, product(2, 2).real, product(1, 2), exchange)


@cache
def one_line_strings(n_gluons: int) -> tuple[Strings, ...]:
    """Colour flows of one quark line: the line's quark, gluons in some order, antiquark, as columns of assignments."""
    return tuple(((0, *gluons, 1),) for gluons in itertools.permutations(range(2, 2 + n_gluons)))


@cache
def two_line_strings(n_gluons: int) -> tuple[int, tuple[Strings, ...]]:
    """Colour flows of two quark lines, and how many come first that are of leading colour.

    In those the colour of a line's quark ends at the antiquark of the other line, as where a gluon was exchanged.
    """
    found: dict[bool, list[Strings]] = {True: [], False: []}
    for gluons in itertools.permutations(range(4, 4 + n_gluons)):
        for cut in range(n_gluons + 1):
            for is_leading, (one, two) in ((True, (3, 1)), (False, (1, 3))):
                found[is_leading].append(((0, *gluons[:cut], one), (2, *gluons[cut:], two)))
    return len(found[True]), (*found[True], *found[False])


def _projection(steps: Plan, order: list[int | None], flows: tuple[Strings, ...]) -> np.ndarray:
    """How much of each flow is in each of the amplitude's colours, shape (flow, colour)."""
    places = {column: place for place, column in enumerate(order)}
    strings = [[colour.string(tuple(places[column] for column in line)) for line in flow] for flow in flows]
    return colour.projection(steps.tensors, [functools.reduce(colour.product, lines) for lines in strings])
