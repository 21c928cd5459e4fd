"""What a model is: something with a score, trained one event at a time, that keeps its standardisation inside."""

import abc
from typing import NamedTuple, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.errors import StudyError
from saggiatore.types import Array, Context, Features, Float, Scalar

_BATCH = 4096


class Event(NamedTuple):
    """What a model sees of one event; with a leading axis on every field, of many."""

    features: Features
    context: Context  # theory parameters that a density is conditioned on; empty for a regression
    target: Float[Array, " target"]  # what a regression learns; empty for a density
    weight: Scalar  # Monte Carlo weight, of mean 1 over the training events


class AbstractFixed(eqx.Module):
    """A part of a model that is fitted once, before training, and that no gradient step changes."""


class AbstractModel(eqx.Module):
    """A model of events. Its spec's `build` makes it with random weights and a standardisation that does nothing."""

    @abc.abstractmethod
    def standardise(self, events: Event) -> Self:
        """The same model with its standardisation fitted to many events."""

    def encoded(self, events: Event) -> tuple["AbstractModel", Event]:
        """A model that trains alike, and the events as it reads them: with what no training step changes worked out."""
        return self, events

    @abc.abstractmethod
    def score(self, features: Features) -> Float[Array, "..."]:
        """Score of one event in units of the study's parameters: a scalar, or one number a parameter."""


class AbstractRegression(AbstractModel):
    r"""The mean of a target given an event, and the variance about it, with a linear last layer.

    In units of `scale`: ``mean = hidden(features) @ last_layer``, without any further bias.
    """

    last_layer: eqx.AbstractVar[Float[Array, " hidden"]]

    @property
    @abc.abstractmethod
    def scale(self) -> Scalar:
        """What `hidden @ last_layer` is multiplied by to give the score, in the target's units."""

    @abc.abstractmethod
    def hidden(self, features: Features) -> Float[Array, " hidden"]:
        """Features of the last layer, such that ``score = scale * hidden(features) @ last_layer`` exactly."""

    @abc.abstractmethod
    def log_variance(self, features: Features) -> Scalar:
        """Logarithm of the variance of target/scale about its mean."""

    @abc.abstractmethod
    def noise(self, features: Features) -> Scalar:
        """Variance of the target about the score, in the target's units squared."""


def trainable(model: AbstractModel) -> object:
    """Filter of the leaves that training changes: floating-point arrays outside of every `AbstractFixed`."""
    return jax.tree.map(
        lambda node: False if isinstance(node, AbstractFixed) else eqx.is_inexact_array(node),
        model,
        is_leaf=lambda node: isinstance(node, AbstractFixed),
    )


def scores(model: AbstractModel, features: Float[np.ndarray, "event feature"]) -> Float[np.ndarray, "event parameter"]:
    """Scores of many events, in batches, so that memory does not grow with their number.

    The last batch repeats events up to a power of two, so that few shapes are compiled whatever the number of events.
    """
    n_events = len(features)
    parts = []
    for first in range(0, n_events, _BATCH):
        n_left = min(_BATCH, n_events - first)
        size = 1 << (n_left - 1).bit_length()
        rows = first + np.arange(size) % n_left
        parts.append(np.asarray(_scores(model, jnp.asarray(features[rows])))[:n_left])
    return np.concatenate(parts)


@eqx.filter_jit
def _scores(model: AbstractModel, features: Float[Array, "event feature"]) -> Float[Array, "event parameter"]:
    return jax.vmap(lambda x: jnp.atleast_1d(model.score(x)))(features)


def positions(names: tuple[str, ...], features: tuple[str, ...], *, option: str) -> tuple[int, ...]:
    """Where the features that an option of a model's spec names stand.

    Raises:
        StudyError: if a name is not among the features.
    """
    unknown = [name for name in names if name not in features]
    if unknown:
        raise StudyError(
            f"{option}: {', '.join(unknown)} not among the features {', '.join(features)}; list it or leave it out."
        )
    return tuple(features.index(name) for name in names)
