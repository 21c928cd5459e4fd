"""Distances of two samples, where they are known."""

import numpy as np
import pytest
from scipy.stats import norm

from saggiatore.infer import distances

N = 20_000
SHIFT = 0.5


def samples(shift):
    rng = np.random.default_rng(1)
    return rng.normal(size=(N, 2)), rng.normal(size=(N, 2)) + shift


def test_two_samples_of_one_density_are_at_the_statistical_limit():
    """chi2 of 50 and of 225 bins: 5 standard errors of their means, sqrt(2/n)."""
    true, other = samples(0.0)
    assert distances.chi2_per_bin(true[:, :1], other[:, :1], 50) == pytest.approx(1, abs=5 * (2 / 50) ** 0.5)
    assert distances.chi2_per_bin(true, other, 15) == pytest.approx(1, abs=5 * (2 / 225) ** 0.5)
    area = distances.area_under_curve(true[:, 0], other[:, 0])
    assert abs(area.value - 0.5) < 5 * area.error
    assert distances.wasserstein(true[:, 0], other[:, 0]) < 0.05


def test_chi2_counts_another_number_of_events():
    true, other = samples(0.0)
    assert distances.chi2_per_bin(true[:, :1], other[:5000, :1], 50) == pytest.approx(1, abs=5 * (2 / 50) ** 0.5)


def test_a_shift_has_the_distances_of_the_normal_distribution():
    true, other = (sample[:, 0] for sample in samples(SHIFT))
    assert distances.wasserstein(true, other) == pytest.approx(SHIFT, abs=0.05)
    assert distances.kolmogorov_smirnov(true, other) == pytest.approx(2 * norm.cdf(SHIFT / 2) - 1, abs=0.03)
    area = distances.area_under_curve(-true, -other)
    assert abs(area.value - norm.cdf(SHIFT / 2**0.5)) < 5 * area.error
    assert distances.chi2_per_bin(true[:, None], other[:, None], 50) > 20


def test_exact_weights_take_a_shift_away():
    """The likelihood ratio of both normal distributions as w, up to a factor."""
    true, other = (sample[:, 0] for sample in samples(SHIFT))
    weight = 3 * np.exp(SHIFT**2 / 2 - SHIFT * other)
    assert distances.wasserstein(true, other, weight) < 0.05
    found = distances.chi2_per_bin(true[:, None], other[:, None], 50, weight)
    assert found == pytest.approx(1, abs=5 * (2 / 50) ** 0.5)


@pytest.mark.parametrize(("stretch", "is_right"), [(1.0, True), (3.0, False)])
def test_reliability_tells_whether_a_classifier_states_the_truth(stretch, is_right):
    """The exact logit is right in every bin (5 standard errors), one that is too sure of itself is not."""
    true, other = (stretch * (SHIFT**2 / 2 - SHIFT * sample[:, 0]) for sample in samples(SHIFT))
    found = distances.reliability(true, other, 10)
    pulls = np.abs(found["found"] - found["stated"]) / found["found_error"]
    assert (pulls.max() < 5) == is_right
    assert found["n_events"].sum() == 2 * N
