r"""Which member of the hall of fame becomes the formula: the rule is stated in the study, and looks at held-out events.

`one_standard_error`: the smallest complexity whose mean squared error is within one standard error of the best's own
(Breiman, Friedman, Olshen, Stone 1984, section 3.4.3). `paired_standard_error`: within one standard error of the
*difference* from the best on the same events; that error is much smaller, since the tails are common, and the formulas
longer. `best`: the smallest error. Only members with the demanded symmetries stand for election.

The choice has an uncertainty of its own: other held-out events could have chosen another member.
`selection_frequencies` repeats it on resampled events (bootstrap, with Poisson multiplicities: Chamandy et al. 2012).
"""

from collections.abc import Callable, Sequence
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.distill.parametric import Parametric
from saggiatore.distill.symmetry import EXACT, Columns, violation
from saggiatore.errors import EngineError
from saggiatore.spec import ObservableName, Spec

_CHUNK = 4096  # events whose products are in memory at once


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
    odd_in: tuple[ObservableName, ...] = Field(
        (), description="features whose joint change of sign must change the formula's sign"
    )
    periodic: tuple[ObservableName, ...] = Field(
        (), description="angles whose full turn must leave the formula as it is"
    )
    domain: dict[ObservableName, tuple[float, float]] = Field(
        {},
        description="features and the ranges in which a formula must have values, whether held-out events reach their "
        "ends or not: without, a pole behind the last of them is not seen",
    )
    n_bootstrap: int = Field(
        100, ge=0, description="resamplings of the held-out events, on each of which one is chosen"
    )

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            "all(low < high for low, high in domain.values())", "domain is {domain}, expected [least, largest] of each."
        ),
    )


def weighted_mean(values: np.ndarray, weight: np.ndarray) -> Estimate:
    """Mean over events and its standard error, for weights of any sum."""
    share = weight / weight.sum()
    mean = share @ values
    return Estimate(float(mean), float(np.sqrt(np.sum((share * (values - mean)) ** 2))))


class _Means(NamedTuple):
    """Mean squared error of each member and the covariance of these means: common tails are common errors."""

    mean: np.ndarray  # (replica, member)
    covariance: np.ndarray  # (replica, member, member)

    def gap_error(self, replica: int, one: int, other: int) -> float:
        """Standard error of the difference of two means."""
        found = self.covariance[replica]
        return _root(found[one, one] + found[other, other] - 2 * found[one, other])


def choose(
    spec: SelectionSpec,
    complexities: Sequence[int],
    squares: Sequence[np.ndarray],
    weight: np.ndarray,
    second_moment: float = 0.0,
    is_able: Sequence[bool] | None = None,
) -> int:
    """Number of the chosen member; `squares` holds its squared residual of each held-out event, `second_moment` E[t^2].

    Raises:
        EngineError: if no member that `is_able` (all, without it) has at most `max_complexity` nodes.
    """
    allowed = _allowed(spec, complexities, is_able)
    return _pick(spec, complexities, allowed, _means(squares, weight, 0, seed=0), 0, second_moment)


def selection_frequencies(
    spec: SelectionSpec,
    complexities: Sequence[int],
    squares: Sequence[np.ndarray],
    weight: np.ndarray,
    second_moment: float = 0.0,
    is_able: Sequence[bool] | None = None,
    *,
    seed: int,
) -> np.ndarray:
    """Fraction of `n_bootstrap` resamplings of the held-out events in which each member is chosen; as in `choose`."""
    allowed = _allowed(spec, complexities, is_able)
    means = _means(squares, weight, spec.n_bootstrap, seed)
    picked = [_pick(spec, complexities, allowed, means, 1 + n, second_moment) for n in range(spec.n_bootstrap)]
    return np.bincount(picked, minlength=len(complexities)) / max(spec.n_bootstrap, 1)


def _allowed(spec: SelectionSpec, complexities: Sequence[int], is_able: Sequence[bool] | None) -> list[int]:
    able = [place for place in range(len(complexities)) if is_able is None or is_able[place]]
    allowed = [place for place in able if complexities[place] <= spec.max_complexity]
    if not allowed:
        raise EngineError(
            f"no formula of at most {spec.max_complexity} nodes; the smallest of {len(able)} that may be chosen has "
            f"{min((complexities[place] for place in able), default=0)}. Raise selection.max_complexity."
        )
    return allowed


def _pick(
    spec: SelectionSpec,
    complexities: Sequence[int],
    allowed: list[int],
    means: _Means,
    replica: int,
    second_moment: float,
) -> int:
    mean = means.mean[replica]
    best = min(allowed, key=lambda place: (mean[place], complexities[place]))
    margins = {place: _MARGINS[spec.rule](means, replica, place, best) for place in allowed}
    negligible = spec.tolerance * second_moment
    good = [place for place in allowed if mean[place] <= mean[best] + margins[place] + negligible]
    return min(good, key=lambda place: (complexities[place], mean[place]))


_MARGINS: dict[str, Callable[[_Means, int, int, int], float]] = {
    "one_standard_error": lambda means, replica, place, best: _root(means.covariance[replica, best, best]),
    "paired_standard_error": lambda means, replica, place, best: means.gap_error(replica, place, best),
    "best": lambda means, replica, place, best: 0.0,
}


def _root(variance: float) -> float:
    """Standard error; equal numbers leave a variance that is rounding of either sign."""
    return float(np.sqrt(max(variance, 0.0)))


def _means(squares: Sequence[np.ndarray], weight: np.ndarray, n_replicas: int, seed: int) -> _Means:
    """Of the events as they are (replica 0) and of resamplings, all from sums over events that are streamed."""
    random, n_members = np.random.default_rng(seed), len(squares)
    share = weight / weight.sum()
    centre = np.array([share @ square for square in squares])  # keeps the digits of small differences
    first = np.zeros((1 + n_replicas, 1 + n_members))
    second = np.zeros((1 + n_replicas, (1 + n_members) ** 2))
    for start in range(0, len(weight), _CHUNK):
        some = slice(start, start + _CHUNK)
        one = share[some, None] * np.column_stack(
            [
                np.ones_like(share[some]),
                *(square[some] - middle for square, middle in zip(squares, centre, strict=True)),
            ]
        )
        counts = np.vstack([np.ones(len(one)), random.poisson(1.0, (n_replicas, len(one)))])
        first += counts @ one
        second += counts @ (one[:, :, None] * one[:, None, :]).reshape(len(one), -1)
    total, sums = first[:, :1], second.reshape(-1, 1 + n_members, 1 + n_members)
    mean = first[:, 1:] / total
    cross = sums[:, 1:, :1] * mean[:, None, :]
    covariance = sums[:, 1:, 1:] - cross - np.swapaxes(cross, 1, 2) + sums[:, :1, :1] * mean[:, :, None] * mean[:, None]
    return _Means(centre + mean, covariance / total[:, :, None] ** 2)


def have_symmetry(spec: SelectionSpec, forms: Sequence[Parametric], columns: Columns) -> list[bool]:
    """Which forms have the symmetries that `spec` demands, on events with the features `columns`.

    Raises:
        EngineError: if none has; says which form comes nearest.
    """
    violations = [violation(form, columns, spec.odd_in, spec.periodic) for form in forms]
    found = [each < EXACT for each in violations]
    if not any(found):
        demands = [f"odd in {', '.join(spec.odd_in)}"] if spec.odd_in else []
        demands += [f"periodic in {name}" for name in spec.periodic]
        nearest = int(np.argmin(violations))
        raise EngineError(
            f"none of {len(forms)} formulas is {' and '.join(demands)}; the nearest, '{forms[nearest].filled}', "
            f"violates it by {violations[nearest]:.2g} of its size. Give the engine functions that can (such as sin), "
            "more time, or drop the demand (selection.odd_in, selection.periodic)."
        )
    return found
