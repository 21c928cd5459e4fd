r"""A fully connected network for a score, exactly odd under a reflection if the study says so.

Hidden features are $H_k = (U o)_k\,h_k(e)$ with odd inputs $o$ and a network $h$ of even inputs $e$; without `odd_in`
they are $(h(e), 1)$. The mean is `scale` * H(x) @ last_layer, so a posterior of the last layer keeps the parity.

Choices, measured on the score of a CP-odd coupling in weak-boson fusion (kurtosis 78; 54k events, two seeds, one core;
share of the joint information kept by the network, where the best formula of 13 nodes keeps 0.948):
raw inputs 0.954, logarithms 0.952, both 0.956 (tails are products of momenta); tanh 0.948, gelu 0.954, silu 0.954 in
twice the time; squared error, likelihood weights and joint likelihood agree within 0.001, so the mean is fitted with
squared error, which does not depend on the quality of the variance; averaging the weights over steps costs 0.002.
"""

from typing import Literal, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field

from saggiatore.errors import StudyError
from saggiatore.models.base import AbstractFixed, AbstractRegression, Event
from saggiatore.models.network import ConstantVariance, variance_network, while_trained
from saggiatore.models.standardise import Affine, Encoded, ParityEncoding
from saggiatore.spec import Spec
from saggiatore.types import Array, Features, Float, PRNGKeyArray, Scalar

ACTIVATIONS = {"gelu": jax.nn.gelu, "silu": jax.nn.silu, "softplus": jax.nn.softplus, "tanh": jnp.tanh}


class MLPSpec(Spec):
    """A fully connected network."""

    kind: Literal["mlp"] = "mlp"
    width: int = Field(64, ge=1, description="hidden units per layer")
    depth: int = Field(3, ge=1, description="hidden layers")
    activation: Literal["gelu", "silu", "softplus", "tanh"] = "gelu"
    odd_in: tuple[str, ...] = Field((), description="features whose joint change of sign changes the score's sign")
    log: tuple[str, ...] = Field((), description="positive features that also enter as their logarithm")
    periodic: tuple[str, ...] = Field((), description="angles, which enter as sine and cosine")
    noise: Literal["network", "constant"] = Field(
        "network",
        description="the target's variance about the mean: a network of its own, which posteriors weigh events with, "
        "or one number, which trains faster where the mean alone is wanted",
    )

    def build(self, features: tuple[str, ...], context: tuple[str, ...] = (), *, key: PRNGKeyArray) -> "MLP":
        """A network with random weights.

        Raises:
            StudyError: if an option names what is not a feature, or a feature is asked to be two things.
        """
        if context:
            raise StudyError(f"an mlp reads no context, got {', '.join(context)}; remove `context` or take a density.")
        encoding = ParityEncoding.of(features, odd_in=self.odd_in, log=self.log, periodic=self.periodic)
        return MLP(self, encoding, key=key)


class TargetScale(AbstractFixed):
    """Root mean square of the target: it has no shift, which an odd function could not have."""

    value: Scalar


class MLP(AbstractRegression):
    """The network of `MLPSpec`."""

    encoding: ParityEncoding | Encoded
    odd_affine: Affine | eqx.nn.Identity
    even_affine: Affine | eqx.nn.Identity
    target_scale: TargetScale
    mixing: Float[Array, "hidden odd"]  # U
    trunk: eqx.nn.MLP
    variance: eqx.nn.MLP | ConstantVariance
    last_layer: Float[Array, " hidden"]

    def __init__(self, spec: MLPSpec, encoding: ParityEncoding, *, key: PRNGKeyArray):
        n_odd, n_even = encoding.sizes()
        keys = jax.random.split(key, 4)
        activation = ACTIVATIONS[spec.activation]
        self.encoding = encoding
        self.odd_affine, self.even_affine = Affine.identity(n_odd), Affine.identity(n_even)
        self.target_scale = TargetScale(jnp.ones(()))
        self.mixing = jax.random.normal(keys[0], (spec.width, n_odd))
        self.trunk = eqx.nn.MLP(
            n_even, spec.width, spec.width, spec.depth - 1, activation, final_activation=activation, key=keys[1]
        )
        is_network = spec.noise == "network"
        self.variance = (
            variance_network(n_even, spec.width, key=keys[2]) if is_network else ConstantVariance(jnp.zeros(()))
        )
        n_hidden = spec.width + (not encoding.odd)
        self.last_layer = jax.random.normal(keys[3], (n_hidden,)) / n_hidden**0.5

    @property
    def scale(self) -> Scalar:
        """What `hidden @ last_layer` is multiplied by to give the score."""
        return self.target_scale.value

    def standardise(self, events: Event) -> Self:
        """Fit the inputs' mean and spread and the target's root mean square."""
        assert isinstance(self.encoding, ParityEncoding)
        odd, even = self.encoding.fit(events.features)
        scale = TargetScale(jax.device_put(np.asarray(Affine.fit(events.target, is_centred=False).scale)[0]))
        fitted: Self = eqx.tree_at(lambda m: (m.odd_affine, m.even_affine, m.target_scale), self, (odd, even, scale))
        return fitted

    def encoded(self, events: Event) -> tuple["MLP", Event]:
        """See `AbstractModel.encoded`: inputs as the network reads them, behind logarithms and standardisation."""
        assert isinstance(self.encoding, ParityEncoding)
        assert isinstance(self.odd_affine, Affine)
        assert isinstance(self.even_affine, Affine)
        odd, even = self.encoding.inputs(events.features)
        inputs = [self.odd_affine.of_many(odd), self.even_affine.of_many(even)]
        parts = Encoded(odd.shape[1]), eqx.nn.Identity(), eqx.nn.Identity()
        read: MLP = eqx.tree_at(lambda m: (m.encoding, m.odd_affine, m.even_affine), self, parts)
        if isinstance(self.variance, eqx.nn.MLP):
            read = eqx.tree_at(lambda m: m.variance, read, while_trained(self.variance))
        return read, events._replace(features=jax.device_put(np.concatenate(inputs, axis=1)))

    def _even(self, features: Features) -> Float[Array, " even"]:
        return self.even_affine(self.encoding.even_inputs(features))

    def hidden(self, features: Features) -> Float[Array, " hidden"]:
        """Last-layer features: ``score = scale * hidden @ last_layer``; odd, or with a constant 1 as the last one."""
        even = self.trunk(self._even(features))
        if not self.encoding.odd:
            return jnp.append(even, 1.0)
        # few odd inputs: for a product of matrices the derivative in `mixing` would take an eighth of a training step
        return jnp.sum(self.mixing * self.odd_affine(self.encoding.odd_inputs(features)), axis=1) * even

    def log_variance(self, features: Features) -> Scalar:
        """Logarithm of the variance of target/scale; even under the reflection."""
        return self.variance(self._even(features))

    def score(self, features: Features) -> Scalar:
        """Mean of the target, in its own units."""
        return self.scale * (self.hidden(features) @ self.last_layer)

    def noise(self, features: Features) -> Scalar:
        """Variance of the target about the mean, in its own units squared."""
        return self.scale**2 * jnp.exp(self.log_variance(features))
