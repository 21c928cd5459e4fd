"""Where the tails of weights lie: a generator that misses one end of an observable and overfills the other."""

import numpy as np
import pytest

from saggiatore.infer.weight_tails import tails
from saggiatore.tables import Column

N = 20_000


def test_the_tails_lie_where_the_generator_is_wrong():
    """Weights of 3 in the last tenth of x and 1/3 in the first, 1 elsewhere with a little noise."""
    rng = np.random.default_rng(1)
    true, other = rng.uniform(size=N), rng.uniform(size=N)
    log_weight = 0.01 * rng.normal(size=N)
    log_weight[other > 0.9], log_weight[other < 0.1] = np.log(3), -np.log(3)
    rows = tails(Column("x", "GeV", "x"), true, other, log_weight, n_bins=10, fraction=0.01)
    assert [row["unit"] for row in rows] == ["GeV"] * 10
    assert sum(row["n_events"] for row in rows) == N
    assert rows[9]["weight"] == pytest.approx(3, rel=0.1)
    assert rows[0]["weight"] == pytest.approx(1 / 3, rel=0.1)
    assert all(abs(row["weight"] - 1) < 0.1 for row in rows[2:8])
    assert rows[9]["above"] == pytest.approx(10, rel=0.1)
    assert rows[0]["below"] == pytest.approx(10, rel=0.1)
    assert max(row["above"] for row in rows[:8]) == 0


def test_an_observable_of_two_values_fills_two_bins():
    values = np.repeat([1.0, 2.0], 50)
    rows = tails(Column("n_jets", "1", "n"), values, values, np.zeros(100), n_bins=4, fraction=0.1)
    assert [row["n_events"] for row in rows] == [50, 50]
    assert [row["above"] for row in rows] == [1, 1]
