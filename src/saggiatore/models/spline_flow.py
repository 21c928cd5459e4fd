r"""A density p(x | theta) by a coupling flow with rational-quadratic splines: exact in both directions.

Each block splits the coordinates in two; those of one half go through monotone splines whose widths, heights and slopes
a network reads off the other half and the context (Durkan et al., arXiv:1906.04032; on collider events:
arXiv:2110.13632). On a line the spline spans [-bound, bound] of the standardised coordinate and the rest is left alone;
on a circle its ends meet with one slope and it is followed by a rotation (arXiv:2002.02428). The base is normal on
lines and uniform on circles, and before any training the flow is the identity.

Blocks lie side by side in one array an entry and are compiled once. Splines have their axis of bins in front, so that
events are behind it under `jax.vmap` (docs/benchmarks.md).
"""

from collections.abc import Callable
from functools import partial
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field

from saggiatore.integrate import spline
from saggiatore.models.density import AbstractDensity
from saggiatore.models.frame import Frame, FrameSpec, Position
from saggiatore.types import Array, Context, Features, Float, Int, PRNGKeyArray, Scalar


class SplineFlowSpec(FrameSpec):
    """A conditional density by a coupling flow."""

    kind: Literal["spline_flow"] = "spline_flow"
    n_blocks: int = Field(6, ge=1, description="coupling blocks; two transform every feature once")
    n_bins: int = Field(10, ge=2, le=500, description="bins of a spline")
    width: int = Field(64, ge=1, description="hidden units per layer of a block's network")
    depth: int = Field(2, ge=1, description="hidden layers of a block's network")
    bound: float = Field(6.0, gt=0, description="standard deviations beyond which a block leaves a feature alone")

    def build(self, features: tuple[str, ...], context: tuple[str, ...], *, key: PRNGKeyArray) -> "SplineFlow":
        """A flow that is the identity.

        Raises:
            StudyError: if an option names what is not a feature.
        """
        return SplineFlow(self, self.frame(features, context), key=key)


class Block(eqx.Module):
    """The network of one block: inputs of the untouched half and the context to numbers of splines and rotations."""

    trunk: eqx.nn.MLP
    weight: Float[Array, "number moved hidden"]
    bias: Float[Array, "number moved"]

    def __call__(self, inputs: Float[Array, " input"]) -> Float[Array, "number moved"]:
        return jnp.tensordot(self.weight, self.trunk(inputs), 1) + self.bias


class SplineFlow(AbstractDensity):
    """The density of `SplineFlowSpec`."""

    loss_is_log_prob: ClassVar[bool] = True

    frame: Frame
    blocks: Block  # every array has the block as a further, first axis
    orders: tuple[tuple[int, ...], ...] = eqx.field(static=True)  # of each block: moved coordinates first
    n_moved: int = eqx.field(static=True)
    bound: float = eqx.field(static=True)

    def __init__(self, spec: SplineFlowSpec, frame: Frame, *, key: PRNGKeyArray):
        self.frame, self.bound = frame, spec.bound
        self.n_moved = (frame.dim + 1) // 2
        self.orders = tuple(_order(frame.dim, self.n_moved, block) for block in range(spec.n_blocks))
        n_inputs = 2 * (frame.dim - self.n_moved) + frame.n_context + 1
        n_numbers = spline.n_numbers(spec.n_bins) + 1

        def block(key: PRNGKeyArray) -> Block:
            silu = jax.nn.silu
            trunk = eqx.nn.MLP(n_inputs, spec.width, spec.width, spec.depth - 1, silu, final_activation=silu, key=key)
            return Block(trunk, jnp.zeros((n_numbers, self.n_moved, spec.width)), jnp.zeros((n_numbers, self.n_moved)))

        self.blocks = eqx.filter_vmap(block)(jax.random.split(key, spec.n_blocks))

    def loss(self, features: Features, context: Context, *, key: PRNGKeyArray) -> Scalar:
        """Negative log-likelihood."""
        return -self.log_prob(features, context)

    def log_prob(self, features: Features, context: Context) -> Scalar:
        """Logarithm of p(x | context), exact."""
        start, log_jacobian = self.frame.forward(features)
        read = self.frame.context(context)
        arrays, static = eqx.partition(self.blocks, eqx.is_array)

        # a gradient works each block out again: that takes no longer than storing all of it, with a score half as long
        @partial(jax.checkpoint, prevent_cse=False)
        def step(z: Position, block: tuple) -> tuple[Position, Scalar]:
            return self._move(eqx.combine(block[0], static), block[1], z, read, is_inverse=False)

        z, logs = jax.lax.scan(step, start, (arrays, jnp.array(self.orders)))
        return self.frame.base_log_prob(z) + jnp.sum(logs) + log_jacobian

    def sample(self, context: Context, *, key: PRNGKeyArray) -> Features:
        """One event: a point of the base, through the inverse of every block."""
        read = self.frame.context(context)
        arrays, static = eqx.partition(self.blocks, eqx.is_array)

        def step(z: Position, block: tuple) -> tuple[Position, Scalar]:
            return self._move(eqx.combine(block[0], static), block[1], z, read, is_inverse=True)

        z, _ = jax.lax.scan(step, self.frame.base_sample(key), (arrays, jnp.array(self.orders)), reverse=True)
        return self.frame.inverse(z)

    def _move(
        self, block: Block, order: Int[Array, " feature"], z: Position, context: Context, *, is_inverse: bool
    ) -> tuple[Position, Scalar]:
        """Positions after one block, with the logarithm of its Jacobian."""
        is_circle = jnp.array(self.frame.is_circle)[order]
        moved, kept = jnp.split(z[order], [self.n_moved])
        on_circle, angular = jnp.split(is_circle, [self.n_moved])
        inputs = [jnp.where(angular, jnp.cos(kept), kept), jnp.where(angular, jnp.sin(kept), 0.0), context, jnp.ones(1)]
        numbers = block(jnp.concatenate(inputs))
        there, logs = _events_behind(
            partial(_inverse if is_inverse else _forward, bound=self.bound), numbers, moved, on_circle
        )
        return z.at[order].set(jnp.concatenate([there, kept])), jnp.sum(logs)


def _order(dim: int, n_moved: int, block: int) -> tuple[int, ...]:
    """Coordinates of a block, the moved ones first: every two blocks move all, in halves that change."""
    shuffled = np.random.default_rng(block // 2).permutation(dim) if dim > 3 else np.arange(dim)
    return tuple(np.roll(shuffled, -n_moved * (block % 2 if dim > 3 else block)).tolist())


def _splines(
    numbers: Float[Array, "number moved"], on_circle: Array, bound: float
) -> tuple[spline.Spline, Position, Position]:
    """Splines whose ends fit what is outside of them, half their spans, and the rotations."""
    found = spline.from_numbers(numbers[:-1])
    ends = jnp.where(on_circle, found.slopes[0], 0.0)[None]
    slopes = jnp.concatenate([ends, found.slopes[1:-1], ends])
    return found._replace(slopes=slopes), jnp.where(on_circle, jnp.pi, bound), jnp.where(on_circle, numbers[-1], 0.0)


def _forward(
    numbers: Float[Array, "number moved *event"], z: Float[Array, "moved *event"], on_circle: Array, bound: float
) -> tuple[Array, Array]:
    """Positions and logarithms of the slopes, for one event or many behind it."""
    splines, half, rotation = _splines(numbers, on_circle, bound)
    inside = on_circle | (jnp.abs(z) < bound)
    value, logs = spline.forward(splines, jnp.where(inside, (z / half + 1) / 2, 0.5))
    there = jnp.where(inside, half * (2 * value - 1), z)
    return _turned(there + rotation, on_circle), jnp.where(inside, logs, 0.0)


def _inverse(
    numbers: Float[Array, "number moved *event"], z: Float[Array, "moved *event"], on_circle: Array, bound: float
) -> tuple[Array, Array]:
    """What `_forward` started from, and minus its logarithms."""
    splines, half, rotation = _splines(numbers, on_circle, bound)
    back = _turned(z - rotation, on_circle)
    inside = on_circle | (jnp.abs(back) < bound)
    value, logs = spline.inverse(splines, jnp.where(inside, (back / half + 1) / 2, 0.5))
    return jnp.where(inside, half * (2 * value - 1), back), jnp.where(inside, logs, 0.0)


def _events_behind(function: Callable, numbers: Array, z: Array, on_circle: Array) -> tuple[Array, Array]:
    """`function` of one event; where `jax.vmap` makes it many, they lie along the last axis, not the first.

    So do they in its derivative in forward mode, with which a score begins.
    """

    @jax.custom_jvp
    def call(numbers: Array, z: Array, on_circle: Array) -> tuple[Array, Array]:
        return _with_events_last(function)(numbers, z, on_circle)

    @call.defjvp
    def pushed_call(primals: tuple, tangents: tuple) -> tuple:
        def pushed(numbers: Array, z: Array, on_circle: Array, *steps: Array) -> tuple:
            values, changes = jax.jvp(lambda n, v: function(n, v, on_circle), (numbers, z), steps)
            return *values, *changes

        found = _with_events_last(pushed, n_steps=2)(*primals, *tangents[:2])
        return found[:2], found[2:]

    return call(numbers, z, on_circle)


def _with_events_last(function: Callable, n_steps: int = 0) -> Callable:
    """`function` with a rule for `jax.vmap`; the last `n_steps` of its columns are the steps of a derivative."""
    call = jax.custom_batching.custom_vmap(function)

    @call.def_vmap
    def many(size: int, is_batched: list[bool], *columns: Array) -> tuple:
        n_values = len(columns) - n_steps
        if not any(is_batched[:n_values]):  # several steps of one event
            found = [
                call(*(x[i] if batched else x for x, batched in zip(columns, is_batched, strict=True)))
                for i in range(size)
            ]
            values, changes = found[0][:-n_steps], zip(*(each[-n_steps:] for each in found), strict=True)
            return (*values, *map(jnp.stack, changes)), (False,) * len(values) + (True,) * n_steps
        pairs = zip(columns, is_batched, strict=True)
        spread = (x if batched else jnp.broadcast_to(x, (size, *x.shape)) for x, batched in pairs)
        behind = function(*(jnp.moveaxis(x, 0, -1) for x in spread))
        return tuple(jnp.moveaxis(x, -1, 0) for x in behind), (True,) * len(behind)

    return call


def _turned(z: Position, on_circle: Array) -> Position:
    """Angles in (-pi, pi]; lines as they are."""
    return jnp.where(on_circle, jnp.pi - jnp.mod(jnp.pi - z, 2 * jnp.pi), z)
