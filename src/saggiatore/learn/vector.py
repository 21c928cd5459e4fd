"""All trained arrays of a model as one vector, and back: what an optimiser takes one step of at once."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from saggiatore.models.base import AbstractModel
from saggiatore.types import Array, Float

Weights = Float[Array, " weight"]


class State(NamedTuple):
    """What one epoch hands to the next: trained leaves, the best of them so far, the optimiser's memory.

    Leaves are one vector: an optimiser of a dozen arrays would be a dozen times as many small operations.
    """

    weights: Weights
    best: Weights
    memory: optax.OptState


def as_weights(leaves: AbstractModel) -> Weights:
    """All arrays of a tree as one vector."""
    return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(leaves)])


def as_leaves(weights: Weights | Float[np.ndarray, "*replica weight"], like: AbstractModel) -> AbstractModel:
    """The tree of which `as_weights` makes `weights`, with the shapes of `like`; further axes stay in front."""
    shapes, tree = jax.tree.flatten(like)
    ends = np.cumsum([shape.size for shape in shapes])
    leaves = [
        weights[..., end - shape.size : end].reshape((*weights.shape[:-1], *shape.shape))
        for shape, end in zip(shapes, ends, strict=True)
    ]
    found: AbstractModel = jax.tree.unflatten(tree, leaves)
    return found
