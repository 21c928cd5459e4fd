"""Equal steps of a solver are those that diffrax takes."""

import diffrax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.models.transport import SOLVERS, TransportSpec

START, T0, T1, N_STEPS = jnp.array([0.3, 1.2]), 0.2, 1.7, 7


def velocity(t, z):
    return jnp.array([z[1] * jnp.cos(t), -z[0] + t * z[1]])


@pytest.mark.parametrize(
    "solver", [pytest.param(name, marks=[] if name == "midpoint" else pytest.mark.thorough) for name in sorted(SOLVERS)]
)
def test_equal_steps_are_those_of_diffrax(solver):
    found = TransportSpec(solver=solver, n_steps=N_STEPS).transport()(velocity, START, T0, T1)
    theirs = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, z, _: velocity(t, z)),
        SOLVERS[solver](),
        T0,
        T1,
        (T1 - T0) / N_STEPS,
        START,
        stepsize_controller=diffrax.ConstantStepSize(),
        max_steps=N_STEPS + 1,
    )
    np.testing.assert_allclose(found, theirs.ys[-1], rtol=1e-13)
    exact = TransportSpec(solver="dopri8", rtol=1e-10, atol=1e-10).transport()(velocity, START, T0, T1)
    np.testing.assert_allclose(found, exact, rtol=0.2 if solver == "euler" else 0.03)
