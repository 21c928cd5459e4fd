r"""Mappings of the unit hypercube onto itself, each following one propagator or one singularity of a process.

A process maps u to momenta; a mapping $u = M_i(y)$ puts more points where one of its terms is large, so that a mixture
of the densities $q_i(u) = |dy/du|$ follows their sum; see Kleiss and Pittau, hep-ph/9405257. "Channel" is not a word
for it here: that is a flavour channel.
"""

import abc

import equinox as eqx
import jax.numpy as jnp

from saggiatore.physics.peak_map import AbstractPropagator, MasslessPropagator, PeakMap, Resonance, ResonantPropagator
from saggiatore.types import Array, Int, Scalar, UnitPoint


class AbstractMapping(eqx.Module):
    """An invertible map of the unit hypercube onto itself, one event at a time."""

    @abc.abstractmethod
    def forward(self, y: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """Map y to a point u of the process's own hypercube, with log|du/dy|."""

    @abc.abstractmethod
    def inverse(self, u: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """The y that is mapped to `u`, with log|dy/du|."""


class Identity(AbstractMapping):
    """The process's own coordinates."""

    def forward(self, y: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """The same point."""
        return y, jnp.zeros(())

    def inverse(self, u: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """The same point."""
        return u, jnp.zeros(())


class PropagatorMapping(AbstractMapping):
    """One coordinate, which the process maps to an invariant mass by `base`, follows a single propagator instead."""

    base: PeakMap
    propagator: AbstractPropagator
    coordinate: int = eqx.field(static=True)

    def forward(self, y: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """Mass squared from the propagator, then the number that `base` maps to it."""
        mass_squared, log_propagator = self.propagator(y[self.coordinate])
        u, log_base = self.base.inverse(mass_squared)
        return y.at[self.coordinate].set(u), log_propagator + log_base

    def inverse(self, u: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """Mass squared from `base`, then the number that the propagator maps to it."""
        mass_squared, log_base = self.base(u[self.coordinate])
        y, log_propagator = self.propagator.inverse(mass_squared)
        return u.at[self.coordinate].set(y), log_propagator + log_base


def propagator_mappings(
    base: PeakMap, masses: tuple[float, float], resonances: tuple[Resonance, ...], coordinate: int
) -> tuple[AbstractMapping, ...]:
    """A mapping for the massless propagator and one for each resonance; `masses` is the range of `base`, GeV."""
    propagators = (MasslessPropagator(*masses), *(ResonantPropagator(*masses, *each) for each in resonances))
    return tuple(PropagatorMapping(base, propagator, coordinate) for propagator in propagators)


class PermutedMapping(AbstractMapping):
    """Another mapping, after which jets change places: a symmetry of the rate, which does not tell jets apart.

    Coordinates are those of `jet_phase_space.event`: transverse momenta, pseudorapidities and azimuths of all jets, the
    azimuths of further jets counted from that of the first.
    """

    base: AbstractMapping
    places: tuple[int, ...] = eqx.field(static=True)  # where each jet of `base` goes

    def forward(self, y: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """The point of `base` with its jets in their places."""
        u, log_jacobian = self.base.forward(y)
        return self._permuted(u, jnp.argsort(jnp.array(self.places))), log_jacobian

    def inverse(self, u: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """That of `base`, of the jets in its own order."""
        return self.base.inverse(self._permuted(u, jnp.array(self.places)))

    def _permuted(self, u: UnitPoint, sources: Int[Array, " jet"]) -> UnitPoint:
        """The point whose jet k is jet `sources[k]` of `u`."""
        n = len(self.places)
        jets = u[: 3 * n].reshape(3, n)
        turns = jets[2].at[1:].add(jets[2, 0])[sources]
        turns = turns.at[1:].add(-turns[0]) % 1.0
        return u.at[: 3 * n].set(jnp.concatenate([jets[0, sources], jets[1, sources], turns]))


class CollinearMapping(AbstractMapping):
    r"""The first two jets close to each other: density $\propto 1/(R_0^2 + \Delta\eta^2 + \Delta\phi^2)$.

    The azimuth of the second jet relative to the first follows $1/\sqrt{R_0^2 + \Delta\phi^2}$, then its pseudorapidity
    the Cauchy density $1/(R_0^2 + \Delta\phi^2 + \Delta\eta^2)$ inside the cut. Coordinates are those of
    `jet_phase_space.event`: pseudorapidities linear between the cuts, azimuths in turns.
    """

    max_abs_eta: float = eqx.field(static=True)
    radius: float = eqx.field(static=True)  # R_0
    etas: tuple[int, int] = eqx.field(static=True)  # places of the two pseudorapidities in the point
    turn: int = eqx.field(static=True)  # place of the second jet's azimuth, which counts from that of the first

    def forward(self, y: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """Azimuth, then pseudorapidity of the second jet."""
        reach = jnp.arcsinh(jnp.pi / self.radius)
        stretched = reach * (2 * y[self.turn] - 1)
        delta_phi = self.radius * jnp.sinh(stretched)
        scale = self.radius * jnp.cosh(stretched)
        begin, end, eta = self._angles(y[self.etas[0]], scale)
        angle = begin + (end - begin) * y[self.etas[1]]
        u = y.at[self.etas[1]].set(((eta + scale * jnp.tan(angle)) / self.max_abs_eta + 1) / 2)
        u = u.at[self.turn].set((delta_phi / (2 * jnp.pi)) % 1.0)
        log_azimuth = jnp.log(2 * reach * scale / (2 * jnp.pi))
        log_eta = jnp.log((end - begin) * scale / (2 * self.max_abs_eta)) - 2 * jnp.log(jnp.cos(angle))
        return u, log_azimuth + log_eta

    def inverse(self, u: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """The numbers that give this azimuth and this pseudorapidity."""
        reach = jnp.arcsinh(jnp.pi / self.radius)
        turn = (u[self.turn] + 0.5) % 1.0 - 0.5
        stretched = jnp.arcsinh(2 * jnp.pi * turn / self.radius)
        scale = self.radius * jnp.cosh(stretched)
        begin, end, eta = self._angles(u[self.etas[0]], scale)
        angle = jnp.arctan((self.max_abs_eta * (2 * u[self.etas[1]] - 1) - eta) / scale)
        y = u.at[self.etas[1]].set((angle - begin) / (end - begin)).at[self.turn].set((stretched / reach + 1) / 2)
        log_azimuth = jnp.log(2 * jnp.pi / (2 * reach * scale))
        log_eta = jnp.log(2 * self.max_abs_eta / ((end - begin) * scale)) + 2 * jnp.log(jnp.cos(angle))
        return y, log_azimuth + log_eta

    def _angles(self, place: Scalar, scale: Scalar) -> tuple[Scalar, Scalar, Scalar]:
        """Arctangents of the distances to the cuts over `scale`, and the first jet's pseudorapidity."""
        eta = self.max_abs_eta * (2 * place - 1)
        return jnp.arctan((-self.max_abs_eta - eta) / scale), jnp.arctan((self.max_abs_eta - eta) / scale), eta
