"""Laws that the mappings of every registered process obey: forward and inverse belong to the same map."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_process import section

from saggiatore.physics.boson_jets import MAX_JETS
from saggiatore.registry import REGISTRY, load

N_POINTS = 256


def mappings():
    """The distinct mappings of all registered processes, as the first study that uses a process configures it.

    Jets come in the largest number, which has all that fewer of them have, with the same cuts for every boson.
    """
    seen = []
    for name in sorted(REGISTRY["process"]):
        content = section(name)
        if "n_jets" in content:
            content = content | {"n_jets": MAX_JETS, "cuts": content["cuts"] | {"delta_r_jj": 0.4, "abs_eta_j": 5}}
        process = load("process", name).model_validate(content).build()
        for number, mapping in enumerate(process.mappings):
            if not any(eqx.tree_equal(mapping, other) for other in seen):
                seen.append(mapping)
                yield pytest.param(mapping, process.dim, id=f"{name}-{number}-{type(mapping).__name__}")


@pytest.mark.parametrize(("mapping", "dim"), mappings())
def test_a_mapping_and_its_inverse_belong_together(mapping, dim):
    """To rounding: arctangents at the far end of a narrow peak lose some digits."""

    @jax.jit
    @jax.vmap
    def both_ways(y):
        u, log_forward = mapping.forward(y)
        log_det = jnp.linalg.slogdet(jax.jacfwd(lambda point: mapping.forward(point)[0])(y))[1]
        return u, log_forward, log_det, *mapping.inverse(u)

    y = jax.random.uniform(jax.random.key(dim), (N_POINTS, dim))
    u, log_forward, log_det, back, log_inverse = both_ways(y)
    assert jnp.all((u >= 0) & (u <= 1))
    np.testing.assert_allclose(back, y, atol=1e-9)
    np.testing.assert_allclose(log_inverse, -log_forward, atol=1e-7)
    np.testing.assert_allclose(log_det, log_forward, atol=1e-7)
