r"""Coverage of intervals, with pseudo-experiments that know nothing of the likelihood they are analysed with.

Events are drawn one by one from p(c|A) of the oracle and then binned; bins expect the integrals of p(c|A). 2,000
experiments a case; a coverage may lie 5 binomial standard errors from the stated probability (1.6 % for two standard
deviations), so that a threshold that is wrong by a tenth fails. The intervals are asymptotic: with 200 or more events
expected their coverage is off by less than a third of that.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from oracle import INFORMATION, draw_at, exact_template

from saggiatore.limits.interval import threshold
from saggiatore.limits.pseudo import analyse, experiments
from saggiatore.limits.template import Template

N_EXPERIMENTS = 2000
LEVELS = (0.68, 0.95, 0.997)
POINTS = np.linspace(-0.7, 0.7, 281)[:, None]
EDGES = np.linspace(-1, 1, 13)


def counted(a_fb: float, n_expected: float, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    numbers = random.poisson(n_expected, N_EXPERIMENTS)
    return np.stack([np.histogram(draw_at(a_fb, n, random), EDGES)[0] for n in numbers]).astype(float)


@pytest.mark.parametrize("with_rate", [False, True])
@pytest.mark.parametrize(("a_fb", "n_expected"), [(0.0, 200.0), (0.3, 1000.0)])
def test_intervals_hold_the_truth_as_often_as_they_say(a_fb, n_expected, with_rate):
    template, truth = exact_template(EDGES, n_expected), np.array([a_fb])
    found = analyse(template, counted(a_fb, n_expected, 1), truth, POINTS, LEVELS, with_rate)
    for place, level in enumerate(LEVELS):
        coverage, error = found.coverage(level)
        assert error == pytest.approx((level * (1 - level) / N_EXPERIMENTS) ** 0.5)
        assert abs(coverage - level) < 5 * error, (level, coverage)
        inside = (found.ends[:, place, 0] <= a_fb) & (a_fb <= found.ends[:, place, 1])
        assert abs(inside.mean() - coverage) < 0.005  # the stated ends, and not only the ratio, say so
    spread = found.best.std() * (n_expected * INFORMATION) ** 0.5
    assert found.best.mean() == pytest.approx(a_fb, abs=5 * found.best.std() / N_EXPERIMENTS**0.5)
    assert 0.9 < spread < 1.12  # Cramer-Rao at zero, bins lose 1 %; the information grows by a fifth towards 0.3


def test_a_region_of_two_parameters_covers():
    """Quadratic terms large enough to bend the regions; the counts are Poisson around the template itself."""
    random = np.random.default_rng(2)
    from saggiatore.integrate.morphing import morphing

    morph = morphing(
        ("a", "b"), {"0": {}, "+a": {"a": 1}, "-a": {"a": -1}, "+b": {"b": 1}, "-b": {"b": -1}, "ab": {"a": 1, "b": 1}}
    )
    # squares of amplitudes, hence positive everywhere
    amplitudes = np.stack([np.ones(20), random.normal(0, 0.3, 20), random.normal(0, 0.3, 20)], axis=1)
    pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    terms = [amplitudes[:, i] * amplitudes[:, j] * (1 if i == j else 2) for i, j in pairs]
    terms[3] += 0.05
    terms[5] += 0.05
    template = Template(morph, 60.0 * np.stack(terms, axis=1), np.ones(20))
    axis = np.linspace(-0.8, 0.8, 41)
    points = np.stack([grid.ravel() for grid in np.meshgrid(axis, axis, indexing="ij")], axis=1)
    truth = np.array([0.1, -0.05])
    found = experiments(template, truth, points, LEVELS, N_EXPERIMENTS, True, seed=3)
    for level in LEVELS:
        coverage, error = found.coverage(level)
        assert abs(coverage - level) < 5 * error, (level, coverage)
    assert threshold(0.95, 2) == pytest.approx(5.99, abs=0.01)
    gap = (found.best - truth).mean(axis=0) / (found.best.std(axis=0) / N_EXPERIMENTS**0.5)
    assert (np.abs(gap) < 8).all()  # an estimate is biased at second order
