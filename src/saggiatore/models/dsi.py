r"""Deep sets with invariants: a network of a set of particles that does not tell identical ones apart.

Each leg i becomes a vector $x_i$: its type, one-hot, and for each type c the power sums
$\sum_{j\in c} \ell_{ij}^k$, $k = 1 \dots n_c$, of the standardised logarithms $\ell_{ij}$ of its invariants
$2\,p_i p_j$, which determine the set of them (Newton's identities). An embedding $\phi$, the same for all legs, is
summed over them (deep sets, arXiv:1703.06114), and a network reads $\sum_i \phi(x_i)$ beside the same power sums for
each pair of types, in which soft and collinear limits of amplitudes are nearly linear. Exchanging legs of one type
changes the order of sums alone. Made of invariants, the function is Lorentz-invariant; with momenta among the features
each leg's embedding reads its own too, and then it is not.

A network of this kind, with momenta and invariants in the order of the legs, is DSI in arXiv:2412.12069.
"""

from typing import Literal, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field

from saggiatore.errors import StudyError
from saggiatore.models.base import AbstractFixed, AbstractRegression, Event
from saggiatore.models.leg import Invariants, Legs, PairAffine, spread
from saggiatore.models.mlp import ACTIVATIONS
from saggiatore.models.network import variance_network
from saggiatore.models.standardise import Affine
from saggiatore.spec import Spec
from saggiatore.types import Array, Features, Float, PRNGKeyArray, Scalar


class DSISpec(Spec):
    """Deep sets with invariants."""

    kind: Literal["dsi"] = "dsi"
    types: tuple[str, ...] = Field(
        min_length=3, max_length=9, description="type of each leg, incoming first; those of one type are exchangeable"
    )
    embedding: int = Field(32, ge=1, description="numbers that each leg is embedded into")
    width: int = Field(64, ge=1, description="hidden units per layer of the network behind the sum")
    depth: int = Field(3, ge=1, description="its hidden layers")
    activation: Literal["gelu", "silu", "softplus", "tanh"] = "gelu"

    def build(self, features: tuple[str, ...], context: tuple[str, ...] = (), *, key: PRNGKeyArray) -> "DSI":
        """A network with random weights.

        Raises:
            StudyError: if the features are not the invariants of all pairs of legs, and the momenta of all or of none.
        """
        if context:
            raise StudyError(f"a dsi reads no context, got {', '.join(context)}; remove `context` or take a density.")
        return DSI(self, Legs.of(self.types, features), key=key)


class TargetFrame(AbstractFixed):
    """Standard deviation of the target, and its mean in units of that."""

    mean: Scalar
    value: Scalar

    @property
    def constant(self) -> Scalar:
        """The last hidden unit, with which the mean takes a weight below one."""
        return jnp.hypot(1.0, self.mean)


class SharedLinear(eqx.Module):
    """A linear layer that is called for every leg.

    It is no `eqx.nn.Linear`: the mean-field posterior draws the output of such a layer once an event, which is one draw
    of the weights only for a layer that is called once.
    """

    weight: Float[Array, "out in"]
    bias: Float[Array, " out"]

    @classmethod
    def random(cls, n_in: int, n_out: int, *, key: PRNGKeyArray) -> Self:
        """Uniform weights, as those of other layers."""
        one, other = jax.random.split(key)
        reach = n_in**-0.5
        draw = jax.random.uniform
        return cls(
            draw(one, (n_out, n_in), minval=-reach, maxval=reach), draw(other, (n_out,), minval=-reach, maxval=reach)
        )

    def __call__(self, x: Float[Array, "leg in"]) -> Float[Array, "leg out"]:
        return x @ self.weight.T + self.bias


class DSI(AbstractRegression):
    """The network of `DSISpec`."""

    activation: str = eqx.field(static=True)
    legs: Legs
    pair_affine: PairAffine
    all_affine: Affine
    momentum_affine: Affine
    target: TargetFrame
    embedding: tuple[SharedLinear, SharedLinear]
    trunk: eqx.nn.MLP
    variance: eqx.nn.MLP
    last_layer: Float[Array, " hidden"]

    def __init__(self, spec: DSISpec, legs: Legs, *, key: PRNGKeyArray):
        keys = jax.random.split(key, 5)
        n_legs = len(legs.kinds)
        empty = jnp.zeros((n_legs, n_legs))
        n_each, n_all = legs.of_each(empty).shape[1] + 4 * bool(legs.momenta), legs.of_all(empty).size
        activation = ACTIVATIONS[spec.activation]
        self.activation, self.legs = spec.activation, legs
        self.pair_affine = PairAffine(empty, jnp.ones_like(empty))
        self.all_affine, self.momentum_affine = Affine.identity(n_all), Affine.identity(4 * bool(legs.momenta))
        self.target = TargetFrame(jnp.zeros(()), jnp.ones(()))
        first = SharedLinear.random(n_each, spec.embedding, key=keys[0])
        self.embedding = (first, SharedLinear.random(spec.embedding, spec.embedding, key=keys[1]))
        n_in = spec.embedding + n_all
        self.trunk = eqx.nn.MLP(
            n_in, spec.width, spec.width, spec.depth - 1, activation, final_activation=activation, key=keys[2]
        )
        self.variance = variance_network(n_all, spec.width, key=keys[3])
        self.last_layer = jax.random.normal(keys[4], (spec.width + 1,)) / (spec.width + 1) ** 0.5

    @property
    def scale(self) -> Scalar:
        """What `hidden @ last_layer` is multiplied by to give the target."""
        return self.target.value

    def standardise(self, events: Event) -> Self:
        """Fit the spread of invariants, of their power sums and of momenta, and mean and spread of the target.

        Raises:
            TrainingError: if an invariant is not positive, or something is constant.
        """
        logarithms = eqx.filter_jit(jax.vmap(self.legs.logarithms))(events.features)
        affine = PairAffine.fit(self.legs, np.asarray(logarithms))
        sums = np.asarray(eqx.filter_jit(jax.vmap(lambda x: self.legs.of_all(affine(x))))(logarithms))
        momenta = np.asarray(eqx.filter_jit(jax.vmap(self.legs.own))(events.features))
        every_leg = jnp.asarray(momenta.reshape(momenta.shape[0] * momenta.shape[1], momenta.shape[2]))
        moment = Affine.fit(events.target)
        target = TargetFrame(moment.shift[0] / moment.scale[0], moment.scale[0])
        last = self.last_layer.at[-1].set(target.mean / target.constant)
        return eqx.tree_at(
            lambda m: (m.pair_affine, m.all_affine, m.momentum_affine, m.target, m.last_layer),
            self,
            (
                affine,
                Affine(jnp.asarray(sums.mean(axis=0, dtype=float)), jnp.asarray(spread(sums))),
                Affine.fit(every_leg, is_centred=False),
                target,
                last,
            ),
        )

    def _invariants(self, features: Features) -> tuple[Invariants, Float[Array, " value"]]:
        found = self.pair_affine(self.legs.logarithms(features))
        return found, self.all_affine(self.legs.of_all(found))

    def hidden(self, features: Features) -> Float[Array, " hidden"]:
        """Last-layer features, a constant as the last one."""
        invariants, sums = self._invariants(features)
        momenta = self.momentum_affine(self.legs.own(features))
        each = jnp.concatenate([self.legs.of_each(invariants), momenta], axis=1)
        activation = ACTIVATIONS[self.activation]
        for layer in self.embedding:
            each = activation(layer(each))
        found = self.trunk(jnp.concatenate([each.sum(axis=0), sums]))
        return jnp.append(found, self.target.constant)

    def log_variance(self, features: Features) -> Scalar:
        """Logarithm of the variance of target/scale."""
        return self.variance(self._invariants(features)[1])

    def score(self, features: Features) -> Scalar:
        """Mean of the target, in its own units."""
        return self.scale * (self.hidden(features) @ self.last_layer)

    def noise(self, features: Features) -> Scalar:
        """Variance of the target about the mean, in its own units squared."""
        return self.scale**2 * jnp.exp(self.log_variance(features))
