r"""Density estimation that is told the joint score: SCANDAL (arXiv:1805.12244).

The loss of an event drawn at $\theta$ is $-\log\hat p(x|\theta)$ and `score_weight` times
$|s\,(t - \nabla_\theta \log\hat p(x|\theta))|^2$ with the joint score t and the size s of the parameters. Over events
drawn at $\theta$ the mean of t at fixed x is the score, so that the exact density minimises both parts. The
log-likelihood knows of the dependence on $\theta$ only what the events' fluctuations leave over; the joint score has
but the noise of what is not observed. Were that noise normal with the variance v, the joint likelihood of x and t
would give the second part the weight $1/(2 s^2 v)$.
"""

from typing import ClassVar, Literal

import jax.numpy as jnp
from pydantic import Field

from saggiatore.errors import StudyError
from saggiatore.models.base import AbstractModel, Event
from saggiatore.models.density import AbstractDensity
from saggiatore.spec import Spec
from saggiatore.tables import Column
from saggiatore.tasks.base import AbstractTask
from saggiatore.tasks.columns import joint_score_column
from saggiatore.types import PRNGKeyArray, Scalar


class ScandalSpec(Spec):
    """Learn a density by maximum likelihood, and its dependence on the parameters from the joint score."""

    kind: Literal["scandal"] = "scandal"
    score_weight: float = Field(
        100, ge=0, description="of the squared error of the score, in units of the prior's width"
    )

    def build(self, context: tuple[str, ...]) -> "Scandal":
        """The task.

        Raises:
            StudyError: if there is no context.
        """
        if not context:
            raise StudyError("the task scandal learns a density as a function of parameters; name them in `context`.")
        return Scandal(context, self.score_weight)


class Scandal(AbstractTask):
    """Negative log-likelihood, and squared error of the score."""

    needs: ClassVar[type] = AbstractDensity
    parameters: tuple[str, ...]
    score_weight: float

    def targets(self) -> tuple[Column, ...]:
        """The joint scores."""
        return tuple(map(joint_score_column, self.parameters))

    def fixed(self) -> tuple[str, ...]:
        """None: the context is there to vary."""
        return ()

    def loss(self, model: AbstractModel, event: Event, *, key: PRNGKeyArray) -> Scalar:
        """Loss of one event.

        Raises:
            StudyError: if the density's loss is no log-likelihood: its log p is the end of an equation, and a gradient
                through that would cost a training hundreds of times its own step.
        """
        assert isinstance(model, AbstractDensity)
        if not model.loss_is_log_prob:
            raise StudyError(
                f"the task scandal needs the log density in every step, which a {type(model).__name__} knows only as "
                "the end of a differential equation; choose spline_flow or transformer, or the task density."
            )
        log_prob, score = model.log_prob_and_score(event.features, event.context)
        error = jnp.sum((model.frame.context_scale * (event.target - score)) ** 2)
        return self.score_weight * error - log_prob
