r"""A fully connected network for a likelihood ratio, $\log r(x|\theta) = \sum_i (\theta_i/s_i)\, h_i(x, \theta)$.

It vanishes at $\theta = 0$ by construction, and $h_i(x, 0)/s_i$ is the score there: what a regression on the joint
score learns at one point is the limit of what this learns over a range. If a reflection of some features is undone by
one of some parameters, as CP is by the sign of a CP-odd coefficient, `odd_in` names both, and
$r(Px|P\theta) = r(x|\theta)$ holds exactly: $h_i$ is odd for a parameter that is named there, and even for another.
"""

from typing import Literal, Self

import equinox as eqx
import jax
import jax.numpy as jnp
from pydantic import Field

from saggiatore.errors import StudyError
from saggiatore.models.base import AbstractFixed, Event
from saggiatore.models.mlp import ACTIVATIONS
from saggiatore.models.ratio import AbstractRatio
from saggiatore.models.standardise import Affine, ParityEncoding
from saggiatore.spec import Spec
from saggiatore.types import Array, Features, Float, PRNGKeyArray, Scalar, Theta


class RatioMLPSpec(Spec):
    """A fully connected network of features and parameters."""

    kind: Literal["ratio_mlp"] = "ratio_mlp"
    width: int = Field(64, ge=1, description="hidden units per layer")
    depth: int = Field(3, ge=1, description="hidden layers")
    activation: Literal["gelu", "silu", "softplus", "tanh"] = "gelu"
    odd_in: tuple[str, ...] = Field(
        (), description="features and parameters whose joint change of sign leaves the ratio as it is"
    )
    log: tuple[str, ...] = Field((), description="positive features that also enter as their logarithm")
    periodic: tuple[str, ...] = Field((), description="angles, which enter as sine and cosine")

    def build(self, features: tuple[str, ...], context: tuple[str, ...], *, key: PRNGKeyArray) -> "RatioMLP":
        """A network with random weights.

        Raises:
            StudyError: if there is no context, or an option names what is no feature, or a feature is asked to be
                two things.
        """
        if not context:
            raise StudyError("a ratio_mlp has no parameter; name those of the ratio in `context`.")
        encoding = ParityEncoding.of(features, context, odd_in=self.odd_in, log=self.log, periodic=self.periodic)
        is_odd = tuple(name in self.odd_in for name in context)
        return RatioMLP(self, encoding, is_odd, key=key)


class ThetaScale(AbstractFixed):
    """Root mean square of each parameter."""

    value: Theta


class RatioMLP(AbstractRatio):
    """The network of `RatioMLPSpec`."""

    encoding: ParityEncoding
    is_odd: tuple[bool, ...] = eqx.field(static=True)  # the parameters that the reflection changes
    odd_affine: Affine
    even_affine: Affine
    theta_scale: ThetaScale
    mixing: Float[Array, "hidden odd"]
    trunk: eqx.nn.MLP
    last_layer: Float[Array, "theta hidden"]
    constant: Theta  # of the even parameters

    def __init__(self, spec: RatioMLPSpec, encoding: ParityEncoding, is_odd: tuple[bool, ...], *, key: PRNGKeyArray):
        n_odd, n_even = encoding.sizes()
        keys = jax.random.split(key, 3)
        activation = ACTIVATIONS[spec.activation]
        self.encoding, self.is_odd = encoding, is_odd
        self.odd_affine, self.even_affine = Affine.identity(n_odd), Affine.identity(n_even)
        self.theta_scale = ThetaScale(jnp.ones(len(is_odd)))
        self.mixing = jax.random.normal(keys[0], (spec.width, n_odd))
        self.trunk = eqx.nn.MLP(
            n_even, spec.width, spec.width, spec.depth - 1, activation, final_activation=activation, key=keys[1]
        )
        self.last_layer = jax.random.normal(keys[2], (len(is_odd), spec.width)) / spec.width**0.5
        self.constant = jnp.zeros(len(is_odd))

    @property
    def scale(self) -> Theta:
        """Root mean square of each parameter over the training events."""
        return self.theta_scale.value

    def standardise(self, events: Event) -> Self:
        """Fit mean and spread of the inputs, and the size of the parameters."""
        odd, even = self.encoding.fit(jnp.concatenate([events.features, events.context], axis=1))
        scale = ThetaScale(Affine.fit(events.context, is_centred=False).scale)
        fitted: Self = eqx.tree_at(lambda m: (m.odd_affine, m.even_affine, m.theta_scale), self, (odd, even, scale))
        return fitted

    def log_ratio(self, features: Features, theta: Theta) -> Scalar:
        """Logarithm of p(x | theta) / p(x | 0)."""
        joined = jnp.concatenate([features, theta])
        even = self.trunk(self.even_affine(self.encoding.even_inputs(joined)))
        odd = even * jnp.sum(self.mixing * self.odd_affine(self.encoding.odd_inputs(joined)), axis=1)
        is_odd = jnp.array(self.is_odd)
        hidden = jnp.where(is_odd[:, None], odd, even)
        slopes = jnp.sum(hidden * self.last_layer, axis=1) + jnp.where(is_odd, 0, self.constant)
        return (theta / self.scale) @ slopes
