"""Unweighted events of the oracle follow its closed form; the overweight is what was stated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from saggiatore.errors import EmptyRegionError, EventError
from saggiatore.integrate.events import Draw, generate, survey
from saggiatore.integrate.integral import CrossSection
from saggiatore.integrate.unweight import Spectrum
from saggiatore.integrate.vegas import VegasSpec
from saggiatore.physics.asymmetry import AsymmetrySpec

N_EVENTS = 40_000
BUDGET = 1e-4  # least p-value
EXACT = CrossSection(jnp.array(1.0), jnp.zeros(1), jnp.zeros((1, 1)))


def draw(low, high, overweight=1e-3):
    """Events between two values of a_fb; the sampler is flat, so that unweighting does the work."""
    process = AsymmetrySpec().build()
    bounds = jnp.array([low]), jnp.array([high])
    raw = Draw(process, VegasSpec().build(2), EXACT, *bounds, jnp.ones(()), jnp.ones(()))
    return survey(raw, overweight, key=jax.random.key(1))


def events(low, high, n_events=N_EVENTS, **keywords):
    blocks = list(generate(draw(low, high, **keywords), n_events, n_events, key=jax.random.key(2)))
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def cumulative(c, a):
    return (3 * (c + 1) + c**3 + 1) / 8 + a * (c**2 - 1) / 2


@pytest.mark.parametrize("a", [0.0, 0.5, -0.7])
def test_angles_follow_the_closed_form(a):
    """40k events, weights up to 0.1 % overweight; Kolmogorov-Smirnov, p > 1e-4."""
    c = events(a, a)["cos_theta_mu"]
    assert stats.kstest(c, lambda value: cumulative(value, a)).pvalue > BUDGET


def test_angles_follow_the_closed_form_at_drawn_theta():
    """The probability of each event's own angle at its own theta is uniform, and theta is uniform too."""
    found = events(-0.7, 0.7)
    a = found["theta_a_fb"]
    assert stats.kstest(cumulative(found["cos_theta_mu"], a), "uniform").pvalue > BUDGET
    assert stats.kstest(a, stats.uniform(-0.7, 1.4).cdf).pvalue > BUDGET


def test_the_joint_score_is_the_closed_form():
    found = events(-0.7, 0.7, 5000)
    c, a = found["cos_theta_mu"], found["theta_a_fb"]
    np.testing.assert_allclose(found["joint_score_a_fb"], c / (0.375 * (1 + c**2) + a * c), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("bounds", [(0.5, 0.5), (-0.7, 0.7)])
def test_weighted_events_have_the_same_moments(bounds):
    """40k events keep their weights, which sum to the cross section; mean angles within 5 standard errors."""
    drawn = draw(*bounds, overweight=None)
    assert drawn.is_weighted
    found = events(*bounds, overweight=None)
    weight, c, a = (found[name] for name in ("weight", "cos_theta_mu", "theta_a_fb"))
    assert weight.std() > 0.1 * weight.mean()
    error = weight.std() / N_EVENTS**0.5 * N_EVENTS
    assert abs(weight.sum() - 1) < 5 * error
    excess = c - 2 * a / 3  # E[c] = 2A/3
    assert abs(weight @ excess) < 5 * np.sqrt(np.sum((weight * excess) ** 2))


@pytest.mark.parametrize("overweight", [0.0, 1e-3, 0.05])
def test_weights_sum_to_the_cross_section(overweight):
    """40k events; what lies above the maximum keeps its excess, so that the sum is 1 pb within five standard errors."""
    weight = events(0.3, 0.3, overweight=overweight)["weight"]
    error = N_EVENTS**0.5 * weight.std()
    assert abs(weight.sum() - 1) < 5 * error + 1e-3 * overweight + 1e-6
    share = weight[weight > weight.min() * (1 + 1e-9)].sum() / weight.sum()
    # the rate above the maximum is the stated one: 40k events, the survey's 262k points, five standard errors
    assert abs(share - overweight) < 5 * (overweight / N_EVENTS) ** 0.5 + (2e-3 if overweight else 1e-9)


def test_a_stream_gives_the_same_events_whatever_their_number():
    few, many = events(0.0, 0.0, 100), events(0.0, 0.0, 5000)
    np.testing.assert_array_equal(few["cos_theta_mu"], many["cos_theta_mu"][:100])
    assert len(many["weight"]) == 5000


def test_the_maximum_obeys_its_rule():
    """Against sorted weights, to the bins' resolution of 0.14 %."""
    weights = np.random.default_rng(1).lognormal(0, 1.5, 100_000)
    spectrum = Spectrum.empty().add(jnp.asarray(weights[:50_000])).add(jnp.asarray(weights[50_000:]))
    spectrum = spectrum.add(jnp.array([0.0, -3.0, 1e-300]))
    for overweight in (0.0, 1e-3, 0.1):
        maximum = spectrum.max_weight(overweight)
        assert weights[weights > maximum].sum() <= overweight * weights.sum() * (1 + 1e-9)
        assert weights[weights > 0.995 * maximum].sum() > overweight * weights.sum()
        assert spectrum.kept_fraction(maximum) == pytest.approx(
            np.minimum(weights, maximum).sum() / weights.sum(), rel=1e-5
        )


def test_a_negative_rate_is_refused():
    with pytest.raises(EventError, match=r"negative at theta"):
        draw(0.9, 1.5)


def test_a_hopeless_region_is_given_up():
    hopeless = draw(0.0, 0.0)
    starved = Draw(
        hopeless.process, hopeless.sampler, EXACT, hopeless.low, hopeless.high, jnp.array(1e9), hopeless.kept_fraction
    )
    with pytest.raises(EmptyRegionError, match="points were accepted"):
        next(generate(starved, 10, 10, key=jax.random.key(1)))
