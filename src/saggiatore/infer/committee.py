"""Several networks as one, whose score is their mean: what training leaves to chance averages out with their number.

Its last layer and hidden features are those of all members, so that it is a regression as its members are. Its noise is
the mean of theirs.
"""

from collections.abc import Callable
from typing import Self, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from saggiatore.models.base import AbstractRegression, Event, trainable
from saggiatore.types import Array, Features, Float, Scalar

Value = TypeVar("Value")


class Committee(AbstractRegression):
    """The mean of networks that share all but what training changes."""

    members: AbstractRegression  # a leading axis for the members on each leaf that training changes

    def __init__(self, members: AbstractRegression):
        self.members = members

    @classmethod
    def of(cls, network: AbstractRegression, n_members: int) -> Self:
        """As many times the same `network`."""
        changed, shared = eqx.partition(network, trainable(network))
        stacked = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (n_members, *leaf.shape)), changed)
        return cls(eqx.combine(stacked, shared))

    def _of_each(self, value: Callable[[AbstractRegression], Value]) -> Value:
        axes = jax.tree.map(lambda is_changed: 0 if is_changed else None, trainable(self.members))
        found: Value = eqx.filter_vmap(value, in_axes=(axes,))(self.members)
        return found

    # equinox lets a property stand for an abstract variable
    @property  # type: ignore[misc]
    def last_layer(self) -> Float[Array, " hidden"]:  # type: ignore[override]
        """Of all members, one after the other; the mean is in it."""
        each = self.members.last_layer
        return each.reshape(-1) / len(each)

    @property
    def scale(self) -> Scalar:
        """That of every member."""
        return self.members.scale

    def standardise(self, events: Event) -> Self:
        """The same: members bring their standardisation."""
        return self

    def hidden(self, features: Features) -> Float[Array, " hidden"]:
        """Of all members, one after the other."""
        return self._of_each(lambda network: network.hidden(features)).reshape(-1)

    def log_variance(self, features: Features) -> Scalar:
        """Logarithm of the mean of the members' variances."""
        each = self._of_each(lambda network: network.log_variance(features))
        return jax.nn.logsumexp(each) - jnp.log(each.size)

    def score(self, features: Features) -> Scalar:
        """Mean of the members' scores."""
        return jnp.mean(self._of_each(lambda network: network.score(features)))

    def noise(self, features: Features) -> Scalar:
        """Mean of the members' variances, in the target's units squared."""
        return jnp.mean(self._of_each(lambda network: network.noise(features)))
