r"""The weights of a density as a random variable: what a method draws them from, and the densities that they make.

Given events x_i with weights a_i, scaled such that they add up to Kish's effective number of events,

    log L(w) = sum_i a_i log p_w(x_i | context_i),    w_j ~ Normal(0, (prior_scale / sqrt(fan_in_j))^2),

the fan-in of a bias is one (Bayesian generators: arXiv:2104.04543, sec. 2). The losses of `flow_matching` and
`diffusion` are no log-likelihoods, but squared errors of a vector of as many components as there are features. They
count as those of a Gaussian whose variance is what the trained network has left: one event, one vector, which fixes by
construction the constant that arXiv:2305.10475 (sec. 2.2) leaves open. Where the task is `scandal`, its whole loss
counts: events and joint scores, these with the normal noise that `score_weight` stands for (`tasks.scandal`).

Weights are not identifiable, densities are: what is monitored is log p at reference events.
"""

import abc
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from saggiatore.errors import StudyError
from saggiatore.infer.base import AbstractMethod, Chains, Parameter
from saggiatore.infer.committee import mean_of
from saggiatore.infer.density_draws import DensityDraws
from saggiatore.infer.network import Sampled, stated, weight_names
from saggiatore.infer.weights import Weights
from saggiatore.models.base import Event, trainable
from saggiatore.models.density import AbstractDensity
from saggiatore.registry import load
from saggiatore.tasks.base import AbstractTask
from saggiatore.tasks.density import Density
from saggiatore.types import Array, Float, PRNGKeyArray, Scalar

_N_REFERENCE = 16  # events whose log density is monitored


class LearnedDensity(NamedTuple):
    """A trained density, the same with new random weights, the events of the likelihood, and what it was trained on."""

    density: AbstractDensity
    build: Callable[[PRNGKeyArray], AbstractDensity]
    events: Event  # weights add up to the effective number of events
    task: AbstractTask = Density(())


class AbstractDensityMethod(AbstractMethod):
    """A method that knows posteriors over densities too."""

    @abc.abstractmethod
    def sample_density(self, learned: LearnedDensity, *, key: PRNGKeyArray) -> Sampled:
        """Draws of a density's weights, as `AbstractNetworkMethod.sample` has them.

        Raises:
            ConvergenceError: if the numbers must not be used.
        """

    def draw_density(self, learned: LearnedDensity, *, key: PRNGKeyArray) -> Chains:
        """The draws by their names, and log p at reference events, evenly spread over the table.

        Raises:
            ConvergenceError: if the numbers must not be used.
        """
        sampled = self.sample_density(learned, key=key)
        names = weight_names(learned.density)
        parameters = {f"weight_{i}": stated(sampled.weights[..., i], name) for i, name in enumerate(names)}
        one, weights = mean_of(learned.density, self.n_networks), sampled.of_means(self.n_networks)
        monitored = _monitor(one, learned.events, weights)
        return Chains(parameters, sampled.n_divergent, monitored, sampled.is_markov)


def rebuild(header: Mapping) -> Callable[[PRNGKeyArray], Any]:
    """What makes the model of a file's header with other random weights."""
    spec = load("model", header["kind"]).model_validate(header["spec"])
    names = [tuple(column["name"] for column in header[field]) for field in ("features", "context")]

    def build(key: PRNGKeyArray) -> Any:
        return spec.build(*names, key=key)

    return build


def effective(events: Event) -> Event:
    """The same events, their weights adding up to Kish's effective number of them.

    Raises:
        StudyError: if a weight is negative.
    """
    weight = np.asarray(events.weight)
    if (weight < 0).any():
        raise StudyError(
            f"{int((weight < 0).sum())} events have negative weights, a posterior needs weights that are none: give "
            "draws other events."
        )
    return events._replace(weight=jnp.asarray(weight * (weight.sum() / (weight**2).sum())))


def prior_width(density: AbstractDensity, scale: float) -> Weights:
    """Standard deviation of each weight's prior: `scale` over the root of its fan-in, one for biases and norms."""
    leaves = eqx.filter(density, trainable(density))

    def width(path: tuple, leaf: Array) -> Array:
        is_matrix = leaf.ndim > 1 and "bias" not in jax.tree_util.keystr(path[-1:])
        return jnp.full(leaf.shape, leaf.shape[-1] ** -0.5 if is_matrix else 1.0)

    return scale * ravel_pytree(jax.tree_util.tree_map_with_path(width, leaves))[0]


def log_likelihood_per_loss(learned: LearnedDensity, *, key: PRNGKeyArray) -> Scalar:
    """By what minus the loss of an event is multiplied to be its log-likelihood, up to a constant."""
    density, events = learned.density, learned.events
    if density.loss_is_log_prob:
        return jnp.ones(())
    keys = jax.random.split(key, len(events.weight))
    loss = eqx.filter_jit(jax.vmap(lambda x, c, k: density.loss(x, c, key=k)))
    left = jnp.average(loss(events.features, events.context, keys), weights=events.weight)
    return 0.5 * density.frame.dim / left


def _monitor(
    density: AbstractDensity, events: Event, weights: Float[np.ndarray, "chain draw weight"]
) -> dict[str, Parameter]:
    rows = np.linspace(0, len(events.weight) - 1, _N_REFERENCE).astype(int)
    flat = jnp.asarray(weights.reshape(-1, weights.shape[-1]))
    log_prob = eqx.filter_jit(DensityDraws(density, flat).log_prob)
    found = np.asarray(log_prob(events.features[rows], events.context[rows]))
    chains = found.reshape(*weights.shape[:2], _N_REFERENCE)
    return {
        f"log_prob_{i}": stated(chains[..., i], f"log density at event {row}") for i, row in enumerate(rows.tolist())
    }
