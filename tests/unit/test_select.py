"""Rules of selection, on squares whose errors are known."""

import numpy as np
import pytest
from pydantic import ValidationError

from saggiatore.distill.select import SelectionSpec, choose, weighted_mean
from saggiatore.errors import EngineError

N = 10_000
NOISE = np.random.default_rng(6).exponential(1.0, N)  # mean 1, so that the error of the mean is 0.01
ONES = np.ones(N)
COMPLEXITIES = [3, 8, 13, 20]


def squares(*shifts: float) -> list[np.ndarray]:
    """Common tails, and a small difference between members."""
    return [NOISE + shift for shift in shifts]


def test_the_smallest_within_one_standard_error_of_the_best():
    assert choose(SelectionSpec(), COMPLEXITIES, squares(0.5, 0.02, 0.005, 0.0), ONES) == 2


def test_a_paired_error_sees_smaller_differences():
    """Members differ by a constant here, so that the error of the difference vanishes and only the best will do."""
    spec = SelectionSpec(rule="paired_standard_error")
    assert choose(spec, COMPLEXITIES, squares(0.5, 0.02, 0.005, 0.0), ONES) == 3
    jitter = 0.5 * np.random.default_rng(7).standard_normal(N)
    apart = [NOISE + 0.5, NOISE + 0.02, NOISE + 0.003 + jitter - jitter.mean(), NOISE]
    assert choose(spec, COMPLEXITIES, apart, ONES) == 2


def test_negligible_differences_are_none():
    """An exact relation has no noise: any difference would exceed its error."""
    exact = [np.full(N, 1e-3), np.full(N, 1e-5), np.full(N, 1e-7), np.full(N, 1e-12)]
    assert choose(SelectionSpec(), COMPLEXITIES, exact, ONES) == 3
    assert choose(SelectionSpec(), COMPLEXITIES, exact, ONES, second_moment=1.0) == 1


def test_the_best_and_the_limit_on_complexity():
    assert choose(SelectionSpec(rule="best"), COMPLEXITIES, squares(0.5, 0.02, 0.0, 0.005), ONES) == 2
    assert choose(SelectionSpec(rule="best", max_complexity=8), COMPLEXITIES, squares(0.5, 0.02, 0.0, 0.0), ONES) == 1
    with pytest.raises(EngineError, match="the smallest has 3"):
        choose(SelectionSpec(max_complexity=2), COMPLEXITIES, squares(0.0, 0.0, 0.0, 0.0), ONES)


def test_weights_count():
    weight = np.where(np.arange(N) < N // 2, 1.0, 0.0)
    low = np.where(weight > 0, 0.0, 100.0)
    assert weighted_mean(low, weight).value == 0.0
    half = weighted_mean(NOISE, weight)
    assert half.error == pytest.approx(NOISE[: N // 2].std() / np.sqrt(N // 2), rel=1e-9)
    assert weighted_mean(NOISE, 7.0 * weight) == pytest.approx(half)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValidationError):
        SelectionSpec(rule="by_eye")
