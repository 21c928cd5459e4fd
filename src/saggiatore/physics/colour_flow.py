"""Colour flow of an event: which legs share a colour line, as parton showers need it.

A process states its flows as pairs of legs and how likely each is; the legs' PDG numbers say which end is a colour and
which an anticolour. Numbers are those of the Les Houches accord (hep-ph/0109068): lines count from 501.
"""

import numpy as np

from saggiatore.types import Int

_FIRST = 501

Flow = tuple[tuple[int, int], ...]  # pairs of legs at the ends of a colour line


def line_numbers(flow: Flow, pdg: Int[np.ndarray, " leg"]) -> Int[np.ndarray, "leg 2"]:
    """Colour and anticolour of each leg; zero where it has none.

    A line that goes through keeps its side: an incoming quark hands its colour to the outgoing quark.
    """
    numbers = np.zeros((len(pdg), 2), dtype=int)
    for number, ends in enumerate(flow, start=_FIRST):
        for leg in ends:
            numbers[leg, 0 if pdg[leg] > 0 else 1] = number
    return numbers
