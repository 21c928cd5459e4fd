r"""A density p(x | theta) by flow matching, whose score is differentiated through its ordinary differential equation.

A network $v(z, t, \theta)$ is fitted to the velocity of straight paths from a base density at $t=0$ to the events at
$t=1$ (Lipman et al., arXiv:2210.02747, eqs. 20-23 with $\sigma_{\min} = 0$; on collider events: arXiv:2305.10475). Then
$\log p(x|\theta) = \log p_0(z_0) - \int_0^1 \nabla\cdot v\,dt + \log|dz/dx|$ along the path that ends in $z(x)$.
"""

from collections.abc import Callable
from typing import Any, Literal, Self

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from pydantic import Field

from saggiatore.errors import StudyError
from saggiatore.models.base import AbstractDensity, Event, positions
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
from saggiatore.types import Array, Context, Features, Float, PRNGKeyArray, Scalar, Theta

SOLVERS = {"dopri5": diffrax.Dopri5, "dopri8": diffrax.Dopri8, "tsit5": diffrax.Tsit5}
ROUNDING = 5e-7  # edges move outwards by this fraction, lest single precision round an event onto one
Position = Float[Array, " feature"]


class FlowMatchingSpec(Spec):
    """A conditional density by flow matching."""

    kind: Literal["flow_matching"] = "flow_matching"
    width: int = Field(64, ge=1, description="hidden units per layer of the velocity")
    depth: int = Field(3, ge=1, description="hidden layers of the velocity")
    periodic: tuple[str, ...] = Field((), description="angles in radians, which stay on their circle")
    lower: dict[str, float] = Field({}, description="features with a lower edge, in the feature's unit")
    bounded: dict[str, tuple[float, float]] = Field({}, description="features with a lower and an upper edge")
    solver: Literal["dopri5", "dopri8", "tsit5"] = "tsit5"
    rtol: float = Field(1e-4, gt=0, description="relative tolerance of the solver")
    atol: float = Field(1e-5, gt=0, description="absolute tolerance of the solver")
    max_steps: int = Field(1000, ge=1, description="steps after which the solver gives up with an error")

    def build(self, features: tuple[str, ...], context: tuple[str, ...], *, key: PRNGKeyArray) -> "FlowMatching":
        """A flow with random weights.

        Raises:
            StudyError: if an option names what is not a feature, or a feature is asked to be two things.
        """
        options = {"periodic": self.periodic, "lower": tuple(self.lower), "bounded": tuple(self.bounded)}
        for option, names in options.items():
            positions(names, features, option=option)
        named = [name for names in options.values() for name in names]
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            raise StudyError(f"{', '.join(twice)}: in two of periodic, lower and bounded; a feature is one of them.")
        circles = {name: Circle() for name in self.periodic}
        edges: dict[str, AbstractEdge] = {name: LowerEdge(a - ROUNDING * abs(a)) for name, a in self.lower.items()}
        for name, (a, b) in self.bounded.items():
            margin = ROUNDING * max(abs(a), abs(b))
            edges[name] = BothEdges(a - margin, b + margin)
        coordinates = tuple(
            circles.get(name) or Line(edges.get(name, NoEdge()), Affine.identity(1)) for name in features
        )
        return FlowMatching(self, coordinates, len(context), key=key)


class FlowMatching(AbstractDensity):
    """The density of `FlowMatchingSpec`."""

    coordinates: tuple[AbstractCoordinate, ...]
    context_affine: Affine
    net: eqx.nn.MLP
    solver: str = eqx.field(static=True)
    rtol: float = eqx.field(static=True)
    atol: float = eqx.field(static=True)
    max_steps: int = eqx.field(static=True)

    def __init__(
        self,
        spec: FlowMatchingSpec,
        coordinates: tuple[AbstractCoordinate, ...],
        n_context: int,
        *,
        key: PRNGKeyArray,
    ):
        self.coordinates = coordinates
        self.solver, self.rtol, self.atol, self.max_steps = spec.solver, spec.rtol, spec.atol, spec.max_steps
        self.context_affine = Affine.identity(n_context)
        n_inputs = sum(c.n_inputs for c in coordinates) + 3 + n_context
        self.net = eqx.nn.MLP(n_inputs, len(coordinates), spec.width, spec.depth, jax.nn.gelu, key=key)

    def standardise(self, events: Event) -> Self:
        """Fit the mean and spread of every coordinate, behind its edge's map, and of the context."""
        coordinates = tuple(c.fit(column) for c, column in zip(self.coordinates, events.features.T, strict=True))
        fitted: Self = eqx.tree_at(
            lambda m: (m.coordinates, m.context_affine), self, (coordinates, Affine.fit(events.context))
        )
        return fitted

    def velocity(self, t: Scalar, z: Position, context: Context) -> Position:
        """dz/dt at time `t`: 0 is the base, 1 the events."""
        places = [value for c, zi in zip(self.coordinates, z, strict=True) for value in c.inputs(zi)]
        times = [t, jnp.cos(jnp.pi * t), jnp.sin(jnp.pi * t)]
        return self.net(jnp.concatenate([jnp.stack(places + times), self.context_affine(context)]))

    def loss(self, features: Features, context: Context, *, key: PRNGKeyArray) -> Scalar:
        """Squared error of the velocity at one time on one path to the event (2210.02747, eq. 23)."""
        t, *levels = uniform(key, 1 + len(self.coordinates))
        start = jnp.stack([c.base_quantile(u) for c, u in zip(self.coordinates, levels, strict=True)])
        ends = [c.forward(x)[0] for c, x in zip(self.coordinates, features, strict=True)]
        way = jnp.stack([c.displacement(a, b) for c, a, b in zip(self.coordinates, start, ends, strict=True)])
        return jnp.mean((self.velocity(t, start + t * way, context) - way) ** 2)

    def log_prob(self, features: Features, context: Context) -> Scalar:
        """Logarithm of p(x | context), with the exact trace; normalised over the region that the edges state."""

        def motion(t: Scalar, state: tuple[Position, Scalar], _: None) -> tuple[Position, Scalar]:
            def velocity(z: Position) -> tuple[Position, Position]:
                v = self.velocity(t, z, context)
                return v, v

            jacobian, v = jax.jacfwd(velocity, has_aux=True)(state[0])
            return v, jnp.trace(jacobian)

        mapped = [c.forward(x) for c, x in zip(self.coordinates, features, strict=True)]
        end = jnp.stack([z for z, _ in mapped])
        start, minus_integral = self._integrate(motion, (end, jnp.zeros((), end.dtype)), 1.0, 0.0)
        base = jnp.stack([c.base_log_prob(z) for c, z in zip(self.coordinates, start, strict=True)])
        return jnp.sum(base) + minus_integral + jnp.sum(jnp.stack([log_jacobian for _, log_jacobian in mapped]))

    def sample(self, context: Context, *, key: PRNGKeyArray) -> Features:
        """One event: a point of the base, carried along the flow."""
        levels = uniform(key, len(self.coordinates))
        start = jnp.stack([c.base_quantile(u) for c, u in zip(self.coordinates, levels, strict=True)])
        end = self._integrate(lambda t, z, _: self.velocity(t, z, context), start, 0.0, 1.0)
        return jnp.stack([c.inverse(z) for c, z in zip(self.coordinates, end, strict=True)])

    def score(self, features: Features, context: Context | None = None) -> Theta:
        """Gradient of log p(x | context) in the context, at zero if none is given, in forward mode through the ODE."""
        at = jnp.zeros_like(self.context_affine.shift) if context is None else context
        return jax.jacfwd(lambda theta: self.log_prob(features, theta))(at)

    def _integrate(self, motion: Callable, start: Any, t0: float, t1: float) -> Any:
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(motion),
            SOLVERS[self.solver](),
            t0,
            t1,
            0.1 * (t1 - t0),
            start,
            stepsize_controller=diffrax.PIDController(self.rtol, self.atol),
            adjoint=diffrax.ForwardMode(),
            max_steps=self.max_steps,
        )
        return jax.tree.map(lambda values: values[-1], solution.ys)
