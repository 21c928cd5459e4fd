"""What a density is: a model that knows log p(x | context), draws from it, and is trained without a target."""

import abc
from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp

from saggiatore.models.base import AbstractModel, Event
from saggiatore.models.frame import Frame
from saggiatore.types import Context, Features, PRNGKeyArray, Scalar, Theta


class AbstractDensity(AbstractModel):
    """A normalised density p(x | context) whose score is d/dcontext of its logarithm."""

    frame: eqx.AbstractVar[Frame]
    loss_is_log_prob: eqx.AbstractClassVar[bool]  # whether the loss of an event is -log p; else a squared error

    @abc.abstractmethod
    def log_prob(self, features: Features, context: Context) -> Scalar:
        """Logarithm of p(x | context), per unit of every feature; normalised over the region that the edges state."""

    @abc.abstractmethod
    def sample(self, context: Context, *, key: PRNGKeyArray) -> Features:
        """One event drawn from p(x | context)."""

    @abc.abstractmethod
    def loss(self, features: Features, context: Context, *, key: PRNGKeyArray) -> Scalar:
        """Training loss of one event, a one-point estimate where it is an expectation over noise."""

    def standardise(self, events: Event) -> Self:
        """Fit the mean and spread of every coordinate."""
        fitted: Self = eqx.tree_at(lambda model: model.frame, self, self.frame.fit(events))
        return fitted

    def score(self, features: Features, context: Context | None = None) -> Theta:
        """Gradient of log p(x | context) in the context, at zero if none is given."""
        at = jnp.zeros_like(self.frame.context_scale) if context is None else context
        return self.log_prob_and_score(features, at)[1]

    def log_prob_and_score(self, features: Features, context: Context) -> tuple[Scalar, Theta]:
        """Logarithm of p(x | context) and its gradient in the context, in forward mode: one pass for both."""

        def twice(theta: Context) -> tuple[Scalar, Scalar]:
            value = self.log_prob(features, theta)
            return value, value

        score, value = jax.jacfwd(twice, has_aux=True)(context)
        return value, score
