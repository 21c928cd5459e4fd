"""Density estimation: events of many values of the parameters teach p(x | theta), whose gradient is the score."""

from typing import ClassVar, Literal

from saggiatore.errors import StudyError
from saggiatore.models.base import AbstractDensity, AbstractModel, Event
from saggiatore.spec import Spec
from saggiatore.tables import Column
from saggiatore.tasks.base import AbstractTask
from saggiatore.types import PRNGKeyArray, Scalar


class DensitySpec(Spec):
    """Learn the density of the features given the context."""

    kind: Literal["density"] = "density"

    def build(self, context: tuple[str, ...]) -> "Density":
        """The task.

        Raises:
            StudyError: if there is no context: such a density has no score.
        """
        if not context:
            raise StudyError("the task density needs `context`: the parameters whose score it is to give; name one.")
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
