r"""Where a feature lives and where a flow moves it: on a line from a normal base, on a circle from a uniform one.

A feature with an edge is mapped to the whole line first: $\log(x - a)$ for $x > a$, and $\Phi^{-1}((x-a)/(b-a))$ for
$a < x < b$, which makes a flat density exactly normal. An angle stays on its circle, where paths are geodesics (flow
matching on manifolds, Chen and Lipman, arXiv:2302.03660), so there is no seam at $\pm\pi$.
"""

import abc
import math
from typing import ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import erfinv, ndtr
from jax.scipy.stats import norm

from saggiatore.models.base import AbstractFixed
from saggiatore.models.standardise import Affine
from saggiatore.types import Array, Float, PRNGKeyArray, Scalar


class AbstractEdge(eqx.Module):
    """A monotonic map of an open interval to the line."""

    @abc.abstractmethod
    def forward(self, x: Scalar) -> tuple[Scalar, Scalar]:
        """The mapped value and log|d mapped/dx|; not finite on the edge or outside."""

    @abc.abstractmethod
    def inverse(self, y: Scalar) -> Scalar:
        """The value that is mapped to `y`."""


class NoEdge(AbstractEdge):
    """The line itself."""

    def forward(self, x: Scalar) -> tuple[Scalar, Scalar]:
        return x, jnp.zeros_like(x)

    def inverse(self, y: Scalar) -> Scalar:
        return y


class LowerEdge(AbstractEdge):
    """x > lower, by the logarithm."""

    lower: float

    def forward(self, x: Scalar) -> tuple[Scalar, Scalar]:
        y = jnp.log(x - self.lower)
        return y, -y

    def inverse(self, y: Scalar) -> Scalar:
        return self.lower + jnp.exp(y)


class BothEdges(AbstractEdge):
    """lower < x < upper, by the inverse of the normal distribution function."""

    lower: float
    upper: float

    def forward(self, x: Scalar) -> tuple[Scalar, Scalar]:
        y = normal_quantile((x - self.lower) / (self.upper - self.lower))
        return y, -norm.logpdf(y) - math.log(self.upper - self.lower)

    def inverse(self, y: Scalar) -> Scalar:
        return self.lower + (self.upper - self.lower) * ndtr(y)


class AbstractCoordinate(AbstractFixed):
    """One dimension of the space in which the flow runs."""

    n_inputs: eqx.AbstractClassVar[int]

    @abc.abstractmethod
    def fit(self, values: Float[Array, " event"]) -> Self:
        """The same coordinate, standardised to the values of many events."""

    @abc.abstractmethod
    def forward(self, x: Scalar) -> tuple[Scalar, Scalar]:
        """Position of a feature and log|d position/dx|."""

    @abc.abstractmethod
    def inverse(self, z: Scalar) -> Scalar:
        """The feature at a position."""

    @abc.abstractmethod
    def inputs(self, z: Scalar) -> tuple[Scalar, ...]:
        """What a network reads of a position."""

    @abc.abstractmethod
    def displacement(self, start: Scalar, end: Scalar) -> Scalar:
        """The shortest way from one position to another."""

    @abc.abstractmethod
    def base_log_prob(self, z: Scalar) -> Scalar:
        """Logarithm of the base density."""

    @abc.abstractmethod
    def base_quantile(self, u: Scalar) -> Scalar:
        """The position below which the base density holds the probability `u`, in (0, 1)."""


class Line(AbstractCoordinate):
    """Standardised values on the line; the base is the normal distribution."""

    n_inputs: ClassVar[int] = 1
    edge: AbstractEdge = eqx.field(static=True)
    affine: Affine

    def fit(self, values: Float[Array, " event"]) -> "Line":
        mapped, _ = jax.jit(jax.vmap(self.edge.forward))(values)
        return Line(self.edge, Affine.fit(mapped[:, None]))

    def forward(self, x: Scalar) -> tuple[Scalar, Scalar]:
        mapped, log_jacobian = self.edge.forward(x)
        return self.affine(mapped[None])[0], log_jacobian + self.affine.log_det

    def inverse(self, z: Scalar) -> Scalar:
        return self.edge.inverse(self.affine.inverse(z[None])[0])

    def inputs(self, z: Scalar) -> tuple[Scalar, ...]:
        return (z,)

    def displacement(self, start: Scalar, end: Scalar) -> Scalar:
        return end - start

    def base_log_prob(self, z: Scalar) -> Scalar:
        return norm.logpdf(z)

    def base_quantile(self, u: Scalar) -> Scalar:
        return normal_quantile(u)


class Circle(AbstractCoordinate):
    """An angle in radians; the base is uniform."""

    n_inputs: ClassVar[int] = 2

    def fit(self, values: Float[Array, " event"]) -> "Circle":
        return self

    def forward(self, x: Scalar) -> tuple[Scalar, Scalar]:
        return x, jnp.zeros_like(x)

    def inverse(self, z: Scalar) -> Scalar:
        return jnp.pi - jnp.mod(jnp.pi - z, 2 * jnp.pi)  # (-pi, pi]

    def inputs(self, z: Scalar) -> tuple[Scalar, ...]:
        return jnp.cos(z), jnp.sin(z)

    def displacement(self, start: Scalar, end: Scalar) -> Scalar:
        return self.inverse(end - start)

    def base_log_prob(self, z: Scalar) -> Scalar:
        return jnp.full_like(z, -math.log(2 * math.pi))

    def base_quantile(self, u: Scalar) -> Scalar:
        return jnp.pi * (2 * u - 1)


def normal_quantile(u: Scalar) -> Scalar:
    r"""$\Phi^{-1}(u)$; `ndtri`, three times the code to compile, would be exact for u below 1e-7 too."""
    return math.sqrt(2) * erfinv(2 * u - 1)


def uniform(key: PRNGKeyArray, n: int) -> Float[Array, " n"]:
    """Uniform numbers in the open interval (0, 1): all of an event's noise at once, which compiles fastest."""
    u = jax.random.uniform(key, (n,))
    return u + 0.5 * jnp.finfo(u.dtype).eps * (1 - u)
