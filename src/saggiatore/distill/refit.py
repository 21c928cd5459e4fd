r"""Least squares for the constants of a formula, with their covariance.

The constants minimise $L = \tfrac12\sum_i w_i (f_i - t_i)^2$ with $\sum_i w_i = 1$. Joint scores have heavy tails and
no formula is exact, so that the covariance is the sandwich $A^{-1} B A^{-1}$ with $A = \partial^2 L$ and
$B = \sum_i w_i^2 (f_i - t_i)^2\, \partial f_i\, \partial f_i^T$ (Huber 1967; White, Econometrica 50 (1982) 1, th. 3.2):
it assumes neither Gaussian residuals, nor equal ones, nor a true formula.
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
from saggiatore.errors import ConvergenceError
from saggiatore.types import Array, Float

_MAX_STEPS = 100
_TOLERANCE = 1e-12  # expected relative decrease of the loss at which the fit has converged
_ROUNDING = 1e-16  # of E[t^2]: what is left of the loss where the form is exact
_MAX_DAMPING = 1e10
_STEP = 1e-4  # root mean square change of f in a step of the curvature's differences
_SINGULAR = 1e-6  # smallest eigenvalue of the curvature, scaled to a unit diagonal


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
    return Refit(fitted, _covariance(form.expression, moments, theta), 2 * float(minimum.loss))


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


def _covariance(expression: sympy.Expr, moments: Callable[[Array], _Moments], theta: Array) -> np.ndarray:
    """The sandwich; it needs a minimum in every direction.

    The curvature is a central difference of the exact gradient, in steps small against a unit change of the residual:
    accurate to about 1e-7, and without compiling second derivatives of every formula.
    """
    minimum = moments(theta)
    scale = np.sqrt(np.diag(np.asarray(minimum.gauss_newton)))
    steps = jnp.diag(jnp.asarray(_STEP / scale))
    rows = [moments(theta + step).gradient - moments(theta - step).gradient for step in steps]
    scaled = np.asarray(jnp.stack(rows)) / (2 * _STEP * scale)
    if not (np.all(np.isfinite(scaled)) and np.linalg.eigvalsh(0.5 * (scaled + scaled.T))[0] > _SINGULAR):
        raise ConvergenceError(
            f"the events do not determine every constant of '{expression}' (singular curvature). Write it with fewer."
        )
    inverse = np.linalg.inv(0.5 * (scaled + scaled.T)) / np.outer(scale, scale)
    covariance = inverse @ np.asarray(minimum.meat) @ inverse
    return 0.5 * (covariance + covariance.T)
