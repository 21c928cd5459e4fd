r"""Cross-entropy with the exact probability of the joint event: ALICE.

$L = -s \log\hat s - (1-s) \log(1-\hat s)$ with $\hat s = \hat r/(1+\hat r)$ and $s = r/(1+r)$ of the joint ratio r,
over events of both sorts (arXiv:1808.00973): the loss of CARL without the noise of the labels.
"""

from typing import Literal

import jax

from saggiatore.models.base import AbstractModel, Event
from saggiatore.tasks.ratio import AbstractRatioTask, RatioTaskSpec, cross_entropy, known, log_ratio
from saggiatore.types import PRNGKeyArray, Scalar


class AliceSpec(RatioTaskSpec):
    """Learn the ratio as a classifier of exact probabilities."""

    kind: Literal["alice"] = "alice"

    def build(self, context: tuple[str, ...]) -> "Alice":
        """The task.

        Raises:
            StudyError: if there is no context.
        """
        return Alice(self.require(context))


class Alice(AbstractRatioTask):
    """Cross-entropy of the joint probabilities."""

    parameters: tuple[str, ...]

    def loss(self, model: AbstractModel, event: Event, *, key: PRNGKeyArray) -> Scalar:
        """Loss of one event."""
        return cross_entropy(log_ratio(model, event), jax.nn.sigmoid(known(event).log_ratio))
