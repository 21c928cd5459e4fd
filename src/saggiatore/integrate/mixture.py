r"""Mixtures of densities, one for each mapping of a process: $g(u) = \sum_i a_i g_i(u)$.

The first number of a point chooses the mapping and its remainder is used again, so that a mixture is a function of as
many uniform numbers as the process has. Each point weighs $f/g$ with the whole mixture, whichever mapping it came
from: the channel weights are $\alpha_i = a_i g_i / g$. For points that are drawn independently no other weights have a
smaller variance (Veach and Guibas, SIGGRAPH 1995, the balance heuristic: the minimum of
$\sum_i \int f^2 \alpha_i^2 / (a_i g_i)\, du$ at $\sum_i \alpha_i = 1$), so that there is nothing for a network to learn
in them.
"""

from typing import Protocol

import equinox as eqx
import jax
import jax.numpy as jnp

from saggiatore.integrate.base import AbstractSampler
from saggiatore.physics.mapping import AbstractMapping
from saggiatore.types import Array, Float, Int, Scalar, UnitPoint


class Density(Protocol):
    """The density of one mapping in its own y; a VEGAS grid is one."""

    edges: Float[Array, "dim edge"]

    def propose(self, v: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """Map a uniform point to y, with minus the logarithm of the density there."""

    def log_density(self, u: UnitPoint) -> Scalar:
        """Logarithm of the density at a y."""


class AbstractMixture(AbstractSampler):
    """A density for each mapping, chosen in proportion to `shares`."""

    mappings: eqx.AbstractVar[tuple[AbstractMapping, ...]]
    shares: eqx.AbstractVar[Float[Array, " mapping"]]  # positive, sum to one

    densities: eqx.AbstractVar[Density]  # of all mappings at once: arrays have the mapping as first axis

    @property
    def dim(self) -> int:
        """Dimension of the hypercube."""
        return self.densities.edges.shape[1]

    def propose(self, v: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """Map a uniform point to one of the mixture g, with -log g."""
        mapping, rest = self.choose(v)
        y = jax.vmap(lambda density: density.propose(rest)[0])(self.densities)
        points = [each.forward(y[i])[0] for i, each in enumerate(self.mappings)]
        u = jnp.stack(points)[mapping]
        return u, -self.log_density(u)

    def choose(self, v: UnitPoint) -> tuple[Int[Array, ""], UnitPoint]:
        """The mapping that the first number of `v` chooses, and the point with the remainder of that number."""
        edges = jnp.cumsum(self.shares)[:-1]
        mapping = jnp.sum(v[0] >= edges)
        begin = jnp.concatenate([jnp.zeros(1, edges.dtype), edges])[mapping]
        # rounding must not carry the remainder out of [0, 1)
        remainder = jnp.clip((v[0] - begin) / self.shares[mapping], 0.0, 1 - jnp.finfo(v.dtype).epsneg)
        return mapping, v.at[0].set(remainder)

    def log_density(self, u: UnitPoint) -> Scalar:
        """Logarithm of the mixture at `u`."""
        return jax.nn.logsumexp(jnp.log(self.shares) + self.log_components(u))

    def log_components(self, u: UnitPoint) -> Float[Array, " mapping"]:
        """Logarithm of each mapping's density at the same `u`."""
        y, log_jacobian = inverses(self.mappings, u)
        return jax.vmap(lambda density, point: density.log_density(point))(self.densities, y) + log_jacobian


def inverses(
    mappings: tuple[AbstractMapping, ...], u: UnitPoint
) -> tuple[Float[Array, "mapping dim"], Float[Array, " mapping"]]:
    """The y of each mapping that is mapped to `u`, and log|dy/du|."""
    found = [mapping.inverse(u) for mapping in mappings]
    return jnp.stack([y for y, _ in found]), jnp.stack([log_jacobian for _, log_jacobian in found])
