r"""A density p(x | theta) one feature after the other: $p(x|\theta) = \prod_i p(x_i | x_1 \dots x_{i-1}, \theta)$.

The order is that of the study's features. A transformer decoder (arXiv:1706.03762; on collider events "JetGPT",
arXiv:2305.10475) reads the features so far, each one token, with attention to earlier tokens only, so that one pass
gives all conditionals. A conditional is a mixture of normal distributions on a line, and of wrapped normal
distributions on a circle, or has bins. Sampling reads one token after the other and keeps what later ones need of it.
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
from saggiatore.types import Array, Bool, Context, Features, Float, Int, PRNGKeyArray, Scalar

Tokens = Float[Array, "token width"]
Memory = tuple[Tokens, Tokens]  # keys and values that later tokens read


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
        query, key, value = self.projections(tokens)
        is_earlier = jnp.tril(jnp.ones((len(tokens), len(tokens)), bool))
        return self.updated(tokens, attended(query, key, value, self.attention.num_heads, is_earlier))

    def following(self, token: Tokens, memory: Memory, i: Int[Array, ""]) -> tuple[Tokens, Memory]:
        """Token i alone, given the keys and values of those before it, to which its own are added."""
        query, key, value = self.projections(token)
        keys, values = memory[0].at[i].set(key[0]), memory[1].at[i].set(value[0])
        is_earlier = (jnp.arange(len(keys)) <= i)[None]
        return self.updated(token, attended(query, keys, values, self.attention.num_heads, is_earlier)), (keys, values)

    def projections(self, tokens: Tokens) -> tuple[Tokens, Tokens, Tokens]:
        """Query, key and value of each token, the numbers of one head after those of the other."""
        norm, attention = self.before_attention, self.attention
        ready = with_one(standardised(tokens, norm.eps))
        each = attention.query_proj, attention.key_proj, attention.value_proj
        query, key, value = (ready @ affine(norm, projection.weight, 0.0).T for projection in each)
        return query, key, value

    def updated(self, tokens: Tokens, read: Tokens) -> Tokens:
        """The tokens with what they read, and with what the network makes of that."""
        tokens = tokens + read @ self.attention.output_proj.weight.T
        (first, second), norm = self.net.layers, self.before_net
        hidden = self.net.activation(
            with_one(standardised(tokens, norm.eps)) @ affine(norm, first.weight, vector(first.bias)).T
        )
        return tokens + with_one(hidden) @ jnp.column_stack([second.weight, vector(second.bias)]).T


# A CPU is slow at sums along a token's few numbers, and at their gradients. Means, biases and the sums of a head are
# therefore products with matrices, to which `jax.vmap` over events adds rows; their gradients are such products again.


def standardised(tokens: Tokens, eps: float) -> Tokens:
    """Each token's numbers less their mean, over their standard deviation."""
    n = tokens.shape[-1]
    mean, spread = jnp.full((n, 1), 1 / n, tokens.dtype), jnp.ones((1, n), tokens.dtype)
    away = tokens - tokens @ mean @ spread
    return away * (jax.lax.rsqrt(away**2 @ mean + eps) @ spread)


def with_one(tokens: Tokens) -> Float[Array, "token width+1"]:
    """The tokens, each with a further number that is one, whose weights are biases."""
    return jnp.pad(tokens, ((0, 0), (0, 1)), constant_values=1.0)


def affine(
    norm: eqx.nn.LayerNorm, weight: Float[Array, "*out width"], bias: Float[Array, "*out"] | float
) -> Float[Array, "*out width+1"]:
    """Weights and bias that read standardised numbers with a one, the gain and the shift of `norm` among them."""
    gain, shift = vector(norm.weight), vector(norm.bias)
    return jnp.concatenate([weight * gain, (weight @ shift + bias)[..., None]], axis=-1)


def vector(numbers: Array | None) -> Array:
    """Numbers that Equinox's layers may be built without, as ours are not."""
    assert numbers is not None
    return numbers


def attended(
    query: Tokens, key: Tokens, value: Tokens, n_heads: int, is_read: Bool[Array, "token read_token"]
) -> Tokens:
    """What each token reads of the values: in each head a mean, weighted by how its query fits their keys.

    Sums, not products of queries and keys as matrices: one event has a few tokens, and `jax.vmap` over events would
    make of each product thousands of tiny ones, which take a CPU longer than all the rest of a layer.
    """
    n_each = query.shape[-1] // n_heads
    is_of_head = jnp.repeat(jnp.eye(n_heads, dtype=query.dtype), n_each, axis=0)
    logits = (query[:, None] * key) @ is_of_head / math.sqrt(n_each)
    share = jax.nn.softmax(jnp.where(is_read[:, :, None], logits, -jnp.inf), axis=1)
    return jnp.sum((share @ is_of_head.T) * value, axis=1)


class Transformer(AbstractDensity):
    """The density of `TransformerSpec`."""

    loss_is_log_prob: ClassVar[bool] = True

    frame: Frame
    read_place: eqx.nn.Linear
    read_context: eqx.nn.Linear
    position: Tokens
    layers: tuple[Layer, ...]
    before_head: eqx.nn.LayerNorm
    head: Float[Array, "part feature component width"]
    head_bias: Float[Array, "part feature component"]
    conditional: type[AbstractConditional] = eqx.field(static=True)

    def __init__(self, spec: TransformerSpec, frame: Frame, *, key: PRNGKeyArray):
        keys = jax.random.split(key, 5)
        self.frame, self.conditional = frame, CONDITIONALS[spec.conditional]
        size = (self.conditional.n_parts, frame.dim, spec.n_components)
        self.read_place = eqx.nn.Linear(2, spec.width, use_bias=False, key=keys[0])
        self.read_context = eqx.nn.Linear(frame.n_context + 1, spec.width, use_bias=False, key=keys[1])
        self.position = 0.1 * jax.random.normal(keys[2], (frame.dim, spec.width))
        self.layers = tuple(Layer(spec.width, spec.n_heads, key=each) for each in jax.random.split(keys[3], spec.depth))
        self.before_head = eqx.nn.LayerNorm(spec.width)
        self.head = 0.02 * jax.random.normal(keys[4], (*size, spec.width))
        spread = jnp.linspace(-1.5, 1.5, spec.n_components)
        self.head_bias = jnp.zeros(size).at[1:2].set(spread)  # the places of a mixture; bins have none

    def conditionals(self, z: Position, context: Context) -> AbstractConditional:
        """The density of every feature given those before it; the last position is not read."""
        is_circle = jnp.array(self.frame.is_circle)
        tokens = self.tokens(places(z, is_circle), context) + self.position
        for layer in self.layers:
            tokens = layer(tokens)
        return self.stated(tokens, self.head, self.head_bias, is_circle)

    def tokens(self, places: Float[Array, "feature 2"], context: Context) -> Tokens:
        """What the first token reads of the context, and each other one of the place before it."""
        read = jnp.append(self.frame.context(context), 1.0)
        first, others = jnp.pad(read, (2, 0)), jnp.pad(places[:-1], ((0, 0), (0, len(read))))
        return (
            jnp.concatenate([first[None], others])
            @ jnp.concatenate([self.read_place.weight, self.read_context.weight], axis=1).T
        )

    def stated(
        self, tokens: Tokens, head: Array, bias: Array, is_circle: Bool[Array, " feature"]
    ) -> AbstractConditional:
        """The densities that the last layer's tokens state, each with its own weights."""
        read = with_one(standardised(tokens, self.before_head.eps))
        parts = [
            jnp.einsum("fw,fcw->fc", read, affine(self.before_head, weight, at))
            for weight, at in zip(head, bias, strict=True)
        ]
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
        """One event, feature after feature: each token is read once, and its keys and values are kept."""
        is_circle = jnp.array(self.frame.is_circle)
        first = self.tokens(jnp.zeros((1, 2)), context)

        def step(carry: tuple[Tokens, list[Memory]], at: tuple) -> tuple[tuple[Tokens, list[Memory]], Scalar]:
            (token, memories), (i, position, head, bias, on_circle) = carry, at
            token, kept = token + position, []
            for layer, memory in zip(self.layers, memories, strict=True):
                token, memory = layer.following(token, memory, i)
                kept.append(memory)
            found = self.stated(token, head[:, None], bias[:, None], on_circle[None])
            z = jax.tree.map(lambda values: values[0], found).draw(key=jax.random.fold_in(key, i))
            return (places(z[None], on_circle[None]) @ self.read_place.weight.T, kept), z

        empty = jnp.zeros((self.frame.dim, first.shape[1]), first.dtype)
        of_features = self.position, jnp.moveaxis(self.head, 1, 0), jnp.moveaxis(self.head_bias, 1, 0), is_circle
        start = first, [(empty, empty)] * len(self.layers)
        _, z = jax.lax.scan(step, start, (jnp.arange(self.frame.dim), *of_features))
        return self.frame.inverse(z)


def places(z: Position, is_circle: Bool[Array, " feature"]) -> Float[Array, "feature 2"]:
    """Positions as a network reads them: angles as cosine and sine, others as they are."""
    return jnp.stack([jnp.where(is_circle, jnp.cos(z), z), jnp.where(is_circle, jnp.sin(z), 0.0)], axis=1)
