"""All weights of a network as one vector, which draws of a posterior are."""

from typing import TypeVar

import equinox as eqx
from jax.flatten_util import ravel_pytree

from saggiatore.models.base import AbstractModel, trainable
from saggiatore.types import Array, Float

Weights = Float[Array, " weight"]
Network = TypeVar("Network", bound=AbstractModel)


def flatten(model: AbstractModel) -> Weights:
    """The weights of a network as one vector."""
    return ravel_pytree(eqx.filter(model, trainable(model)))[0]


def with_weights(model: Network, weights: Weights) -> Network:
    """The network with other weights, a vector as `flatten` gives it."""
    leaves, rest = eqx.partition(model, trainable(model))
    network: Network = eqx.combine(ravel_pytree(leaves)[1](weights), rest)
    return network
