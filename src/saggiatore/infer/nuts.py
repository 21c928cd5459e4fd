r"""Markov chains over all weights of a small network: the reference that cheaper posteriors are compared with.

NUTS (arXiv:1111.4246) on the exact posterior of `network`, with all events in every step: its cost is events times
weights times leapfrog steps, so that it is for hundreds of weights and thousands of events. Chains start at maxima of
the posterior that were found from independent draws of the prior; that the functions they visit agree is R-hat's
question, asked of scores and noises at reference events, since hidden units can be exchanged. Chains that a scheduler
ends go on from the block of transitions that they were in.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import equinox as eqx
import jax
import numpy as np
import optax
from numpyro.infer import NUTS
from numpyro.infer.hmc import HMCState
from numpyro.infer.util import log_density
from pydantic import Field

from saggiatore.errors import ModelError
from saggiatore.infer.base import Chains
from saggiatore.infer.blocks import collect
from saggiatore.infer.diagnostics import diagnostics_columns, require_convergence
from saggiatore.infer.network import AbstractNetworkMethod, Sampled, network_model, prior_width
from saggiatore.learn.checkpoint import identity_of
from saggiatore.models.base import AbstractRegression, Event
from saggiatore.spec import Spec
from saggiatore.types import Array, Float, PRNGKeyArray, Scalar, UInt32

_BLOCK = 25  # transitions between two looks for a signal, at most: one may take a second


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
    checkpoint: Path | None = None
    identity: str = ""

    def resuming(self, checkpoint: Path, identity: str) -> "Nuts":
        """See `AbstractMethod.resuming`: warm-up and draws go on from the block that they were in."""
        return replace(self, checkpoint=checkpoint, identity=identity)

    def sample(self, model: AbstractRegression, events: Event, *, key: PRNGKeyArray) -> Sampled:
        """See `AbstractNetworkMethod.sample`.

        Raises:
            ModelError: if the network has more than `max_weights` weights.
            InterruptionError: if a scheduler ended the chains.
        """
        width = prior_width(model, self.spec.prior_scale)
        if width.size > self.spec.max_weights:
            raise ModelError(
                f"the network has {width.size} weights, nuts was to take at most {self.spec.max_weights}: use "
                "last_layer, svi or replicas for it, or raise max_weights and wait."
            )
        z, n_divergent = run_nuts(self.spec, model, events, key, checkpoint=self.checkpoint, identity=self.identity)
        return Sampled(np.asarray(width) * z, n_divergent, is_markov=True)

    def check(self, chains: Chains) -> None:
        """See `AbstractNetworkMethod.check`."""
        spec = self.spec
        most = spec.max_divergent * spec.n_chains * spec.n_draws
        require_convergence(diagnostics_columns(chains), spec.max_rhat, spec.min_ess, most)


def run_nuts(
    spec: NutsSpec,
    model: AbstractRegression,
    events: Event,
    key: PRNGKeyArray,
    *,
    checkpoint: Path | None = None,
    identity: str = "",
) -> tuple[Float[np.ndarray, "chain draw weight"], int]:
    """Chains of the weights in units of the prior's widths, and the number of divergent transitions.

    `checkpoint` is that of `collect`.
    """
    n_transitions = spec.n_warmup + spec.n_draws
    n_blocks = math.ceil(n_transitions / _BLOCK)
    shape = (n_blocks, math.ceil(n_transitions / n_blocks), spec.n_chains)
    room = (np.zeros((*shape, prior_width(model, 1.0).size)), np.zeros(shape, bool))
    state = _start(spec, model, events, jax.random.key_data(key))
    identity = identity_of((model, events, key), f"{identity}/{spec.model_dump_json()}")
    advance = partial(_advance, spec, shape[1], model, events)
    filled = collect(advance, state, room, checkpoint=checkpoint, identity=identity)
    joined = (part.reshape(-1, *part.shape[2:])[spec.n_warmup : n_transitions] for part in filled)
    z, diverging = (part.swapaxes(0, 1) for part in joined)
    return z, int(diverging.sum())


def _potential(spec: NutsSpec, model: AbstractRegression, events: Event) -> Callable[[Float[Array, " weight"]], Scalar]:
    return lambda z: -log_density(network_model, (model, spec.prior_scale, events), {}, {"z": z})[0]


def _kernel(spec: NutsSpec, model: AbstractRegression, events: Event) -> NUTS:
    return NUTS(
        potential_fn=_potential(spec, model, events),
        target_accept_prob=spec.target_accept,
        max_tree_depth=spec.max_tree_depth,
    )


@eqx.filter_jit
def _start(spec: NutsSpec, model: AbstractRegression, events: Event, key: UInt32[Array, " 2"]) -> HMCState:
    """Where all chains begin; `key` is raw, so that the state is made of numbers that a file can hold."""
    at, run = jax.random.split(key)
    prior = jax.random.normal(at, (spec.n_chains, prior_width(model, 1.0).size))
    maxima = jax.vmap(lambda z: _climb(_potential(spec, model, events), z, spec.n_climb))(prior)
    return _kernel(spec, model, events).init(jax.random.split(run, spec.n_chains), spec.n_warmup, maxima)


@eqx.filter_jit
def _advance(
    spec: NutsSpec, n_transitions: int, model: AbstractRegression, events: Event, state: HMCState
) -> tuple[HMCState, tuple]:
    """Chains after `n_transitions` more, and weights and divergence behind each of them."""
    kernel = _kernel(spec, model, events)
    # numpyro tells a kernel how to warm up only where it makes a first state: traced here, and not computed
    jax.eval_shape(lambda: kernel.init(state.rng_key, spec.n_warmup, state.z))

    def transition(before: HMCState, _nothing: None) -> tuple[HMCState, tuple]:
        after = kernel.sample(before, (), {})
        return after, (after.z, after.diverging)

    return jax.lax.scan(transition, state, length=n_transitions)


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
