"""Density estimation: events of many values of the parameters teach p(x | theta), whose gradient is the score.

Without a context it is p(x) at the events' own parameters.
"""

from typing import ClassVar, Literal

from saggiatore.models.base import AbstractModel, Event
from saggiatore.models.density import AbstractDensity
from saggiatore.spec import Spec
from saggiatore.tables import Column
from saggiatore.tasks.base import AbstractTask
from saggiatore.types import PRNGKeyArray, Scalar


class DensitySpec(Spec):
    """Learn the density of the features given the context."""

    kind: Literal["density"] = "density"

    def build(self, context: tuple[str, ...]) -> "Density":
        """The task; without a context the density has no score, and is there to generate."""
        return Density(context)


class Density(AbstractTask):
    """The loss is the model's own: a negative log-likelihood or what stands for it."""

    needs: ClassVar[type] = AbstractDensity
    parameters: tuple[str, ...]

    def targets(self) -> tuple[Column, ...]:
        """None: the events themselves are the target."""
        return ()

    def fixed(self) -> tuple[str, ...]:
        """None: the context is there to vary."""
        return ()

    def loss(self, model: AbstractModel, event: Event, *, key: PRNGKeyArray) -> Scalar:
        """Loss of one event."""
        assert isinstance(model, AbstractDensity)
        return model.loss(event.features, event.context, key=key)
