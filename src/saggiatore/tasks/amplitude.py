r"""Regression on the logarithm of a squared amplitude, with the error that the network makes of it.

The target is a function of the features, without noise: what the variance learns is how far the network is from it, its
systematic error (arXiv:2206.14831, sec. 3; arXiv:2412.12069, sec. 2). Loss ``likelihood`` is that of a normal
distribution whose mean and variance depend on the event; ``squared`` fits the mean by squared error and the variance to
what is left.
"""

from typing import ClassVar, Literal

import jax.numpy as jnp

from saggiatore.errors import StudyError
from saggiatore.models.base import AbstractModel, AbstractRegression, Event
from saggiatore.spec import Spec
from saggiatore.tables import Column
from saggiatore.tasks.base import AbstractTask
from saggiatore.tasks.columns import LOG_AMPLITUDE
from saggiatore.tasks.joint_score import squared_error_and_variance
from saggiatore.types import PRNGKeyArray, Scalar


class AmplitudeSpec(Spec):
    """Learn the logarithm of a squared amplitude, and how well it is known."""

    kind: Literal["amplitude"] = "amplitude"
    loss: Literal["likelihood", "squared"] = "likelihood"

    def build(self, context: tuple[str, ...]) -> "Amplitude":
        """The task.

        Raises:
            StudyError: if there is a context.
        """
        if context:
            raise StudyError(f"the task amplitude reads no context, got {', '.join(context)}; remove `context`.")
        return Amplitude((), self.loss == "likelihood")


class Amplitude(AbstractTask):
    """The loss of `AmplitudeSpec`."""

    needs: ClassVar[type] = AbstractRegression
    parameters: tuple[str, ...]  # none: an amplitude is no score
    is_likelihood: bool

    def targets(self) -> tuple[Column, ...]:
        """The logarithm of the amplitude."""
        return (LOG_AMPLITUDE,)

    def fixed(self) -> tuple[str, ...]:
        """None."""
        return ()

    def loss(self, model: AbstractModel, event: Event, *, key: PRNGKeyArray) -> Scalar:
        """Loss of one event in units of the target's scale."""
        assert isinstance(model, AbstractRegression)
        if not self.is_likelihood:
            return squared_error_and_variance(model, event)
        residual = event.target[0] / model.scale - model.hidden(event.features) @ model.last_layer
        log_variance = model.log_variance(event.features)
        return 0.5 * (log_variance + residual**2 * jnp.exp(-log_variance))
