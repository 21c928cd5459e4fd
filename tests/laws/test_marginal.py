"""The marginal score is the conditional mean of the joint score, and odd for a CP-odd parameter."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.physics.flavours import flavours
from saggiatore.physics.marginal import MarginalPoint, marginal_score
from saggiatore.physics.marginal_rate import marginal
from saggiatore.physics.process import weight
from saggiatore.physics.wbf_higgs import WbfHiggsSpec
from saggiatore.types import Array

pytestmark = pytest.mark.thorough

N_EVENTS = 4000
SPEC = {
    "sqrt_s": "14 TeV",
    "parton_density": "NNPDF31_lo_as_0118",
    "factorisation_scale": "80.4 GeV",
    "cuts": {"pt_j": "20 GeV", "abs_eta_j": 5, "delta_eta_jj": 2, "m_jj": "400 GeV"},
    "parameters": {"c_wwt": {"c_wwt": "1 TeV^-2"}},
}


class Scores(NamedTuple):
    weight: Array
    joint: Array
    marginal: Array
    mirrored: Array  # marginal, at -delta_phi
    delta_phi: Array
    m_jj: Array  # GeV, a function of the four observables
    ratio: Array  # of rates at c_wwt = 1 to those at zero, of all momenta
    marginal_ratio: Array  # of the four observables


@pytest.fixture(scope="module")
def scores():
    process = WbfHiggsSpec.model_validate(SPEC).build()
    zero = jnp.zeros(1)

    def one(row):
        u, lot = row[:7], row[7]
        w = weight(process, u, zero)
        momenta, _ = process.momenta(u)
        channels = flavours(process, momenta, zero, zero)
        joint = channels.score[channels.draw(lot), 0]
        point = MarginalPoint(*(process.observables[name].function(momenta) for name in MarginalPoint._fields))
        mirror = jnp.array([1.0, -1.0])
        both = jax.vmap(
            lambda sign: marginal_score(process, point._replace(delta_phi=sign * point.delta_phi), zero, zero, 8)
        )
        thetas, known = jnp.array([[0.0], [1.0]]), marginal(process)
        rates = jax.vmap(lambda theta: (process.rate(momenta, theta), known.rate(jnp.stack(point), theta)))(thetas)
        ratios = (rate[1] / rate[0] for rate in rates)
        m_jj = process.observables["m_jj"].function(momenta)
        return Scores(w, joint, *both(mirror)[:, 0], point.delta_phi, m_jj, *ratios)

    rows = jax.random.uniform(jax.random.key(5), (2 * N_EVENTS, 8))
    found = jax.jit(lambda rows: jax.lax.map(one, rows, batch_size=16))(rows)
    inside = (found.weight > 0) & (found.m_jj < 5000)  # where few nodes meet a rate, the quadrature fails
    return Scores(*(np.asarray(column[inside]) for column in found))


def test_it_is_odd(scores):
    np.testing.assert_allclose(scores.mirrored, -scores.marginal, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["one", "sine", "marginal"])
def test_it_is_the_mean_of_the_joint_score(scores, name):
    """E[(t - t*) g(x)] = 0 for functions g of the observables; about 4000 weighted events, 5 standard errors."""
    g = {"one": np.ones_like(scores.weight), "sine": np.sin(scores.delta_phi), "marginal": np.tanh(scores.marginal)}[
        name
    ]
    terms = scores.weight * (scores.joint - scores.marginal) * g
    assert abs(terms.mean()) < 5 * terms.std() / len(terms) ** 0.5
    assert 5 * terms.std() / len(terms) ** 0.5 < 0.1 * (scores.weight * np.abs(scores.joint)).mean()


@pytest.mark.parametrize("name", ["one", "sine", "ratio"])
def test_the_marginal_ratio_is_the_mean_of_the_joint_ratio(scores, name):
    """E[(r(z) - r(x)) g(x)] = 0 over events at zero, which makes r(x) the ratio; 5 standard errors."""
    g = {"one": 1.0, "sine": np.sin(scores.delta_phi), "ratio": np.tanh(scores.marginal_ratio)}[name]
    terms = scores.weight * (scores.ratio - scores.marginal_ratio) * g
    assert abs(terms.mean()) < 5 * terms.std() / len(terms) ** 0.5
    assert 5 * terms.std() / len(terms) ** 0.5 < 0.1 * (scores.weight * np.abs(scores.ratio - 1)).mean()


def test_it_explains_most_of_the_joint_score(scores):
    """The part of the joint score that four observables do not show is small: about 4 % of the variance."""
    rest = np.average((scores.joint - scores.marginal) ** 2, weights=scores.weight)
    assert rest < 0.12 * np.average(scores.joint**2, weights=scores.weight)
