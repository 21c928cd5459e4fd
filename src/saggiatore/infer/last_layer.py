r"""Posterior of a regression network's last layer: NUTS on its weights, with the features fixed.

The network predicts h(x) . w with noise v(x); h is the last layer's input times the scale of the target. Given events (x_i, t_i) with weights a_i (scaled such that they sum to
Kish's effective number of events, n), the quasi-likelihood of the last layer is

    t_i ~ Normal(h(x_i) . w, s v(x_i)),    w ~ Normal(0, (tau c)^2),    c = rms(t) / rms(|h|),

with the noise scale s and the prior scale tau sampled along (log s ~ Normal(0, 1), log tau ~ Normal(log prior_scale, 1)).

*Cost.* The likelihood depends on the events only through A = sum a h h^T / v, b = sum a h t / v, sum a t^2 / v and n.
They are summed once; a leapfrog step then costs the number of weights, not of events. In the eigenbasis of A, shifted
to the maximum and scaled by the Laplace approximation at the evidence maximum (MacKay 1992), the posterior is close to
a unit Gaussian, and NUTS (arXiv:1111.4246) needs few steps.

*Why Gaussian.* A joint score has heavy tails at fixed x, because rare flavour channels carry large scores. A Student
likelihood would follow the bulk and pull the location away from the mean E[t|x], which is the score; the Gaussian one
is consistent for the mean and right about its variance whenever v(x) is the conditional variance, whatever the shape
(quasi-likelihood, Wedderburn 1974). `std_robust` is the sandwich estimate that does not even need that (White 1982); the
shape of the residuals enters only the intervals for t itself, see `calibrate`.

*What is not in it.* The uncertainty of the features h, that is of the layers below; see `replicas` of a later issue.
"""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS
from pydantic import Field

from saggiatore.errors import ConvergenceError, ModelError
from saggiatore.infer.base import AbstractMethod, AbstractPosteriorScore, Chains, Parameter, ScoreEstimate
from saggiatore.infer.batches import Batch
from saggiatore.infer.diagnostics import diagnostics_columns, require_convergence
from saggiatore.models.base import AbstractRegression
from saggiatore.spec import Spec
from saggiatore.tables import Table
from saggiatore.types import Array, Features, Float, PRNGKeyArray, Scalar

_HYPER = {
    "log_noise_scale": "logarithm of the factor s on the network's noise variance",
    "log_prior_scale": "logarithm of tau, the prior width of the weights in units of rms(t)/rms(|h|)",
}


class LastLayerSpec(Spec):
    """NUTS on the weights of the last layer."""

    kind: Literal["last_layer"] = "last_layer"
    n_chains: int = Field(4, ge=2, description="Markov chains, run side by side from dispersed starting points")
    n_warmup: int = Field(500, ge=50, description="transitions of each chain that adapt step size and mass matrix")
    n_draws: int = Field(500, ge=50, description="draws of each chain after warm-up")
    max_tree_depth: int = Field(8, ge=1, le=12, description="at most 2^depth leapfrog steps a transition")
    target_accept: float = Field(0.8, gt=0.5, lt=1, description="mean acceptance that the step size is adapted to")
    prior_scale: float = Field(1.0, gt=0, description="median of tau: prior width of the prediction in units of rms(t)")
    max_rhat: float = Field(1.01, gt=1, description="larger R-hat of any quantity is an error")
    min_ess: float = Field(400, gt=0, description="smaller effective sample size of any quantity is an error")

    def build(self) -> "LastLayer":
        return LastLayer(self)


class Moments(NamedTuple):
    """Sufficient statistics of the events."""

    precision: Float[Array, "weight weight"]  # sum a h h^T / v
    projection: Float[Array, " weight"]  # sum a h t / v
    energy: Scalar  # sum a t^2 / v
    hidden: Scalar  # sum a |h|^2
    score: Scalar  # sum a t^2
    weight: Scalar  # sum a
    weight_squared: Scalar  # sum a^2


class Basis(NamedTuple):
    """Coordinates z in which the posterior is nearly a unit Gaussian: w = rotation (centre + z width)."""

    rotation: Float[Array, "weight weight"]
    eigenvalue: Float[Array, " weight"]  # of A
    gradient: Float[Array, " weight"]  # of the quadratic form at the centre, halved
    centre: Float[Array, " weight"]
    width: Float[Array, " weight"]
    energy: Scalar  # quadratic form at the centre
    log_noise: Scalar  # log s at the centre
    n_events: Scalar
    unit: Scalar  # c, the unit of the prior's width


class LastLayer(AbstractMethod):
    """Draws of the last layer's weights, of the noise scale and of the prior scale."""

    spec: LastLayerSpec

    def draw(self, model: eqx.Module, batches: Callable[[], Iterator[Batch]], *, key: PRNGKeyArray) -> Chains:
        """See `AbstractMethod.draw`.

        Raises:
            ModelError: if the model has no last layer and noise.
            ConvergenceError: if the chains did not converge.
        """
        if not isinstance(model, AbstractRegression):
            raise ModelError(
                f"the method 'last_layer' needs a regression (a model with a last layer and a noise, such as mlp), got "
                f"{type(model).__name__}. Use the model without draws."
            )
        basis = whiten(sum_events(moments, model, batches()), self.spec.prior_scale)
        z, hyper, n_divergent = run_nuts(self.spec, basis, key)
        weights = np.asarray((basis.centre + z * basis.width) @ basis.rotation.T)
        robust_weights, robust_noise = robust_std(model, batches(), basis)
        parameters = {
            f"weight_{i}": Parameter(weights[..., i], f"weight of hidden unit {i} in the last layer", robust)
            for i, robust in enumerate(robust_weights.tolist())
        }
        robust = {"log_noise_scale": float(robust_noise), "log_prior_scale": float(hyper["log_prior_scale"].std(ddof=1))}
        parameters |= {name: Parameter(hyper[name], _HYPER[name], robust[name]) for name in _HYPER}
        chains = Chains(parameters, n_divergent)
        require_convergence(diagnostics_columns(chains), self.spec.max_rhat, self.spec.min_ess)
        return chains

    def posterior(self, model: eqx.Module, draws: Table) -> "LastLayerScore":
        """See `AbstractMethod.posterior`."""
        names = [name for name in draws.schema.names if name.startswith("weight_")]
        weights = draws.array(names)
        noise_scale = np.exp(draws.data["log_noise_scale"].to_numpy()).mean()
        return LastLayerScore(
            model, jnp.asarray(weights.mean(axis=0)), jnp.asarray(np.cov(weights.T)), jnp.asarray(noise_scale)
        )


class LastLayerScore(AbstractPosteriorScore):
    """Mean and spread of h(x) . w over the draws: since it is linear in w, their mean and covariance are enough."""

    model: AbstractRegression
    mean: Float[Array, " weight"]
    covariance: Float[Array, "weight weight"]
    noise_scale: Scalar

    def __call__(self, features: Features) -> ScoreEstimate:
        h = last_features(self.model, features)
        if h.shape != self.mean.shape:
            raise ModelError(
                f"the draws have {self.mean.size} weights, the model's last layer {h.size}: they belong to different "
                "models. Give the draws that were made with this model."
            )
        return ScoreEstimate(h @ self.mean, h @ self.covariance @ h, self.noise_scale * self.model.noise(features))


def last_features(model: AbstractRegression, features: Features) -> Float[Array, " weight"]:
    """What the weights multiply, in the target's units: ``score = last_features @ last_layer``."""
    return model.scale * model.hidden(features)


@eqx.filter_jit
def moments(model: eqx.Module, batch: Batch) -> Moments:
    """Sufficient statistics of one batch, with the events' weights as they are."""
    h = jax.vmap(last_features, (None, 0))(model, batch.features)
    a, t = batch.weight, batch.score
    precision = a / jax.vmap(model.noise)(batch.features)
    return Moments(
        (h.T * precision) @ h,
        h.T @ (precision * t),
        precision @ t**2,
        a @ jnp.sum(h**2, axis=1),
        a @ t**2,
        jnp.sum(a),
        jnp.sum(a**2),
    )


def sum_events(function: Callable[[eqx.Module, Batch], tuple], model: eqx.Module, batches: Iterator[Batch]) -> tuple:
    """Sum over batches of what `function` makes of each."""
    return jax.tree.map(lambda *parts: sum(parts), *(function(model, Batch(*map(jnp.asarray, b))) for b in batches))


def whiten(total: Moments, prior_scale: float) -> Basis:
    """Laplace approximation at the maximum of the evidence in s and tau (MacKay's fixed point, Neural Comp. 4, 415).

    Raises:
        ConvergenceError: if the events' noise or features are not finite or vanish.
    """
    scale = total.weight / total.weight_squared
    n_events, unit = total.weight * scale, jnp.sqrt(total.score / total.hidden)
    eigenvalue, rotation = jnp.linalg.eigh(total.precision * scale)
    eigenvalue = jnp.maximum(eigenvalue, 0.0)  # A is positive semi-definite; eigh leaves rounding errors below zero
    projection, energy = rotation.T @ total.projection * scale, total.energy * scale

    def quadratic(w: Float[Array, " weight"]) -> Scalar:
        return energy - 2 * projection @ w + eigenvalue @ w**2

    def maximum(noise: Scalar, prior: Scalar) -> tuple[Float[Array, " weight"], Float[Array, " weight"]]:
        curvature = eigenvalue / noise + 1 / prior
        return projection / noise / curvature, curvature

    def step(_: int, scales: tuple[Scalar, Scalar]) -> tuple[Scalar, Scalar]:
        w, curvature = maximum(*scales)
        n_determined = jnp.sum(eigenvalue / scales[0] / curvature)
        return quadratic(w) / (n_events - n_determined), jnp.sum(w**2) / n_determined

    start = (jnp.ones(()), (prior_scale * unit) ** 2)
    noise, prior = jax.lax.fori_loop(0, 50, step, start)
    centre, curvature = maximum(noise, prior)
    if not (jnp.isfinite(centre).all() and noise > 0 and prior > 0):
        raise ConvergenceError(
            f"the last layer has no maximum: noise scale {noise}, prior variance {prior}. Check that the model was "
            f"trained (its noise is finite and positive) and that there are more than {centre.size} events."
        )
    return Basis(
        rotation, eigenvalue, eigenvalue * centre - projection, centre, curvature**-0.5, quadratic(centre),
        jnp.log(noise), n_events, unit,
    )  # fmt: skip


def log_density(basis: Basis, prior_scale: float) -> None:
    """The numpyro model, in whitened coordinates."""
    flat = dist.constraints.real
    z = numpyro.sample("z", dist.ImproperUniform(dist.constraints.real_vector, (), basis.centre.shape))
    u = numpyro.sample("u", dist.ImproperUniform(flat, (), ()))
    log_noise = numpyro.deterministic("log_noise_scale", basis.log_noise + u * jnp.sqrt(2 / basis.n_events))
    log_prior = numpyro.sample("log_prior_scale", dist.Normal(jnp.log(prior_scale), 1.0))
    shift = z * basis.width
    energy = basis.energy + 2 * basis.gradient @ shift + basis.eigenvalue @ shift**2
    numpyro.factor("noise_prior", dist.Normal(0.0, 1.0).log_prob(log_noise))
    prior = dist.Normal(0.0, basis.unit * jnp.exp(log_prior))
    numpyro.factor("weight_prior", prior.log_prob(basis.centre + shift).sum())
    numpyro.factor("likelihood", -0.5 * (basis.n_events * log_noise + energy * jnp.exp(-log_noise)))


def run_nuts(spec: LastLayerSpec, basis: Basis, key: PRNGKeyArray) -> tuple[Array, dict[str, np.ndarray], int]:
    """Chains in whitened coordinates z, the hyperparameters, and the number of divergent transitions.

    The chains start at twice the spread of the posterior, so that R-hat can tell when they have not met.
    """
    kernel = NUTS(log_density, target_accept_prob=spec.target_accept, max_tree_depth=spec.max_tree_depth)
    mcmc = MCMC(
        kernel,
        num_warmup=spec.n_warmup,
        num_samples=spec.n_draws,
        num_chains=spec.n_chains,
        chain_method="vectorized",
        progress_bar=False,
    )
    at, start, run = jax.random.split(key, 3)
    log_prior = jnp.log(jnp.sqrt(jnp.mean(basis.centre**2)) / basis.unit)
    initial = {
        "z": 2 * jax.random.normal(at, (spec.n_chains, basis.centre.size)),
        "u": 2 * jax.random.normal(start, (spec.n_chains,)),
        "log_prior_scale": jnp.full(spec.n_chains, log_prior),
    }
    mcmc.run(run, basis, spec.prior_scale, init_params=initial, extra_fields=("diverging",))
    draws = mcmc.get_samples(group_by_chain=True)
    n_divergent = int(mcmc.get_extra_fields(group_by_chain=True)["diverging"].sum())
    return draws["z"], {name: np.asarray(draws[name]) for name in _HYPER}, n_divergent


def robust_std(
    model: eqx.Module, batches: Iterator[Batch], basis: Basis
) -> tuple[Float[np.ndarray, " weight"], Float[np.ndarray, ""]]:
    """Sandwich standard deviations of the weights and of log s (White, Econometrica 50, 1): J^-1 K J^-1."""
    w = basis.rotation @ basis.centre

    @eqx.filter_jit
    def outer(model: eqx.Module, batch: Batch) -> tuple[Array, Array, Array, Array]:
        h = jax.vmap(last_features, (None, 0))(model, batch.features)
        noise = jnp.exp(basis.log_noise) * jax.vmap(model.noise)(batch.features)
        pull = (batch.score - h @ w) / jnp.sqrt(noise)
        gradient = h * (batch.weight * pull / jnp.sqrt(noise))[:, None]
        spread = jnp.sum((batch.weight * (pull**2 - 1)) ** 2)
        return gradient.T @ gradient, spread, jnp.sum(batch.weight), jnp.sum(batch.weight**2)

    outer_sum, spread, weight, weight_squared = sum_events(outer, model, batches)
    scale = weight / weight_squared
    inverse = (basis.rotation * basis.width**2) @ basis.rotation.T
    covariance = inverse @ (outer_sum * scale**2) @ inverse
    return np.asarray(jnp.sqrt(jnp.diag(covariance))), np.asarray(jnp.sqrt(spread) / weight)
