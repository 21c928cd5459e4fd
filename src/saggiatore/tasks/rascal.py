r"""Regression on the joint likelihood ratio and the joint score: RASCAL.

The loss of ROLR and `score_weight` times $y\,|s\,(t - \nabla_\theta \log\hat r)|^2$ with the joint score t and
the size s of the parameters (arXiv:1805.00013, arXiv:1805.00020).
"""

from typing import Literal

from pydantic import Field

from saggiatore.models.base import AbstractModel, Event
from saggiatore.tasks.ratio import AbstractRatioTask, RatioTaskSpec, known, log_ratio_and_score_error, squared_error
from saggiatore.types import PRNGKeyArray, Scalar


class RascalSpec(RatioTaskSpec):
    """Learn the ratio and its score by regression on both."""

    kind: Literal["rascal"] = "rascal"
    score_weight: float = Field(1, ge=0, description="of the squared error of the score, in units of the prior's width")

    def build(self, context: tuple[str, ...]) -> "Rascal":
        """The task.

        Raises:
            StudyError: if there is no context.
        """
        return Rascal(self.require(context), self.score_weight)


class Rascal(AbstractRatioTask):
    """Squared errors of r and 1/r, and of the score."""

    parameters: tuple[str, ...]
    score_weight: float

    def loss(self, model: AbstractModel, event: Event, *, key: PRNGKeyArray) -> Scalar:
        """Loss of one event."""
        value, error = log_ratio_and_score_error(model, event)
        return squared_error(value, known(event)) + self.score_weight * error
