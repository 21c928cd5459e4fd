r"""Mixtures of densities, one for each mapping of a process: $g(u) = \sum_i a_i g_i(u)$.

The first number of a point chooses the mapping and its remainder is used again, so that a mixture is a function of as
many uniform numbers as the process has. Mappings that a symmetry of the rate relates form a class, which has one
density and one share, as symmetric channels have in arXiv:2311.01548. Each point weighs $f/g$ with the whole mixture,
whichever mapping it came from: the channel weights are $\alpha_i = a_i g_i / g$. For points that are drawn
independently no other weights have a smaller variance (Veach and Guibas, SIGGRAPH 1995, the balance heuristic: the
minimum of $\sum_i \int f^2 \alpha_i^2 / (a_i g_i)\, du$ at $\sum_i \alpha_i = 1$), so that there is nothing for a
network to learn in them.
"""

import abc
from typing import NamedTuple, Protocol, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.integrate.base import AbstractSampler
from saggiatore.physics.mapping import AbstractMapping
from saggiatore.types import Array, Float, Int, Scalar, UnitPoint

Stacked = TypeVar("Stacked")


class Density(Protocol):
    """The density of one mapping in its own y; a VEGAS grid is one."""

    edges: Float[Array, "dim edge"]

    def propose(self, v: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """Map a uniform point to y, with minus the logarithm of the density there."""

    def log_density(self, u: UnitPoint) -> Scalar:
        """Logarithm of the density at a y."""


class Mapped(NamedTuple):
    """A batch of points of the hypercube, and where each mapping has them."""

    u: Float[np.ndarray, "event dim"]
    y: Float[np.ndarray, "event mapping dim"]
    log_jacobian: Float[np.ndarray, "event mapping"]  # log|dy/du|


class AbstractMixture(AbstractSampler):
    """A density for each class of mappings, chosen in proportion to `shares`."""

    mappings: eqx.AbstractVar[tuple[AbstractMapping, ...]]
    classes: eqx.AbstractVar[tuple[int, ...]]  # of each mapping: those that a symmetry relates share a density
    shares: eqx.AbstractVar[Float[Array, " class"]]  # positive, sum to one; the mappings of a class have equal parts
    densities: eqx.AbstractVar[Density]  # of all classes at once: arrays have the class as first axis

    @property
    def dim(self) -> int:
        """Dimension of the hypercube."""
        return self.densities.edges.shape[1]

    def propose(self, v: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """Map a uniform point to one of the mixture g, with -log g."""
        mapping, rest = self.choose(v)
        y = jax.vmap(lambda density: density.propose(rest)[0])(self.densities)
        points = [each.forward(y[i])[0] for i, each in zip(self.classes, self.mappings, strict=True)]
        u = jnp.stack(points)[mapping]
        return u, -self.log_density(u)

    def choose(self, v: UnitPoint) -> tuple[Int[Array, ""], UnitPoint]:
        """The mapping that the first number of `v` chooses, and the point with the remainder of that number."""
        shares = self.mapping_shares
        edges = jnp.cumsum(shares)[:-1]
        mapping = jnp.sum(v[0] >= edges)
        begin = jnp.concatenate([jnp.zeros(1, edges.dtype), edges])[mapping]
        # rounding must not carry the remainder out of [0, 1)
        remainder = jnp.clip((v[0] - begin) / shares[mapping], 0.0, 1 - jnp.finfo(v.dtype).epsneg)
        return mapping, v.at[0].set(remainder)

    def log_density(self, u: UnitPoint) -> Scalar:
        """Logarithm of the mixture at `u`."""
        return jax.nn.logsumexp(jnp.log(self.mapping_shares) + self.log_components(u))

    @abc.abstractmethod
    def place(self, number: int, v: Float[np.ndarray, "event dim"]) -> Float[np.ndarray, "event dim"]:
        """The y's that the density of class `number` maps a batch of uniform points to."""

    @abc.abstractmethod
    def log_densities(self, points: Mapped) -> Float[np.ndarray, "event mapping"]:
        """Logarithm of each mapping's density in its own y, at a batch of points."""

    @property
    def mapping_shares(self) -> Float[Array, " mapping"]:
        """The share of each mapping."""
        return (self.shares / jnp.array(class_sizes(self.classes)))[jnp.array(self.classes)]

    def log_components(self, u: UnitPoint) -> Float[Array, " mapping"]:
        """Logarithm of each mapping's density at the same `u`."""
        y, log_jacobian = inverses(self.mappings, u)
        densities = by_mapping(self.densities, self.classes)
        return jax.vmap(lambda density, point: density.log_density(point))(densities, y) + log_jacobian


def class_sizes(classes: tuple[int, ...]) -> list[int]:
    """Number of mappings in each class."""
    return [classes.count(number) for number in range(max(classes) + 1)]


def by_mapping(stacked: Stacked, classes: tuple[int, ...]) -> Stacked:
    """Arrays with the class as first axis, with the mapping as first axis instead."""
    if classes == tuple(range(len(classes))):  # no copies, whose derivative is a sum over them
        return stacked
    return jax.tree.map(lambda array: array[jnp.array(classes)], stacked)


def inverses(
    mappings: tuple[AbstractMapping, ...], u: UnitPoint
) -> tuple[Float[Array, "mapping dim"], Float[Array, " mapping"]]:
    """The y of each mapping that is mapped to `u`, and log|dy/du|."""
    found = [mapping.inverse(u) for mapping in mappings]
    return jnp.stack([y for y, _ in found]), jnp.stack([log_jacobian for _, log_jacobian in found])
