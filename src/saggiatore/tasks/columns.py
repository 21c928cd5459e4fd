"""Columns of event tables that belong to a theory parameter. No jax here: distillation reads them too."""

from collections.abc import Mapping, Sequence

from saggiatore.tables import Column, Table

IS_NUMERATOR = Column("is_numerator", "1", "1: the event was drawn at its theta; 0: at theta = 0", kind="int")
LOG_AMPLITUDE = Column(
    "log_amplitude",
    "1",
    "log of s^(n-4) |M|^2 at the event's momenta: n legs, s their mass squared, which makes it a number",
    r"$\log A$",
)
JOINT_LOG_RATIO = Column("joint_log_ratio", "1", "log p(x, z | theta) / p(x, z | 0) at the event's theta")


def theta_column(parameter: str) -> Column:
    """Column of an event table that holds the parameter's value at which each event was drawn."""
    return Column(f"theta_{parameter}", "1", f"value of {parameter} at which the event was drawn")


def context_columns(names: Sequence[str], events: Table) -> dict[str, Column]:
    """The columns of events that hold a context: the value of a parameter or nuisance, or else an observable.

    Raises:
        SchemaError: if the events have neither.
    """
    return {name: _theta_or_observable(name, events) for name in names}


def scored(context: Mapping[str, Column]) -> tuple[str, ...]:
    """The parameters in which a density of this context has a score; none if it is told observables too."""
    is_theta = all(column.name == theta_column(name).name for name, column in context.items())
    return tuple(context) if is_theta else ()


def _theta_or_observable(name: str, events: Table) -> Column:
    known, of_theta = events.schema.names, theta_column(name).name
    return events.column(name if of_theta not in known and name in known else of_theta)


def parton_score_column(parameter: str) -> Column:
    """Column of an event table that holds the joint score averaged over flavours."""
    return Column(f"parton_score_{parameter}", "1", f"mean over flavours of the joint score in {parameter}")


def flavour_variance_column(parameter: str) -> Column:
    """Column of an event table that holds the variance of the joint score over flavours."""
    return Column(f"flavour_variance_{parameter}", "1", f"variance over flavours of the joint score in {parameter}")


def joint_score_column(parameter: str) -> Column:
    """Column of an event table that holds the joint score."""
    return Column(f"joint_score_{parameter}", "1", f"joint score in {parameter}, d/dtheta log p(x, z | theta)")


def marginal_score_column(parameter: str) -> Column:
    """Column of an event table that holds the exact score of what networks see of an event."""
    return Column(f"marginal_score_{parameter}", "1", f"score in {parameter} of the observables alone")


def data_parameter(feature: str) -> str:
    """What stands for the parameter in names of columns where the derivative is along a feature: the data score."""
    return f"data_{feature}"
