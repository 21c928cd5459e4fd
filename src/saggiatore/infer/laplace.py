r"""The posterior of a linear last layer without sampling: sufficient statistics, Laplace approximation, sandwich.

Notation as in `last_layer`: features h, noise v, event weights a, noise scale s, prior scale tau.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.errors import ConvergenceError
from saggiatore.infer.batches import Batch
from saggiatore.models.base import AbstractRegression
from saggiatore.types import Array, Features, Float, Scalar


class Moments(NamedTuple):
    """Sufficient statistics of the events."""

    precision: Float[Array, "weight weight"]  # sum a h h^T / v
    projection: Float[Array, " weight"]  # sum a h t / v
    energy: Scalar  # sum a t^2 / v
    hidden: Scalar  # sum a |h|^2
    score: Scalar  # sum a t^2
    weight: Scalar  # sum a
    weight_squared: Scalar  # sum a^2


class Basis(NamedTuple):
    """Coordinates z in which the posterior is nearly a unit Gaussian: w = rotation (centre + z width)."""

    rotation: Float[Array, "weight weight"]
    eigenvalue: Float[Array, " weight"]  # of A
    gradient: Float[Array, " weight"]  # of the quadratic form at the centre, halved
    centre: Float[Array, " weight"]
    width: Float[Array, " weight"]
    energy: Scalar  # quadratic form at the centre
    hyper: Float[Array, " 2"]  # log s and log tau at the centre
    hyper_width: Float[Array, " 2"]
    n_events: Scalar
    unit: Scalar  # c, the unit of the prior's width


def last_features(model: AbstractRegression, features: Features) -> Float[Array, " weight"]:
    """What the weights multiply, in the target's units: ``score = last_features @ last_layer``."""
    return model.scale * model.hidden(features)


@eqx.filter_jit
def moments(model: eqx.Module, batch: Batch) -> Moments:
    """Sufficient statistics of one batch, with the events' weights as they are."""
    h = jax.vmap(last_features, (None, 0))(model, batch.features)
    a, t = batch.weight, batch.score
    precision = a / jax.vmap(model.noise)(batch.features)
    return Moments(
        (h.T * precision) @ h,
        h.T @ (precision * t),
        precision @ t**2,
        a @ jnp.sum(h**2, axis=1),
        a @ t**2,
        jnp.sum(a),
        jnp.sum(a**2),
    )


def sum_events(function: Callable[[eqx.Module, Batch], tuple], model: eqx.Module, batches: Iterator[Batch]) -> tuple:
    """Sum over batches of what `function` makes of each."""
    return jax.tree.map(lambda *parts: sum(parts), *(function(model, Batch(*map(jnp.asarray, b))) for b in batches))


def whiten(total: Moments, prior_scale: float) -> Basis:
    """Laplace approximation at the maximum of the evidence in s and tau (MacKay's fixed point, Neural Comp. 4, 415).

    Raises:
        ConvergenceError: if the events' noise or features are not finite or vanish.
    """
    scale = total.weight / total.weight_squared
    n_events, unit = total.weight * scale, jnp.sqrt(total.score / total.hidden)
    eigenvalue, rotation = jnp.linalg.eigh(total.precision * scale)
    eigenvalue = jnp.maximum(eigenvalue, 0.0)  # A is positive semi-definite; eigh leaves rounding errors below zero
    projection, energy = rotation.T @ total.projection * scale, total.energy * scale

    def quadratic(w: Float[Array, " weight"]) -> Scalar:
        return energy - 2 * projection @ w + eigenvalue @ w**2

    def maximum(noise: Scalar, prior: Scalar) -> tuple[Float[Array, " weight"], Float[Array, " weight"]]:
        curvature = eigenvalue / noise + 1 / prior
        return projection / noise / curvature, curvature

    def step(_: int, scales: tuple[Scalar, Scalar]) -> tuple[Scalar, Scalar]:
        w, curvature = maximum(*scales)
        n_determined = jnp.sum(eigenvalue / scales[0] / curvature)
        return quadratic(w) / (n_events - n_determined), jnp.sum(w**2) / n_determined

    start = (jnp.ones(()), (prior_scale * unit) ** 2)
    noise, prior = jax.lax.fori_loop(0, 50, step, start)
    centre, curvature = maximum(noise, prior)
    if not (jnp.isfinite(centre).all() and noise > 0 and prior > 0):
        raise ConvergenceError(
            f"the last layer has no maximum: noise scale {noise}, prior variance {prior}. Check that the model was "
            f"trained (its noise is finite and positive) and that there are more than {centre.size} events."
        )
    n_determined = jnp.sum(eigenvalue / noise / curvature)
    return Basis(
        rotation,
        eigenvalue,
        eigenvalue * centre - projection,
        centre,
        curvature**-0.5,
        quadratic(centre),
        jnp.stack([jnp.log(noise), jnp.log(prior) / 2 - jnp.log(unit)]),
        jnp.stack([2 / n_events, 1 / (1 + 2 * n_determined)]) ** 0.5,
        n_events,
        unit,
    )


def robust_std(
    model: eqx.Module, batches: Iterator[Batch], basis: Basis
) -> tuple[Float[np.ndarray, " weight"], Float[np.ndarray, ""]]:
    """Sandwich standard deviations of the weights and of log s: J^-1 (K + P) J^-1 with the curvature J = A/s + P.

    P is the prior's precision and K the sum of squared gradients of the events (White, Econometrica 50, 1, 1982). Where
    the noise v is right, K is A/s and the result is the posterior's own standard deviation.
    """
    w = basis.rotation @ basis.centre

    @eqx.filter_jit
    def outer(model: eqx.Module, batch: Batch) -> tuple[Array, Array, Array, Array]:
        h = jax.vmap(last_features, (None, 0))(model, batch.features)
        noise = jnp.exp(basis.hyper[0]) * jax.vmap(model.noise)(batch.features)
        pull = (batch.score - h @ w) / jnp.sqrt(noise)
        gradient = h * (batch.weight * pull / jnp.sqrt(noise))[:, None]
        spread = jnp.sum((batch.weight * (pull**2 - 1)) ** 2)
        return gradient.T @ gradient, spread, jnp.sum(batch.weight), jnp.sum(batch.weight**2)

    squares, spread, weight, weight_squared = sum_events(outer, model, batches)
    scale = weight / weight_squared
    prior = (basis.unit * jnp.exp(basis.hyper[1])) ** -2
    inverse = (basis.rotation * basis.width**2) @ basis.rotation.T
    covariance = inverse @ (squares * scale**2 + prior * jnp.eye(w.size)) @ inverse
    return np.asarray(jnp.sqrt(jnp.diag(covariance))), np.asarray(jnp.sqrt(spread) / weight)
