r"""Cross-entropy with the exact probability of the joint event, and its joint score: ALICES.

The loss of ALICE and `score_weight` times $y\,|s\,(t - \nabla_\theta \log\hat r)|^2$ with the joint score t and
the size s of the parameters (arXiv:1808.00973).
"""

from typing import Literal

import jax
from pydantic import Field

from saggiatore.models.base import AbstractModel, Event
from saggiatore.tasks.ratio import AbstractRatioTask, RatioTaskSpec, cross_entropy, known, log_ratio_and_score_error
from saggiatore.types import PRNGKeyArray, Scalar


class AlicesSpec(RatioTaskSpec):
    """Learn the ratio as a classifier of exact probabilities, and its score by regression."""

    kind: Literal["alices"] = "alices"
    score_weight: float = Field(1, ge=0, description="of the squared error of the score, in units of the prior's width")

    def build(self, context: tuple[str, ...]) -> "Alices":
        """The task.

        Raises:
            StudyError: if there is no context.
        """
        return Alices(self.require(context), self.score_weight)


class Alices(AbstractRatioTask):
    """Cross-entropy of the joint probabilities and squared error of the score."""

    parameters: tuple[str, ...]
    score_weight: float

    def loss(self, model: AbstractModel, event: Event, *, key: PRNGKeyArray) -> Scalar:
        """Loss of one event."""
        value, error = log_ratio_and_score_error(model, event)
        return cross_entropy(value, jax.nn.sigmoid(known(event).log_ratio)) + self.score_weight * error
