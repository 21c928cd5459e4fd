"""Several networks as one, whose score is their mean: what training leaves to chance averages out with their number.

Its last layer and hidden features are those of all members, so that it is a regression as its members are. Its noise is
the mean of theirs.
"""

from collections.abc import Callable
from typing import Self, TypeVar

import jax
import jax.numpy as jnp

from saggiatore.infer.weights import Weights, flatten, with_weights
from saggiatore.models.base import AbstractFixed, AbstractRegression, Event
from saggiatore.types import Array, Features, Float, Scalar

Value = TypeVar("Value")


class Shared(AbstractFixed):
    """What members have in common: a network whose own weights do not matter."""

    network: AbstractRegression


class Committee(AbstractRegression):
    """The mean of networks that share all but what training changes.

    `infer.weights.flatten` gives the weights of one member after those of the other.
    """

    shared: Shared
    weights: Float[Array, "member weight"]

    def __init__(self, network: AbstractRegression, weights: Float[Array, "member weight"]):
        self.shared, self.weights = Shared(network), weights

    @classmethod
    def of(cls, network: AbstractRegression, n_members: int) -> Self:
        """As many times the same `network`."""
        return cls(network, jnp.tile(flatten(network), (n_members, 1)))

    def _of_each(self, value: Callable[[AbstractRegression], Value]) -> Value:
        def at(weights: Weights) -> Value:
            return value(with_weights(self.shared.network, weights))

        found: Value = jax.lax.map(at, self.weights)  # a CPU multiplies one matrix after the other faster than all
        return found

    # equinox lets a property stand for an abstract variable
    @property  # type: ignore[misc]
    def last_layer(self) -> Float[Array, " hidden"]:  # type: ignore[override]
        """Of all members, one after the other; the mean is in it."""
        return self._of_each(lambda network: network.last_layer).reshape(-1) / len(self.weights)

    @property
    def scale(self) -> Scalar:
        """That of every member."""
        return self.shared.network.scale

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
