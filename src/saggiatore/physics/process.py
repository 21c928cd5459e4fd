r"""A hard scattering whose rate can be differentiated in its parameters.

A process maps a point u of the unit hypercube to momenta, and states its rate at given momenta. Everything that holds
for all processes is written here, once: the weight w(u|theta) = d sigma/du and the joint score
t(u, k|theta) = d/dtheta log p(u, k|theta) = d/dtheta log w_k(u|theta) - d/dtheta log sigma(theta),
where k is the flavour channel of the event, latent as the momenta are, and w the sum of the w_k; see Brehmer et al.,
arXiv:1805.00013 (eqs. 8-10).
"""

import abc
from collections.abc import Callable, Mapping
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from saggiatore.types import Array, Flag, Float, Int, Momenta, Scalar, Theta, UnitPoint

Channel = Int[Array, ""]  # place in a process's `channels`


class Observable(NamedTuple):
    """A number that a detector could measure: `function` takes the momenta of one event (legs as the process has them).

    `parity` is the sign it gets under the reflection that the process names in its docstring (CP for `wbf_higgs`).
    """

    function: Callable[[Momenta], Scalar]
    unit: str
    label: str
    meaning: str
    parity: int = 1


class AbstractProcess(eqx.Module):
    """A hard scattering whose rate can be differentiated in its parameters.

    The rate of every process so far is a polynomial of degree two at most in `theta`; `integrate` relies on it when
    events are drawn at several values of `theta`, and a law test checks it.
    """

    parameters: eqx.AbstractVar[tuple[str, ...]]
    channels: eqx.AbstractVar[tuple[tuple[int, ...], ...]]  # flavour channels: PDG numbers of the legs

    @property
    @abc.abstractmethod
    def dim(self) -> int:
        """Numbers that make an event: the dimension of the unit hypercube."""

    @property
    @abc.abstractmethod
    def observables(self) -> Mapping[str, Observable]:
        """Observables by name."""

    @property
    @abc.abstractmethod
    def legs(self) -> tuple[str, ...]:
        """Names of the legs of `momenta`, incoming first."""

    @abc.abstractmethod
    def momenta(self, u: UnitPoint) -> tuple[Momenta, Scalar]:
        """Map a point of the unit hypercube to all momenta (incoming first, GeV) and log|dPhi/du|.

        Where no momenta exist the logarithm is -inf and the momenta are finite.
        """

    @abc.abstractmethod
    def accepts(self, momenta: Momenta) -> Flag:
        """Whether an event passes the study's cuts."""

    @abc.abstractmethod
    def rate(self, momenta: Momenta, theta: Theta) -> Scalar:
        """Parton densities x flux x |M|^2 at `theta`, in pb per unit of phase space, without cuts."""

    @abc.abstractmethod
    def channel_rate(self, momenta: Momenta, channel: Channel, theta: Theta) -> Scalar:
        """The rate of one flavour channel; `rate` is the sum over all, in fewer steps."""


def n_theta(process: AbstractProcess) -> int:
    """Number of theory parameters."""
    return len(process.parameters)


def weight(process: AbstractProcess, u: UnitPoint, theta: Theta) -> Scalar:
    r"""Monte Carlo weight $w(u|\theta) = d\sigma/du$ of the fiducial cross section, in pb; zero outside the cuts."""
    momenta, log_jacobian = process.momenta(u)
    inside = process.accepts(momenta) & jnp.isfinite(log_jacobian)
    return jnp.where(inside, process.rate(momenta, theta) * jnp.exp(log_jacobian), 0.0)


def log_rate_gradient(process: AbstractProcess, momenta: Momenta, theta: Theta) -> Theta:
    r"""$\partial_\theta \log w$ at fixed momenta, by forward-mode differentiation of the rate."""
    return jax.jacfwd(lambda t: jnp.log(process.rate(momenta, t)))(theta)


def draw_channel(process: AbstractProcess, momenta: Momenta, theta: Theta, chance: Scalar) -> Channel:
    """Flavour channel of an event, in proportion to the channels' rates, from a uniform number in [0, 1)."""
    rates = jax.vmap(lambda channel: process.channel_rate(momenta, channel, theta))(jnp.arange(len(process.channels)))
    cumulative = jnp.cumsum(rates)
    return jnp.argmax(cumulative > chance * cumulative[-1])


def joint_score(
    process: AbstractProcess, momenta: Momenta, channel: Channel, theta: Theta, log_sigma_gradient: Theta
) -> Theta:
    r"""Joint score $t = \partial_\theta \log w_k - \partial_\theta \log\sigma(\theta)$ of one event inside the cuts.

    Its mean over channels at fixed momenta is `log_rate_gradient` minus the same normalisation.
    """
    return jax.jacfwd(lambda t: jnp.log(process.channel_rate(momenta, channel, t)))(theta) - log_sigma_gradient


def parton_score(
    process: AbstractProcess, momenta: Momenta, theta: Theta, log_sigma_gradient: Theta
) -> tuple[Theta, Theta]:
    r"""Mean of the joint score over the flavour channels at fixed momenta, and its variance over them.

    The mean is the score of the parton momenta, $\partial_\theta \log w - \partial_\theta \log\sigma$, flavours summed.
    An event's joint score is an unbiased but noisy stand-in for it: a channel whose amplitudes nearly cancel is drawn
    rarely and then carries a large score, so that the second moment of the drawn scores hangs on single events.
    With mean and variance every moment up to the second is averaged over channels exactly (Rao and Blackwell).
    """

    def rates(t: Theta) -> Float[Array, " channel"]:
        return jax.vmap(lambda k: process.channel_rate(momenta, k, t))(jnp.arange(len(process.channels)))

    rate, slope = rates(theta), jax.jacfwd(rates)(theta)
    share = (rate / jnp.sum(rate))[:, None]
    score = jnp.where(share > 0, slope / jnp.where(rate > 0, rate, 1.0)[:, None], 0.0)
    mean = jnp.sum(share * score, axis=0)
    return mean - log_sigma_gradient, jnp.sum(share * (score - mean) ** 2, axis=0)


def measure(process: AbstractProcess, momenta: Momenta) -> dict[str, Scalar]:
    """All observables of one event."""
    return {name: observable.function(momenta) for name, observable in process.observables.items()}
