r"""The weights of a learned likelihood ratio as a random variable, and the ratios that they make.

The losses of ratios are no log-likelihoods of the events (those of ROLR and of the terms with joint scores are squared
errors of heavy tails), so that no method that needs one knows their posterior: `replicas` does, whose spread on
bootstrapped events is that of the training over data sets (Efron 1979). Weights are not identifiable, ratios are: what
is monitored is log r at reference events and their own theta.
"""

import abc
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.infer.base import AbstractMethod, Chains, drawn_networks
from saggiatore.infer.committee import mean_of
from saggiatore.infer.network import Sampled, stated, weight_names
from saggiatore.infer.weights import Weights, with_weights
from saggiatore.models.base import Event
from saggiatore.models.ratio import AbstractRatio
from saggiatore.tables import Table
from saggiatore.tasks.base import AbstractTask
from saggiatore.types import Array, Features, Float, PRNGKeyArray, Theta

_N_REFERENCE = 16  # events whose log ratio is monitored


class LearnedRatio(NamedTuple):
    """A trained ratio, the same with new random weights, the events of the training, and its task."""

    ratio: AbstractRatio
    build: Callable[[PRNGKeyArray], AbstractRatio]
    events: Event
    task: AbstractTask


class AbstractRatioMethod(AbstractMethod):
    """A method that knows posteriors over likelihood ratios too."""

    @abc.abstractmethod
    def sample_ratio(self, learned: LearnedRatio, *, key: PRNGKeyArray) -> Sampled:
        """Draws of a ratio's weights, as `AbstractNetworkMethod.sample` has them.

        Raises:
            TrainingError: if a loss is not finite, or there are too few events.
        """

    def draw_ratio(self, learned: LearnedRatio, *, key: PRNGKeyArray) -> Chains:
        """The draws by their names, and log r at reference events, evenly spread over the table.

        Raises:
            TrainingError: if a loss is not finite, or there are too few events.
        """
        sampled = self.sample_ratio(learned, key=key)
        names = weight_names(learned.ratio)
        parameters = {f"weight_{i}": stated(sampled.weights[..., i], name) for i, name in enumerate(names)}
        rows = np.linspace(0, len(learned.events.weight) - 1, _N_REFERENCE).astype(int)
        weights = sampled.of_means(self.n_networks)
        flat = jnp.asarray(weights.reshape(-1, weights.shape[-1]))
        draws = RatioDraws(mean_of(learned.ratio, self.n_networks), flat)
        at_events = eqx.filter_jit(lambda each, *events: jax.vmap(each)(*events))
        found = np.asarray(at_events(draws, learned.events.features[rows], learned.events.context[rows]))
        chains = found.reshape(_N_REFERENCE, *weights.shape[:2])
        monitored = {
            f"log_ratio_{i}": stated(chain, f"log ratio at event {row} and its own theta")
            for i, (row, chain) in enumerate(zip(rows.tolist(), chains, strict=True))
        }
        return Chains(parameters, sampled.n_divergent, monitored, sampled.is_markov)


class RatioDraws(eqx.Module):
    """One likelihood ratio for each draw of the weights; `jax.vmap` it over events."""

    ratio: AbstractRatio
    weights: Float[Array, "draw weight"]

    def __call__(self, features: Features, theta: Theta) -> Float[Array, " draw"]:
        """log r of one event by each draw, one after the other: memory does not grow with their number."""

        def at(weights: Weights) -> Array:
            return with_weights(self.ratio, weights).log_ratio(features, theta)

        found: Float[Array, " draw"] = jax.lax.map(at, self.weights)
        return found


def ratio_draws(ratio: AbstractRatio, draws: Table, chosen: list[int] | None = None) -> RatioDraws:
    """The ratios of a table [draws], or of some draws by their numbers.

    Raises:
        ModelError: if the draws are of another model.
    """
    one, weights = drawn_networks(ratio, draws)
    return RatioDraws(one, weights if chosen is None else weights[jnp.asarray(chosen)])
