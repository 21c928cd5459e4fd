r"""A calibrated classifier of events at theta against events at zero: CARL.

$L = -y \log\hat s - (1-y) \log(1-\hat s)$ with $\hat s = \hat r/(1+\hat r)$ (Cranmer, Pavez and Louppe,
arXiv:1506.02169). Of the simulation it takes the labels alone, and works where no joint ratio is known.
"""

from typing import Literal

from saggiatore.models.base import AbstractModel, Event
from saggiatore.tasks.ratio import AbstractRatioTask, RatioTaskSpec, cross_entropy, known, log_ratio
from saggiatore.types import PRNGKeyArray, Scalar


class CarlSpec(RatioTaskSpec):
    """Learn the ratio as a classifier of labels."""

    kind: Literal["carl"] = "carl"

    def build(self, context: tuple[str, ...]) -> "Carl":
        """The task.

        Raises:
            StudyError: if there is no context.
        """
        return Carl(self.require(context))


class Carl(AbstractRatioTask):
    """Cross-entropy of the labels."""

    parameters: tuple[str, ...]

    def loss(self, model: AbstractModel, event: Event, *, key: PRNGKeyArray) -> Scalar:
        """Loss of one event."""
        return cross_entropy(log_ratio(model, event), known(event).is_numerator)
