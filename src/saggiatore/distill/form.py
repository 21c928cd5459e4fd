"""A form that a person wrote, such as ``(a - x_p1)*x_p2*sin(delta_phi)``, with its constants fitted to events."""

from collections.abc import Sequence

import numpy as np
import sympy

from saggiatore.distill.constant_fit import Columns, Fit, fit_constants
from saggiatore.distill.expression import parse, symbol_names
from saggiatore.distill.formula import Feature, Formula
from saggiatore.distill.parametric import Parametric
from saggiatore.distill.refit import refit
from saggiatore.errors import ConvergenceError, FormulaError

_STARTS = 40
_START_ROWS = 4000  # events on which the starts are tried
_SCALES = (0.1, 1.0)  # of the random starts; features are of order one to ten
_SAME = 1e-6  # relative difference below which two minima are one


def fit_form(
    text: str, features: Sequence[str], x: np.ndarray, t: np.ndarray, weight: np.ndarray, name: str = "form"
) -> Formula:
    """Fit a form to the joint score; every symbol that is no feature is a free constant.

    Args:
        text: the form, in the language of formulas.
        features: names of the columns of `x`, shape (event, feature).
        t: joint score, shape (event,).
        weight: weights of the events, shape (event,).
        name: what the formula is the score of.

    Raises:
        FormulaError: if the text is no formula, or uses none of the features.
        ConvergenceError: if the fit finds no minimum or the constants are not determined.
    """
    expression = parse(text)
    used = symbol_names(expression)
    kept = [place for place, feature in enumerate(features) if feature in used]
    if not kept:
        raise FormulaError(f"'{text}' uses no feature; there are {', '.join(features)}.")
    names = [features[place] for place in kept]
    constants = [node.name for node in sympy.preorder_traversal(expression) if node.is_Symbol]
    constants = sorted({constant for constant in constants if constant not in names})
    columns = {feature: np.ascontiguousarray(x[:, place]) for feature, place in zip(names, kept, strict=True)}
    start = _best_start(expression, constants, columns, t, weight)
    found = refit(Parametric(expression, start), columns, t, weight)
    return Formula(
        name=name,
        features=tuple(Feature(feature) for feature in names),
        expression=expression,
        constants=found.form.values,
        covariance=found.covariance,
        quality={"mse_train": found.mse, "n_train": float(len(t))},
    )


def _best_start(
    expression: sympy.Expr, constants: list[str], columns: Columns, t: np.ndarray, weight: np.ndarray
) -> dict[str, float]:
    """Constants of the best minimum on some rows, from many random starts; of equal minima the nearest to zero."""
    if not constants:
        return {}
    rows = slice(None, None, max(1, len(t) // _START_ROWS))
    some = {name: column[rows] for name, column in columns.items()}
    share = weight[rows] / weight[rows].sum()
    random = np.random.default_rng(0)  # the starts are part of the method: the same for every study
    fits = []
    for start in range(_STARTS):
        scale = _SCALES[start % len(_SCALES)]
        values = dict(zip(constants, (scale * random.standard_normal(len(constants))).tolist(), strict=True))
        fits.append(fit_constants(Parametric(expression, values), some, t[rows], share, max_steps=60))
    lowest = min(fit.loss for fit in fits)
    if not np.isfinite(lowest):
        raise ConvergenceError(f"'{expression}' is not finite on these events from any of {_STARTS} starts.")
    return min((fit for fit in fits if fit.loss <= (1 + _SAME) * lowest), key=_size).values


def _size(fit: Fit) -> float:
    return sum(value**2 for value in fit.values.values())
