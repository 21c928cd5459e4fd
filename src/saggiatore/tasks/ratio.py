r"""What the losses of learned likelihood ratios share: labels, joint ratios and joint scores of two sorts of event.

An event is drawn at its $\theta$ (a numerator, $y = 1$) or at $\theta = 0$ (a denominator, $y = 0$), half of each, with
$\theta$ from one prior in both. Known of it are the joint ratio $r(x, z|\theta)$ and the joint score $t(x, z|\theta)$;
wanted is the ratio of the marginal densities, $r(x|\theta)$. The losses follow arXiv:1805.00013 and arXiv:1805.00020
(CARL, ROLR, CASCAL, RASCAL) and arXiv:1808.00973 (ALICE, ALICES); the exact ratio minimises each of them.
"""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from saggiatore.errors import StudyError
from saggiatore.models.base import AbstractModel, Event
from saggiatore.models.ratio import AbstractRatio
from saggiatore.spec import Spec
from saggiatore.tables import Column
from saggiatore.tasks.base import AbstractTask
from saggiatore.tasks.columns import IS_NUMERATOR, JOINT_LOG_RATIO, joint_score_column
from saggiatore.types import Scalar, Theta


class RatioTaskSpec(Spec):
    """What the specs of all such losses share."""

    kind: str

    def require(self, context: tuple[str, ...]) -> tuple[str, ...]:
        """The parameters of the ratio.

        Raises:
            StudyError: if there are none.
        """
        if not context:
            raise StudyError(
                f"the task {self.kind} learns a ratio as a function of parameters; name them in `context`."
            )
        return context


class Known(NamedTuple):
    """What the simulation knows of an event."""

    is_numerator: Scalar
    log_ratio: Scalar
    score: Theta


class AbstractRatioTask(AbstractTask):
    """A loss whose minimum over all functions of x and theta is the likelihood ratio."""

    needs: ClassVar[type] = AbstractRatio

    def targets(self) -> tuple[Column, ...]:
        """Which hypothesis the event is of, its joint ratio and its joint scores."""
        return (IS_NUMERATOR, JOINT_LOG_RATIO, *map(joint_score_column, self.parameters))

    def fixed(self) -> tuple[str, ...]:
        """None: theta is there to vary."""
        return ()


def known(event: Event) -> Known:
    """The target of an event by its names."""
    return Known(event.target[0], event.target[1], event.target[2:])


def log_ratio(model: AbstractModel, event: Event) -> Scalar:
    """Logarithm of the model's ratio."""
    assert isinstance(model, AbstractRatio)
    return model.log_ratio(event.features, event.context)


def log_ratio_and_score_error(model: AbstractModel, event: Event) -> tuple[Scalar, Scalar]:
    """Logarithm of the model's ratio, and the squared error of its gradient in theta where the event was drawn there.

    Numerators alone count: only over events drawn at theta is the score the mean of joint scores. Scores are in units
    of the inverse size of the parameters, so that both parts of a loss have no unit.
    """
    assert isinstance(model, AbstractRatio)
    value, slope = jax.value_and_grad(model.log_ratio, argnums=1)(event.features, event.context)
    error = jnp.sum((model.scale * (slope - known(event).score)) ** 2)
    return value, known(event).is_numerator * error


def cross_entropy(log_ratio: Scalar, probability: Scalar) -> Scalar:
    """Cross-entropy of r/(1 + r) against the probability that the event is a numerator."""
    return jax.nn.softplus(log_ratio) - probability * log_ratio


def squared_error(log_ratio: Scalar, event: Known) -> Scalar:
    """Squared error of r for denominators and of 1/r for numerators: the mean of each over its events is its target."""
    sign = 1 - 2 * event.is_numerator
    return (jnp.exp(sign * log_ratio) - jnp.exp(sign * event.log_ratio)) ** 2
