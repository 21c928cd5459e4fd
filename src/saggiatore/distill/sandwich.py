r"""Covariance of constants at a minimum, whether or not the formula is true: $A^{-1} B A^{-1}$.

$A = \partial^2 L$ and $B = \sum_i w_i^2 (f_i - t_i)^2\, \partial f_i\, \partial f_i^T$ for the loss
$L = \tfrac12\sum_i w_i (f_i - t_i)^2$ with $\sum_i w_i = 1$ (Huber 1967; White, Econometrica 50 (1982) 1, th. 3.2).
"""

from collections.abc import Callable

import numpy as np
import sympy

from saggiatore.errors import ConvergenceError

_STEP = 1e-4  # root mean square change of f in a step of the curvature's differences
_SINGULAR = 1e-6  # smallest eigenvalue of the curvature, scaled to a unit diagonal


def sandwich(
    expression: sympy.Expr,
    theta: np.ndarray,
    gradient: Callable[[np.ndarray], np.ndarray],
    gauss_newton: np.ndarray,
    meat: np.ndarray,
) -> np.ndarray:
    """The covariance, shape (constant, constant); it needs a minimum in every direction.

    The curvature A is a central difference of the exact `gradient` of L, in steps small against a unit change of the
    residual: accurate to about 1e-7, and without second derivatives of every formula.

    Raises:
        ConvergenceError: if the events do not determine every constant.
    """
    scale = np.sqrt(np.diag(gauss_newton))
    if not (np.all(np.isfinite(gauss_newton)) and np.all(scale > 0)):
        raise _undetermined(expression)
    steps = np.diag(_STEP / scale)
    rows = [gradient(theta + step) - gradient(theta - step) for step in steps]
    scaled = np.stack(rows) / (2 * _STEP * scale)
    if not (np.all(np.isfinite(scaled)) and np.linalg.eigvalsh(0.5 * (scaled + scaled.T))[0] > _SINGULAR):
        raise _undetermined(expression)
    inverse = np.linalg.inv(0.5 * (scaled + scaled.T)) / np.outer(scale, scale)
    covariance = inverse @ meat @ inverse
    return 0.5 * (covariance + covariance.T)


def _undetermined(expression: sympy.Expr) -> ConvergenceError:
    return ConvergenceError(
        f"the events do not determine every constant of '{expression}' (singular curvature). Write it with fewer."
    )
