r"""Posterior of a regression network's last layer: NUTS on its weights, with the features fixed.

The network predicts h(x) . w with noise v(x); h is the last layer's input times the scale of the target. Given events
(x_i, t_i) with weights a_i, scaled such that they sum to Kish's effective number of events n, its quasi-likelihood is

    t_i ~ Normal(h(x_i) . w, s v(x_i)),    w ~ Normal(0, (tau c)^2),    c = rms(t) / rms(|h|),

with noise scale s and prior scale tau sampled along: log s ~ Normal(0, 1), log tau ~ Normal(log prior_scale, 1).

*Cost.* The likelihood depends on the events only through A = sum a h h^T / v, b = sum a h t / v, sum a t^2 / v and n.
They are summed once; a leapfrog step then costs the number of weights, not of events. In the eigenbasis of A, each
weight shifted and scaled to its conditional posterior at the current s and tau (a non-centring that leaves no funnel
between tau and the weights, arXiv:1312.0906), the posterior is close to a unit Gaussian: NUTS (arXiv:1111.4246) needs
few steps.

*Priors* are described in `infer.prior`.

*Why Gaussian.* A joint score has heavy tails at fixed x, because rare flavour channels carry large scores.
A Student likelihood would follow the bulk and pull the location away from the mean E[t|x], which is the score; the
Gaussian one is consistent for the mean and right about its variance whenever v(x) is the conditional variance, whatever
the shape (quasi-likelihood, Wedderburn 1974). `std_robust` is the sandwich estimate that does not even need that (White
1982). The shape of the residuals enters only the intervals for t itself, see `calibrate`.

*What is not in it.* The uncertainty of the features h, that is of the layers below; see `replicas`, `svi` and `nuts`.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import NUTS
from numpyro.infer.hmc import HMCState
from numpyro.infer.util import log_density
from pydantic import Field

from saggiatore.compilation import RUN_ONCE
from saggiatore.infer.base import (
    AbstractDrawScores,
    AbstractMethod,
    AbstractPosteriorScore,
    Chains,
    Parameter,
    ScoreEstimate,
    drawn_weights,
    regression,
)
from saggiatore.infer.batches import Batch
from saggiatore.infer.blocks import collect
from saggiatore.infer.diagnostics import diagnostics_columns, require_convergence
from saggiatore.infer.laplace import Basis, last_features, moments, robust_std, sum_events, whiten
from saggiatore.infer.prior import LOCAL_WIDTH, N_COMMON, PriorSpec
from saggiatore.learn.checkpoint import identity_of
from saggiatore.models.base import AbstractModel, AbstractRegression
from saggiatore.tables import Table
from saggiatore.types import Array, Features, Float, PRNGKeyArray, Scalar, UInt32

_BLOCK = 250  # transitions between two looks for a signal, at most


class LastLayerSpec(PriorSpec):
    """NUTS on the weights of the last layer."""

    kind: Literal["last_layer"] = "last_layer"
    n_chains: int = Field(4, ge=2, description="Markov chains, run side by side from dispersed starting points")
    n_warmup: int = Field(500, ge=50, description="transitions of each chain that adapt step size and mass matrix")
    n_draws: int = Field(2000, ge=50, description="draws of each chain after warm-up")
    max_tree_depth: int = Field(8, ge=1, le=12, description="at most 2^depth leapfrog steps a transition")
    target_accept: float = Field(0.8, gt=0.5, lt=1, description="mean acceptance that the step size is adapted to")
    max_rhat: float = Field(1.01, gt=1, description="larger R-hat of any quantity is an error")
    min_ess: float = Field(400, gt=0, description="smaller effective sample size of any quantity is an error")

    def build(self) -> "LastLayer":
        return LastLayer(self)


class LastLayer(AbstractMethod):
    """Draws of the last layer's weights, of the noise scale and of the prior scale."""

    spec: LastLayerSpec
    checkpoint: Path | None = None
    identity: str = ""

    def resuming(self, checkpoint: Path, identity: str) -> "LastLayer":
        """See `AbstractMethod.resuming`: warm-up and draws go on from the block that they were in."""
        return replace(self, checkpoint=checkpoint, identity=identity)

    def draw(self, model: AbstractModel, batches: Callable[[], Iterator[Batch]], *, key: PRNGKeyArray) -> Chains:
        """See `AbstractMethod.draw`.

        Raises:
            ModelError: if the model has no last layer and noise.
            ConvergenceError: if the chains did not converge.
            InterruptionError: if a scheduler ended them.
        """
        network = regression(model)
        basis = whiten(sum_events(moments, network, batches()), self.spec.prior_scale)
        weights, hyper, n_divergent = run_nuts(
            self.spec, basis, key, checkpoint=self.checkpoint, identity=self.identity
        )
        weights_std, noise_std = robust_std(network, batches(), basis)
        parameters = {
            f"weight_{i}": Parameter(weights[..., i], f"weight of hidden unit {i} in the last layer", std)
            for i, std in enumerate(weights_std.tolist())
        }
        for i, (name, meaning) in enumerate(self.spec.scales(basis).items()):
            parameters[name] = Parameter(hyper[..., i], meaning, float(hyper[..., i].std() if i else noise_std))
        chains = Chains(parameters, n_divergent)
        require_convergence(diagnostics_columns(chains), self.spec.max_rhat, self.spec.min_ess)
        return chains

    def posterior(self, model: AbstractModel, draws: Table) -> "LastLayerScore":
        """See `AbstractMethod.posterior`."""
        network = regression(model)
        weights = drawn_weights(draws, network.last_layer.size)
        noise_scale = np.exp(draws.data["log_noise_scale"].to_numpy()).mean()
        return LastLayerScore(
            network,
            jnp.asarray(weights.mean(axis=0)),
            jnp.asarray(np.linalg.qr(weights - weights.mean(axis=0), mode="r") / (len(weights) - 1) ** 0.5),
            jnp.asarray(noise_scale),
        )

    def draw_scores(self, model: AbstractModel, draws: Table) -> "LastLayerDraws":
        """See `AbstractMethod.draw_scores`."""
        network = regression(model)
        return LastLayerDraws(network, jnp.asarray(drawn_weights(draws, network.last_layer.size)))


class LastLayerScore(AbstractPosteriorScore):
    """Mean and spread of h(x) . w over the draws: since it is linear in w, their mean and covariance are enough.

    The covariance is kept as its root R, of R^T R: |R h|^2 is not negative where it is many orders below the weights'.
    """

    model: AbstractRegression
    mean: Float[Array, " weight"]
    root: Float[Array, "row weight"]
    noise_scale: Scalar

    def __call__(self, features: Features) -> ScoreEstimate:
        h = last_features(self.model, features)
        return ScoreEstimate(
            h @ self.mean, jnp.sum((self.root @ h) ** 2), self.noise_scale * self.model.noise(features)
        )


class LastLayerDraws(AbstractDrawScores):
    """h(x) . w for the weights w of each draw."""

    model: AbstractRegression
    weights: Float[Array, "draw weight"]

    def __call__(self, features: Features) -> Float[Array, " draw"]:
        return self.weights @ last_features(self.model, features)


def posterior_model(spec: LastLayerSpec, basis: Basis) -> None:
    """The numpyro model in the coordinates z of `coordinates`, with the logarithm of their Jacobian."""
    size = basis.centre.size + len(spec.scales(basis))
    z = numpyro.sample("z", dist.ImproperUniform(dist.constraints.real_vector, (), (size,)))
    w, hyper, log_jacobian = coordinates(spec, basis, z)
    numpyro.factor("log_jacobian", log_jacobian)
    numpyro.factor("log_noise_scale", dist.Normal(0.0, 1.0).log_prob(hyper[0]))
    numpyro.factor("log_prior_scale", dist.Normal(jnp.log(spec.prior_scale), 1.0).log_prob(hyper[1]))
    # the logarithm of a half-Cauchy variable follows a hyperbolic secant
    numpyro.factor("log_local_scale", -jnp.sum(jnp.logaddexp(hyper[2:], -hyper[2:])))
    numpyro.factor("weights", dist.Normal(0.0, spec.precision(basis, hyper) ** -0.5).log_prob(w).sum())
    numpyro.factor("likelihood", -0.5 * (basis.n_events * hyper[0] + basis.residual(w) * jnp.exp(-hyper[0])))


def coordinates(
    spec: LastLayerSpec, basis: Basis, z: Float[Array, " coordinate"]
) -> tuple[Float[Array, " weight"], Float[Array, " hyper"], Scalar]:
    """Weights in the eigenbasis, (log s, log tau, all log lambda), and log|d(weights, hyper)/dz| up to a constant."""
    weights, common, local = jnp.split(z, [basis.centre.size, basis.centre.size + N_COMMON])
    hyper = jnp.concatenate([basis.hyper + basis.hyper_width * common, LOCAL_WIDTH * local])
    mean, curvature = basis.conditional(hyper, spec.precision(basis, hyper))
    return mean + weights / jnp.sqrt(curvature), hyper, -0.5 * jnp.sum(jnp.log(curvature))


def run_nuts(
    spec: LastLayerSpec, basis: Basis, key: PRNGKeyArray, *, checkpoint: Path | None = None, identity: str = ""
) -> tuple[Float[np.ndarray, "chain draw weight"], Float[np.ndarray, "chain draw hyper"], int]:
    """Chains of the weights, of (log s, log tau, all log lambda), and the number of divergent transitions.

    The chains start at twice the spread of the posterior, so that R-hat can tell when they have not met. Blocks of
    transitions are one compilation, which takes longer than the sampling. `checkpoint` is that of `collect`.
    """
    n_transitions = spec.n_warmup + spec.n_draws
    n_blocks = math.ceil(n_transitions / _BLOCK)
    shape = (n_blocks, math.ceil(n_transitions / n_blocks), spec.n_chains)
    room = (np.zeros((*shape, basis.centre.size)), np.zeros((*shape, len(spec.scales(basis)))), np.zeros(shape, bool))
    state = _start(spec, basis, jax.random.key_data(key))
    identity = identity_of((basis, key), f"{identity}/{spec.model_dump_json()}")
    advance = partial(_advance, spec, shape[1], basis)
    filled = collect(advance, state, room, checkpoint=checkpoint, identity=identity)
    joined = (part.reshape(-1, *part.shape[2:])[spec.n_warmup : n_transitions] for part in filled)
    weights, hyper, diverging = (part.swapaxes(0, 1) for part in joined)
    return weights, hyper, int(diverging.sum())


def _kernel(spec: LastLayerSpec, basis: Basis) -> NUTS:
    def potential(z: Float[Array, " coordinate"]) -> Scalar:
        return -log_density(posterior_model, (spec, basis), {}, {"z": z})[0]

    return NUTS(potential_fn=potential, target_accept_prob=spec.target_accept, max_tree_depth=spec.max_tree_depth)


@partial(jax.jit, static_argnums=0, compiler_options=RUN_ONCE)
def _start(spec: LastLayerSpec, basis: Basis, key: UInt32[Array, " 2"]) -> HMCState:
    """Where all chains begin; `key` is raw, so that the state is made of numbers that a file can hold."""
    at, run = jax.random.split(key)
    position = 2 * jax.random.normal(at, (spec.n_chains, basis.centre.size + len(spec.scales(basis))))
    return _kernel(spec, basis).init(jax.random.split(run, spec.n_chains), spec.n_warmup, position)


@partial(jax.jit, static_argnums=(0, 1), compiler_options=RUN_ONCE)
def _advance(spec: LastLayerSpec, n_transitions: int, basis: Basis, state: HMCState) -> tuple[HMCState, tuple]:
    """Chains after `n_transitions` more, and weights, scales and divergence behind each of them."""
    kernel = _kernel(spec, basis)
    # numpyro tells a kernel how to warm up only where it makes a first state: traced here, and not computed
    jax.eval_shape(lambda: kernel.init(state.rng_key, spec.n_warmup, state.z))

    def transition(before: HMCState, _nothing: None) -> tuple[HMCState, tuple]:
        after = kernel.sample(before, (), {})
        weights, hyper, _log_jacobian = jax.vmap(partial(coordinates, spec, basis))(after.z)
        return after, (weights @ basis.rotation.T, hyper, after.diverging)

    return jax.lax.scan(transition, state, length=n_transitions)
