r"""A posterior of a learned score, and what it says about one event.

A method draws from the posterior of (some of) a network's weights given events with their joint score t. At features x
the network's score has the posterior mean m(x) and the variance var_stat(x), which shrinks with more events; the joint
score of one event scatters around the score E[t|x] with var_noise(x), which does not shrink: it is what the unobserved
part of the event (flavours, momentum fractions) does to t (arXiv:1805.00013, sec. II).
"""

import abc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from saggiatore.errors import ModelError, StudyError
from saggiatore.infer.batches import Batch
from saggiatore.infer.committee import Network, mean_of
from saggiatore.infer.weights import flatten
from saggiatore.learn.precision import Precision
from saggiatore.models.base import AbstractModel, AbstractRegression
from saggiatore.registry import load
from saggiatore.tables import Column, Table, TableSchema
from saggiatore.tasks.base import AbstractTask
from saggiatore.types import Array, Features, Float, Int, PRNGKeyArray, Scalar

CHAIN = Column(
    "chain", "1", "number of the Markov chain, or of a draw that is the mean of networks; else 0", kind="int"
)
DRAW = Column(
    "draw", "1", "number of the draw in its chain, after warm-up, or among all; of a mean's network", kind="int"
)


class ScoreEstimate(NamedTuple):
    """What the posterior says about the score of one event."""

    mean: Scalar
    var_stat: Scalar
    var_noise: Scalar


class Parameter(NamedTuple):
    """A sampled quantity: its draws, and its standard deviation should the likelihood be wrong (sandwich)."""

    draws: Float[np.ndarray, "chain draw"]
    meaning: str
    std_robust: float


class Chains(NamedTuple):
    """Draws of every sampled quantity by name, and how many transitions diverged.

    Convergence is judged by `monitored`, where there is any, else by the parameters themselves. What is no Markov chain
    after warm-up is a set of draws that were found one by one or together: nothing mixes.
    """

    parameters: Mapping[str, Parameter]
    n_divergent: int
    monitored: Mapping[str, Parameter] = MappingProxyType({})
    is_markov: bool = True


class AbstractPosteriorScore(eqx.Module):
    """The posterior of the score at the features of one event; `jax.vmap` it over events."""

    @abc.abstractmethod
    def __call__(self, features: Features) -> ScoreEstimate:
        """Posterior mean and variances at `features`, in the units of the model's score."""


class AbstractDrawScores(eqx.Module):
    """The scores that single draws of the posterior state at the features of one event; `jax.vmap` it over events."""

    @abc.abstractmethod
    def __call__(self, features: Features) -> Float[Array, " draw"]:
        """Score of each draw at `features`, in the units of the model's score."""


class AbstractMethod(eqx.Module):
    """A way to draw from the posterior of a model."""

    @property
    def n_networks(self) -> int:
        """Networks whose mean a draw is; each is a row of the table [draws]."""
        return 1

    @abc.abstractmethod
    def draw(self, model: AbstractModel, batches: Callable[[], Iterator[Batch]], *, key: PRNGKeyArray) -> Chains:
        """Markov chains given the events that each call of `batches` iterates over.

        Raises:
            ConvergenceError: if the numbers must not be used.
        """

    def resuming(self, checkpoint: Path, identity: str) -> "AbstractMethod":
        """The same method, whose draws go on from `checkpoint` where that is of the same `identity`, data and spec.

        A method that does not override this starts anew.
        """
        return self

    def learning(self, task: AbstractTask, precision: Precision) -> "AbstractMethod":
        """The same method for a network that learned `task` in `precision`.

        One that does not train as the network was has no use for them.
        """
        return self

    @abc.abstractmethod
    def posterior(self, model: AbstractModel, draws: Table) -> AbstractPosteriorScore:
        """The posterior of the score, from the table that `draws_columns` made."""

    @abc.abstractmethod
    def draw_scores(self, model: AbstractModel, draws: Table) -> AbstractDrawScores:
        """The score of every row of `draws`: a posterior over functions, where `posterior` gives its moments."""


def draws_schema(chains: Chains) -> TableSchema:
    """One column for each sampled quantity, one row for each draw."""
    parameters = (Column(name, "1", parameter.meaning) for name, parameter in chains.parameters.items())
    return TableSchema("draws", 1, (CHAIN, DRAW, *parameters))


def draws_columns(chains: Chains) -> dict[str, np.ndarray]:
    """The draws of all chains, chain after chain."""
    n_chains, n_draws = next(iter(chains.parameters.values())).draws.shape
    numbers = {"chain": np.repeat(np.arange(n_chains), n_draws), "draw": np.tile(np.arange(n_draws), n_chains)}
    return numbers | {name: parameter.draws.reshape(-1) for name, parameter in chains.parameters.items()}


def posterior_score(model: AbstractModel, draws: Table) -> AbstractPosteriorScore:
    """The posterior of the score of `model`, as the method that made `draws` (a table [draws]) defines it.

    Example:
        estimate = posterior_score(model, read_table(path, "draws"))
        mean, var_stat, var_noise = jax.vmap(estimate)(features)

    Raises:
        ModelError: if the draws are of another model.
    """
    return _method(draws).posterior(model, draws)


def draw_scores(model: AbstractModel, draws: Table, chosen: Sequence[int]) -> AbstractDrawScores:
    """The scores of some draws of a table [draws], by their numbers, as the method that made it defines them.

    Raises:
        ModelError: if the draws are of another model.
    """
    rows = draw_rows(draws)[list(chosen)].reshape(-1)
    return _method(draws).draw_scores(model, replace(draws, data=draws.data.iloc[rows]))


def draw_rows(draws: Table) -> Int[np.ndarray, "draw network"]:
    """Rows of the networks whose mean each draw of a table [draws] is: of one, but for `replicas` of several starts."""
    return np.arange(len(draws.data)).reshape(-1, _method(draws).n_networks)


def spread_draws(draws: Table, n_draws: int) -> list[int]:
    """Numbers of draws of a table [draws], evenly spaced over all chains.

    Raises:
        StudyError: if there are fewer.
    """
    n_found = len(draw_rows(draws))
    if n_draws > n_found:
        raise StudyError(f"{n_draws} draws were asked for, the posterior has {n_found}; lower the number.")
    return np.linspace(0, n_found - 1, n_draws).round().astype(int).tolist()


def regression(model: AbstractModel) -> AbstractRegression:
    """`model`, if it has a score and a noise.

    Raises:
        ModelError: if not.
    """
    if not isinstance(model, AbstractRegression):
        raise ModelError(
            f"a posterior over scores needs a regression (a model with a last layer and a noise, such as mlp), got "
            f"{type(model).__name__}. Use the model without draws."
        )
    return model


def drawn_weights(draws: Table, n_weights: int) -> Float[np.ndarray, "row weight"]:
    """The `n_weights` weights of each row of a table [draws].

    Raises:
        ModelError: if the draws have another number of them.
    """
    weights = draws.array(name for name in draws.schema.names if name.startswith("weight_"))
    if weights.shape[1] != n_weights:
        raise ModelError(
            f"the draws have {weights.shape[1]} weights, the network {n_weights}: they belong to different models. "
            "Give the draws that were made with this model."
        )
    return weights


def drawn_networks(network: Network, draws: Table) -> tuple[Network, Float[Array, "draw weight"]]:
    """The network that each draw of a table [draws] is, or the mean of networks, and all its weights.

    Raises:
        ModelError: if the draws are of another model.
    """
    one = mean_of(network, _method(draws).n_networks)
    return one, jnp.asarray(drawn_weights(draws, flatten(network).size).reshape(-1, flatten(one).size))


def _method(draws: Table) -> AbstractMethod:
    method = dict(draws.provenance["method"])
    return load("method", method["kind"]).model_validate(method).build()


class PointRegression(AbstractPosteriorScore):
    """A regression without draws: the variance that it learned is known, that of its weights is not and is zero."""

    model: AbstractRegression

    def __call__(self, features: Features) -> ScoreEstimate:
        mean = self.model.score(features)
        return ScoreEstimate(mean, jnp.zeros_like(mean), self.model.noise(features))


class PointScore(AbstractPosteriorScore):
    """The score of a model without draws: no variance is known, and both are zero."""

    model: AbstractModel
    position: int  # of the parameter among those of the model

    def __call__(self, features: Features) -> ScoreEstimate:
        mean = jnp.atleast_1d(self.model.score(features))[self.position]
        return ScoreEstimate(mean, jnp.zeros_like(mean), jnp.zeros_like(mean))
