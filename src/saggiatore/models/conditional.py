"""Densities of one feature given those before it: a mixture of normal distributions, or bins."""

import abc
from collections.abc import Sequence
from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp, ndtr
from jax.scipy.stats import norm

from saggiatore.models.coordinate import normal_quantile
from saggiatore.models.frame import Frame, Position
from saggiatore.types import Array, Bool, Float, PRNGKeyArray, Scalar

LEAST_SCALE = 1e-3  # standard deviations; a mixture cannot collapse onto one event
MOST_TURN = 3.0  # rad: a wrapped normal of this width is flat to one per cent
WINDINGS = (-2, -1, 0, 1, 2)  # beyond these a wrapped normal of the greatest width has 1e-6


class AbstractConditional(eqx.Module):
    """Conditional densities, one a feature along the leading axis of every array, or that of one feature."""

    n_parts: eqx.AbstractClassVar[int]  # numbers of each component that a network states

    @classmethod
    @abc.abstractmethod
    def of(cls, parts: Sequence[Float[Array, "feature component"]], is_circle: Bool[Array, " feature"]) -> Self:
        """The densities that a network's numbers stand for."""

    @abc.abstractmethod
    def log_prob(self, frame: Frame, z: Position) -> Float[Array, " feature"]:
        """Logarithm of the density of every feature at its position."""

    @abc.abstractmethod
    def draw(self, *, key: PRNGKeyArray) -> Scalar:
        """A position drawn from the density of one feature."""


class Mixture(AbstractConditional):
    """Normal distributions on lines and wrapped normal distributions on circles."""

    n_parts = 3

    log_share: Float[Array, "*feature component"]
    place: Float[Array, "*feature component"]
    width: Float[Array, "*feature component"]

    @classmethod
    def of(cls, parts: Sequence[Float[Array, "feature component"]], is_circle: Bool[Array, " feature"]) -> Self:
        share, place, width = parts
        on_circle = is_circle[:, None]
        widths = jnp.where(on_circle, MOST_TURN * jax.nn.sigmoid(width), jax.nn.softplus(width)) + LEAST_SCALE
        return cls(jax.nn.log_softmax(share, axis=1), place * jnp.where(on_circle, 2.0, 1.0), widths)

    def log_prob(self, frame: Frame, z: Position) -> Float[Array, " feature"]:
        on_circle = jnp.array(frame.is_circle)[:, None]
        nearest = jax.vmap(frame.displacement, (1, None), 1)(self.place, z)
        if not any(frame.is_circle):
            return logsumexp(self.log_share + norm.logpdf(nearest, scale=self.width), axis=1)
        away = nearest[:, :, None] + 2 * jnp.pi * jnp.array(WINDINGS) * on_circle[:, :, None]
        copies = jnp.where(on_circle[:, 0], 0.0, jnp.log(float(len(WINDINGS))))  # on a line all terms are the same
        terms = self.log_share[:, :, None] + norm.logpdf(away, scale=self.width[:, :, None])
        return logsumexp(terms, axis=(1, 2)) - copies

    def draw(self, *, key: PRNGKeyArray) -> Scalar:
        to_component, to_place = jax.random.split(key)
        k = jax.random.categorical(to_component, self.log_share)
        return self.place[k] + self.width[k] * jax.random.normal(to_place)


class Binned(AbstractConditional):
    r"""Bins of equal base probability, in each of which the density follows the base: normal on lines, flat on circles.

    With u the base's distribution function, $p(z) = K s_k \, p_{\rm base}(z)$ for u in bin k of K of share $s_k$:
    normalised on the whole line, with tails that are those of the base.
    """

    n_parts = 1

    log_share: Float[Array, "*feature component"]
    is_circle: Bool[Array, "*feature"]

    @classmethod
    def of(cls, parts: Sequence[Float[Array, "feature component"]], is_circle: Bool[Array, " feature"]) -> Self:
        return cls(jax.nn.log_softmax(parts[0], axis=1), is_circle)

    def log_prob(self, frame: Frame, z: Position) -> Float[Array, " feature"]:
        n_bins = self.log_share.shape[-1]
        level = jnp.where(self.is_circle, (z + jnp.pi) / (2 * jnp.pi), ndtr(z))
        place = jnp.minimum((level * n_bins).astype(int), n_bins - 1)  # the upper edge, to rounding, is in the last bin
        share = jnp.take_along_axis(self.log_share, place[:, None], axis=1)[:, 0]
        base = jnp.stack([c.base_log_prob(zi) for c, zi in zip(frame.coordinates, z, strict=True)])
        return share + jnp.log(float(n_bins)) + base

    def draw(self, *, key: PRNGKeyArray) -> Scalar:
        to_bin, to_place = jax.random.split(key)
        n_bins = self.log_share.shape[-1]
        u = jax.random.uniform(to_place, minval=jnp.finfo(self.log_share.dtype).eps)
        level = (jax.random.categorical(to_bin, self.log_share) + u) / n_bins
        on_line = normal_quantile(jnp.minimum(level, 1 - 0.5 * jnp.finfo(level.dtype).eps))
        return jnp.where(self.is_circle, jnp.pi * (2 * level - 1), on_line)


CONDITIONALS: dict[str, type[AbstractConditional]] = {"mixture": Mixture, "binned": Binned}
