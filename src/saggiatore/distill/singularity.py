"""Is a formula without a value somewhere among events? Read off its parts at the events, before one meets the place.

A divisor that is positive at one event and negative at another vanishes between them. Few events or none lie so near
that a mean would show it, and these are the ones in the tails of other events: a formula with a pole can be the best of
all on the events that chose it, and worthless on the next ones.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import sympy

from saggiatore.distill.expression import evaluate
from saggiatore.distill.parametric import Parametric

Columns = Mapping[str, np.ndarray]
_PAIRS = 4  # of events on both sides of a zero, those nearest to it
_BISECTIONS = 60
_STEPS = (2.0**-20, 2.0**-30)  # from the zero, as a fraction of the way between two events
_GROWTH = 2.0**5  # of the formula from one step to the other; a simple pole grows by 2^10, sin(x)/x not at all


def singular_part(form: Parametric, columns: Columns) -> sympy.Expr | None:
    """The part that leaves a form without a value among events; None if it has values everywhere.

    Args:
        form: a form with values of its constants.
        columns: features by name, each of shape (event,).

    Returns:
        A divisor that vanishes between two of the events, where the form diverges; an argument of a logarithm or of a
        root that is negative at one of them; or the whole form where it is not finite for another reason. Constants
        are filled in.
    """
    with np.errstate(all="ignore"):
        for part, is_divisor in _suspects(form.expression):
            values = _values(part, form, columns)
            if _diverges(part, values, form, columns) if is_divisor else (values < 0).any():
                return Parametric(part, form.values).filled
        return None if np.isfinite(_values(form.expression, form, columns)).all() else form.filled


def stated(part: sympy.Expr | None) -> str:
    """A part as text for people, with three digits; empty for none."""
    return "" if part is None else str(part.evalf(3))


def nearest_events(form: Parametric, columns: Columns) -> np.ndarray:
    """Numbers of the few events that decide about `singular_part`, so that it can be asked of a stream of events."""
    with np.errstate(all="ignore"):
        chosen = [np.flatnonzero(~np.isfinite(_values(form.expression, form, columns)))[:1]]
        for part, _ in _suspects(form.expression):
            values = _values(part, form, columns)
            chosen += [*_beside_zero(values), np.flatnonzero(values < 0)[:1]]
    return np.unique(np.concatenate(chosen))


def _suspects(expression: sympy.Expr) -> Iterator[tuple[sympy.Expr, bool]]:
    """Parts that must not vanish (True: divisors) or not be negative (False)."""
    for node in sympy.preorder_traversal(expression):
        if node.is_Pow and node.exp.q == 2:
            yield node.base, False
        elif node.is_Pow and node.exp < 0:
            yield node.base, True
        elif isinstance(node, sympy.log):
            yield node.args[0], False


def _values(part: sympy.Expr, form: Parametric, columns: Columns) -> np.ndarray:
    n_events = len(next(iter(columns.values())))
    return np.broadcast_to(np.asarray(evaluate(part, {**columns, **form.values}, np), dtype=float), n_events)


def _beside_zero(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the events on either side of zero that are nearest to it."""
    above, below = np.flatnonzero(values > 0), np.flatnonzero(values < 0)
    return above[np.argsort(values[above])[:_PAIRS]], below[np.argsort(-values[below])[:_PAIRS]]


def _diverges(divisor: sympy.Expr, values: np.ndarray, form: Parametric, columns: Columns) -> bool:
    """Whether a form grows without limit towards a zero of its divisor, on the way from one event to another."""
    above, below = _beside_zero(values)
    n_pairs = min(len(above), len(below))
    one = {name: column[above[:n_pairs]] for name, column in columns.items()}
    other = {name: column[below[:n_pairs]] for name, column in columns.items()}
    if n_pairs == 0:
        return False

    def between(way: np.ndarray) -> dict[str, np.ndarray]:
        return {name: one[name] + way * (other[name] - one[name]) for name in one}

    low, high = np.zeros(n_pairs), np.ones(n_pairs)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        is_above = _values(divisor, form, between(middle)) > 0
        low, high = np.where(is_above, middle, low), np.where(is_above, high, middle)
    far, near = (np.abs(_values(form.expression, form, between(low - step))) for step in _STEPS)
    return bool((~(near <= _GROWTH * far)).any())
