"""Several networks as one, which is their mean: what training leaves to chance averages out with their number.

The mean of regressions has the mean of their scores and of their noises; that of likelihood ratios the mean of log r,
so that it is one at theta = 0 and keeps a parity; that of densities is their mixture, which is normalised. Each is of
the kind of its members.
"""

from collections.abc import Callable
from typing import ClassVar, Self, TypeVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp

from saggiatore.infer.weights import Weights, flatten, with_weights
from saggiatore.models.base import AbstractFixed, AbstractModel, AbstractRegression, Event
from saggiatore.models.density import AbstractDensity
from saggiatore.models.frame import Frame
from saggiatore.models.ratio import AbstractRatio
from saggiatore.types import Array, Context, Features, Float, PRNGKeyArray, Scalar, Theta

Value = TypeVar("Value")
Network = TypeVar("Network", bound=AbstractModel)


class Shared(AbstractFixed):
    """What members have in common: a network whose own weights do not matter."""

    network: AbstractModel


class AbstractCommittee(eqx.Module):
    """Networks that share all but what training changes.

    `infer.weights.flatten` gives the weights of one member after those of the other.
    """

    shared: Shared
    weights: Float[Array, "member weight"]

    def __init__(self, network: AbstractModel, weights: Float[Array, "member weight"]):
        self.shared, self.weights = Shared(network), weights

    @classmethod
    def of(cls, network: AbstractModel, n_members: int) -> Self:
        """As many times the same `network`."""
        return cls(network, jnp.tile(flatten(network), (n_members, 1)))

    def standardise(self, events: Event) -> Self:
        """The same: members bring their standardisation."""
        return self

    def _of_each(self, value: Callable[..., Value]) -> Value:
        def at(weights: Weights) -> Value:
            return value(with_weights(self.shared.network, weights))

        found: Value = jax.lax.map(at, self.weights)  # a CPU multiplies one matrix after the other faster than all
        return found


class MeanRegression(AbstractCommittee, AbstractRegression):
    """Last layer and hidden features are those of all members, one after the other, so that it is linear in them."""

    # equinox lets a property stand for an abstract variable
    @property  # type: ignore[misc]
    def last_layer(self) -> Float[Array, " hidden"]:  # type: ignore[override]
        """Of all members; the mean is in it."""
        return self._of_each(lambda network: network.last_layer).reshape(-1) / len(self.weights)

    @property
    def scale(self) -> Scalar:
        """That of every member."""
        return cast(AbstractRegression, self.shared.network).scale

    def hidden(self, features: Features) -> Float[Array, " hidden"]:
        """Of all members."""
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


class MeanRatio(AbstractCommittee, AbstractRatio):
    """The geometric mean of likelihood ratios."""

    @property
    def scale(self) -> Theta:
        """That of every member."""
        return cast(AbstractRatio, self.shared.network).scale

    def log_ratio(self, features: Features, theta: Theta) -> Scalar:
        """Mean of the members' log r."""
        return jnp.mean(self._of_each(lambda network: network.log_ratio(features, theta)))


class Mixture(AbstractCommittee, AbstractDensity):
    """Densities in equal shares."""

    loss_is_log_prob: ClassVar[bool] = True

    @property  # type: ignore[misc]
    def frame(self) -> Frame:  # type: ignore[override]
        """That of every member."""
        return cast(AbstractDensity, self.shared.network).frame

    def log_prob(self, features: Features, context: Context) -> Scalar:
        """Logarithm of the mean of the members' p(x | context)."""
        each = self._of_each(lambda network: network.log_prob(features, context))
        return jax.nn.logsumexp(each) - jnp.log(each.size)

    def log_prob_and_score(self, features: Features, context: Context) -> tuple[Scalar, Theta]:
        """The score is the mean of the members', each with its share in p(x | context)."""
        each, scores = self._of_each(lambda network: network.log_prob_and_score(features, context))
        return jax.nn.logsumexp(each) - jnp.log(each.size), jax.nn.softmax(each) @ scores

    def sample(self, context: Context, *, key: PRNGKeyArray) -> Features:
        """One event of a member that is drawn."""
        which, of_member = jax.random.split(key)
        weights = self.weights[jax.random.randint(which, (), 0, len(self.weights))]
        return cast(AbstractDensity, with_weights(self.shared.network, weights)).sample(context, key=of_member)

    def loss(self, features: Features, context: Context, *, key: PRNGKeyArray) -> Scalar:
        """Minus the logarithm of p(x | context)."""
        return -self.log_prob(features, context)


_COMMITTEES: tuple[tuple[type[AbstractModel], type[AbstractCommittee]], ...] = (
    (AbstractRegression, MeanRegression),
    (AbstractRatio, MeanRatio),
    (AbstractDensity, Mixture),
)


def mean_of(network: Network, n_networks: int) -> Network:
    """One of as many networks, all of them `network`; `network` itself for one."""
    if n_networks == 1:
        return network
    committee = next(committee for kind, committee in _COMMITTEES if isinstance(network, kind))
    return cast(Network, committee.of(network, n_networks))
