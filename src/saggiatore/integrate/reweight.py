"""Existing events at other parameter points, and what a parton shower asks about them."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from saggiatore.physics.process import AbstractProcess, Channel
from saggiatore.types import Array, Float, Int, Momenta, Theta


class Reweighted(NamedTuple):
    """One row an event."""

    ratios: Float[Array, "event point"]
    colour_rates: Float[Array, "event flow"]
    scale: Float[Array, " event"]  # of factorisation, GeV; NaN where there is none
    alpha_s: Float[Array, " event"]


@eqx.filter_jit
def reweight(
    process: AbstractProcess,
    momenta: Float[Array, "event leg 4"],
    channels: Int[Array, " event"],
    theta: Float[Array, "event theta"],
    points: Float[Array, "point theta"],
) -> Reweighted:
    """Rates of the events' channels at `points` over those at the events' own `theta`, colour flows and scales."""

    def one(momenta: Momenta, channel: Channel, theta: Theta) -> Reweighted:
        rates = jax.vmap(lambda point: process.channel_rate(momenta, channel, point))(
            jnp.concatenate([theta[None], points])
        )
        return Reweighted(rates[1:] / rates[0], process.colour_rates(momenta, channel, theta), *process.scales(momenta))

    return jax.vmap(one)(momenta, channels, theta)
