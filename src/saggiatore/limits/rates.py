r"""Rates of existing events at any theta, relative to theta = 0: polynomials of degree two, one an event.

The ratio of an event's rates is evaluated at as many points as the polynomial has terms and is then known everywhere,
exactly (see `integrate.morphing`). It is the ratio of rates summed over flavours at the event's momenta, since what
expectations of observables need is averaged over flavours; and that of the event's own flavours, which the most that
anyone could know includes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.compilation import fill
from saggiatore.errors import EventError, StudyError
from saggiatore.integrate.base import over_events
from saggiatore.integrate.morphing import Morphing, morphing
from saggiatore.physics.process import AbstractProcess, Channel, channel_numbers
from saggiatore.types import Array, Float, Int, Momenta, Theta

ROWS = 16384  # events of one compiled call
TOLERANCE = 0.02  # of the events' scores, relative: inputs such as widths differ between generators


class Polynomials(NamedTuple):
    """Coefficients of w(theta)/w(0) of each event in the monomials of `Rates.morph`."""

    averaged: Float[np.ndarray, "event monomial"]  # of rates summed over flavours
    own: Float[np.ndarray, "event monomial"]  # of the rate of the event's flavours


@dataclass(frozen=True)
class Rates:
    """The process, some of its parameters, and the points at which its rates are evaluated; theta = 0 is the first."""

    process: AbstractProcess
    morph: Morphing
    points: Float[np.ndarray, "point theta"]  # in all parameters of the process
    is_averaged: bool  # sum over flavours; without, both polynomials are of the event's own flavours

    def of(self, momenta: Float[np.ndarray, "event leg 4"], pdg: Int[np.ndarray, "event leg"]) -> Polynomials:
        """Polynomials of events with their momenta (GeV) and PDG numbers.

        Raises:
            EventError: if flavours are no channel of the process, or an event has no rate at theta = 0.
        """
        channels = self._channels(pdg)
        blocks = (slice(first, first + ROWS) for first in range(0, len(pdg), ROWS))
        parts = [self._block(momenta[block], channels[block]) for block in blocks]
        averaged, own = (np.concatenate(several) for several in zip(*parts, strict=True))
        is_finite = np.isfinite(averaged).all(axis=1) & np.isfinite(own).all(axis=1)
        if not is_finite.all():
            row = int(np.argmin(is_finite))
            raise EventError(
                f"event {row + 1} of a batch, of the legs {pdg[row].tolist()} (PDG), has no rate at theta = 0 in this "
                "process. Limits need events of the study's own process."
            )
        return Polynomials(self.morph.coefficients(averaged if self.is_averaged else own), self.morph.coefficients(own))

    def of_images(self, momenta: Float[np.ndarray, "event leg 4"]) -> Float[np.ndarray, "event monomial"]:
        """Polynomials of rates summed over flavours, the mean over an event's images, relative to theta = 0 of its own.

        Their mean over events at theta = 0 is the ratio of cross sections, without what cancels between images.

        Raises:
            EventError: if an event has no rate at theta = 0.
        """
        starts, points = range(0, len(momenta), ROWS), jnp.asarray(self.points)
        blocks = (momenta[first : first + ROWS] for first in starts)
        parts = [np.asarray(_image_ratios(self.process, jnp.asarray(fill(b, ROWS)), points))[: len(b)] for b in blocks]
        found = np.concatenate(parts)
        if not np.isfinite(found).all():
            raise EventError(
                "an event has no rate at theta = 0 in this process. Name events of the study's own process."
            )
        return self.morph.coefficients(found)

    def _block(self, momenta: np.ndarray, channels: np.ndarray) -> list[Float[np.ndarray, "event point"]]:
        filled, numbers = (jnp.asarray(fill(part, ROWS)) for part in (momenta, channels))
        found = _ratios(self.process, filled, numbers, jnp.asarray(self.points))
        return [np.asarray(ratios)[: len(momenta)] for ratios in found]

    def _channels(self, pdg: Int[np.ndarray, "event leg"]) -> Int[np.ndarray, " event"]:
        try:
            return channel_numbers(self.process, pdg)
        except KeyError as error:
            raise EventError(f"events with the legs {error} (PDG) are no channel of the study's process.") from None


def rates(process: AbstractProcess, scales: Mapping[str, float], is_averaged: bool) -> Rates:
    """Rates in the parameters of `scales`, each with the size that its values have; all others stay zero.

    Raises:
        StudyError: if the rate is no polynomial of degree two in one of them.
    """
    unknown = sorted(set(scales) - set(process.quadratic))
    if unknown:
        raise StudyError(
            f"limits on {', '.join(unknown)}: expected parameters in which the rate is a polynomial of degree two "
            f"({', '.join(process.quadratic) or 'none of this process'}), since rates at any theta are found from it."
        )
    names = list(scales)
    found: dict[str, dict[str, float]] = {"0": {}}
    for place, name in enumerate(names):
        found |= {f"+{name}": {name: scales[name]}, f"-{name}": {name: -scales[name]}}
        found |= {f"{name}+{other}": {name: scales[name], other: scales[other]} for other in names[:place]}
    points = np.array([[point.get(name, 0.0) for name in process.parameters] for point in found.values()])
    return Rates(process, morphing(names, found), points, is_averaged)


@eqx.filter_jit
def _ratios(
    process: AbstractProcess, momenta: Float[Array, "event leg 4"], channels: Array, points: Float[Array, "point theta"]
) -> tuple[Float[Array, "event point"], Float[Array, "event point"]]:
    def one(momenta: Momenta, channel: Channel) -> tuple[Array, Array]:
        def both(theta: Theta) -> tuple[Array, Array]:
            return process.rate(momenta, theta), process.channel_rate(momenta, channel, theta)

        summed, own = jax.vmap(both)(points)
        return summed / summed[0], own / own[0]

    return over_events(one, momenta, channels)


@eqx.filter_jit
def _image_ratios(
    process: AbstractProcess, momenta: Float[Array, "event leg 4"], points: Float[Array, "point theta"]
) -> Float[Array, "event point"]:
    def one(momenta: Momenta) -> Array:
        images = process.images(momenta)
        summed = jax.vmap(lambda theta: jax.vmap(process.rate, (0, None))(images, theta))(points)
        return summed.mean(axis=1) / summed[0, 0]

    return over_events(one, momenta)


def require_agreement(distance: float, size: float, parameters: Sequence[str]) -> None:
    """Refuse events whose scores are not those of the process: their rates would be of something else.

    Args:
        distance: sum over events of the squared distance of the table's scores from those of the rates.
        size: sum of the squared scores.
        parameters: names, for the message.

    Raises:
        EventError: if they lie further apart than `TOLERANCE`, in the root mean square.
    """
    # a difference of large sums: below zero by rounding where they agree exactly
    relative = (max(distance, 0.0) / size) ** 0.5 if size > 0 else 0.0
    if relative > TOLERANCE:
        raise EventError(
            f"the scores of the events in {', '.join(parameters)} lie {relative:.3g} (root mean square, relative) from "
            f"those of the process's rates, at most {TOLERANCE:g} is allowed. Limits need events of the study's own "
            "process; check its inputs and the directions of the parameters."
        )
