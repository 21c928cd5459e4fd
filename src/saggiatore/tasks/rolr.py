r"""Regression on the joint likelihood ratio: ROLR.

$L = (1-y)\,(r - \hat r)^2 + y\,(1/r - 1/\hat r)^2$ with the joint ratio r (arXiv:1805.00013; y = 1 are the
numerators here): the mean of r over denominators is r(x), and that of 1/r over numerators is 1/r(x).
"""

from typing import Literal

from saggiatore.models.base import AbstractModel, Event
from saggiatore.tasks.ratio import AbstractRatioTask, RatioTaskSpec, known, log_ratio, squared_error
from saggiatore.types import PRNGKeyArray, Scalar


class RolrSpec(RatioTaskSpec):
    """Learn the ratio by regression on the joint ratio."""

    kind: Literal["rolr"] = "rolr"

    def build(self, context: tuple[str, ...]) -> "Rolr":
        """The task.

        Raises:
            StudyError: if there is no context.
        """
        return Rolr(self.require(context))


class Rolr(AbstractRatioTask):
    """Squared error of r and of 1/r."""

    parameters: tuple[str, ...]

    def loss(self, model: AbstractModel, event: Event, *, key: PRNGKeyArray) -> Scalar:
        """Loss of one event."""
        return squared_error(log_ratio(model, event), known(event))
