r"""The posterior of a linear last layer without sampling: sufficient statistics, Laplace approximation, sandwich.

Notation as in `last_layer`: features h, noise v, event weights a, noise scale s, prior scale tau.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.compilation import RUN_ONCE
from saggiatore.errors import ConvergenceError
from saggiatore.infer.batches import Batch, padded
from saggiatore.models.base import AbstractRegression
from saggiatore.types import Array, Features, Float, Scalar

Sums = TypeVar("Sums", bound=tuple)
_WIDEST = 30.0  # standard deviations of the prior on log tau, in which its maximum is looked for


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
    """The quadratic form of the likelihood in the eigenbasis of A, and where evidence times prior is largest."""

    rotation: Float[Array, "weight weight"]  # w = rotation @ (weights in the eigenbasis)
    eigenvalue: Float[Array, " weight"]  # of A
    projection: Float[Array, " weight"]  # b
    centre: Float[Array, " weight"]  # of the posterior at the maximum
    energy: Scalar  # sum a (t - h.w)^2 / v at the centre
    hyper: Float[Array, " 2"]  # log s and log tau at the maximum
    hyper_width: Float[Array, " 2"]  # their standard deviations, roughly
    n_events: Scalar
    unit: Scalar  # c, the unit of the prior's width

    def residual(self, w: Float[Array, " weight"]) -> Scalar:
        """Sum of a (t - h.w)^2 / v, written about the centre to keep its digits."""
        shift = w - self.centre
        return self.energy + (2 * (self.eigenvalue * self.centre - self.projection) + self.eigenvalue * shift) @ shift

    def conditional(
        self, hyper: Float[Array, " hyper"], prior_precision: Array | None = None
    ) -> tuple[Float[Array, " weight"], Float[Array, " weight"]]:
        """Mean and curvature of the weights, independent Gaussians at given scales; the prior is by default one."""
        precision = jnp.exp(-hyper[0])
        prior = self.prior_precision(hyper) if prior_precision is None else prior_precision
        curvature = self.eigenvalue * precision + prior
        return self.projection * precision / curvature, curvature

    def prior_precision(self, hyper: Float[Array, " hyper"]) -> Scalar:
        """1/(tau c)^2, of a Gaussian prior."""
        return jnp.exp(-2 * hyper[1]) / self.unit**2


def last_features(model: AbstractRegression, features: Features) -> Float[Array, " weight"]:
    """What the weights multiply, in the target's units: ``score = last_features @ last_layer``."""
    return model.scale * model.hidden(features)


@eqx.filter_jit
def moments(model: AbstractRegression, batch: Batch) -> Moments:
    """Sufficient statistics of one batch, with the events' weights as they are."""
    x, t, a = (jnp.asarray(column) for column in batch)
    h, precision = jax.vmap(partial(last_features, model))(x), a / jax.vmap(model.noise)(x)
    return Moments(
        (h.T * precision) @ h,
        h.T @ (precision * t),
        precision @ t**2,
        a @ jnp.sum(h**2, axis=1),
        a @ t**2,
        jnp.sum(a),
        jnp.sum(a**2),
    )


def sum_events(
    function: Callable[[AbstractRegression, Batch], Sums], model: AbstractRegression, batches: Iterator[Batch]
) -> Sums:
    """Sum over batches of what `function`, which weights every event, makes of each."""
    total: Sums | None = None
    for batch in batches:
        part = function(model, padded(batch))
        part = jax.tree.map(np.asarray, part)  # numpy adds without compiling
        total = part if total is None else jax.tree.map(np.add, total, part)
    if total is None:
        raise ConvergenceError("there are no events to learn from; give the posterior a table with events.")
    return total


def whiten(total: Moments, prior_scale: float) -> Basis:
    """Laplace approximation at the maximum of evidence times prior in s and tau (after MacKay, Neural Comp. 4, 415).

    Raises:
        ConvergenceError: if there is no maximum.
    """
    basis = _laplace(total, prior_scale)
    if not (np.isfinite(basis.centre).all() and np.isfinite(basis.hyper).all()):
        raise ConvergenceError(
            f"the last layer has no maximum: log noise and log prior scale are {basis.hyper.tolist()}. Check that the "
            f"model was trained (its noise is finite and positive) and has more than {basis.centre.size} events."
        )
    return basis


@partial(jax.jit, compiler_options=RUN_ONCE)
def _laplace(total: Moments, prior_scale: Scalar) -> Basis:
    basis = _likelihood(total, prior_scale)
    hyper = _most_probable(basis)
    centre = basis.conditional(hyper)[0]
    width = jnp.stack([2 / basis.n_events, 1 / (1 + 2 * _n_determined(basis, hyper))]) ** 0.5
    return basis._replace(centre=centre, energy=_energy(basis, centre), hyper=hyper, hyper_width=width)


def _energy(basis: Basis, w: Float[Array, " weight"]) -> Scalar:
    """The residual at w, of a quadratic form about zero; not below the rounding of its terms, which can leave none."""
    return jnp.maximum(basis.residual(w), jnp.finfo(w.dtype).eps * basis.energy)


def _likelihood(total: Moments, prior_scale: Scalar) -> Basis:
    """The quadratic form about zero, and the middle of the prior in s and tau."""
    scale = total.weight / total.weight_squared
    eigenvalue, rotation = jnp.linalg.eigh(total.precision * scale)
    # what lies below the rounding of the largest one tells nothing of the weights, nor does the projection there
    is_seen = eigenvalue > eigenvalue.size * jnp.finfo(eigenvalue.dtype).eps * eigenvalue[-1]
    middle = jnp.stack([jnp.zeros(()), jnp.log(prior_scale)])
    return Basis(
        rotation=rotation,
        eigenvalue=jnp.where(is_seen, eigenvalue, 0.0),
        projection=jnp.where(is_seen, rotation.T @ total.projection * scale, 0.0),
        centre=jnp.zeros_like(eigenvalue),
        energy=total.energy * scale,
        hyper=middle,
        hyper_width=jnp.ones(2),
        n_events=total.weight * scale,
        unit=jnp.sqrt(total.score / total.hidden),
    )


def _n_determined(basis: Basis, hyper: Float[Array, " 2"]) -> Scalar:
    """Number of weights that the events determine rather than the prior."""
    return jnp.sum(basis.eigenvalue * jnp.exp(-hyper[0]) / basis.conditional(hyper)[1])


def _most_probable(basis: Basis) -> Float[Array, " 2"]:
    """log s and log tau where evidence times prior is largest: each in turn, from the middle of the prior."""
    middle = basis.hyper

    def rises(hyper: Float[Array, " 2"]) -> Array:
        """Whether evidence times prior is larger at a larger tau."""
        spread = jnp.sum(basis.conditional(hyper)[0] ** 2) * basis.prior_precision(hyper)
        return spread > _n_determined(basis, hyper) + hyper[1] - middle[1]

    def halve(_: int, bracket: Float[Array, " 3"]) -> Float[Array, " 3"]:
        log_s, low, high = bracket
        half = (low + high) / 2
        is_above = rises(jnp.stack([log_s, half]))
        return jnp.stack([log_s, jnp.where(is_above, half, low), jnp.where(is_above, high, half)])

    def step(_: int, hyper: Float[Array, " 2"]) -> Float[Array, " 2"]:
        # the prior keeps tau from zero, where the evidence alone is largest if the features explain nothing
        bracket = jnp.stack([hyper[0], middle[1] - _WIDEST, middle[1] + _WIDEST])
        hyper = hyper.at[1].set(jax.lax.fori_loop(0, 40, halve, bracket)[1])
        noise = _energy(basis, basis.conditional(hyper)[0]) / (basis.n_events - _n_determined(basis, hyper))
        return hyper.at[0].set(jnp.log(noise))

    return jax.lax.fori_loop(0, 30, step, middle)


def robust_std(
    model: AbstractRegression, batches: Iterator[Batch], basis: Basis
) -> tuple[Float[np.ndarray, " weight"], Float[np.ndarray, ""]]:
    """Sandwich standard deviations of the weights and of log s: J^-1 (K + P) J^-1 with the curvature J = A/s + P.

    P is the prior's precision and K the sum of squared gradients of the events (White, Econometrica 50, 1, 1982). Where
    the noise v is right, K is A/s and the result is the posterior's own standard deviation.
    """
    squares, spread, weight, weight_squared = sum_events(partial(_squared_gradients, basis), model, batches)
    variances = _sandwich(basis, squares, weight / weight_squared)
    return np.sqrt(variances), np.sqrt(spread) / weight


@partial(jax.jit, compiler_options=RUN_ONCE)
def _sandwich(basis: Basis, squares: Float[Array, "weight weight"], scale: Scalar) -> Float[Array, " weight"]:
    """Variances of the weights, from squared gradients in the eigenbasis; a sum of squares, which rounding keeps so."""
    curvature = basis.conditional(basis.hyper)[1]
    meat = squares * scale**2 + basis.prior_precision(basis.hyper) * jnp.eye(len(squares))
    size, direction = jnp.linalg.eigh(meat / jnp.outer(curvature, curvature))
    variances: Float[Array, " weight"] = (basis.rotation @ direction) ** 2 @ jnp.maximum(size, 0.0)
    return variances


@eqx.filter_jit
def _squared_gradients(basis: Basis, model: AbstractRegression, batch: Batch) -> tuple[Array, Array, Array, Array]:
    """Sums of squared gradients with respect to the weights in the eigenbasis and to log s / 2, of a, and of a^2.

    Directions that the events say nothing of stay apart: in the weights their rounding would be that of the others.
    """
    x, t, a = (jnp.asarray(column) for column in batch)
    h = jax.vmap(partial(last_features, model))(x) @ basis.rotation
    noise = jnp.exp(basis.hyper[0]) * jax.vmap(model.noise)(x)
    pull = (t - h @ basis.centre) / jnp.sqrt(noise)
    gradient = h * (a * pull / jnp.sqrt(noise))[:, None]
    return gradient.T @ gradient, jnp.sum((a * (pull**2 - 1)) ** 2), jnp.sum(a), jnp.sum(a**2)
