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

    loss: Float[Array, ""]
    gradient: Float[Array, " constant"]
    gauss_newton: Float[Array, "constant constant"]
    meat: Float[Array, "constant constant"]


def refit(form: Parametric, columns: Mapping[str, Any], t: Any, weight: Any) -> Refit:
    """Levenberg-Marquardt from the form's values on events; `columns`, `t` and `weight` have shape (event,).

    Raises:
        ConvergenceError: if no minimum is reached, or the events do not determine every constant.
    """
    names = tuple(form.values)
    features = tuple(name for name in sorted(columns) if name in symbol_names(form.expression))
    share = jnp.asarray(weight) / jnp.sum(jnp.asarray(weight))
    events = _Events(tuple(jnp.asarray(columns[name]) for name in features), jnp.asarray(t), share)
    value = _evaluator(form.expression, names, features)
    theta = jnp.array([form.values[name] for name in names])
    if not names:
        return Refit(form, np.zeros((0, 0)), float(jnp.sum(share * (value(theta, events) - events.t) ** 2)))
    compiled = _compiled(form.expression, names, features)

    def moments(theta: Array) -> _Moments:
        return compiled(theta, events)

    theta, minimum = _minimise(form.expression, moments, theta, _ROUNDING * float(share @ events.t**2))
    fitted = Parametric(form.expression, dict(zip(names, np.asarray(theta).tolist(), strict=True)))

    def gradient(at: np.ndarray) -> np.ndarray:
        return np.asarray(moments(jnp.asarray(at)).gradient)

    bread, meat = np.asarray(minimum.gauss_newton), np.asarray(minimum.meat)
    covariance = sandwich(form.expression, np.asarray(theta), gradient, bread, meat)
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
    expression: sympy.Expr, moments: Callable[[Array], _Moments], theta: Array, rounding: float
) -> tuple[Array, _Moments]:
    """Marquardt's damping: down by ten after a success, up by ten after a failure; losses below `rounding` are zero."""
    damping, here = 1e-3, moments(theta)
    for _ in range(_MAX_STEPS):
        scale = jnp.diag(here.gauss_newton)
        step = -jnp.linalg.solve(here.gauss_newton + damping * jnp.diag(scale), here.gradient)
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
