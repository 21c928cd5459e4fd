"""Least squares for the constants of one expression, in numpy: thousands of small fits within a search, without jax.

The published constants of a formula come from `refit`, which is written in JAX and compiles each formula.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import sympy

from saggiatore.distill.expression import FUNCTIONS, evaluate, power
from saggiatore.distill.parametric import Parametric
from saggiatore.distill.sandwich import sandwich

Columns = Mapping[str, np.ndarray]
_SLOPES: dict[str, Callable[[Any], Any]] = {
    "sin": np.cos,
    "cos": lambda x: -np.sin(x),
    "exp": np.exp,
    "log": lambda x: 1.0 / x,
}
_TOLERANCE = 1e-6  # relative change of the loss at which a fit has converged


class Fit(NamedTuple):
    """Constants and their weighted mean squared error."""

    values: dict[str, float]
    loss: float


def fit_constants(form: Parametric, columns: Columns, y: np.ndarray, weight: np.ndarray, max_steps: int = 20) -> Fit:
    """Levenberg-Marquardt from the form's own values; `weight` sums to one. The loss is inf where f is not finite.

    Source: Marquardt, J. SIAM 11 (1963) 431, with the damping scaled by the diagonal.
    """
    names = tuple(form.values)
    theta = np.array([form.values[name] for name in names])
    with np.errstate(all="ignore"):
        loss, gradient, curvature = _normal_equations(form.expression, names, theta, columns, y, weight)
        damping = 1e-3
        for _ in range(max_steps if names else 0):
            if not (np.isfinite(loss) and damping < 1e8):
                break
            step = _step(gradient, curvature, damping)
            trial = _loss(form.expression, names, theta + step, columns, y, weight)
            if not trial < loss:
                damping *= 8.0
                continue
            theta, gain, damping = theta + step, loss - trial, damping / 8.0
            if gain < _TOLERANCE * loss:
                loss = trial
                break
            loss, gradient, curvature = _normal_equations(form.expression, names, theta, columns, y, weight)
    is_finite = np.isfinite(loss) and np.all(np.isfinite(theta))
    return Fit(dict(zip(names, theta.tolist(), strict=True)), float(loss) if is_finite else np.inf)


def fit_covariance(form: Parametric, columns: Columns, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Covariance of the form's constants at their minimum, shape (constant, constant); `weight` sums to one.

    Raises:
        ConvergenceError: if the rows do not determine every constant.
    """
    names = tuple(form.values)
    theta = np.array([form.values[name] for name in names])

    def moments(at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        value, jacobian = _linearised(form.expression, names, at, columns)
        slopes = jacobian * (weight * (value - y))
        return slopes.sum(axis=1), (jacobian * weight) @ jacobian.T, slopes @ slopes.T

    if not names:
        return np.zeros((0, 0))
    with np.errstate(all="ignore"):
        _, gauss_newton, meat = moments(theta)
        return sandwich(form.expression, theta, lambda at: moments(at)[0], gauss_newton, meat)


def _step(gradient: np.ndarray, curvature: np.ndarray, damping: float) -> np.ndarray:
    scale = np.diag(curvature)
    matrix = curvature + damping * np.diag(np.where(scale > 0, scale, 1.0))
    try:
        return -np.linalg.solve(matrix, gradient)
    except np.linalg.LinAlgError:
        return np.zeros_like(gradient)


def _loss(
    expression: sympy.Expr,
    names: tuple[str, ...],
    theta: np.ndarray,
    columns: Columns,
    y: np.ndarray,
    weight: np.ndarray,
) -> float:
    value = evaluate(expression, {**columns, **dict(zip(names, theta, strict=True))}, np)
    return float(weight @ (value - y) ** 2)


def _normal_equations(
    expression: sympy.Expr,
    names: tuple[str, ...],
    theta: np.ndarray,
    columns: Columns,
    y: np.ndarray,
    weight: np.ndarray,
) -> tuple[float, np.ndarray, np.ndarray]:
    """Loss, half its gradient and the Gauss-Newton curvature."""
    value, jacobian = _linearised(expression, names, theta, columns)
    residual = value - y
    weighted = jacobian * weight
    return float(weight @ (residual * residual)), weighted @ residual, weighted @ jacobian.T


def _linearised(
    expression: sympy.Expr, names: tuple[str, ...], theta: np.ndarray, columns: Columns
) -> tuple[np.ndarray, np.ndarray]:
    """Value of each row, and its derivatives of shape (constant, row)."""
    value, slopes = linearise(expression, {**columns, **dict(zip(names, theta, strict=True))}, frozenset(names))
    n_rows = len(next(iter(columns.values())))
    jacobian = np.empty((len(names), n_rows))
    for place, name in enumerate(names):
        jacobian[place] = slopes[name]
    return np.broadcast_to(value, n_rows), jacobian


def linearise(expression: sympy.Expr, values: Mapping, constants: frozenset[str]) -> tuple:
    """Value of an expression and its derivative in each constant that occurs in it (forward mode, sparse)."""
    if expression.is_Symbol:
        return values[expression.name], ({expression.name: 1.0} if expression.name in constants else {})
    if not expression.args:
        return float(expression), {}
    parts = [linearise(argument, values, constants) for argument in expression.args]
    if expression.is_Add:
        return _add(parts)
    if expression.is_Mul:
        return _multiply(parts)
    value, slopes = parts[0]
    if expression.is_Pow:
        outer = float(expression.exp) * power(value, expression.exp - 1, np) if slopes else 0.0
        return power(value, expression.exp, np), {name: outer * slope for name, slope in slopes.items()}
    name = next(name for name, function in FUNCTIONS.items() if isinstance(expression, function))
    outer = _SLOPES[name](value) if slopes else 0.0
    return getattr(np, name)(value), {constant: outer * slope for constant, slope in slopes.items()}


def _add(parts: list[tuple]) -> tuple:
    total, slopes = parts[0][0], dict(parts[0][1])
    for value, more in parts[1:]:
        total = total + value
        for name, slope in more.items():
            slopes[name] = slopes[name] + slope if name in slopes else slope
    return total, slopes


def _multiply(parts: list[tuple]) -> tuple:
    product, slopes = parts[0][0], dict(parts[0][1])
    for value, more in parts[1:]:
        grown = {name: slope * value for name, slope in slopes.items()}
        for name, slope in more.items():
            grown[name] = grown[name] + product * slope if name in grown else product * slope
        product, slopes = product * value, grown
    return product, slopes
