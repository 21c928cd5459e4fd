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
JETS = {"n_jets": 2, "cuts": {"pt_j": "20 GeV", "abs_eta_j": 5, "delta_r_jj": 0.4}}


def processes():
    """All registered processes, as the first study that uses one configures it.

    Jets come in the largest number, which has all that fewer of them have, with the same cuts for every boson.
    """
    for name in sorted(REGISTRY["process"]):
        content = section(name)
        if "n_jets" in content:
            content = content | {"n_jets": MAX_JETS, "cuts": content["cuts"] | {"delta_r_jj": 0.4, "abs_eta_j": 5}}
        yield name, load("process", name).model_validate(content).build()


def mappings():
    """The distinct mappings of all registered processes."""
    seen = []
    for name, process in processes():
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


@pytest.mark.thorough
def test_mappings_of_a_class_differ_by_an_order_of_the_legs():
    """The same point gives the same event, up to an exchange of outgoing legs, and the same density."""
    related = []
    for name, process in processes():
        classes = process.mapping_classes
        assert len(classes) == len(process.mappings)
        assert sorted(set(classes)) == list(range(max(classes) + 1)), name
        if len(set(classes)) == len(classes):
            continue
        related.append(name)

        @jax.jit
        @jax.vmap
        def events(y, process=process):
            points, logs = zip(*(mapping.forward(y) for mapping in process.mappings), strict=True)
            momenta, log_jacobians = jax.vmap(process.momenta)(jnp.stack(points))
            return jnp.sort(momenta[:, 2:], axis=1), log_jacobians + jnp.stack(logs)

        momenta, logs = events(jax.random.uniform(jax.random.key(3), (N_POINTS, process.dim)))
        first = jnp.array([classes.index(number) for number in classes])
        np.testing.assert_allclose(momenta, momenta[:, first], rtol=1e-9, atol=1e-6)
        np.testing.assert_allclose(logs, logs[:, first], atol=1e-9)
    assert related == ["wjets", "zjets"]


@pytest.mark.thorough
def test_jets_may_change_places():
    """What permuted mappings rely on: the rate of the sum over flavours does not tell jets apart."""
    process = load("process", "zjets").model_validate(section("zjets") | JETS).build()
    u = jax.random.uniform(jax.random.key(4), (64, process.dim))
    momenta = jax.jit(jax.vmap(process.momenta))(u)[0]
    rate = jax.jit(jax.vmap(lambda p: process.rate(p, jnp.array([0.5]))))
    np.testing.assert_allclose(rate(momenta[:, jnp.array([0, 1, 3, 2, 4, 5])]), rate(momenta), rtol=1e-9)
