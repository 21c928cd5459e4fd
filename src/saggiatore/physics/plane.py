r"""Toys: densities of two numbers x and y in closed form, on which a generator's errors are known exactly.

A toy has no momenta of its own. So that it is a process like any other, x and y are the logarithms of the energies
(in GeV) of two massless beams that meet head on and go on undeflected: one to one, and no rotation about the beams
changes them. Phase space is dx dy, the rate is the density times 1 pb.
"""

import abc
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from saggiatore.physics.colour_flow import Flow
from saggiatore.physics.process import AbstractProcess, Channel, Observable
from saggiatore.spec import Spec
from saggiatore.types import Flag, Momenta, Scalar, Theta, UnitPoint

_TOTAL = 1.0  # pb, over the whole plane


def first_number(momenta: Momenta) -> Scalar:
    """x, from the beam along +z."""
    return jnp.log(momenta[0, 0])


def second_number(momenta: Momenta) -> Scalar:
    """y, from the beam along -z."""
    return jnp.log(momenta[1, 0])


OBSERVABLES: Mapping[str, Observable] = MappingProxyType(
    {
        "x": Observable(first_number, "1", "$x$", "first number of the toy"),
        "y": Observable(second_number, "1", "$y$", "second number of the toy"),
    }
)


CHANNELS = ((22, 22, 22, 22),)
SLOPE_PARAMETERS = ("flat_fraction",)


class PlaneSpec(Spec):
    """A toy, whose observables are its two numbers."""

    parameters: ClassVar[tuple[str, ...]]

    @classmethod
    def names(cls) -> dict[str, list[str]]:
        """Observables and parameters that a study can name."""
        return {"observable": list(OBSERVABLES), "parameter": list(cls.parameters)}


class AbstractPlane(AbstractProcess):
    """A density p(x, y | theta) in a rectangle."""

    dim: ClassVar[int] = 2
    legs: ClassVar[tuple[str, ...]] = (
        "beam along +z",
        "beam along -z",
        "the first beam after",
        "the second beam after",
    )
    colour_flows: ClassVar[tuple[Flow, ...]] = ((),)
    observables: ClassVar[Mapping[str, Observable]] = OBSERVABLES

    channels: eqx.AbstractVar[tuple[tuple[int, ...], ...]]
    low: eqx.AbstractVar[tuple[float, float]]  # corners of the rectangle
    high: eqx.AbstractVar[tuple[float, float]]

    @abc.abstractmethod
    def density(self, x: Scalar, y: Scalar, theta: Theta) -> Scalar:
        """p(x, y | theta) inside the rectangle, normalised over the region in which it is defined."""

    def momenta(self, u: UnitPoint) -> tuple[Momenta, Scalar]:
        """Flat in the rectangle; dPhi = dx dy."""
        low, high = jnp.array(self.low), jnp.array(self.high)
        energies = jnp.exp(low + (high - low) * u)
        beams = energies[:, None] * jnp.array([[1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, -1.0]])
        return jnp.concatenate([beams, beams]), jnp.sum(jnp.log(high - low)) + jnp.zeros_like(u[0])

    def accepts(self, momenta: Momenta) -> Flag:
        """Whether the event lies in the rectangle; the mapping covers no more, up to rounding."""
        place = jnp.stack([first_number(momenta), second_number(momenta)])
        return jnp.all((place >= jnp.array(self.low)) & (place <= jnp.array(self.high)))

    def rate(self, momenta: Momenta, theta: Theta) -> Scalar:
        """p(x, y | theta) times 1 pb."""
        return _TOTAL * self.density(first_number(momenta), second_number(momenta), theta)

    def channel_rate(self, momenta: Momenta, channel: Channel, theta: Theta) -> Scalar:
        """The rate: there is one channel."""
        return self.rate(momenta, theta)


class AbstractSlope(AbstractPlane):
    """A density on the unit square that rises in x and is flat in y; its parameter is the fraction of flat events."""

    parameters: tuple[str, ...] = eqx.field(static=True, default=SLOPE_PARAMETERS)
    quadratic: tuple[str, ...] = eqx.field(static=True, default=SLOPE_PARAMETERS)
    channels: tuple[tuple[int, ...], ...] = eqx.field(static=True, default=CHANNELS)
    low: tuple[float, float] = eqx.field(static=True, default=(0.0, 0.0))
    high: tuple[float, float] = eqx.field(static=True, default=(1.0, 1.0))

    @abc.abstractmethod
    def rise(self, x: Scalar) -> Scalar:
        """p(x) without flat events, normalised on [0, 1]."""

    def density(self, x: Scalar, y: Scalar, theta: Theta) -> Scalar:
        """(1 - f) p(x) + f."""
        return (1 - theta[0]) * self.rise(x) + theta[0]
