r"""Markov chains over all weights of a small network: the reference that cheaper posteriors are compared with.

NUTS (arXiv:1111.4246) on the exact posterior of `network`, with all events in every step: its cost is events times
weights times leapfrog steps, so that it is for hundreds of weights and thousands of events. Chains start at maxima of
the posterior that were found from independent draws of the prior; that the functions they visit agree is R-hat's
question, asked of scores and noises at reference events, since hidden units can be exchanged.
"""

from collections.abc import Callable
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpyro.infer import MCMC, NUTS
from numpyro.infer.util import log_density
from pydantic import Field

from saggiatore.errors import ModelError
from saggiatore.infer.base import Chains
from saggiatore.infer.diagnostics import diagnostics_columns, require_convergence
from saggiatore.infer.network import AbstractNetworkMethod, Sampled, network_model, prior_width
from saggiatore.models.base import AbstractRegression, Event
from saggiatore.spec import Spec
from saggiatore.types import Array, Float, Int, PRNGKeyArray, Scalar


class NutsSpec(Spec):
    """NUTS on all weights."""

    kind: Literal["nuts"] = "nuts"
    n_chains: int = Field(4, ge=2, description="Markov chains, run side by side from independent maxima")
    n_climb: int = Field(1000, ge=1, description="steps of Adam from a draw of the prior to a chain's start")
    n_warmup: int = Field(300, ge=50, description="transitions of each chain that adapt step size and mass matrix")
    n_draws: int = Field(500, ge=50, description="draws of each chain after warm-up")
    max_tree_depth: int = Field(7, ge=1, le=12, description="at most 2^depth leapfrog steps a transition")
    target_accept: float = Field(0.95, gt=0.5, lt=1, description="mean acceptance that the step size is adapted to")
    prior_scale: float = Field(1.0, gt=0, description="prior width of a weight times the root of its fan-in")
    max_weights: int = Field(1000, ge=1, description="a larger network is refused: it would take days")
    max_rhat: float = Field(1.05, gt=1, description="larger R-hat of a score or noise at a reference event is an error")
    max_divergent: float = Field(
        0.005, ge=0, lt=1, description="a larger fraction of divergent transitions is an error: a network has funnels"
    )
    min_ess: float = Field(100, gt=0, description="smaller effective sample size of one is an error")

    def build(self) -> "Nuts":
        return Nuts(self)


class Nuts(AbstractNetworkMethod):
    """Draws of all weights."""

    spec: NutsSpec

    def sample(self, model: AbstractRegression, events: Event, *, key: PRNGKeyArray) -> Sampled:
        """See `AbstractNetworkMethod.sample`.

        Raises:
            ModelError: if the network has more than `max_weights` weights.
        """
        width = prior_width(model, self.spec.prior_scale)
        if width.size > self.spec.max_weights:
            raise ModelError(
                f"the network has {width.size} weights, nuts was to take at most {self.spec.max_weights}: use "
                "last_layer, svi or replicas for it, or raise max_weights and wait."
            )
        z, n_divergent = run_nuts(self.spec, model, events, key)
        return Sampled(np.asarray(width * z), int(n_divergent), is_markov=True)

    def check(self, chains: Chains) -> None:
        """See `AbstractNetworkMethod.check`."""
        spec = self.spec
        most = spec.max_divergent * spec.n_chains * spec.n_draws
        require_convergence(diagnostics_columns(chains), spec.max_rhat, spec.min_ess, most)


@eqx.filter_jit
def run_nuts(
    spec: NutsSpec, model: AbstractRegression, events: Event, key: PRNGKeyArray
) -> tuple[Float[Array, "chain draw weight"], Int[Array, ""]]:
    """Chains of the weights in units of the prior's widths, and the number of divergent transitions."""

    def potential(z: Float[Array, " weight"]) -> Scalar:
        return -log_density(network_model, (model, spec.prior_scale, events), {}, {"z": z})[0]

    kernel = NUTS(
        potential_fn=potential,
        target_accept_prob=spec.target_accept,
        max_tree_depth=spec.max_tree_depth,
    )
    mcmc = MCMC(
        kernel,
        num_warmup=spec.n_warmup,
        num_samples=spec.n_draws,
        num_chains=spec.n_chains,
        chain_method="vectorized",
        progress_bar=False,
    )
    at, run = jax.random.split(key)
    prior = jax.random.normal(at, (spec.n_chains, prior_width(model, 1.0).size))
    start = jax.vmap(lambda z: _climb(potential, z, spec.n_climb))(prior)
    mcmc.run(run, init_params=start, extra_fields=("diverging",))
    n_divergent = jnp.sum(mcmc.get_extra_fields(group_by_chain=True)["diverging"])
    return mcmc.get_samples(group_by_chain=True), n_divergent


def _climb(
    potential: Callable[[Float[Array, " weight"]], Scalar], z: Float[Array, " weight"], n_steps: int
) -> Float[Array, " weight"]:
    """Where Adam ends from z, with a rate that falls to nothing."""
    optimiser = optax.adam(optax.cosine_decay_schedule(0.03, n_steps))

    def step(carry: tuple, _: None) -> tuple[tuple, None]:
        z, memory = carry
        updates, memory = optimiser.update(jax.grad(potential)(z), memory)
        return (optax.apply_updates(z, updates), memory), None

    (z, _), _ = jax.lax.scan(step, (z, optimiser.init(z)), None, n_steps)
    return z
