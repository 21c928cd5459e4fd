"""Morphing: weights that are polynomials of degree two are known everywhere from enough benchmarks, and only then."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saggiatore.errors import StudyError
from saggiatore.integrate.morphing import MAX_CONDITION, monomials, morphing, n_monomials

NAMES = ("a", "b", "c", "d", "e", "f")
GOLDEN = Path(__file__).parents[1] / "golden"


def benchmarks(points):
    return {f"point_{i}": dict(zip(NAMES, point, strict=False)) for i, point in enumerate(points.tolist())}


def slopes(coefficients, theta):
    """Derivatives of a polynomial by central differences, exact for degree two."""
    steps = np.eye(len(theta))
    return np.stack([(monomials(theta + h) - monomials(theta - h)) @ coefficients.T / 2 for h in steps], axis=-1)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    n_theta=st.integers(1, 6),
    n_spare=st.integers(0, 3),
    scale=st.sampled_from([1e-3, 1.0, 50.0]),
    shift=st.sampled_from([0.0, 3.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_polynomials_are_found_again(n_theta, n_spare, scale, shift, seed):
    """Weights and derivatives at any theta, whatever the units of theta and wherever the benchmarks lie."""
    random = np.random.default_rng(seed)
    points = scale * (shift + random.uniform(-1, 1, (n_monomials(n_theta) + n_spare, n_theta)))
    try:
        morph = morphing(NAMES[:n_theta], benchmarks(points))
    except StudyError:  # random points lie on one conic nearly never, and nearly on one rarely
        values = np.linalg.svd(monomials(points / scale - shift), compute_uv=False)
        assert values[-1] < 10 * values[0] / MAX_CONDITION
        return
    truth = random.normal(size=(20, n_monomials(n_theta)))  # polynomials in theta / scale - shift
    weights = truth @ monomials(points / scale - shift).T
    found = morph.coefficients(weights)
    np.testing.assert_allclose(morph.fitted(found), weights, atol=1e-9 * np.abs(weights).max())
    theta = scale * (shift + random.uniform(-1, 1, n_theta))
    tolerance = 1e-13 * morph.condition * np.abs(weights).max() * n_monomials(n_theta)
    expected = truth @ monomials(theta / scale - shift)
    np.testing.assert_allclose(morph.weight(found, theta), expected, atol=tolerance)
    expected = slopes(truth, theta / scale - shift) / scale
    np.testing.assert_allclose(morph.gradient(found, theta), expected, atol=10 * tolerance / scale)
    assert morph.n_spare == n_spare


@settings(max_examples=40, deadline=None, derandomize=True)
@given(n_theta=st.integers(1, 5), n_lost=st.integers(1, 3), seed=st.integers(0, 2**32 - 1))
def test_too_few_benchmarks_are_refused(n_theta, n_lost, seed):
    """However often the same points come: the number of independent ones and of those needed is said."""
    random = np.random.default_rng(seed)
    n_kept = max(1, n_monomials(n_theta) - n_lost)
    points = random.integers(-9, 10, (n_kept, n_theta)) / 4
    rank = np.linalg.matrix_rank(monomials(points))
    points = np.concatenate([points, points])
    with pytest.raises(StudyError, match=rf"determine {rank} of the {n_monomials(n_theta)} terms"):
        morphing(NAMES[:n_theta], benchmarks(points))


def test_the_undetermined_direction_is_named():
    """Single coefficients say nothing of products; points on a line nothing of what vanishes there."""
    axes = np.array([[0, 0], [1, 0], [-1, 0], [0, 10], [0, -10], [2, 0]])
    with pytest.raises(StudyError, match=r"Undetermined: \+1\*a\*b\. Add"):
        morphing(("a", "b"), benchmarks(axes))
    with pytest.raises(StudyError, match=r"1 of the 3 that came are"):
        morphing(("a",), benchmarks(np.array([[1.0], [1.0], [1.0]])))
    two = np.array([[0.0], [2.0]])
    with pytest.raises(StudyError, match=r"Undetermined: \+1\*a -0\.5\*a\^2\."):
        morphing(("a",), benchmarks(two))


def test_a_conic_that_is_nearly_met_is_refused():
    angles = np.linspace(0, 5, 5)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    with pytest.raises(StudyError, match="condition number"):
        morphing(("a", "b"), benchmarks(np.concatenate([circle, [[1 + 1e-8, 0.0]]])))


def test_least_squares_leave_a_residual():
    """A weight that is no polynomial shows; noise is averaged."""
    points = np.linspace(-1, 1, 7)[:, None]
    morph = morphing(("a",), benchmarks(points))
    weights = 1 + points.T**2 + 0.1 * points.T**3
    found = morph.coefficients(weights)
    assert np.abs(morph.fitted(found) - weights).max() > 1e-3
    assert np.abs(morph.gradient(found, np.zeros(1))).max() < 0.1
    assert morph.amplification(np.zeros(1)) < 1


def test_madgraphs_squares_of_six_coefficients():
    """|M|^2 of u d > u d h with six operators, by MadGraph: 28 benchmarks give its gradient anywhere."""
    data = pq.read_table(GOLDEN / "hvv6_ud__udh.parquet").to_pandas()
    operators = ("CWL2", "CBL2", "FWW", "FBB", "FWWT", "FBBT")
    first, second = np.triu_indices(6)
    names = [f"quad_{operators[i]}_{operators[j]}" for i, j in zip(first, second, strict=True)]
    truth = data[["sm", *(f"lin_{name}" for name in operators), *names]].to_numpy()
    points = np.random.default_rng(1).uniform(-10, 10, (27, 6))
    points = np.concatenate([np.zeros((1, 6)), points])
    morph = morphing(NAMES, benchmarks(points))
    found = morph.coefficients(truth @ monomials(points).T)
    size = truth[:, :1]
    for theta in (np.zeros(6), np.array([5.0, -3, 2, 8, -7, 1])):
        np.testing.assert_allclose(
            morph.weight(found, theta) / size[:, 0], truth @ monomials(theta) / size[:, 0], rtol=1e-9
        )
        np.testing.assert_allclose(
            morph.gradient(found, theta) / size, slopes(truth, theta) / size, rtol=1e-8, atol=1e-9
        )
