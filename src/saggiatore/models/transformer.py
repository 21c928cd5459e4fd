r"""A density p(x | theta) one feature after the other: $p(x|\theta) = \prod_i p(x_i | x_1 \dots x_{i-1}, \theta)$.

The order is that of the study's features. A transformer decoder (arXiv:1706.03762; on collider events "JetGPT",
arXiv:2305.10475) reads the features so far, each one token, with attention to earlier tokens only, so that one pass
gives all conditionals. A conditional is a mixture of normal distributions on a line, and of wrapped normal
distributions on a circle, or has bins. Sampling needs one pass a feature.
"""

import math
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.models.conditional import CONDITIONALS, AbstractConditional
from saggiatore.models.density import AbstractDensity
from saggiatore.models.frame import Frame, FrameSpec, Position
from saggiatore.types import Array, Context, Features, Float, Int, PRNGKeyArray, Scalar

Tokens = Float[Array, "token width"]


class TransformerSpec(FrameSpec):
    """A conditional density by an autoregressive transformer, in the order of the features."""

    kind: Literal["transformer"] = "transformer"
    width: int = Field(32, ge=1, description="numbers of a token")
    depth: int = Field(2, ge=1, description="layers of attention")
    n_heads: int = Field(4, ge=1, description="heads of attention; they divide the width")
    conditional: Literal["mixture", "binned"] = Field(
        "mixture", description="density of one feature given the others: normal distributions, or a histogram"
    )
    n_components: int = Field(16, ge=1, description="distributions mixed in a conditional, or its bins")

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint("width % n_heads == 0", "width is {width}, expected a multiple of n_heads = {n_heads}."),
    )

    def build(self, features: tuple[str, ...], context: tuple[str, ...], *, key: PRNGKeyArray) -> "Transformer":
        """A transformer with random weights.

        Raises:
            StudyError: if an option names what is not a feature.
        """
        return Transformer(self, self.frame(features, context), key=key)


class Layer(eqx.Module):
    """Attention to earlier tokens, then a network for each token; both add to what they read."""

    attention: eqx.nn.MultiheadAttention
    net: eqx.nn.MLP
    before_attention: eqx.nn.LayerNorm
    before_net: eqx.nn.LayerNorm

    def __init__(self, width: int, n_heads: int, *, key: PRNGKeyArray):
        for_attention, for_net = jax.random.split(key)
        self.attention = eqx.nn.MultiheadAttention(n_heads, width, key=for_attention)
        self.net = eqx.nn.MLP(width, width, 2 * width, 1, jax.nn.gelu, key=for_net)
        self.before_attention, self.before_net = eqx.nn.LayerNorm(width), eqx.nn.LayerNorm(width)

    def __call__(self, tokens: Tokens) -> Tokens:
        tokens = tokens + causal_attention(self.attention, jax.vmap(self.before_attention)(tokens))
        return tokens + jax.vmap(self.net)(jax.vmap(self.before_net)(tokens))


def causal_attention(attention: eqx.nn.MultiheadAttention, tokens: Tokens) -> Tokens:
    """`attention` of each token to itself and those before it.

    Sums, not products of matrices: one event has a few tokens, and `jax.vmap` over events would make of each product
    thousands of tiny ones, which take a CPU longer than all the rest of a layer.
    """
    n_tokens, n_heads = len(tokens), attention.num_heads
    projections = attention.query_proj, attention.key_proj, attention.value_proj
    query, key, value = (jax.vmap(each)(tokens).reshape(n_tokens, n_heads, -1) for each in projections)
    is_earlier = jnp.tril(jnp.ones((n_tokens, n_tokens), bool))[:, :, None]
    logits = jnp.sum(query[:, None] * key, axis=-1) / math.sqrt(query.shape[-1])
    share = jax.nn.softmax(jnp.where(is_earlier, logits, -jnp.inf), axis=1)
    read = jnp.sum(share[:, :, :, None] * value, axis=1)
    return jax.vmap(attention.output_proj)(read.reshape(n_tokens, -1))


class Transformer(AbstractDensity):
    """The density of `TransformerSpec`."""

    loss_is_log_prob: ClassVar[bool] = True

    frame: Frame
    read_place: eqx.nn.Linear
    read_context: eqx.nn.Linear
    position: Tokens
    layers: tuple[Layer, ...]
    before_head: eqx.nn.LayerNorm
    head: Float[Array, "feature part component width"]
    head_bias: Float[Array, "feature part component"]
    conditional: type[AbstractConditional] = eqx.field(static=True)

    def __init__(self, spec: TransformerSpec, frame: Frame, *, key: PRNGKeyArray):
        keys = jax.random.split(key, 5)
        self.frame, self.conditional = frame, CONDITIONALS[spec.conditional]
        size = (frame.dim, self.conditional.n_parts, spec.n_components)
        self.read_place = eqx.nn.Linear(2, spec.width, use_bias=False, key=keys[0])
        self.read_context = eqx.nn.Linear(frame.n_context + 1, spec.width, use_bias=False, key=keys[1])
        self.position = 0.1 * jax.random.normal(keys[2], (frame.dim, spec.width))
        self.layers = tuple(Layer(spec.width, spec.n_heads, key=each) for each in jax.random.split(keys[3], spec.depth))
        self.before_head = eqx.nn.LayerNorm(spec.width)
        self.head = 0.02 * jax.random.normal(keys[4], (*size, spec.width))
        spread = jnp.linspace(-1.5, 1.5, spec.n_components)
        self.head_bias = jnp.zeros(size).at[:, 1:2].set(spread)  # the places of a mixture; bins have none

    def conditionals(self, z: Position, context: Context) -> AbstractConditional:
        """The density of every feature given those before it; the last position is not read."""
        is_circle = jnp.array(self.frame.is_circle)
        places = jnp.stack([jnp.where(is_circle, jnp.cos(z), z), jnp.where(is_circle, jnp.sin(z), 0.0)], axis=1)
        first = self.read_context(jnp.append(self.frame.context(context), 1.0))
        tokens = jnp.concatenate([first[None], jax.vmap(self.read_place)(places[:-1])]) + self.position
        for layer in self.layers:
            tokens = layer(tokens)
        read = jax.vmap(self.before_head)(tokens)
        parts = jnp.einsum("fkcw,fw->fkc", self.head, read) + self.head_bias
        return self.conditional.of(parts, is_circle)

    def loss(self, features: Features, context: Context, *, key: PRNGKeyArray) -> Scalar:
        """Negative log-likelihood."""
        return -self.log_prob(features, context)

    def log_prob(self, features: Features, context: Context) -> Scalar:
        """Logarithm of p(x | context): the sum over the conditionals."""
        return jnp.sum(self.log_conditionals(features, context))

    def log_conditionals(self, features: Features, context: Context) -> Float[Array, " feature"]:
        """Logarithm of the density of every feature, given the context and the features before it."""
        z, log_jacobians = self.frame.forward_each(features)
        return self.conditionals(z, context).log_prob(self.frame, z) + log_jacobians

    def sample(self, context: Context, *, key: PRNGKeyArray) -> Features:
        """One event, feature after feature."""

        def step(z: Position, i: Int[Array, ""]) -> tuple[Position, None]:
            found = jax.tree.map(lambda values: values[i], self.conditionals(z, context))
            return z.at[i].set(found.draw(key=jax.random.fold_in(key, i))), None

        z, _ = jax.lax.scan(step, jnp.zeros(self.frame.dim), jnp.arange(self.frame.dim))
        return self.frame.inverse(z)
