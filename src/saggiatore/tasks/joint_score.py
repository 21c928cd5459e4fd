r"""Regression on the joint score: its minimum is the score, $t(x) = E[t(x, z) | x]$ (arXiv:1805.00013, eq. 21)."""

from typing import ClassVar, Literal

import jax
import jax.numpy as jnp

from saggiatore.errors import StudyError
from saggiatore.models.base import AbstractModel, AbstractRegression, Event
from saggiatore.spec import ParameterName, Spec
from saggiatore.tables import Column
from saggiatore.tasks.base import AbstractTask
from saggiatore.tasks.columns import joint_score_column, theta_column
from saggiatore.types import PRNGKeyArray, Scalar


class JointScoreSpec(Spec):
    """Learn the score of one theory parameter, at the value of the events, from the joint score."""

    kind: Literal["joint_score"] = "joint_score"
    parameter: ParameterName

    def build(self, context: tuple[str, ...]) -> "JointScore":
        """The task.

        Raises:
            StudyError: if there is a context: the score is learned at one value of the parameters.
        """
        if context:
            raise StudyError(f"the task joint_score reads no context, got {', '.join(context)}; remove `context`.")
        return JointScore((self.parameter,))


class JointScore(AbstractTask):
    """Squared error of the mean, and the Gaussian likelihood of what is left for the variance.

    The residual in the likelihood is detached: the variance cannot distort the mean by playing down the tails.
    """

    needs: ClassVar[type] = AbstractRegression
    parameters: tuple[str, ...]

    def targets(self) -> tuple[Column, ...]:
        """The joint score."""
        return tuple(joint_score_column(parameter) for parameter in self.parameters)

    def fixed(self) -> tuple[str, ...]:
        """The parameter itself: over events of several values the regression would average their scores."""
        return tuple(theta_column(parameter).name for parameter in self.parameters)

    def loss(self, model: AbstractModel, event: Event, *, key: PRNGKeyArray) -> Scalar:
        """Loss of one event in units of the target's scale."""
        assert isinstance(model, AbstractRegression)
        return squared_error_and_variance(model, event)


def squared_error_and_variance(model: AbstractRegression, event: Event) -> Scalar:
    """Squared error of the mean, and the likelihood of the detached residual: minimal at mean and variance."""
    residual = event.target[0] / model.scale - model.hidden(event.features) @ model.last_layer
    log_variance = model.log_variance(event.features)
    noise = jax.lax.stop_gradient(residual) ** 2 * jnp.exp(-log_variance)
    return residual**2 + 0.5 * (log_variance + noise)
