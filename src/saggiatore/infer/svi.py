r"""Mean-field variational inference: every weight of the network an independent Gaussian, fitted in mini-batches.

The loss of a batch B of n events is the negative evidence lower bound,

    -(n/|B|) sum_{i in B} a_i E_q[log p(t_i | x_i, w)] + KL(q || prior),

so that the divergence counts once for the whole data set, however large the batches; it is exact (numpyro's
`TraceMeanField_ELBO`). The expectation is estimated with one draw an event by local reparametrisation (Kingma et al.,
arXiv:1506.02557, sec. 2.3): a linear layer with independent Gaussian weights has a Gaussian output of known mean and
variance, which is drawn instead of the weights; weights outside of linear layers are drawn for each event. The errors
of the events are then independent, whereas numpyro's autoguides draw one set of weights for the batch, whose error
does not fall with its size.

A mean-field posterior keeps no correlation between weights, nor does it visit other modes: it tends to be too narrow,
and that it is not is for the calibration to show.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import SVI, TraceMeanField_ELBO
from pydantic import Field

from saggiatore.errors import ConvergenceError
from saggiatore.infer import density
from saggiatore.infer.base import Chains
from saggiatore.infer.density import AbstractDensityMethod, LearnedDensity
from saggiatore.infer.minibatch import MinibatchSpec, run_epochs
from saggiatore.infer.network import AbstractNetworkMethod, Sampled, log_likelihood, prior_width
from saggiatore.infer.weights import Weights, flatten, with_weights
from saggiatore.models.base import AbstractFixed, AbstractRegression, Event
from saggiatore.models.density import AbstractDensity
from saggiatore.tasks.base import AbstractTask
from saggiatore.types import Array, Float, PRNGKeyArray, Scalar

_N_PARTS = 16  # draws of a density's weights for one batch, if they divide it


class SviSpec(MinibatchSpec):
    """Gaussian weights by stochastic variational inference."""

    kind: Literal["svi"] = Field(
        "svi",
        description="mean-field Gaussian weights; for densities its error bars were two to three times too wide where "
        "the truth is known (pulls of 0.31 to 0.51), so that replicas are preferable there",
    )
    n_draws: int = Field(200, ge=2, description="draws of the weights from the fitted posterior")
    max_drift: float = Field(
        0.01, gt=0, description="larger change of the bound between the last two tenths of the epochs, nats an event"
    )

    def build(self) -> "Svi":
        return Svi(self)


class Svi(AbstractNetworkMethod, AbstractDensityMethod):
    """Draws from the fitted Gaussians."""

    spec: SviSpec

    def sample(self, model: AbstractRegression, events: Event, *, key: PRNGKeyArray) -> Sampled:
        """See `AbstractNetworkMethod.sample`.

        Raises:
            ConvergenceError: if there are too few events for a batch, or the bound is not finite or still moves.
        """
        fit, at = jax.random.split(key)
        loc, scale, bounds = fit_mean_field(self.spec, model, events, fit)
        _require_rest(bounds, self.spec.max_drift)
        return self._draws(prior_width(model, self.spec.prior_scale), loc, scale, at)

    def sample_density(self, learned: LearnedDensity, *, key: PRNGKeyArray) -> Sampled:
        """See `AbstractDensityMethod.sample_density`.

        Raises:
            ConvergenceError: if there are too few events for a batch, or the bound is not finite or still moves.
        """
        fit, at, to_loss = jax.random.split(key, 3)
        width = density.prior_width(learned.density, self.spec.prior_scale)
        start = flatten(learned.density) / width, jnp.full(width.size, self.spec.start_scale)
        per_loss = density.log_likelihood_per_loss(learned, key=to_loss)
        bounded = partial(bounded_density, learned.density, learned.task, per_loss, width, start)
        loc, scale, bounds = _fit(self.spec, bounded, start, learned.events, fit)
        _require_rest(bounds, self.spec.max_drift)
        return self._draws(width, loc, scale, at)

    def _draws(self, width: Weights, loc: Weights, scale: Weights, key: PRNGKeyArray) -> Sampled:
        z = loc + scale * jax.random.normal(key, (self.spec.n_draws, loc.size))
        return Sampled(np.asarray(width * z)[None], 0, is_markov=False)

    def check(self, chains: Chains) -> None:
        """Nothing beyond the bound, which the fit checks: the draws are independent."""


class NoisyLinear(eqx.Module):
    """A linear layer with independent Gaussian weights, whose output is drawn: local reparametrisation."""

    mean: eqx.nn.Linear
    variance: eqx.nn.Linear  # variances of weights and bias
    noise: Array  # unit normal, of the output's shape

    def __call__(self, x: Array, *, key: PRNGKeyArray | None = None) -> Array:
        return self.mean(x) + jnp.sqrt(self.variance(x**2)) * self.noise


def drawn(mean: AbstractRegression, std: AbstractRegression, noise: Float[Array, " unit"]) -> AbstractRegression:
    """A network for one event, its weights Gaussian: layers draw their outputs, all other weights are drawn.

    `noise` holds `n_noise` unit normal numbers.
    """
    means, tree = jax.tree.flatten(mean, is_leaf=_is_drawn_whole)
    structure: Any = tree  # jax does not type it
    shapes = [_noise_shape(node) for node in means]
    sizes = [0 if shape is None else math.prod(shape) for shape in shapes]
    parts = jnp.split(noise, np.cumsum(sizes)[:-1])
    network: AbstractRegression = structure.unflatten(map(_drawn, means, structure.flatten_up_to(std), shapes, parts))
    return network


def n_noise(model: AbstractRegression) -> int:
    """Random numbers that `drawn` takes for one event."""
    shapes = (_noise_shape(node) for node in jax.tree.leaves(model, is_leaf=_is_drawn_whole))
    return sum(math.prod(shape) for shape in shapes if shape is not None)


def _is_drawn_whole(node: object) -> bool:
    return isinstance(node, eqx.nn.Linear | AbstractFixed)


def _noise_shape(node: Any) -> tuple[int, ...] | None:
    """Shape of the noise that a part of the network takes; None: it is fixed."""
    if isinstance(node, eqx.nn.Linear):
        return () if node.out_features == "scalar" else (int(node.out_features),)
    return jnp.shape(node) if eqx.is_inexact_array(node) else None


def _drawn(mean: Any, std: Any, shape: tuple[int, ...] | None, noise: Float[Array, " unit"]) -> object:
    if shape is None:
        return mean
    if isinstance(mean, eqx.nn.Linear):
        return NoisyLinear(mean, jax.tree.map(jnp.square, std), noise.reshape(shape))
    return mean + std * noise.reshape(shape)


def fit_mean_field(
    spec: SviSpec, model: AbstractRegression, events: Event, key: PRNGKeyArray
) -> tuple[Weights, Weights, Float[np.ndarray, " epoch"]]:
    """Means and standard deviations in units of the prior's, and the bound of each epoch in nats an event."""
    width = prior_width(model, spec.prior_scale)
    start = flatten(model) / width, jnp.full(width.size, spec.start_scale)
    return _fit(spec, partial(bounded, model, width, start), start, events, key)


def _fit(
    spec: SviSpec, bounded: Callable[[Event, Array], None], start: tuple[Weights, Weights], events: Event, key: Array
) -> tuple[Weights, Weights, Float[np.ndarray, " epoch"]]:
    inference = SVI(bounded, partial(_guide, start), spec.optimiser(len(events.weight)), TraceMeanField_ELBO())
    found, losses = run_epochs(inference, events, spec.n_epochs, spec.batch_size, "mean field", key=key)
    return found["loc"], found["scale"], -losses / float(events.weight.sum())


def bounded(
    model: AbstractRegression,
    width: Weights,
    start: tuple[Weights, Weights],
    events: Event,
    n_per_event: Array,
) -> None:
    """The numpyro model: the prior, and the likelihood with an independent draw for each event from the guide."""
    numpyro.sample("z", dist.Normal(jnp.zeros_like(width), 1.0).to_event(1))
    loc, scale = _gaussian(start)
    mean, std = with_weights(model, width * loc), with_weights(model, width * scale)
    noise = jax.random.normal(numpyro.prng_key(), (len(events.weight), n_noise(model)))
    terms = jax.vmap(lambda event, unit: log_likelihood(drawn(mean, std, unit), event))(events, noise)
    numpyro.factor("likelihood", n_per_event * (events.weight @ terms))


def bounded_density(
    model: AbstractDensity,
    task: AbstractTask,
    per_loss: Scalar,
    width: Weights,
    start: tuple[Weights, Weights],
    events: Event,
    n_per_event: Array,
) -> None:
    """The same for a density and the loss of its task, where parts of the batch share a draw of all weights.

    Local reparametrisation would need every layer to be called once for an event: attention calls its layers for
    every token with the same weights.
    """
    numpyro.sample("z", dist.Normal(jnp.zeros_like(width), 1.0).to_event(1))
    loc, scale = _gaussian(start)
    n_events = len(events.weight)
    n_parts = math.gcd(_N_PARTS, n_events)
    to_weights, to_loss = jax.random.split(numpyro.prng_key())
    noise = jax.random.normal(to_weights, (n_parts, width.size))
    parts = jax.tree.map(lambda column: column.reshape(n_parts, n_events // n_parts, *column.shape[1:]), events)
    keys = jax.random.split(to_loss, parts.weight.shape)

    def loss(unit: Weights, part: Event, its_keys: Array) -> Scalar:
        drawn_density = with_weights(model, width * (loc + scale * unit))
        found = jax.vmap(lambda event, k: task.loss(drawn_density, event, key=k))(part, its_keys)
        return part.weight @ found

    numpyro.factor("likelihood", -n_per_event * per_loss * jnp.sum(jax.vmap(loss)(noise, parts, keys)))


def _guide(start: tuple[Weights, Weights], *_: object) -> None:
    numpyro.sample("z", dist.Normal(*_gaussian(start)).to_event(1))


def _gaussian(start: tuple[Weights, Weights]) -> tuple[Array, Array]:
    loc, scale = start
    return numpyro.param("loc", loc), numpyro.param("scale", scale, constraint=dist.constraints.positive)


def _require_rest(bounds: Float[np.ndarray, " epoch"], max_drift: float) -> None:
    tenth = max(1, math.ceil(len(bounds) / 10))
    drift = float(bounds[-tenth:].mean() - bounds[-2 * tenth : -tenth].mean())
    if not abs(drift) <= max_drift:
        raise ConvergenceError(
            f"the bound of the mean-field posterior still moves: by {drift:.4f} nats an event between the last two "
            f"tenths of the epochs, expected at most {max_drift}. Raise n_epochs, or lower learning_rate. Nothing "
            "was written."
        )
