r"""A whole network as a random variable: its weights as one vector, their prior, the likelihood, and what draws say.

The weights w are all that training changes, of the mean and of the noise. Given events (x_i, t_i) with weights a_i,
scaled such that they add up to Kish's effective number of events,

    t_i ~ Normal(m_w(x_i), v_w(x_i)),    w_j ~ Normal(0, (prior_scale / sqrt(fan_in_j))^2),

with m and v in units of the target's root mean square; the fan-in of a bias is one. The spread of m over draws of w is
`var_stat`, which shrinks with more events; the mean of v over draws is `var_noise`, which does not: the two parts of
the law of total variance. Weights of a network are not identifiable (hidden units can be exchanged), functions are:
convergence is judged by scores at reference events and their mean log noise.

numpyro's own `random_eqx_module` makes a site of every leaf, the standardisation too, which is no weight; one vector
under one site is the same model, compiles in a fraction of the time, and leaves the standardisation alone.
"""

import abc
from collections.abc import Callable, Iterator
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.flatten_util import ravel_pytree

from saggiatore.errors import ConvergenceError
from saggiatore.infer.base import (
    AbstractDrawScores,
    AbstractMethod,
    AbstractPosteriorScore,
    Chains,
    Parameter,
    ScoreEstimate,
    drawn_networks,
    regression,
)
from saggiatore.infer.batches import Batch
from saggiatore.infer.committee import mean_of
from saggiatore.infer.weights import Weights, with_weights
from saggiatore.models.base import AbstractModel, AbstractRegression, Event, trainable
from saggiatore.tables import Table
from saggiatore.types import Array, Features, Float, PRNGKeyArray, Scalar

_N_REFERENCE = 16  # events whose score and noise are monitored


class Sampled(NamedTuple):
    """Draws of all weights, how many transitions diverged, and whether the draws are Markov chains."""

    weights: Float[np.ndarray, "chain draw weight"]
    n_divergent: int
    is_markov: bool

    def of_means(self, n_networks: int) -> Float[np.ndarray, "chain draw weight"]:
        """All weights of each draw, which are those of as many networks."""
        return self.weights if n_networks == 1 else self.weights.reshape(1, len(self.weights), -1)


class AbstractNetworkMethod(AbstractMethod):
    """A posterior over all weights of a regression network."""

    @abc.abstractmethod
    def sample(self, model: AbstractRegression, events: Event, *, key: PRNGKeyArray) -> Sampled:
        """Draws of the weights, in the order of `flatten`; where a draw is the mean of networks, it is a chain of them.

        Raises:
            ConvergenceError: if the numbers must not be used.
        """

    @abc.abstractmethod
    def check(self, chains: Chains) -> None:
        """Refuse draws that must not be used.

        Raises:
            ConvergenceError: saying which quantity, its value, the limit and what to change.
        """

    def draw(self, model: AbstractModel, batches: Callable[[], Iterator[Batch]], *, key: PRNGKeyArray) -> Chains:
        """See `AbstractMethod.draw`.

        Raises:
            ModelError: if the model is no regression.
        """
        network, events = regression(model), gather(batches())
        sampled = self.sample(network, events, key=key)
        names = weight_names(network)
        parameters = {f"weight_{i}": stated(sampled.weights[..., i], name) for i, name in enumerate(names)}
        monitored = _monitor(mean_of(network, self.n_networks), sampled.of_means(self.n_networks), events.features)
        chains = Chains(parameters, sampled.n_divergent, monitored, sampled.is_markov)
        self.check(chains)
        return chains

    def posterior(self, model: AbstractModel, draws: Table) -> "NetworkScore":
        """See `AbstractMethod.posterior`."""
        return NetworkScore(*drawn_networks(regression(model), draws))

    def draw_scores(self, model: AbstractModel, draws: Table) -> "NetworkDraws":
        """See `AbstractMethod.draw_scores`."""
        return NetworkDraws(*drawn_networks(regression(model), draws))


class NetworkScore(AbstractPosteriorScore):
    """Mean and variance of the score over the draws, and the mean of their noise."""

    model: AbstractRegression
    weights: Float[Array, "draw weight"]

    def __call__(self, features: Features) -> ScoreEstimate:
        def at(weights: Weights) -> tuple[Scalar, Scalar]:
            network = with_weights(self.model, weights)
            return network.score(features), network.noise(features)

        score, noise = jax.lax.map(at, self.weights)  # one after the other: memory does not grow with the draws
        return ScoreEstimate(jnp.mean(score), jnp.var(score, ddof=1), jnp.mean(noise))


class NetworkDraws(AbstractDrawScores):
    """The score of the network with the weights of each draw."""

    model: AbstractRegression
    weights: Float[Array, "draw weight"]

    def __call__(self, features: Features) -> Float[Array, " draw"]:
        scores: Float[Array, " draw"] = jax.lax.map(
            lambda weights: with_weights(self.model, weights).score(features), self.weights
        )
        return scores


def gather(batches: Iterator[Batch]) -> Event:
    """All events, on the device; their weights add up to Kish's effective number of events.

    Raises:
        ConvergenceError: if there are none.
    """
    parts = list(batches)
    if not parts:
        raise ConvergenceError("there are no events to learn from; give the posterior a table with events.")
    features, score, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
    scaled = weight * (weight.sum() / (weight**2).sum())
    return Event(jnp.asarray(features), jnp.zeros((len(score), 0)), jnp.asarray(score)[:, None], jnp.asarray(scaled))


def prior_width(model: AbstractRegression, scale: float) -> Weights:
    """Standard deviation of each weight's prior: `scale` over the root of its fan-in, one for biases."""
    leaves = eqx.filter(model, trainable(model))

    def width(leaf: Array) -> Array:
        fan_in = leaf.shape[-1] if leaf.ndim > 1 else 1
        return jnp.full(leaf.shape, max(fan_in, 1) ** -0.5)  # a network that is not odd mixes no odd inputs

    widths = jax.tree.map(width, leaves)
    last = jnp.full(model.last_layer.shape, model.last_layer.size**-0.5)
    return scale * ravel_pytree(eqx.tree_at(lambda m: m.last_layer, widths, last))[0]


def log_likelihood(model: AbstractRegression, event: Event) -> Scalar:
    """log Normal(t; m(x), v(x)) of one event in units of the target's scale, up to a constant, without its weight."""
    residual = event.target[0] / model.scale - model.hidden(event.features) @ model.last_layer
    log_variance = model.log_variance(event.features)
    return -0.5 * (log_variance + residual**2 * jnp.exp(-log_variance))


def total_log_likelihood(model: AbstractRegression, events: Event) -> Scalar:
    """Weighted sum over events."""
    return events.weight @ jax.vmap(log_likelihood, (None, 0))(model, events)


def network_model(model: AbstractRegression, prior_scale: float, events: Event, n_per_event: float = 1.0) -> None:
    """The numpyro model, in units of the prior's widths; each of `events` stands for `n_per_event` of the data set."""
    width = prior_width(model, prior_scale)
    z = numpyro.sample("z", dist.Normal(jnp.zeros_like(width), 1.0).to_event(1))
    numpyro.factor("likelihood", n_per_event * total_log_likelihood(with_weights(model, width * z), events))


def weight_names(model: AbstractModel) -> list[str]:
    """What each entry of `flatten` is."""
    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(model, trainable(model)))
    return [f"weight {jax.tree_util.keystr(path)}[{i}]" for path, leaf in leaves for i in range(leaf.size)]


def stated(draws: Float[np.ndarray, "chain draw"], meaning: str) -> Parameter:
    """A quantity that has no error should the likelihood be wrong but its own."""
    return Parameter(draws, meaning, float(draws.std(ddof=1)))


def _monitor(
    model: AbstractRegression, weights: Float[np.ndarray, "chain draw weight"], features: Float[Array, "event feature"]
) -> dict[str, Parameter]:
    """The score at reference events, evenly spread over the table, and the mean of the log noise over them."""
    rows = np.linspace(0, len(features) - 1, _N_REFERENCE).astype(int)

    def at(w: Weights) -> tuple[Float[Array, " event"], Scalar]:
        network = with_weights(model, w)
        scores, log_noises = jax.vmap(lambda x: (network.score(x), network.log_variance(x)))(features[rows])
        return scores, jnp.mean(log_noises)

    flat = jnp.asarray(weights.reshape(-1, weights.shape[-1]))
    scores, log_noise = (np.asarray(found) for found in jax.jit(lambda w: jax.lax.map(at, w))(flat))
    chains = scores.reshape(*weights.shape[:2], _N_REFERENCE)
    found = {f"score_{i}": stated(chains[..., i], f"score at event {row}") for i, row in enumerate(rows.tolist())}
    meaning = "mean over the reference events of the logarithm of the noise"
    return found | {"log_noise": stated(log_noise.reshape(weights.shape[:2]), meaning)}
