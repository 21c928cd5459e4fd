r"""Which member of the hall of fame becomes the formula: the rule is stated in the study, and looks at held-out events.

`one_standard_error`: the smallest complexity whose mean squared error is within one standard error of the best's own
(Breiman, Friedman, Olshen, Stone 1984, section 3.4.3). `paired_standard_error`: within one standard error of the
*difference* from the best on the same events; that error is much smaller, since the tails are common, and the formulas
longer. `best`: the smallest error.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from saggiatore.errors import EngineError
from saggiatore.spec import Spec


class Estimate(NamedTuple):
    """A weighted mean with its standard error."""

    value: float
    error: float


class SelectionSpec(Spec):
    """How the formula is chosen on held-out events."""

    rule: Literal["one_standard_error", "paired_standard_error", "best"] = Field(
        "one_standard_error",
        description="smallest complexity within one standard error of the best's MSE, or of the paired difference",
    )
    tolerance: float = Field(1e-4, ge=0, description="differences of MSE that are none, as a fraction of E[t^2]")
    max_complexity: int = Field(30, ge=1, description="nodes that the chosen formula may have")


def weighted_mean(values: np.ndarray, weight: np.ndarray) -> Estimate:
    """Mean over events and its standard error, for weights of any sum."""
    share = weight / weight.sum()
    mean = share @ values
    return Estimate(float(mean), float(np.sqrt(np.sum((share * (values - mean)) ** 2))))


def choose(
    spec: SelectionSpec,
    complexities: Sequence[int],
    squares: Sequence[np.ndarray],
    weight: np.ndarray,
    second_moment: float = 0.0,
) -> int:
    """Number of the chosen member; `squares` holds its squared residual of each held-out event, `second_moment` E[t^2].

    Raises:
        EngineError: if no member has at most `max_complexity` nodes.
    """
    allowed = [place for place, nodes in enumerate(complexities) if nodes <= spec.max_complexity]
    if not allowed:
        raise EngineError(
            f"no formula of at most {spec.max_complexity} nodes; the smallest has {min(complexities, default=0)}. "
            "Raise selection.max_complexity."
        )
    errors = {place: weighted_mean(squares[place], weight) for place in allowed}
    best = min(allowed, key=lambda place: (errors[place].value, complexities[place]))
    negligible = spec.tolerance * second_moment
    good = [place for place in allowed if _RULES[spec.rule](squares[place], squares[best], weight, negligible)]
    return min(good, key=lambda place: (complexities[place], errors[place].value))


def _within_error(square: np.ndarray, best: np.ndarray, weight: np.ndarray, negligible: float) -> bool:
    reference = weighted_mean(best, weight)
    return weighted_mean(square, weight).value <= reference.value + reference.error + negligible


def _within_paired_error(square: np.ndarray, best: np.ndarray, weight: np.ndarray, negligible: float) -> bool:
    gap = weighted_mean(square - best, weight)
    return gap.value <= gap.error + negligible


def _is_best(square: np.ndarray, best: np.ndarray, weight: np.ndarray, negligible: float) -> bool:
    return weighted_mean(square, weight).value <= weighted_mean(best, weight).value + negligible


_RULES: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray, float], bool]] = {
    "one_standard_error": _within_error,
    "paired_standard_error": _within_paired_error,
    "best": _is_best,
}
