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
import numpy as np

from saggiatore.physics.colour_flow import Flow
from saggiatore.physics.intermediate import Intermediate
from saggiatore.physics.mapping import AbstractMapping, Identity
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

    In the parameters that it names in `quadratic` the rate is jointly a polynomial of degree two at most, whatever the
    others are: there the cross section is known for all theta, elsewhere to second order about theta = 0 only.
    `integrate` relies on it when events are drawn at several values of `theta`, and a law test checks it.
    """

    parameters: eqx.AbstractVar[tuple[str, ...]]
    quadratic: eqx.AbstractVar[tuple[str, ...]]  # of `parameters`
    channels: eqx.AbstractVar[tuple[tuple[int, ...], ...]]  # flavour channels: PDG numbers of the legs

    @property
    def colour_flows(self) -> tuple[Flow, ...]:
        """How colour may flow; none: the process does not say."""
        return ()

    @property
    def intermediates(self) -> tuple[Intermediate, ...]:
        """Intermediate particles on their mass shell that legs come from, for event records."""
        return ()

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

    @property
    def mappings(self) -> tuple[AbstractMapping, ...]:
        """Mappings of the unit hypercube, one for each propagator or singularity that a sampler can follow."""
        return (Identity(),)

    @property
    def mapping_classes(self) -> tuple[int, ...]:
        """The density on top of each of `mappings`, counted from zero in the order in which they come first.

        Mappings that share one are the same map followed by a symmetry of the rate, such as a permutation of jets.
        """
        return tuple(range(len(self.mappings)))

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

    def images(self, momenta: Momenta) -> Float[Array, "image leg 4"]:
        """The event itself, then others that phase space and cuts do not tell from it, such as its mirror image.

        Cross sections are averaged over them, so that what changes its sign from image to image cancels exactly.
        """
        return momenta[None]

    @abc.abstractmethod
    def channel_rate(self, momenta: Momenta, channel: Channel, theta: Theta) -> Scalar:
        """The rate of one flavour channel; `rate` is the sum over all, in fewer steps."""

    def scales(self, momenta: Momenta) -> tuple[Scalar, Scalar]:
        """Factorisation scale of an event (GeV), and alpha_s at its renormalisation scale; NaN where there is none."""
        return jnp.array(jnp.nan), jnp.array(jnp.nan)

    @property
    def marginals(self) -> tuple[tuple[str, ...], ...]:
        """Sets of observables of which `marginal_score` knows the score."""
        return ()

    def marginal_score(self, observables: Mapping[str, Scalar], theta: Theta, log_sigma_gradient: Theta) -> Theta:
        r"""$\partial_\theta \log p(x|\theta)$ of `observables` x alone, one of `marginals`.

        It is the mean of the joint score at fixed x, which a regression estimates: the most that x can tell.
        """
        raise NotImplementedError(f"no marginal score of {', '.join(observables)}")

    def colour_rates(self, momenta: Momenta, channel: Channel, theta: Theta) -> Float[Array, " flow"]:
        """How likely each of `colour_flows` is, up to a factor: leading colour, without interference of flows."""
        return jnp.ones(len(self.colour_flows))


def n_theta(process: AbstractProcess) -> int:
    """Number of theory parameters."""
    return len(process.parameters)


def channel_numbers(process: AbstractProcess, pdg: Int[np.ndarray, "event leg"]) -> Int[np.ndarray, " event"]:
    """Place in `channels` of the flavours of each event."""
    numbers = {legs: number for number, legs in enumerate(process.channels)}
    return np.array([numbers[tuple(legs)] for legs in pdg.tolist()])


def is_quadratic(process: AbstractProcess) -> bool:
    """Whether the rate is a polynomial of degree two at most in all of theta."""
    return set(process.quadratic) == set(process.parameters)


def weight(process: AbstractProcess, u: UnitPoint, theta: Theta) -> Scalar:
    r"""Monte Carlo weight $w(u|\theta) = d\sigma/du$ of the fiducial cross section, in pb; zero outside the cuts."""
    momenta, log_jacobian = process.momenta(u)
    inside = process.accepts(momenta) & jnp.isfinite(log_jacobian)
    return jnp.where(inside, process.rate(momenta, theta) * jnp.exp(log_jacobian), 0.0)


def image_weights(process: AbstractProcess, u: UnitPoint, theta: Theta) -> Float[Array, " image"]:
    r"""`weight` at $u$, then the weights that the other `images` of its momenta would have."""
    momenta, log_jacobian = process.momenta(u)
    inside = process.accepts(momenta) & jnp.isfinite(log_jacobian)
    rates = jax.vmap(process.rate, (0, None))(process.images(momenta), theta)
    return jnp.where(inside, rates * jnp.exp(log_jacobian), 0.0)


def log_rate_gradient(process: AbstractProcess, momenta: Momenta, theta: Theta) -> Theta:
    r"""$\partial_\theta \log w$ at fixed momenta, by forward-mode differentiation of the rate."""
    return jax.jacfwd(lambda t: jnp.log(process.rate(momenta, t)))(theta)


def measure(process: AbstractProcess, momenta: Momenta) -> dict[str, Scalar]:
    """All observables of one event."""
    return {name: observable.function(momenta) for name, observable in process.observables.items()}
