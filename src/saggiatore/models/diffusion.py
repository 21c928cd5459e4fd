r"""A density p(x | theta) by denoising diffusion, which knows the data score of its smeared events.

An event z is mixed with noise, $z_\tau = \alpha z + \sigma\epsilon$ with $\alpha = \cos\tau$ and $\sigma = \sin\tau$,
and a network is fitted to the noise, $\hat\epsilon(z_\tau, \tau) = E[\epsilon | z_\tau]$ (Ho et al., arXiv:2006.11239,
eq. 14). $\tau$ grows linearly with time t from 0 to 1: the cosine schedule (arXiv:2102.09672, eq. 17), here for any t,
so that the number of steps belongs to sampling and not to training. The noise is the data score,
$\hat\epsilon = -\sigma\,\nabla\log p_\tau$ (arXiv:2011.13456), and the probability-flow equation
$dz/d\tau = (\hat\epsilon - \sin\tau\,z)/\cos\tau$ turns p into the base and back: log p follows as in flow matching.
The network gives that ratio, from which $\hat\epsilon$ follows without a division (arXiv:2202.00512, app. D).

An angle cannot be scaled. It is smeared instead, $z_\tau = z + s\,\epsilon$ on the circle, with
$s = S\sin\tau/(S\cos\tau + \sin\tau)$: the same ratio of noise to event for small $\tau$, and no memory of the event at
the end, where s = S. The network sees the angle without its windings, so that it learns the score on the circle.

Sampling: `ode` solves the probability-flow equation, and log_prob is its density; `ddim` takes `n_steps` of
arXiv:2010.02502 (eq. 12 without noise), a discrete form of the same; `ancestral` takes `n_steps` of the reverse Markov
chain (2006.11239, eqs. 6 and 7), whose density is another one unless the network is perfect.
"""

import math
from typing import ClassVar, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from pydantic import Field

from saggiatore.models.coordinate import uniform
from saggiatore.models.density import AbstractDensity
from saggiatore.models.frame import Frame, FrameSpec, Position
from saggiatore.models.transport import Transport, TransportSpec
from saggiatore.types import Array, Context, Features, Float, PRNGKeyArray, Scalar

FIRST = 0.008 / 1.008 * math.pi / 2  # tau at t = 0: the offset of 2102.09672
LAST = math.acos(0.01)  # tau at t = 1, where one per cent of the event is left
SPREAD = 5.0  # S, rad: a wrapped normal of this width is flat to 4e-6


class DiffusionSpec(FrameSpec, TransportSpec):
    """A conditional density by denoising diffusion. The solver's options are those of the probability-flow equation."""

    kind: Literal["diffusion"] = "diffusion"
    width: int = Field(64, ge=1, description="hidden units per layer of the network")
    depth: int = Field(3, ge=1, description="hidden layers of the network")
    sampling: Literal["ode", "ddim", "ancestral"] = Field("ode", description="how events are drawn")
    n_sampling: int = Field(100, ge=1, description="steps of ddim and ancestral sampling")

    def build(self, features: tuple[str, ...], context: tuple[str, ...], *, key: PRNGKeyArray) -> "Diffusion":
        """A diffusion with random weights.

        Raises:
            StudyError: if an option names what is not a feature.
        """
        return Diffusion(self, self.frame(features, context), key=key)


class Mixture(NamedTuple):
    """How much of an event is left and how much noise it was mixed with, for each coordinate."""

    alpha: Position
    sigma: Position


class Diffusion(AbstractDensity):
    """The density of `DiffusionSpec`."""

    loss_is_log_prob: ClassVar[bool] = False

    frame: Frame
    net: eqx.nn.MLP
    transport: Transport = eqx.field(static=True)
    sampling: str = eqx.field(static=True)
    n_sampling: int = eqx.field(static=True)

    def __init__(self, spec: DiffusionSpec, frame: Frame, *, key: PRNGKeyArray):
        self.frame, self.transport = frame, spec.transport()
        self.sampling, self.n_sampling = spec.sampling, spec.n_sampling
        n_inputs = frame.n_inputs + 3 + frame.n_context
        self.net = eqx.nn.MLP(n_inputs, frame.dim, spec.width, spec.depth, jax.nn.gelu, key=key)

    def mixture(self, tau: Scalar) -> Mixture:
        """Shares of event and noise at `tau`."""
        is_circle, cos, sin = jnp.array(self.frame.is_circle), jnp.cos(tau), jnp.sin(tau)
        return Mixture(jnp.where(is_circle, 1.0, cos), jnp.where(is_circle, SPREAD * sin / (SPREAD * cos + sin), sin))

    def noise(self, z: Position, tau: Scalar, context: Context) -> Position:
        """The noise that is expected in a mixture: on lines nearly all of it is noise where little is left of z."""
        is_circle = jnp.array(self.frame.is_circle)
        return jnp.where(is_circle, 0.0, jnp.sin(tau) * z) + jnp.cos(tau) * self._network(z, tau, context)

    def _network(self, z: Position, tau: Scalar, context: Context) -> Position:
        times = jnp.stack([jnp.log(jnp.tan(tau)), jnp.cos(tau), jnp.sin(tau)])
        return self.net(jnp.concatenate([self.frame.inputs(z), times, self.frame.context(context)]))

    def loss(self, features: Features, context: Context, *, key: PRNGKeyArray) -> Scalar:
        """Squared error of the noise at one time (2006.11239, eq. 14)."""
        to_time, to_noise = jax.random.split(key)
        tau = at_time(uniform(to_time, 1)[0])
        mixed, noise = self.mix(self.frame.forward(features)[0], tau, key=to_noise)
        return jnp.mean((self.noise(mixed, tau, context) - noise) ** 2)

    def mix(self, z: Position, tau: Scalar, *, key: PRNGKeyArray) -> tuple[Position, Position]:
        """A position mixed with noise, and the noise."""
        mixture, noise = self.mixture(tau), jax.random.normal(key, z.shape, z.dtype)
        return mixture.alpha * z + mixture.sigma * noise, noise

    def velocity(self, tau: Scalar, z: Position, context: Context) -> Position:
        """dz/dtau of the probability-flow equation."""
        cos = jnp.cos(tau)
        rate = cos * (SPREAD / (SPREAD * cos + jnp.sin(tau))) ** 2  # d sigma/dtau on circles
        return jnp.where(jnp.array(self.frame.is_circle), rate, 1.0) * self._network(z, tau, context)

    def log_prob(self, features: Features, context: Context) -> Scalar:
        """Logarithm of p(x | context), the density of the probability-flow equation."""
        start, log_jacobian = self.frame.forward(features)
        end, gained = self.transport.with_divergence(lambda tau, z: self.velocity(tau, z, context), start, FIRST, LAST)
        return self.frame.base_log_prob(end) + gained + log_jacobian

    def sample(self, context: Context, *, key: PRNGKeyArray) -> Features:
        """One event: a point of the base with its noise taken away."""
        to_base, to_chain = jax.random.split(key)
        base = self.frame.base_sample(to_base)
        if self.sampling == "ode":
            end = self.transport(lambda tau, z: self.velocity(tau, z, context), base, LAST, FIRST)
        else:
            end = self._chain(base, context, key=to_chain)
        return self.frame.inverse(end)

    def _chain(self, base: Position, context: Context, *, key: PRNGKeyArray) -> Position:
        """`n_sampling` steps towards the event; the last ends at the first noise, whose mean is returned."""
        taus = at_time(jnp.linspace(1.0, 0.0, self.n_sampling + 1))

        def step(z: Position, times: tuple) -> tuple[Position, None]:
            tau, next_tau, number = times
            now, after = self.mixture(tau), self.mixture(next_tau)
            expected = self.noise(z, tau, context)
            ratio, next_ratio = now.sigma / now.alpha, after.sigma / after.alpha
            if self.sampling == "ddim":
                return after.alpha * (z / now.alpha + (next_ratio - ratio) * expected), None
            # the reverse chain, for z/alpha: its variance is the share of the noise that the step takes away
            removed = ratio**2 - next_ratio**2
            fresh = jax.random.normal(jax.random.fold_in(key, number), z.shape, z.dtype)
            mean = z / now.alpha - removed / ratio * expected
            return after.alpha * (mean + next_ratio * jnp.sqrt(removed) / ratio * fresh), None

        z, _ = jax.lax.scan(step, base, (taus[:-1], taus[1:], jnp.arange(self.n_sampling)))
        return z

    def smeared(self, features: Features, time: Scalar, *, key: PRNGKeyArray) -> tuple[Features, Features]:
        r"""An event at `time`, and its joint data score $\nabla\log p(x_t | x_0)$, in units of the features.

        The event is $z_\tau/\alpha$ put back among the features: its own position smeared by noise of the width
        $\sigma/\alpha$ standard deviations. Over such events the mean of the joint data score at fixed $x_t$ is the
        data score (denoising score matching, Vincent, Neural Computation 23 (2011) 1661), as it is for the joint
        score in theta.
        """
        tau = at_time(time)
        mixture = self.mixture(tau)
        mixed, noise = self.mix(self.frame.forward(features)[0], tau, key=key)
        there = self.frame.inverse(mixed / mixture.alpha)
        return there, self._among_features(there, -noise * mixture.alpha / mixture.sigma)

    def data_score(self, features: Features, time: Scalar, context: Context) -> Features:
        """d log p_t / dx of the events smeared as `smeared` does, in one over the units of the features."""
        tau = at_time(time)
        mixture = self.mixture(tau)
        z, _ = self.frame.forward(features)
        expected = self.noise(mixture.alpha * z, tau, context)
        return self._among_features(features, -expected * mixture.alpha / mixture.sigma)

    def _among_features(self, features: Features, gradient: Position) -> Features:
        """A gradient of a log density in the positions as one in the features."""
        jacobian = jax.jacfwd(lambda x: self.frame.forward(x)[0])(features)
        stretch = jax.grad(lambda x: self.frame.forward(x)[1])(features)
        return gradient @ jacobian + stretch


def at_time(time: Scalar | Float[Array, " step"]) -> Array:
    """tau at a time from 0 (the event) to 1 (noise)."""
    return FIRST + (LAST - FIRST) * time
