"""What is learned: a task ties the columns it reads, the target made of them and the loss of one event."""

import abc
from typing import ClassVar

import equinox as eqx

from saggiatore.models.base import AbstractModel, Event
from saggiatore.tables import Column
from saggiatore.types import PRNGKeyArray, Scalar


class AbstractTask(eqx.Module):
    """A task is independent of the model, as long as the model is of the sort that it needs."""

    needs: ClassVar[type]  # abstract class of the models that it can train
    parameters: eqx.AbstractVar[tuple[str, ...]]  # the components of the score that is learned

    @abc.abstractmethod
    def targets(self) -> tuple[Column, ...]:
        """Columns of the event table that the target is made of, besides features and context."""

    @abc.abstractmethod
    def fixed(self) -> tuple[str, ...]:
        """Columns that must be constant over the events."""

    @abc.abstractmethod
    def loss(self, model: AbstractModel, event: Event, *, key: PRNGKeyArray) -> Scalar:
        """Loss of one event, without its weight."""
