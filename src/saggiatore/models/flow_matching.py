r"""A density p(x | theta) by flow matching, whose score is differentiated through its ordinary differential equation.

A network $v(z, t, \theta)$ is fitted to the velocity of straight paths from a base density at $t=0$ to the events at
$t=1$ (Lipman et al., arXiv:2210.02747, eqs. 20-23 with $\sigma_{\min} = 0$; on collider events: arXiv:2305.10475). Then
$\log p(x|\theta) = \log p_0(z_0) - \int_0^1 \nabla\cdot v\,dt + \log|dz/dx|$ along the path that ends in $z(x)$.
"""

from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from pydantic import Field

from saggiatore.models.coordinate import uniform
from saggiatore.models.density import AbstractDensity
from saggiatore.models.frame import Frame, FrameSpec, Position
from saggiatore.models.transport import Transport, TransportSpec
from saggiatore.types import Context, Features, PRNGKeyArray, Scalar


class FlowMatchingSpec(FrameSpec, TransportSpec):
    """A conditional density by flow matching."""

    kind: Literal["flow_matching"] = "flow_matching"
    width: int = Field(64, ge=1, description="hidden units per layer of the velocity")
    depth: int = Field(3, ge=1, description="hidden layers of the velocity")

    def build(self, features: tuple[str, ...], context: tuple[str, ...], *, key: PRNGKeyArray) -> "FlowMatching":
        """A flow with random weights.

        Raises:
            StudyError: if an option names what is not a feature.
        """
        return FlowMatching(self, self.frame(features, context), key=key)


class FlowMatching(AbstractDensity):
    """The density of `FlowMatchingSpec`."""

    loss_is_log_prob: ClassVar[bool] = False

    frame: Frame
    net: eqx.nn.MLP
    transport: Transport = eqx.field(static=True)

    def __init__(self, spec: FlowMatchingSpec, frame: Frame, *, key: PRNGKeyArray):
        self.frame, self.transport = frame, spec.transport()
        n_inputs = frame.n_inputs + 3 + frame.n_context
        self.net = eqx.nn.MLP(n_inputs, frame.dim, spec.width, spec.depth, jax.nn.gelu, key=key)

    def velocity(self, t: Scalar, z: Position, context: Context) -> Position:
        """dz/dt at time `t`: 0 is the base, 1 the events."""
        times = jnp.stack([t, jnp.cos(jnp.pi * t), jnp.sin(jnp.pi * t)])
        return self.net(jnp.concatenate([self.frame.inputs(z), times, self.frame.context(context)]))

    def loss(self, features: Features, context: Context, *, key: PRNGKeyArray) -> Scalar:
        """Squared error of the velocity at one time on one path to the event (2210.02747, eq. 23)."""
        levels = uniform(key, 1 + self.frame.dim)
        t, start = levels[0], self.frame.base_position(levels[1:])
        way = self.frame.displacement(start, self.frame.forward(features)[0])
        return jnp.mean((self.velocity(t, start + t * way, context) - way) ** 2)

    def log_prob(self, features: Features, context: Context) -> Scalar:
        """Logarithm of p(x | context); normalised over the region that the edges state."""
        end, log_jacobian = self.frame.forward(features)
        start, gained = self.transport.with_divergence(lambda t, z: self.velocity(t, z, context), end, 1.0, 0.0)
        return self.frame.base_log_prob(start) + gained + log_jacobian

    def sample(self, context: Context, *, key: PRNGKeyArray) -> Features:
        """One event: a point of the base, carried along the flow."""
        start = self.frame.base_sample(key)
        return self.frame.inverse(self.transport(lambda t, z: self.velocity(t, z, context), start, 0.0, 1.0))
