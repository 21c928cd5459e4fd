"""The processes that `top_pair` builds: top quarks on their mass shell, and what they decay to."""

from collections.abc import Mapping
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from saggiatore.physics import electroweak as ew
from saggiatore.physics.colour_flow import Flow
from saggiatore.physics.intermediate import Intermediate
from saggiatore.physics.process import AbstractProcess, Channel, Observable
from saggiatore.physics.top_decay import DECAY_NUMBERS, decay, top_width
from saggiatore.physics.top_pair_amplitude import PRODUCTS
from saggiatore.physics.top_pair_decays import INTERMEDIATES, TopDecays
from saggiatore.physics.top_pair_observables import DECAYED, UNDECAYED
from saggiatore.physics.top_pair_production import INITIAL, PAIR_FLOWS, PAIR_NUMBERS, Production, pair
from saggiatore.types import Array, Flag, Float, Momenta, Scalar, Theta, UnitPoint


class TopPair(AbstractProcess):
    """Top pairs; theta is a multiple of the study's c_tG, zero QCD. Parity is the reflection in a plane of the beam."""

    dim: ClassVar[int] = PAIR_NUMBERS
    legs: ClassVar[tuple[str, ...]] = ("parton along +z", "parton along -z", "top quark", "antitop quark")
    observables: ClassVar[Mapping[str, Observable]] = UNDECAYED
    colour_flows: ClassVar[tuple[Flow, ...]] = PAIR_FLOWS

    production: Production
    parameters: tuple[str, ...] = eqx.field(static=True)
    quadratic: tuple[str, ...] = eqx.field(static=True)
    channels: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    def momenta(self, u: UnitPoint) -> tuple[Momenta, Scalar]:
        """See `pair`."""
        return pair(self.production.collision.sqrt_s, u)

    def accepts(self, momenta: Momenta) -> Flag:
        """All cuts."""
        return self.production.accepts(momenta)

    def rate(self, momenta: Momenta, theta: Theta) -> Scalar:
        """Sum over flavours of densities x flux x |M|^2, pb per unit of dx1 dx2 dPhi."""
        return jnp.sum(self.production.rates(momenta, theta))

    def channel_rate(self, momenta: Momenta, channel: Channel, theta: Theta) -> Scalar:
        """The rate of one channel."""
        return self.production.rates(momenta, theta)[channel]

    def scales(self, momenta: Momenta) -> tuple[Scalar, Scalar]:
        """See `AbstractProcess.scales`."""
        return self.production.collision.scales(self.production.scale(momenta))

    def colour_rates(self, momenta: Momenta, channel: Channel, theta: Theta) -> Float[Array, " flow"]:
        """See `Production.flow_rates`."""
        return self.production.flow_rates(momenta, channel, theta)


class DecayedTopPair(AbstractProcess):
    """Top pairs and their decays, legs as in `top_pair_channel`; theta is a multiple of the study's c_tG, zero QCD.

    Where only the decays tell top from antitop quark, both charges have the same rate at the same momenta: QCD and the
    operator do not change under charge conjugation, decays not under CP. Parity is the reflection in a plane of the
    beam.
    """

    dim: ClassVar[int] = PAIR_NUMBERS + 2 * DECAY_NUMBERS
    intermediates: ClassVar[tuple[Intermediate, ...]] = INTERMEDIATES

    production: Production
    decays: TopDecays = eqx.field(static=True)
    parameters: tuple[str, ...] = eqx.field(static=True)
    quadratic: tuple[str, ...] = eqx.field(static=True)
    channels: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    @property
    def legs(self) -> tuple[str, ...]:
        """Names of the legs."""
        whose = ("top quark", "antitop quark") if self.decays.states().by_charge else ("first top", "second top")
        kinds = ("bottom quark", "charged lepton or down-type quark", "neutrino or up-type quark")
        products = (f"{kind} of the {top}" for top in whose for kind in kinds)
        return ("parton along +z", "parton along -z", *products)

    @property
    def observables(self) -> Mapping[str, Observable]:
        """Those of the channel."""
        return DECAYED[self.decays.channel]

    @property
    def colour_flows(self) -> tuple[Flow, ...]:
        """Those of production, handed to the bottom quarks, and one for each W boson that decays to quarks."""
        return self.decays.states().flows

    def momenta(self, u: UnitPoint) -> tuple[Momenta, Scalar]:
        """Production, then each decay in the rest frame of its top quark."""
        produced, log_pair = pair(self.production.collision.sqrt_s, u[:PAIR_NUMBERS])
        first, second = u[PAIR_NUMBERS : PAIR_NUMBERS + DECAY_NUMBERS], u[PAIR_NUMBERS + DECAY_NUMBERS :]
        (one, log_one), (two, log_two) = decay(produced[2], first), decay(produced[3], second)
        return jnp.concatenate([produced[:2], one, two]), log_pair + log_one + log_two

    def accepts(self, momenta: Momenta) -> Flag:
        """All cuts."""
        return self.production.accepts(momenta) & self.decays.accepts(momenta)

    def rate(self, momenta: Momenta, theta: Theta) -> Scalar:
        """Sum over flavours of densities x flux x |M|^2, pb per unit of dx1 dx2 dPhi of production and decays."""
        return self._n_states * self._strength * jnp.sum(self.production.rates(momenta, theta))

    def channel_rate(self, momenta: Momenta, channel: Channel, theta: Theta) -> Scalar:
        """The rate of one channel."""
        return self._strength * self.production.rates(momenta, theta)[channel // self._n_states]

    def scales(self, momenta: Momenta) -> tuple[Scalar, Scalar]:
        """See `AbstractProcess.scales`."""
        return self.production.collision.scales(self.production.scale(momenta))

    def colour_rates(self, momenta: Momenta, channel: Channel, theta: Theta) -> Float[Array, " flow"]:
        """Those of production; if the first legs may be of either charge, for both, of which one is possible."""
        initial, states = channel // self._n_states, self.decays.states()
        found = self.production.flow_rates(momenta, initial, theta)
        if states.by_charge:
            return found
        exchanged = jnp.concatenate([momenta[:2], momenta[PRODUCTS[1]], momenta[PRODUCTS[0]]])
        is_top = jnp.array([legs[2] > 0 for legs in self.channels])[channel]
        other = self.production.flow_rates(exchanged, initial, theta)
        return jnp.concatenate([jnp.where(is_top, found, 0.0), jnp.where(is_top, 0.0, other)])

    @property
    def _n_states(self) -> int:
        """Final states of each initial one."""
        return len(self.channels) // len(INITIAL)

    @property
    def _strength(self) -> float:
        """Colours of the decays and the resonances of both top quarks in the narrow-width approximation, GeV^-4."""
        return self.decays.states().n_colours / (2 * ew.M_TOP * top_width()) ** 2
