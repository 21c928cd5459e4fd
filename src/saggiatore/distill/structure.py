r"""When are two formulas the same? The canonical structure of a form: its terms, without the values of its constants.

*The rule.* A form is brought to $s\,(M_1 + \sum_i p_i M_i)/(D_1 + \sum_j q_j D_j)$ without common factors. The M and D
are products of powers of features and functions, in a fixed order; s, p and q are functions of the form's constants.
Two forms have the same structure if

1. their numerators and their denominators have the same terms, functions by name and by the structure of what
   stands inside,
2. those of their coefficients s, p and q that are numbers, such as the 2 in a*(x + 2*y), are equal, and
3. their constants move the other coefficients in equally many independent directions.

Names, values, order and number of the constants do not count, nor does the way in which the form is bracketed:
a*(x + b) is a*x + c, and a*b*x is a*x. One term more is another structure. Constants leave functions where an identity
allows it: sin(x + a) is sin(x) cos(a) + cos(x) sin(a), exp(x + a) and log(a*x) lose their a, and a root its scale.

*What it does not see.* Identities between functions of features, such as sin(x)**2 + cos(x)**2 = 1; signs that a square
or a root of constants cannot have; and, where 3. counts fewer directions than coefficients, along which surface they
move. Lowest terms are those of polynomials in features, functions and constants (sympy's `cancel`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import sympy

from saggiatore.distill.expression import check
from saggiatore.distill.monomial import FREE
from saggiatore.distill.normal_form import Reducer
from saggiatore.distill.parametric import Parametric

_RANK_TOLERANCE = 1e-8
_N_PROBES = 2  # points at which independent directions are counted


@dataclass(frozen=True, order=True)
class Structure:
    """What is left of a form without its constants' values; equal structures are the same family of functions."""

    text: str  # each `k` is a constant of its own
    n_free: int  # independent directions of the constants
    n_coefficients: int  # that are no numbers; more than `n_free` where they depend on each other

    def __str__(self) -> str:
        is_bound = self.n_coefficients > self.n_free
        return f"{self.text} [{self.n_free} of {self.n_coefficients} {FREE} free]" if is_bound else self.text


def structure(form: Parametric, features: Iterable[str]) -> Structure:
    """The structure of a form in `features`; every other symbol is a constant, whose value is not looked at.

    Example:
        structure(read_parametric("1.2*(x + 3.4)", ["x"]), ["x"]).text  # "k*x + k"

    Raises:
        FormulaError: if the expression is outside of the language of formulas.
    """
    check(form.expression)
    reducer = Reducer(frozenset(features))
    whole = reducer.normal(reducer.rational(sympy.expand(form.expression)))
    parts = [whole, *(reducer.atoms[symbol].argument for symbol in reducer.inside(whole))]
    free = [each for part in parts for each in part.coefficients if each.free_symbols]
    return Structure(whole.text, _n_directions([each.xreplace(reducer.definitions) for each in free]), len(free))


def _n_directions(coefficients: list[sympy.Expr]) -> int:
    """Rank of the coefficients' derivatives in the constants, at points where it is as large as anywhere."""
    constants = sorted(set().union(*(each.free_symbols for each in coefficients)), key=str)
    if not constants:
        return 0
    slopes = sympy.lambdify(constants, [[each.diff(name) for name in constants] for each in coefficients], "numpy")
    random = np.random.default_rng(0)  # any point will do but for a set of measure zero
    points = random.uniform(0.5, 1.5, (_N_PROBES, len(constants))) + 0j  # roots and logarithms of any sign
    return max(_rank(np.array(slopes(*point), dtype=complex)) for point in points)


def _rank(slopes: np.ndarray) -> int:
    size = np.linalg.norm(slopes, axis=1, keepdims=True)
    return int(np.linalg.matrix_rank(slopes / np.where(size > 0, size, 1.0), tol=_RANK_TOLERANCE))
