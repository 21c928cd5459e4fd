r"""A classifier whose gradient is fitted to the joint score: CASCAL.

The loss of CARL and `score_weight` times $y\,|s\,(t - \nabla_\theta \log\hat r)|^2$ with the joint score t and
the size s of the parameters (arXiv:1805.00013, arXiv:1805.00020).
"""

from typing import Literal

from pydantic import Field

from saggiatore.models.base import AbstractModel, Event
from saggiatore.tasks.ratio import AbstractRatioTask, RatioTaskSpec, cross_entropy, known, log_ratio_and_score_error
from saggiatore.types import PRNGKeyArray, Scalar


class CascalSpec(RatioTaskSpec):
    """Learn the ratio as a classifier of labels, and its score by regression."""

    kind: Literal["cascal"] = "cascal"
    score_weight: float = Field(1, ge=0, description="of the squared error of the score, in units of the prior's width")

    def build(self, context: tuple[str, ...]) -> "Cascal":
        """The task.

        Raises:
            StudyError: if there is no context.
        """
        return Cascal(self.require(context), self.score_weight)


class Cascal(AbstractRatioTask):
    """Cross-entropy of the labels and squared error of the score."""

    parameters: tuple[str, ...]
    score_weight: float

    def loss(self, model: AbstractModel, event: Event, *, key: PRNGKeyArray) -> Scalar:
        """Loss of one event."""
        value, error = log_ratio_and_score_error(model, event)
        return cross_entropy(value, known(event).is_numerator) + self.score_weight * error
