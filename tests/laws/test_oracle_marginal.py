"""The oracle's exact scores of its two angles are conditional means of the joint score."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.physics.asymmetry import AsymmetrySpec
from saggiatore.physics.process import log_rate_gradient, measure

N_EVENTS = 50_000


@pytest.fixture(scope="module")
def events():
    """Weights, joint scores at A = 0, and both angles, flat in the unit square."""
    process = AsymmetrySpec().build()

    def one(u):
        momenta, log_jacobian = process.momenta(u)
        zero = jnp.zeros(1)
        seen = measure(process, momenta)
        marginal = {name: process.marginal_score({name: seen[name]}, zero, zero)[0] for (name,) in process.marginals}
        weight = process.rate(momenta, zero) * jnp.exp(log_jacobian)
        return weight, log_rate_gradient(process, momenta, zero)[0], seen, marginal

    return jax.jit(jax.vmap(one))(jax.random.uniform(jax.random.key(0), (N_EVENTS, 2)))


@pytest.mark.parametrize("name", ["cos_theta_mu", "cos_tilted_mu"])
@pytest.mark.parametrize("power", [1, 3, 5])
def test_the_marginal_score_is_the_mean_of_the_joint_score(name, power, events):
    """E[(t - t*) y^n] = 0 within 5 standard errors; t* itself is far from zero there."""
    weight, joint, seen, marginal = (jax.tree.map(np.asarray, part) for part in events)
    terms = weight * (joint - marginal[name]) * seen[name] ** power
    assert abs(terms.mean()) <= 5 * terms.std() / N_EVENTS**0.5 + 1e-12
    size = weight * marginal[name] * seen[name] ** power
    assert size.mean() > 50 * terms.std() / N_EVENTS**0.5


def test_only_the_tilted_angle_hides_something(events):
    weight, joint, _, marginal = events
    rest = [float(jnp.average((joint - marginal[name]) ** 2, weights=weight)) for name in marginal]
    assert rest[0] < 1e-20
    assert 0.2 < rest[1] < 1


def test_with_a_cut_the_tilted_angle_has_no_closed_form():
    assert AsymmetrySpec(cuts={"abs_cos_theta_mu": 0.9}).build().marginals == (("cos_theta_mu",),)
