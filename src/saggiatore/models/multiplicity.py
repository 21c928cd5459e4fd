r"""Events with a varying number of jets: $p(n, x | \theta) = P(n|\theta)\, p(x_1 \dots x_{d(n)} | n, \theta)$.

The number is itself generated, with the probability that a small network of the context states, and then the features
that exist at it, one after the other, by one autoregressive transformer that is told the number (JetGPT,
arXiv:2305.10475; that reference instead marks where an event ends). Features stand in the order of the number that
they need, so that no conditional reads one that does not exist. Such features are zero in tables, and no part of the
density: a probability of the number times a density in the features that exist.
"""

from typing import ClassVar, Literal, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.errors import StudyError
from saggiatore.models.base import Event, positions
from saggiatore.models.density import AbstractDensity
from saggiatore.models.frame import Frame, fitted
from saggiatore.models.transformer import Transformer, TransformerSpec
from saggiatore.spec import ObservableName, Spec
from saggiatore.types import Array, Context, Features, Float, Int, PRNGKeyArray, Scalar


class MultiplicitySpec(Spec):
    """A transformer of events with a varying number of jets, which it generates first."""

    kind: Literal["multiplicity"] = "multiplicity"
    number: ObservableName = Field(description="feature that holds the number, such as n_jets")
    low: int = Field(1, ge=0, description="least number")
    high: int = Field(ge=1, description="greatest number")
    needs: dict[ObservableName, int] = Field(
        {}, description="features that exist from this number on; all others always do, and come first"
    )
    width: int = Field(32, ge=1, description="hidden units of the network that states the number's probabilities")
    transformer: TransformerSpec = TransformerSpec()

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint("low < high", "low = {low} is not below high = {high}; lower it, or raise high."),
        Constraint(
            "all(low < need <= high for need in needs.values())",
            "needs is {needs}, expected numbers above low = {low} and up to high = {high}.",
        ),
    )

    def build(self, features: tuple[str, ...], context: tuple[str, ...], *, key: PRNGKeyArray) -> "Multiplicity":
        """A density with random weights.

        Raises:
            StudyError: if an option names what is not a feature, or features are not in the order of what they need.
        """
        (at,) = positions((self.number,), features, option="number")
        positions(tuple(self.needs), features, option="needs")
        others = tuple(name for name in features if name != self.number)
        needs = tuple(self.needs.get(name, self.low) for name in others)
        if not others or list(needs) != sorted(needs):
            raise StudyError(
                f"the features beside {self.number} are {', '.join(others) or 'none'} and need {list(needs)}; expected "
                "one or more, in the order of the number that they need: what exists is read before what may not."
            )
        return Multiplicity(self, others, context, at, needs, key=key)


class Multiplicity(AbstractDensity):
    """The density of `MultiplicitySpec`: per unit of the features that exist, and a probability in the number."""

    loss_is_log_prob: ClassVar[bool] = True

    frame: Frame  # of the context alone: the features' is the transformer's
    log_odds: eqx.nn.MLP
    transformer: Transformer
    at: int = eqx.field(static=True)  # position of the number among the features
    low: int = eqx.field(static=True)
    n_numbers: int = eqx.field(static=True)
    needs: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        spec: MultiplicitySpec,
        others: tuple[str, ...],
        context: tuple[str, ...],
        at: int,
        needs: tuple[int, ...],
        *,
        key: PRNGKeyArray,
    ):
        for_number, for_features = jax.random.split(key)
        self.at, self.low, self.needs = at, spec.low, needs
        self.n_numbers = spec.high - spec.low + 1
        self.frame = Frame((), spec.transformer.coordinates(context))
        self.log_odds = eqx.nn.MLP(self.frame.n_context + 1, self.n_numbers, spec.width, 1, jax.nn.gelu, key=for_number)
        told = (*context, *(f"{spec.number} is {self.low + i}" for i in range(self.n_numbers)))
        self.transformer = spec.transformer.build(others, told, key=for_features)

    def standardise(self, events: Event) -> Self:
        """Fit mean and spread of every feature over the events that have it, and of the context.

        Raises:
            StudyError: if an event has another number, or no event has one of them.
        """
        number, others = np.asarray(events.features[:, self.at]), self._others(events.features)
        expected = self.low + np.arange(self.n_numbers)
        if set(np.unique(number)) != set(expected):
            raise StudyError(f"the events' numbers are {np.unique(number)}, expected each of {expected}.")
        told = jnp.concatenate([events.context, jax.nn.one_hot(number - self.low, self.n_numbers)], axis=1)
        coordinates = tuple(
            coordinate.fit(column[number >= need])
            for coordinate, column, need in zip(self.transformer.frame.coordinates, others.T, self.needs, strict=True)
        )
        context = fitted(self.frame.context_coordinates, events.context)
        frames = Frame((), context), Frame(coordinates, fitted(self.transformer.frame.context_coordinates, told))
        standard: Self = eqx.tree_at(lambda model: (model.frame, model.transformer.frame), self, frames)
        return standard

    def log_probabilities(self, context: Context) -> Float[Array, " number"]:
        """Logarithm of the probability of every number, from the least on."""
        return jax.nn.log_softmax(self.log_odds(jnp.append(self.frame.context(context), 1.0)))

    def loss(self, features: Features, context: Context, *, key: PRNGKeyArray) -> Scalar:
        """Negative log-likelihood."""
        return -self.log_prob(features, context)

    def log_prob(self, features: Features, context: Context) -> Scalar:
        """Logarithm of p(n, x | context); of a number that cannot be, that of zero. What does not exist is not read."""
        is_number = features[self.at] == self.low + jnp.arange(self.n_numbers)
        exists = self._exists(features[self.at])
        typical = self.transformer.frame.inverse(jnp.zeros(len(self.needs), features.dtype))
        others = jnp.where(exists, self._others(features), typical)
        terms = self.transformer.log_conditionals(others, jnp.append(context, is_number))
        log_number = jnp.sum(jnp.where(is_number, self.log_probabilities(context), 0.0))
        return jnp.where(jnp.any(is_number), log_number + jnp.sum(jnp.where(exists, terms, 0.0)), -jnp.inf)

    def sample(self, context: Context, *, key: PRNGKeyArray) -> Features:
        """One event: its number, then its features; those that do not exist are zero."""
        for_number, for_features = jax.random.split(key)
        index = jax.random.categorical(for_number, self.log_probabilities(context))
        number = (self.low + index).astype(context.dtype)
        told = jnp.append(context, jax.nn.one_hot(index, self.n_numbers))
        drawn = self.transformer.sample(told, key=for_features)
        others = jnp.where(self._exists(number), drawn, 0.0)
        return jnp.insert(others, self.at, number)

    def _exists(self, number: Scalar | Int[Array, ""]) -> Array:
        return jnp.asarray(self.needs) <= number

    def _others(self, features: Float[Array, "*event feature"]) -> Float[Array, "*event other"]:
        return jnp.concatenate([features[..., : self.at], features[..., self.at + 1 :]], axis=-1)
