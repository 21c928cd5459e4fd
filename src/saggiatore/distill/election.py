"""The selection rule applied to forms on held-out events: which is chosen, and how often on resampled events."""

from collections.abc import Sequence
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


class Election(NamedTuple):
    """One entry a form, but for `chosen`, the number of the form that the rule takes."""

    chosen: int
    frequency: np.ndarray  # fraction of the resamplings of the held-out events in which the form is chosen
    mse: list[Estimate]  # E[(f - t)^2] on the held-out events
    is_symmetric: list[bool]


def elect(
    spec: SelectionSpec, forms: Sequence[Parametric], complexities: Sequence[int], held_out: Sample, seed: int
) -> Election:
    """Apply the rule of `spec` to `forms` on held-out events.

    Raises:
        EngineError: if no form has the demanded symmetries, or none of these is simple enough.
    """
    is_symmetric = have_symmetry(spec, forms, held_out.columns)
    squares = [held_out.squares(form) for form in forms]
    second_moment = weighted_mean(held_out.squared_scores(), held_out.weight).value
    rule = (spec, complexities, squares, held_out.weight, second_moment, is_symmetric)
    return Election(
        choose(*rule),
        selection_frequencies(*rule, seed=seed),
        [weighted_mean(square, held_out.weight) for square in squares],
        is_symmetric,
    )
