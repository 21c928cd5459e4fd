"""Colour flow of an event: which legs share a colour line, as parton showers need it.

A process states its flows as pairs of legs and how likely each is. In a pair the first leg, taken as outgoing, is at
the colour end of the line and the second at its anticolour end; for quarks the PDG number says that already. Numbers
are those of the Les Houches accord (hep-ph/0109068): lines count from 501.
"""

import itertools

import numpy as np

from saggiatore.types import Int

_FIRST = 501
_N_INCOMING = 2
_GLUON = 21

Flow = tuple[tuple[int, int], ...]  # colour end and anticolour end of each line


def line_numbers(flow: Flow, pdg: Int[np.ndarray, " leg"]) -> Int[np.ndarray, "leg 2"]:
    """Colour and anticolour of each leg; zero where it has none.

    A line that goes through keeps its side: an incoming quark hands its colour to the outgoing quark.
    """
    numbers = np.zeros((len(pdg), 2), dtype=int)
    for number, ends in enumerate(flow, start=_FIRST):
        for end, leg in enumerate(ends):
            side = end if leg >= _N_INCOMING else 1 - end  # an outgoing colour is an incoming anticolour
            if pdg[leg] != _GLUON:
                side = 0 if pdg[leg] > 0 else 1
            numbers[leg, side] = number
    return numbers


def along(string: tuple[int, ...]) -> Flow:
    """The lines along a quark line: from the quark through its gluons to the antiquark, all taken as outgoing."""
    return tuple(itertools.pairwise(string))
