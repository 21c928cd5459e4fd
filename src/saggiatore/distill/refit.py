r"""Least squares for the constants of a formula, with their covariance.

The constants minimise $L = \tfrac12\sum_i w_i (f_i - t_i)^2$ with $\sum_i w_i = 1$. Joint scores have heavy tails and
no formula is exact, so that the covariance is that of `sandwich`: it assumes neither Gaussian residuals, nor equal
ones, nor a true formula.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import sympy

from saggiatore.distill.expression import evaluate, symbol_names
from saggiatore.distill.parametric import Parametric
from saggiatore.distill.sandwich import sandwich
from saggiatore.errors import ConvergenceError
from saggiatore.types import Array, Float

_MAX_STEPS = 100
_TOLERANCE = 1e-12  # expected relative decrease of the loss at which the fit has converged
_ROUNDING = 1e-16  # of E[t^2]: what is left of the loss where the form is exact
_MAX_DAMPING = 1e10


@dataclass(frozen=True)
class Refit:
    """Constants at the minimum, in the order of `form.values`, and their covariance."""

    form: Parametric
    covariance: np.ndarray
    mse: float


class _Events(NamedTuple):
    """Features in the order of their names, joint score, and weights that sum to one."""

    columns: tuple[Float[Array, " event"], ...]
    t: Float[Array, " event"]
    share: Float[Array, " event"]


class _Moments(NamedTuple):
    """Loss L, its gradient, the Gauss-Newton curvature, and the sum of the events' squared gradients."""

    loss: Float[Any, ""]
    gradient: Float[Any, " constant"]
    gauss_newton: Float[Any, "constant constant"]
    meat: Float[Any, "constant constant"]


def refit(form: Parametric, columns: Mapping[str, Any], t: Any, weight: Any) -> Refit:
    """Levenberg-Marquardt from the form's values on events; `columns`, `t` and `weight` have shape (event,).

    Raises:
        ConvergenceError: if no minimum is reached, or the events do not determine every constant.
    """
    names = tuple(form.values)
    features = tuple(name for name in sorted(columns) if name in symbol_names(form.expression))
    t, share = np.asarray(t), np.asarray(weight) / np.sum(weight)
    events = _Events(*jax.tree.map(jnp.asarray, (tuple(columns[name] for name in features), t, share)))
    compiled = _compiled(form.expression, names, features)

    def moments(theta: np.ndarray) -> _Moments:
        return _Moments(*map(np.asarray, compiled(jnp.asarray(theta), events)))

    theta = np.array([form.values[name] for name in names])
    if not names:
        return Refit(form, np.zeros((0, 0)), 2 * float(moments(theta).loss))
    theta, minimum = _minimise(form.expression, moments, theta, _ROUNDING * float(share @ t**2))
    fitted = Parametric(form.expression, dict(zip(names, theta.tolist(), strict=True)))
    covariance = sandwich(form.expression, theta, lambda at: moments(at).gradient, minimum.gauss_newton, minimum.meat)
    return Refit(fitted, covariance, 2 * float(minimum.loss))


def _evaluator(expression: sympy.Expr, names: tuple[str, ...], features: tuple[str, ...]) -> Callable:
    """Values of all events as a function of the constants and the events."""

    def value(theta: Float[Array, " constant"], events: _Events) -> Float[Array, " event"]:
        constants = {name: theta[place] for place, name in enumerate(names)}
        columns = dict(zip(features, events.columns, strict=True))
        return jnp.broadcast_to(evaluate(expression, {**columns, **constants}, jnp), events.t.shape)

    return value


@functools.lru_cache(maxsize=64)
def _compiled(
    expression: sympy.Expr, names: tuple[str, ...], features: tuple[str, ...]
) -> Callable[[Array, _Events], _Moments]:
    """All that the fit and its covariance need, compiled once for a formula."""
    value = _evaluator(expression, names, features)

    @jax.jit
    def moments(theta: Array, events: _Events) -> _Moments:
        found, slope = jax.linearize(lambda at: value(at, events), theta)
        residual, jacobian = found - events.t, jax.vmap(slope)(jnp.eye(theta.size))  # (constant, event)
        weighted = jacobian * events.share
        slopes = weighted * residual
        loss = 0.5 * jnp.sum(events.share * residual**2)
        return _Moments(loss, weighted @ residual, weighted @ jacobian.T, slopes @ slopes.T)

    return moments


def _minimise(
    expression: sympy.Expr, moments: Callable[[np.ndarray], _Moments], theta: np.ndarray, rounding: float
) -> tuple[np.ndarray, _Moments]:
    """Marquardt's damping: down by ten after a success, up by ten after a failure; losses below `rounding` are zero."""
    damping, here = 1e-3, moments(theta)
    for _ in range(_MAX_STEPS):
        step = -_solve(here.gauss_newton + damping * np.diag(np.diag(here.gauss_newton)), here.gradient)
        decrease, scarcely = float(-here.gradient @ step), _TOLERANCE * (abs(float(here.loss)) + rounding)
        if decrease < -scarcely:
            break  # uphill: negative weights prevail, and the curvature is not positive
        if decrease <= scarcely:
            return theta, here
        there = moments(theta + step)
        if there.loss < here.loss:
            theta, here, damping = theta + step, there, damping / 10
        elif damping > _MAX_DAMPING:
            break
        else:
            damping *= 10
    raise ConvergenceError(
        f"the constants of '{expression}' found no minimum in {_MAX_STEPS} steps (loss {float(here.loss):.4g}). "
        "Fix or remove a constant that the events do not determine."
    )


def _solve(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """A singular matrix gives no numbers, which the minimiser takes for a failed step."""
    try:
        return np.linalg.solve(matrix, vector)
    except np.linalg.LinAlgError:
        return np.full_like(vector, np.nan)
