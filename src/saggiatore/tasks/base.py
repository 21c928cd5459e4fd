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


def theta_column(parameter: str) -> Column:
    """Column of an event table that holds the parameter's value at which each event was drawn."""
    return Column(f"theta_{parameter}", "1", f"value of {parameter} at which the event was drawn")


def parton_score_column(parameter: str) -> Column:
    """Column of an event table that holds the joint score averaged over flavours."""
    return Column(f"parton_score_{parameter}", "1", f"mean over flavours of the joint score in {parameter}")


def flavour_variance_column(parameter: str) -> Column:
    """Column of an event table that holds the variance of the joint score over flavours."""
    return Column(f"flavour_variance_{parameter}", "1", f"variance over flavours of the joint score in {parameter}")


def joint_score_column(parameter: str) -> Column:
    """Column of an event table that holds the joint score."""
    return Column(f"joint_score_{parameter}", "1", f"joint score in {parameter}, d/dtheta log p(x, z | theta)")


def data_parameter(feature: str) -> str:
    """What stands for the parameter in names of columns where the derivative is along a feature: the data score."""
    return f"data_{feature}"
