"""The selection rule applied to forms on held-out events: which is chosen, and how often on resampled events."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from saggiatore.distill.parametric import Parametric
from saggiatore.distill.sample import Sample
from saggiatore.distill.select import (
    Estimate,
    SelectionSpec,
    choose,
    have_symmetry,
    selection_frequencies,
    weighted_mean,
)
from saggiatore.distill.singularity import Columns, singular_part, stated
from saggiatore.errors import EngineError

_MOVED = 4096  # events that tell of the domain


class Election(NamedTuple):
    """One entry a form, but for `chosen`, the number of the form that the rule takes."""

    chosen: int
    frequency: np.ndarray  # fraction of the resamplings of the held-out events in which the form is chosen
    mse: list[Estimate]  # E[(f - t)^2] on the held-out events
    is_symmetric: list[bool]
    singular: list[str]  # the part that leaves the form without a value among these events, or in the domain


def contenders(
    spec: SelectionSpec,
    forms: Sequence[Parametric],
    complexities: Sequence[int],
    mse: Sequence[float],
    held_out: Sample,
) -> list[int]:
    """Numbers of the forms that stand for election, one of each number of nodes, simplest first.

    That is the closest one to the events of its fit, by its `mse` there; where some lack a demanded symmetry or are
    without a value among the held-out events, the closest of the others.
    """
    is_symmetric, everywhere = have_symmetry(spec, forms, held_out.columns), reach(spec, held_out.columns)
    is_able = [each and singular_part(form, everywhere) is None for each, form in zip(is_symmetric, forms, strict=True)]
    order = sorted(range(len(forms)), key=lambda place: (complexities[place], not is_able[place], mse[place]))
    return [next(group) for _, group in groupby(order, lambda place: complexities[place])]


def elect(
    spec: SelectionSpec, forms: Sequence[Parametric], complexities: Sequence[int], held_out: Sample, seed: int
) -> Election:
    """Apply the rule of `spec` to `forms` on held-out events.

    Raises:
        EngineError: if no form has the demanded symmetries, none of these has values everywhere among the events, or
            none of the rest is simple enough.
    """
    is_symmetric = have_symmetry(spec, forms, held_out.columns)
    everywhere = reach(spec, held_out.columns)
    singular = [stated(singular_part(form, everywhere)) for form in forms]
    is_able = _require_regular(is_symmetric, singular)
    squares = [held_out.squares(form) for form in forms]
    second_moment = weighted_mean(held_out.squared_scores(), held_out.weight).value
    rule = (spec, complexities, squares, held_out.weight, second_moment, is_able)
    return Election(
        choose(*rule),
        selection_frequencies(*rule, seed=seed),
        [weighted_mean(square, held_out.weight) for square in squares],
        is_symmetric,
        singular,
    )


def reach(spec: SelectionSpec, columns: Columns) -> Columns:
    """Features of events, and of some of them that are moved all over the domain and to its ends.

    Raises:
        EngineError: if the domain names what is no feature.
    """
    if unknown := sorted(set(spec.domain) - set(columns)):
        raise EngineError(
            f"selection.domain: {', '.join(unknown)} is no feature of the teacher; it has {', '.join(columns)}."
        )
    if not spec.domain:
        return columns
    random = np.random.default_rng(0)
    rows = random.integers(len(next(iter(columns.values()))), size=_MOVED)
    moved = {name: column[rows] for name, column in columns.items()}
    for name, (low, high) in spec.domain.items():
        # half of the values are ends, so that the corners are among the events
        ends, is_end = random.choice([low, high], _MOVED), random.random(_MOVED) < 0.5
        moved[name] = np.where(is_end, ends, random.uniform(low, high, _MOVED))
    return {name: np.concatenate([column, moved[name]]) for name, column in columns.items()}


def _require_regular(is_symmetric: list[bool], singular: list[str]) -> list[bool]:
    """Which symmetric forms have values everywhere."""
    is_able = [each and not part for each, part in zip(is_symmetric, singular, strict=True)]
    if not any(is_able):
        parts = [part for each, part in zip(is_symmetric, singular, strict=True) if each]
        raise EngineError(
            f"each of {len(parts)} formulas that could be chosen is without a value somewhere among the held-out "
            f"events, the first where it divides by {parts[0]}, or takes a root or logarithm of it. Give the engine "
            "other functions, or more time."
        )
    return is_able
