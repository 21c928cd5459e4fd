r"""A repulsive ensemble by Stein variational inference: networks that learn the same events and push each other apart.

Particles follow the gradient of the posterior, averaged over their neighbours, and are repelled by the gradient of a
kernel between them (Liu and Wang, arXiv:1608.04471). numpyro's `SteinVI` gives every particle a Gaussian of its own, so
that the posterior is a mixture of mean-field Gaussians (Stein mixtures, arXiv:2410.22948), which does not shrink to a
point in many dimensions as point particles do.

Each step costs the square of the number of particles in gradients of a batch: few particles, small networks.
"""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.contrib.einstein import RBFKernel, SteinVI
from pydantic import Field

from saggiatore.infer.base import Chains
from saggiatore.infer.minibatch import MinibatchSpec, run_epochs
from saggiatore.infer.network import AbstractNetworkMethod, Sampled, network_model, prior_width
from saggiatore.models.base import AbstractRegression, Event
from saggiatore.types import PRNGKeyArray


class SteinSpec(MinibatchSpec):
    """A mixture of Gaussians by Stein variational inference."""

    kind: Literal["stein"] = "stein"
    n_particles: int = Field(8, ge=2, description="Gaussians of the mixture; a step costs their square")
    n_gradients: int = Field(1, ge=1, description="draws from a Gaussian for each gradient of its bound")
    n_draws: int = Field(25, ge=1, description="draws of the weights from each Gaussian")

    def build(self) -> "Stein":
        return Stein(self)


class Stein(AbstractNetworkMethod):
    """Draws from the fitted mixture, as many from each particle."""

    spec: SteinSpec

    def sample(self, model: AbstractRegression, events: Event, *, key: PRNGKeyArray) -> Sampled:
        """See `AbstractNetworkMethod.sample`.

        Raises:
            ConvergenceError: if there are too few events for a batch, or the force is not finite.
        """
        spec, (fit, at) = self.spec, jax.random.split(key)
        width = prior_width(model, spec.prior_scale)
        inference = SteinVI(
            partial(network_model, model, spec.prior_scale),
            partial(_guide, width.size, spec.start_scale),
            spec.optimiser(len(events.weight)),
            RBFKernel(),
            num_stein_particles=spec.n_particles,
            num_elbo_particles=spec.n_gradients,
        )
        found, _ = run_epochs(inference, events, spec.n_epochs, spec.batch_size, "stein", key=fit)
        noise = jax.random.normal(at, (spec.n_draws, spec.n_particles, width.size))
        z = (found["loc"] + jnp.exp(found["log_scale"]) * noise).reshape(-1, width.size)
        return Sampled(np.asarray(width * z)[None], 0, is_markov=False)

    def check(self, chains: Chains) -> None:
        """Nothing beyond a finite force, which the fit checks."""


def _guide(n_weights: int, start_scale: float, *_: object) -> None:
    """One particle: a Gaussian about a draw of the prior.

    Its width is a logarithm here: numpyro 0.22 takes a parameter with a constraint to its constrained space twice where
    it works out the mixture's density, exp(exp(u)) for a width, and widths then shrink towards zero, unhindered.
    """
    loc = numpyro.param("loc", lambda key: jax.random.normal(key, (n_weights,)))
    log_scale = numpyro.param("log_scale", jnp.full(n_weights, jnp.log(start_scale)))
    numpyro.sample("z", dist.Normal(loc, jnp.exp(log_scale)).to_event(1))
