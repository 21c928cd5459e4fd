"""Densities that a posterior draws, of which nothing but their weights is stored."""

import equinox as eqx
import jax

from saggiatore.infer.base import drawn_networks
from saggiatore.infer.weights import Weights, with_weights
from saggiatore.models.density import AbstractDensity
from saggiatore.tables import Table
from saggiatore.types import Array, Context, Features, Float, PRNGKeyArray


class DensityDraws(eqx.Module):
    """One density for each draw of the weights."""

    density: AbstractDensity
    weights: Float[Array, "draw weight"]

    @property
    def n_draws(self) -> int:
        """Number of draws."""
        return len(self.weights)

    def log_prob(
        self, features: Float[Array, "event feature"], context: Float[Array, "event context"]
    ) -> Float[Array, "draw event"]:
        """log p of many events by each draw, one draw after the other: memory does not grow with their number."""
        found: Float[Array, "draw event"] = jax.lax.map(
            lambda weights: jax.vmap(with_weights(self.density, weights).log_prob)(features, context), self.weights
        )
        return found

    def sample(
        self, context: Float[Array, "draw event context"], *, key: PRNGKeyArray
    ) -> Float[Array, "event feature"]:
        """Events of the posterior predictive, as many from each draw: one at each of its contexts."""
        keys = jax.random.split(key, context.shape[:2])

        def each(drawn: tuple[Weights, Array, Array]) -> Float[Array, "event feature"]:
            weights, contexts, its_keys = drawn
            density = with_weights(self.density, weights)

            def one(at: Context, k: PRNGKeyArray) -> Features:
                return density.sample(at, key=k)

            return jax.vmap(one)(contexts, its_keys)

        found = jax.lax.map(each, (self.weights, context, keys))
        return found.reshape(-1, found.shape[-1])


def density_draws(density: AbstractDensity, draws: Table) -> DensityDraws:
    """The densities of a table [draws].

    Raises:
        ModelError: if the draws are of another model.
    """
    return DensityDraws(*drawn_networks(density, draws))
