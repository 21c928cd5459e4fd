"""Rules of selection, on squares whose errors are known."""

import numpy as np
import pytest
from pydantic import ValidationError

from saggiatore.distill.expression import parse
from saggiatore.distill.parametric import Parametric
from saggiatore.distill.select import (
    SelectionSpec,
    _means,
    choose,
    have_symmetry,
    selection_frequencies,
    weighted_mean,
)
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
    with pytest.raises(EngineError, match="the smallest of 4 that may be chosen has 3"):
        choose(SelectionSpec(max_complexity=2), COMPLEXITIES, squares(0.0, 0.0, 0.0, 0.0), ONES)


def test_errors_are_those_of_weighted_means():
    """The streamed sums against the definitions, in more than one chunk of events."""
    weight = np.random.default_rng(9).uniform(0.5, 2, N)
    other = NOISE + 1e-3 * np.random.default_rng(10).standard_normal(N)
    found = _means([NOISE, other], weight, 0, seed=0)
    for place, square in enumerate((NOISE, other)):
        expected = weighted_mean(square, weight)
        assert found.mean[0, place] == pytest.approx(expected.value, rel=1e-12)
        assert np.sqrt(found.covariance[0, place, place]) == pytest.approx(expected.error, rel=1e-9)
    assert found.gap_error(0, 0, 1) == pytest.approx(weighted_mean(other - NOISE, weight).error, rel=1e-6)


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


def test_the_choice_has_the_uncertainty_of_its_events():
    """400 resamplings. The longer member wins by two paired errors, so one standard error favours it in 84 % of them.

    Budget: 5 binomial errors of 1.8 %; the resampled difference scatters by the same error that the rule compares with.
    """
    spec = SelectionSpec(rule="paired_standard_error", n_bootstrap=400)
    jitter = np.random.default_rng(8).standard_normal(N)
    gap = 2 * 0.01 + 0.01 * 100 * (jitter - jitter.mean()) / jitter.std()  # mean 2 errors of 0.01
    found = selection_frequencies(spec, [3, 8], [NOISE + gap, NOISE], ONES, seed=1)
    assert found.sum() == pytest.approx(1.0)
    assert abs(found[1] - 0.841) < 5 * 0.018
    assert selection_frequencies(spec, [3, 8], [NOISE + 1, NOISE], ONES, seed=1).tolist() == [0.0, 1.0]
    np.testing.assert_array_equal(found, selection_frequencies(spec, [3, 8], [NOISE + gap, NOISE], ONES, seed=1))


ANGLES = {"x": np.linspace(0.2, 3, 50), "phi": np.linspace(-3.1, 3, 50)}


@pytest.mark.parametrize(
    ("text", "is_odd", "is_periodic"),
    [
        ("a*x*sin(phi)", True, True),
        ("a*x*sin(phi) + b", False, True),
        ("a*phi*x", True, False),
        ("a*sin(phi + b)", False, True),
        ("a*sin(b*phi)", True, False),
        ("a*sqrt(phi)", False, False),
        ("a*x", False, True),
    ],
)
def test_symmetries_are_seen(text, is_odd, is_periodic):
    form = Parametric(parse(text), {"a": 0.7, "b": 0.3})
    other = Parametric(parse("x*sin(phi)"), {})  # has both, so that nothing is refused here
    assert have_symmetry(SelectionSpec(odd_in=("phi",)), [form, other], ANGLES) == [is_odd, True]
    assert have_symmetry(SelectionSpec(periodic=("phi",)), [form, other], ANGLES) == [is_periodic, True]
    assert have_symmetry(SelectionSpec(), [form], ANGLES) == [True]


def test_odd_in_two_features_is_odd_in_their_joint_reflection():
    spec = SelectionSpec(odd_in=("x", "phi"))
    forms = [Parametric(parse(text), {}) for text in ("x", "x*phi", "x*phi**2")]
    assert have_symmetry(spec, forms, ANGLES) == [True, False, True]


def test_a_symmetry_that_no_member_has_is_an_error():
    spec = SelectionSpec(odd_in=("phi",), periodic=("phi",))
    forms = [Parametric(parse(text), {"a": 1e-3}) for text in ("phi", "x", "sin(phi) + a")]
    with pytest.raises(EngineError, match=r"none of 3 formulas is odd in phi and periodic in phi; the nearest, 'sin"):
        have_symmetry(spec, forms, ANGLES)


def test_only_symmetric_members_are_chosen():
    symmetric = [True, False, False, True]
    assert choose(SelectionSpec(), COMPLEXITIES, squares(0.5, 0.02, 0.005, 0.0), ONES, is_able=symmetric) == 3
    few = [False, False, False, True]
    with pytest.raises(EngineError, match="the smallest of 1 that may be chosen has 20"):
        choose(SelectionSpec(max_complexity=8), COMPLEXITIES, squares(0.5, 0.0, 0.0, 0.0), ONES, is_able=few)
