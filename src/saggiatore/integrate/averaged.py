"""Averages over flavours for events of another generator, from the amplitudes of the study's process.

They hold for the file's events if both generators mean the same: the process must give the file's joint scores of the
events' own flavours. That its parton densities are those of the file, which the shares of flavours also follow, no
weight of the file can tell.
"""

from dataclasses import dataclass

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from saggiatore.compilation import fill
from saggiatore.errors import EventError
from saggiatore.integrate.base import over_events
from saggiatore.integrate.events import ROWS
from saggiatore.physics.flavours import flavours
from saggiatore.physics.process import AbstractProcess, Channel, channel_numbers
from saggiatore.types import Array, Float, Int, Momenta, Theta

TOLERANCE = 0.02  # of the joint scores, relative: inputs such as widths differ between generators


@dataclass
class FlavourAverage:
    """Averages over flavours, and the distance of the process's joint scores from the file's so far."""

    process: AbstractProcess
    theta: Float[np.ndarray, " theta"]
    log_sigma_gradient: Float[np.ndarray, " theta"]
    distance: float = 0.0
    size: float = 0.0

    def of(
        self,
        momenta: Float[np.ndarray, "event leg 4"],
        pdg: Int[np.ndarray, "event leg"],
        weight: Float[np.ndarray, " event"],
        joint_score: Float[np.ndarray, "event theta"],
    ) -> tuple[Float[np.ndarray, "event theta"], Float[np.ndarray, "event theta"]]:
        """Mean and variance over flavours of the joint score, at most `ROWS` events at once."""
        channel = channel_numbers(self.process, pdg)
        found = _moments(
            self.process,
            jnp.asarray(fill(momenta, ROWS)),
            jnp.asarray(fill(channel, ROWS)),
            jnp.asarray(self.theta),
            jnp.asarray(self.log_sigma_gradient),
        )
        own, mean, variance = (np.asarray(part)[: len(momenta)] for part in found)
        self.distance += float((np.abs(weight)[:, None] * (own - joint_score) ** 2).sum())
        self.size += float((np.abs(weight)[:, None] * joint_score**2).sum())
        return mean, variance

    def require_agreement(self) -> None:
        """Refuse averages of other physics than the file's.

        Raises:
            EventError: if the process gives other joint scores than the file's weights.
        """
        relative = (self.distance / self.size) ** 0.5 if self.size > 0 else 0.0
        if relative > TOLERANCE:
            raise EventError(
                f"the amplitudes of the process give joint scores that lie {relative:.3g} (root mean square, relative) "
                f"from those of the file's weights, at most {TOLERANCE:g} is allowed for averages over flavours. Check "
                "the normalisation of the parameters and the benchmarks, or leave average_flavours out."
            )


@eqx.filter_jit
def _moments(
    process: AbstractProcess, momenta: Array, channels: Array, theta: Theta, log_sigma_gradient: Theta
) -> tuple[Array, Array, Array]:
    def one(momenta: Momenta, channel: Channel) -> tuple[Theta, Theta, Theta]:
        found = flavours(process, momenta, theta, log_sigma_gradient)
        return found.score[channel], found.mean(), found.variance()

    return over_events(one, momenta, channels)
