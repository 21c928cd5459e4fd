"""Clusters of the tails of weights: a generator that misses a corner of phase space and overfills another."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from saggiatore.infer.weight_clusters import Events, clusters, standardised
from saggiatore.tables import Column

COLUMNS = [Column("pt", "GeV", "momentum", "$p_T$"), Column("eta", "1", "pseudorapidity"), Column("n", "1", "number")]
N = 20_000


def corners(features):
    """Weight of a density that is a third of the true one in one corner and three times it in another."""
    x, y, _ = features.T
    return np.where((x > 5) & (y > 0.8), 3.0, 1.0) * np.where((x > 5) & (y < -0.8), 1 / 3, 1.0)


@pytest.fixture(scope="module")
def samples():
    """True events, and others with their exact weights."""
    rng = np.random.default_rng(1)
    drawn = np.stack([rng.exponential(3, 4 * N), rng.normal(size=4 * N), rng.integers(1, 3, 4 * N)], axis=1)
    true, other = drawn[:N], drawn[N:]
    other = other[rng.uniform(size=3 * N) < 1 / corners(other) / 3]
    log_weight = np.log(corners(other)) + 0.01 * rng.normal(size=len(other))
    return true, Events(other, log_weight - np.log(np.exp(log_weight).mean()))


def found(samples, n_clusters, fraction=0.01):
    rows = clusters(COLUMNS, *samples, n_clusters, fraction, seed=1)
    return pd.DataFrame(rows)


def test_clusters_lie_where_the_generator_is_wrong(samples):
    """Boxes inside the corners, true events three times and a third as many there as generated ones."""
    rows = found(samples, 1)
    assert list(rows["unit"]) == ["GeV", "1", "1"] * 2
    above, below = (rows[rows["tail"] == tail].set_index("feature") for tail in ("above", "below"))
    assert min(above["low"]["pt"], below["low"]["pt"]) > 5
    assert above["low"]["eta"] > 0.8
    assert below["high"]["eta"] < -0.8
    for rows, factor in ((above, 3), (below, 1 / 3)):
        row = rows.iloc[0]
        assert row["share"] == 1
        assert row["weight"] == pytest.approx(factor, rel=0.1)
        for name in ("true", "reweighted"):
            error = np.hypot(row[f"{name}_error"], factor * row["generated_error"])
            assert abs(row[name] - factor * row["generated"]) < 5 * error + 0.05 * row[name]


def test_a_discrete_feature_divides_a_tail(samples):
    rows = found(samples, 2)
    above = rows[(rows["tail"] == "above") & (rows["feature"] == "n")]
    assert sorted(above["centre"]) == [1, 2]
    assert list(above["n_events"]) == sorted(above["n_events"], reverse=True)
    assert above["share"].sum() == pytest.approx(1)
    pd.testing.assert_frame_equal(rows, found(samples, 2))


def test_few_events_make_few_clusters(samples):
    true, other = samples
    few = Events(other.features[:200], other.log_weight[:200])
    assert set(found((true, few), 5, 0.1)["cluster"]) == {1}
    same = Events(np.ones((200, 3)), np.zeros(200))
    assert set(found((true, same), 5, 0.4)["cluster"]) == {1}


def test_standardised_true_events_are_normal():
    """Whatever their distribution; beyond them a value stays finite."""
    x = np.random.default_rng(2).exponential(size=(2000, 1))
    z = standardised(x, x)
    assert kstest(z[:, 0], "norm").pvalue > 0.999
    assert np.isfinite(standardised(x, np.array([[-1.0], [1e9]]))).all()
