"""Intermediate particles of an event record: what its legs come from, for showers that keep their masses."""

from typing import NamedTuple

import numpy as np

from saggiatore.types import Float, Int

INCOMING, INTERMEDIATE, OUTGOING = -1, 2, 1  # status codes of hep-ph/0109068
_N_INCOMING = 2


class Intermediate(NamedTuple):
    """A particle whose decay products are some of the legs, one that decays again before what it decays to."""

    pdg: int  # where the first of the legs is a particle; the antiparticle otherwise
    legs: tuple[int, ...]


class Record(NamedTuple):
    """Particles of one event: incoming, intermediate, outgoing; mothers are counted from one."""

    pdg: Int[np.ndarray, " particle"]
    status: Int[np.ndarray, " particle"]
    mothers: Int[np.ndarray, "particle 2"]
    momenta: Float[np.ndarray, "particle 4"]
    colour: Int[np.ndarray, "particle 2"]


def record(
    intermediates: tuple[Intermediate, ...],
    pdg: Int[np.ndarray, " leg"],
    momenta: Float[np.ndarray, "leg 4"],
    colour: Int[np.ndarray, "leg 2"],
) -> Record:
    """The legs of an event and the `intermediates` that they come from, each with the colours that leave it."""
    parents = [_parent(intermediates[:place], set(each.legs)) for place, each in enumerate(intermediates)]
    parents += [_parent(intermediates, {leg}) for leg in range(_N_INCOMING, len(pdg))]
    kinds = [each.pdg if pdg[each.legs[0]] > 0 else -each.pdg for each in intermediates]
    between = [momenta[list(each.legs)].sum(axis=0) for each in intermediates]
    colours = [_open_colours(colour[list(each.legs)]) for each in intermediates]
    n_legs, incoming, outgoing = len(pdg), slice(_N_INCOMING), slice(_N_INCOMING, None)
    return Record(
        np.array([*pdg[incoming], *kinds, *pdg[outgoing]]),
        np.repeat([INCOMING, INTERMEDIATE, OUTGOING], [_N_INCOMING, len(intermediates), n_legs - _N_INCOMING]),
        np.array([(0, 0)] * _N_INCOMING + parents),
        np.array([*momenta[incoming], *between, *momenta[outgoing]]),
        np.array([*colour[incoming], *colours, *colour[outgoing]]),
    )


def _parent(intermediates: tuple[Intermediate, ...], legs: set[int]) -> tuple[int, int]:
    """Mothers of a particle that becomes `legs`: the last one that holds them, or both incoming partons."""
    holding = [place for place, each in enumerate(intermediates) if legs <= set(each.legs)]
    number = _N_INCOMING + holding[-1] + 1 if holding else 0
    return (number, number) if holding else (1, 2)


def _open_colours(colour: Int[np.ndarray, "leg 2"]) -> tuple[int, int]:
    """Colour and anticolour that are not joined among these legs."""
    colours, anticolours = (set(column[column > 0].tolist()) for column in colour.T)
    return max(colours - anticolours, default=0), max(anticolours - colours, default=0)
