"""Observables of a likelihood: what is binned, in one or two dimensions, and how it varies over a posterior."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.compilation import fill
from saggiatore.distill.expression import evaluate
from saggiatore.distill.formula import Formula
from saggiatore.errors import StudyError
from saggiatore.limits.binning import Binning, Method, binning
from saggiatore.limits.statistic import Columns, Statistic, feature_matrix
from saggiatore.types import Features, Float

_ROWS = 8192  # events whose members are evaluated at once
SCORES = ("model", "formula", "form")  # kinds that estimate the score


@dataclass(frozen=True)
class Component:
    """One number an event, and the same in members of a posterior, if there is one."""

    name: str
    kind: str
    values: Callable[[Columns], Float[np.ndarray, " event"]]
    members: Callable[[Columns], Float[np.ndarray, "member event"]] | None = None


@dataclass(frozen=True)
class Observable:
    """One or two components that are binned together."""

    name: str
    kind: str  # model, ratio, formula, form, histogram, sign or rate
    components: tuple[Component, ...]
    binning: Binning

    def values(self, events: Columns) -> Float[np.ndarray, "event component"]:
        """The components of each event."""
        return _values(self.components, events)

    def member_index(self, events: Columns) -> list[np.ndarray]:
        """The bin of each event in each member of the posterior; none without one."""
        if any(component.members is None for component in self.components):
            return []
        several = [component.members(events) for component in self.components if component.members is not None]
        return [self.binning.index(np.stack(each, axis=1)) for each in zip(*several, strict=True)]


def _values(components: Sequence[Component], events: Columns) -> Float[np.ndarray, "event component"]:
    return np.stack([component.values(events) for component in components], axis=1)


def of_statistic(statistic: Statistic, members: Callable[[Columns], np.ndarray] | None = None) -> Component:
    """A score as a component."""
    return Component(statistic.name, statistic.kind, statistic.values, members)


def of_feature(name: str) -> Component:
    """An observable of the process as a component."""
    return Component(name, "histogram", lambda events: np.asarray(events[name], dtype=float))


def of_sign(name: str) -> Component:
    """The sign of an observable: two bins."""
    return Component(f"sign_{name}", "sign", lambda events: np.sign(np.asarray(events[name], dtype=float)))


def of_nothing() -> Component:
    """A single bin, which knows the number of events alone."""
    return Component("rate", "rate", lambda events: np.zeros(len(events["weight"])))


def formula_members(
    formula: Formula, n_members: int, seed: int
) -> Callable[[Columns], Float[np.ndarray, "member event"]] | None:
    """Values for constants drawn from the normal distribution of their covariance; None without constants."""
    if not formula.constants:
        return None
    random = np.random.default_rng(seed)
    drawn = jnp.asarray(random.multivariate_normal(list(formula.constants.values()), formula.covariance, n_members))

    def value(features: Features, constants: Features) -> jax.Array:
        named = dict(zip(formula.feature_names, features, strict=True))
        named |= dict(zip(formula.constants, constants, strict=True))
        return jnp.asarray(evaluate(formula.expression, named, jnp), dtype=features.dtype)

    function = jax.jit(jax.vmap(jax.vmap(value, (None, 0)), (0, None)))
    return evaluated(lambda x: function(x, drawn), formula.name, formula.feature_names)


def evaluated(
    function: Callable[[np.ndarray], jax.Array], name: str, features: Sequence[str]
) -> Callable[[Columns], Float[np.ndarray, "member event"]]:
    """Members of events, from a function of their features (event, feature) with values of shape (event, member)."""
    return partial(_evaluated, function, name, features)


def _evaluated(
    function: Callable[[np.ndarray], jax.Array], name: str, features: Sequence[str], events: Columns
) -> Float[np.ndarray, "member event"]:
    x = feature_matrix(name, events, features)
    parts = []
    for first in range(0, len(x), _ROWS):
        block = x[first : first + _ROWS]
        parts.append(np.asarray(function(fill(block, _ROWS)), dtype=float)[: len(block)].T)
    return np.concatenate(parts, axis=1)


def grouped(components: Sequence[Component], n_theta: int, what: str) -> list[tuple[Component, ...]]:
    """Scores of one parameter each, `n_theta` in a row, as the components of one observable.

    Raises:
        StudyError: if the number does not divide.
    """
    if len(components) % n_theta:
        raise StudyError(
            f"{what}: got {', '.join(each.name for each in components)}, expected {n_theta} in a row for each "
            "observable: the score of every parameter, in the order of `range`."
        )
    return [tuple(components[first : first + n_theta]) for first in range(0, len(components), n_theta)]


def observable(
    components: tuple[Component, ...],
    events: Columns,
    weights: Float[np.ndarray, " event"],
    n_bins: Mapping[int, tuple[int, ...]],
    method: Method,
) -> Observable:
    """The components as one observable, its bins placed by the given events.

    Args:
        components: one or two.
        events: observables of events by name.
        weights: their weights.
        n_bins: bins along each component, by the number of components.
        method: how edges are placed.

    Raises:
        LikelihoodError: if a value is not finite.
    """
    name, kind = "_and_".join(dict.fromkeys(component.name for component in components)), components[0].kind
    name = f"histogram_{name}" if kind == "histogram" else name
    if kind == "sign":
        return Observable(name, kind, components, Binning(np.zeros(1)))
    if kind == "rate":
        return Observable(name, kind, components, Binning(np.zeros(0)))
    placed = binning(_values(components, events), weights, n_bins[len(components)], method)
    return Observable(name, kind, components, placed)


def require_distinct(observables: Sequence[Observable]) -> None:
    """Refuse two observables of one name.

    Raises:
        StudyError: naming both kinds.
    """
    seen: dict[str, str] = {}
    for each in observables:
        if each.name in seen:
            raise StudyError(f"'{each.name}' names a {seen[each.name]} and a {each.kind}; rename one.")
        seen[each.name] = each.kind
