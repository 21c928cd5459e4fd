"""Existing events at other parameter points, and the colour flows behind them."""

import equinox as eqx
import jax
import jax.numpy as jnp

from saggiatore.physics.process import AbstractProcess, Channel
from saggiatore.types import Array, Float, Int, Momenta, Theta


@eqx.filter_jit
def reweight(
    process: AbstractProcess,
    momenta: Float[Array, "event leg 4"],
    channels: Int[Array, " event"],
    theta: Float[Array, "event theta"],
    points: Float[Array, "point theta"],
) -> tuple[Float[Array, "event point"], Float[Array, "event flow"]]:
    """Rates of the events' channels at `points` over those at the events' own `theta`; rates of the colour flows."""

    def one(momenta: Momenta, channel: Channel, theta: Theta) -> tuple[Array, Array]:
        rates = jax.vmap(lambda point: process.channel_rate(momenta, channel, point))(
            jnp.concatenate([theta[None], points])
        )
        return rates[1:] / rates[0], process.colour_rates(momenta, channel, theta)

    return jax.vmap(one)(momenta, channels, theta)
