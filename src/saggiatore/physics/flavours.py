r"""The flavour channels behind an event's momenta: how likely each is, and what score it carries.

An event's joint score $t = \partial_\theta \log w_k - \partial_\theta \log\sigma(\theta)$ belongs to the channel k that
was drawn. A channel whose amplitudes nearly cancel is drawn rarely and then carries a large score, so that second
moments of drawn scores hang on single events. The mean of t over the channels at fixed momenta, which is the score of
the parton momenta, and its variance give every moment up to the second averaged over channels exactly (Rao-Blackwell).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from saggiatore.physics.process import AbstractProcess, Channel
from saggiatore.types import Array, Float, Momenta, Scalar, Theta


class Flavours(NamedTuple):
    """Shares of the channels in the rate at given momenta, and their joint scores."""

    share: Float[Array, " channel"]
    score: Float[Array, "channel theta"]

    def draw(self, chance: Scalar) -> Channel:
        """A channel, in proportion to the shares, from a uniform number in [0, 1)."""
        cumulative = jnp.cumsum(self.share)
        return jnp.argmax(cumulative > chance * cumulative[-1])

    def mean(self) -> Theta:
        """Mean of the joint score over channels: the score of the parton momenta."""
        return self.share @ self.score

    def variance(self) -> Theta:
        """Variance of the joint score over channels."""
        return self.share @ (self.score - self.mean()) ** 2


def flavours(process: AbstractProcess, momenta: Momenta, theta: Theta, log_sigma_gradient: Theta) -> Flavours:
    """The channels at momenta inside the cuts; a channel without rate has the score zero."""

    def rates(t: Theta) -> tuple[Float[Array, " channel"], Float[Array, " channel"]]:
        found = jax.vmap(lambda k: process.channel_rate(momenta, k, t))(jnp.arange(len(process.channels)))
        return found, found

    slope, rate = jax.jacfwd(rates, has_aux=True)(theta)
    has_rate = rate > 0
    score = slope / jnp.where(has_rate, rate, 1.0)[:, None] - log_sigma_gradient
    return Flavours(rate / jnp.sum(rate), jnp.where(has_rate[:, None], score, 0.0))
