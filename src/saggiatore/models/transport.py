r"""Points carried along a velocity field, and what that does to their density.

Along $dz/dt = v(z, t)$ the logarithm of a density changes by $d\log p/dt = -\nabla\cdot v$ (arXiv:1806.07366, eq. 8).
The divergence is the exact trace of the Jacobian, or Hutchinson's estimate
$\epsilon^T (\partial v/\partial z)\,\epsilon$ with signs $\epsilon = \pm 1$ (arXiv:1810.01367, eq. 7), which costs one
product instead of one a dimension. The signs of an event are drawn from the event itself: one number for one event, so
that a log density is a function of it, with a scatter between events and no bias.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
from pydantic import Field

from saggiatore.spec import Spec
from saggiatore.types import Array, Float, Scalar

SOLVERS = {
    "dopri5": diffrax.Dopri5,
    "dopri8": diffrax.Dopri8,
    "euler": diffrax.Euler,
    "heun": diffrax.Heun,
    "midpoint": diffrax.Midpoint,
    "tsit5": diffrax.Tsit5,
}
Position = Float[Array, " feature"]
Velocity = Callable[[Scalar, Position], Position]


class TransportSpec(Spec):
    """How an ordinary differential equation is solved."""

    solver: Literal["dopri5", "dopri8", "euler", "heun", "midpoint", "tsit5"] = "tsit5"
    n_steps: int | None = Field(
        None, ge=1, description="equal steps of the solver; without it steps adapt to rtol and atol"
    )
    rtol: float = Field(1e-4, gt=0, description="relative tolerance of adaptive steps")
    atol: float = Field(1e-5, gt=0, description="absolute tolerance of adaptive steps")
    max_steps: int = Field(1000, ge=1, description="adaptive steps after which the solver gives up with an error")
    trace: Literal["exact", "hutchinson"] = Field("exact", description="divergence of the velocity in a log density")

    def transport(self) -> "Transport":
        """The solver.

        Raises:
            ValueError: if the solver has no error estimate and no number of steps.
        """
        if self.n_steps is None and self.solver == "euler":
            raise ValueError("solver: euler has no error estimate to adapt its steps to; give n_steps.")
        return Transport(self.solver, self.n_steps, self.rtol, self.atol, self.max_steps, self.trace)


class Transport(NamedTuple):
    """The solver of `TransportSpec`."""

    solver: str
    n_steps: int | None
    rtol: float
    atol: float
    max_steps: int
    trace: str

    def __call__(self, velocity: Velocity, start: Position, t0: float, t1: float) -> Position:
        """Where the point `start` at time `t0` is at `t1`."""
        return self._solve(velocity, start, t0, t1)

    def with_divergence(self, velocity: Velocity, start: Position, t0: float, t1: float) -> tuple[Position, Scalar]:
        """The same, and the integral of the divergence from `t0` to `t1`."""
        divergence = self._hutchinson(velocity, _signs(start)) if self.trace == "hutchinson" else self._exact(velocity)
        return self._solve(lambda t, state: divergence(t, state[0]), (start, jnp.zeros((), start.dtype)), t0, t1)

    def _exact(self, velocity: Velocity) -> Callable[[Scalar, Position], tuple[Position, Scalar]]:
        def motion(t: Scalar, z: Position) -> tuple[Position, Scalar]:
            def twice(place: Position) -> tuple[Position, Position]:
                v = velocity(t, place)
                return v, v

            jacobian, v = jax.jacfwd(twice, has_aux=True)(z)
            return v, jnp.trace(jacobian)

        return motion

    def _hutchinson(self, velocity: Velocity, signs: Position) -> Callable[[Scalar, Position], tuple[Position, Scalar]]:
        def motion(t: Scalar, z: Position) -> tuple[Position, Scalar]:
            v, change = jax.jvp(lambda place: velocity(t, place), (z,), (signs,))
            return v, signs @ change

        return motion

    def _solve(self, motion: Callable, start: Any, t0: float, t1: float) -> Any:
        if self.n_steps is not None:
            return _in_equal_steps(motion, SOLVERS[self.solver], start, t0, t1, self.n_steps)
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, state, _: motion(t, state)),
            SOLVERS[self.solver](),
            t0,
            t1,
            (t1 - t0) / 10,
            start,
            stepsize_controller=diffrax.PIDController(self.rtol, self.atol),
            adjoint=diffrax.ForwardMode(),
            max_steps=self.max_steps,
        )
        return jax.tree.map(lambda values: values[-1], solution.ys)


def _in_equal_steps(
    motion: Callable, solver: type[diffrax.AbstractSolver], start: Any, t0: float, t1: float, n_steps: int
) -> Any:
    """Explicit Runge-Kutta steps with diffrax's coefficients, which need nothing of what steps of changing size do."""
    tableau = getattr(solver, "tableau", None)  # Euler's method has none
    stages = [] if tableau is None else list(zip(tableau.c, tableau.a_lower, strict=True))
    shares = [1.0] if tableau is None else tableau.b_sol
    size = (t1 - t0) / n_steps

    def moved(state: Any, slopes: list, by: Iterable[float]) -> Any:
        for slope, share in zip(slopes, by, strict=True):
            if share:
                state = jax.tree.map(lambda value, rate, h=size * float(share): value + h * rate, state, slope)
        return state

    def step(state: Any, number: Scalar) -> tuple[Any, None]:
        t = t0 + size * number
        slopes = [motion(t, state)]
        for delay, by in stages:
            slopes.append(motion(t + size * float(delay), moved(state, slopes, by)))
        return moved(state, slopes, shares), None

    numbers = jnp.arange(n_steps, dtype=jax.tree.leaves(start)[0].dtype)
    return jax.lax.scan(step, start, numbers)[0]


def _signs(z: Position) -> Position:
    """Random signs that belong to the point `z`: the generator's key is made of its bits."""
    words = jax.lax.bitcast_convert_type(jax.lax.stop_gradient(z).astype(jnp.float32), jnp.uint32)
    key = jax.lax.fori_loop(0, len(words), lambda i, k: jax.random.fold_in(k, words[i]), jax.random.key(0))
    return jax.random.rademacher(key, z.shape, z.dtype)
