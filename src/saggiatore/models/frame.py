"""The space in which a density runs: features on lines and circles, behind the map of their edges, and the context."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.models.base import Event, positions
from saggiatore.models.coordinate import (
    AbstractCoordinate,
    AbstractEdge,
    BothEdges,
    Circle,
    Line,
    LowerEdge,
    NoEdge,
    uniform,
)
from saggiatore.models.standardise import Affine
from saggiatore.spec import Spec
from saggiatore.types import Array, Context, Features, Float, PRNGKeyArray, Scalar

ROUNDING = 5e-7  # edges move outwards by this fraction, lest single precision round an event onto one
Position = Float[Array, " feature"]


class FrameSpec(Spec):
    """What every density can be told of its features."""

    periodic: tuple[str, ...] = Field(
        (), description="angles in radians, which stay on their circle; like the others of the features or the context"
    )
    lower: dict[str, float] = Field({}, description="what has a lower edge, in its own unit: log(x - edge)")
    bounded: dict[str, tuple[float, float]] = Field({}, description="what has a lower and an upper edge")

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            "all(low < high for low, high in bounded.values())",
            "bounded is {bounded}, expected [low, high] with low < high.",
        ),
        Constraint(
            "len(set([*periodic, *lower, *bounded])) == len([*periodic, *lower, *bounded])",
            "a feature is in two of periodic, lower and bounded; it is one of them.",
        ),
    )

    def frame(self, features: tuple[str, ...], context: tuple[str, ...]) -> "Frame":
        """The frame before it is standardised.

        Raises:
            StudyError: if an option names what is neither a feature nor of the context.
        """
        options = {"periodic": self.periodic, "lower": tuple(self.lower), "bounded": tuple(self.bounded)}
        for option, names in options.items():
            positions(names, (*features, *context), option=option)
        return Frame(self.coordinates(features), self.coordinates(context))

    def coordinates(self, names: tuple[str, ...]) -> tuple[AbstractCoordinate, ...]:
        """The coordinate of every name, before it is standardised."""
        edges: dict[str, AbstractEdge] = {name: LowerEdge(a - ROUNDING * abs(a)) for name, a in self.lower.items()}
        for name, (a, b) in self.bounded.items():
            margin = ROUNDING * max(abs(a), abs(b))
            edges[name] = BothEdges(a - margin, b + margin)
        return tuple(
            Circle() if name in self.periodic else Line(edges.get(name, NoEdge()), Affine.identity(1)) for name in names
        )


def fitted(
    coordinates: tuple[AbstractCoordinate, ...], values: Float[Array, "event value"]
) -> tuple[AbstractCoordinate, ...]:
    """The coordinates, each standardised to its column."""
    return tuple(c.fit(column) for c, column in zip(coordinates, values.T, strict=True))


class Frame(eqx.Module):
    """A coordinate for each feature, and for each number of the context."""

    coordinates: tuple[AbstractCoordinate, ...]
    context_coordinates: tuple[AbstractCoordinate, ...]

    def fit(self, events: Event) -> "Frame":
        """The same, standardised: mean and spread of every coordinate, behind its edge's map."""
        return Frame(fitted(self.coordinates, events.features), fitted(self.context_coordinates, events.context))

    @property
    def dim(self) -> int:
        """Number of features."""
        return len(self.coordinates)

    @property
    def n_context(self) -> int:
        """Length of what a network reads of the context."""
        return sum(c.n_inputs for c in self.context_coordinates)

    @property
    def context_scale(self) -> Context:
        """The spread of every number of a context of theory parameters, which are on lines without edges."""
        return jnp.array([c.affine.scale[0] for c in self.context_coordinates if isinstance(c, Line)])

    @property
    def n_inputs(self) -> int:
        """Length of `inputs`."""
        return sum(c.n_inputs for c in self.coordinates)

    @property
    def is_circle(self) -> tuple[bool, ...]:
        """Which of the coordinates are angles."""
        return tuple(isinstance(c, Circle) for c in self.coordinates)

    def forward(self, features: Features) -> tuple[Position, Scalar]:
        """Position of an event, and log|d position/d features|."""
        z, log_jacobians = self.forward_each(features)
        return z, jnp.sum(log_jacobians)

    def forward_each(self, features: Features) -> tuple[Position, Float[Array, " feature"]]:
        """Position of an event, and log|d position/d feature| of every feature."""
        mapped = [c.forward(x) for c, x in zip(self.coordinates, features, strict=True)]
        return jnp.stack([z for z, _ in mapped]), jnp.stack([log_jacobian for _, log_jacobian in mapped])

    def inverse(self, z: Position) -> Features:
        """The event at a position."""
        return jnp.stack([c.inverse(zi) for c, zi in zip(self.coordinates, z, strict=True)])

    def inputs(self, z: Position) -> Float[Array, " input"]:
        """What a network reads of a position: angles as cosine and sine."""
        return jnp.stack([value for c, zi in zip(self.coordinates, z, strict=True) for value in c.inputs(zi)])

    def context(self, context: Context) -> Context:
        """The context as a network reads it."""
        pairs = zip(self.context_coordinates, context, strict=True)
        return jnp.array([value for c, x in pairs for value in c.inputs(c.forward(x)[0])], dtype=context.dtype)

    def displacement(self, start: Position, end: Position) -> Position:
        """The shortest way from one position to another."""
        ways = [c.displacement(a, b) for c, a, b in zip(self.coordinates, start, end, strict=True)]
        return jnp.stack(ways)

    def base_log_prob(self, z: Position) -> Scalar:
        """Logarithm of the base density: normal on lines, uniform on circles."""
        return jnp.sum(jnp.stack([c.base_log_prob(zi) for c, zi in zip(self.coordinates, z, strict=True)]))

    def base_position(self, levels: Float[Array, " feature"]) -> Position:
        """The point of the base density that uniform numbers in (0, 1) are mapped to."""
        return jnp.stack([c.base_quantile(u) for c, u in zip(self.coordinates, levels, strict=True)])

    def base_sample(self, key: PRNGKeyArray) -> Position:
        """A position drawn from the base density."""
        return self.base_position(uniform(key, self.dim))
