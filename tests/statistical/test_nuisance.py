"""A density that is conditioned on a nuisance of its events' weights: at each value it is the reweighted truth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.infer.density_draws import DensityDraws
from saggiatore.infer.predictive import averaged, by_quadrature, in_bins
from saggiatore.infer.weights import flatten
from saggiatore.job import Job
from saggiatore.learn.loop import TrainingSpec, train
from saggiatore.models.base import Event
from saggiatore.models.spline_flow import SplineFlowSpec
from saggiatore.steps import events_merged
from saggiatore.steps.events import MergedEvents
from saggiatore.tables import Column, TableSchema, read_table, write_table
from saggiatore.tasks.density import Density

N_EVENTS = 20_000
EDGES = np.linspace(0, 1, 11)
NUISANCE = {"observable": "x", "origin": 0, "scale": 4, "value": [0, 30]}


def reweighted(folder):
    """Flat events of x, reweighted by 1 + a (x/4)^2 with a uniform in [0, 30]."""
    schema = TableSchema("events", 1, (Column("weight", "pb", "weight"), Column("x", "1", "flat")))
    x = np.random.default_rng(1).uniform(size=N_EVENTS)
    write_table(folder / "flat.parquet", schema, {"weight": np.ones(N_EVENTS), "x": x}, {})
    asked = {"source": "merged", "of": ["flat"], "n_events": N_EVENTS, "nuisances": {"a": NUISANCE}}
    section = MergedEvents.model_validate(asked)
    job = Job[MergedEvents](study="s", stage="events", label="train", seed=1, section=section)
    events_merged.run(job, code="c", sources=[folder / "flat.parquet"], out=folder / "train.parquet")
    table = read_table(folder / "train.parquet", "events")
    weight = table.array(["weight"])[:, 0]
    columns = table.array(["x"]), table.array(["theta_a"]), np.zeros((N_EVENTS, 0)), weight / weight.mean()
    return Event(*map(jnp.asarray, columns))


def exact(a):
    """Integrals over the bins of (1 + a x^2 / 16) / (1 + a / 48)."""
    return np.diff(EDGES + a * EDGES**3 / 48) / (1 + a / 48)


@pytest.mark.thorough
def test_the_conditional_density_is_the_reweighted_truth(tmp_path):
    """20,000 events; every bin within five standard errors of a quarter of them. Its spread over a is that of w."""
    events = reweighted(tmp_path)
    spec = SplineFlowSpec(n_blocks=1, n_bins=8, width=16, bounded={"x": (0, 1)})
    training = TrainingSpec(n_epochs=15, batch_size=250, learning_rate=5e-3, keep="last")
    model, _ = train(
        spec.build(("x",), ("a",), key=jax.random.key(7)).standardise(events), Density(("a",)), events, training, seed=1
    )
    draws = DensityDraws(model, jnp.stack([flatten(model)] * 2))
    values = (0.0, 5.0, 15.0, 30.0)
    found = [in_bins(by_quadrature(draws, [EDGES], [a]), (0,), [EDGES]) for a in values]
    for a, bins in zip(values, found, strict=True):
        error = np.sqrt(exact(a) / (N_EVENTS / 4))
        assert (np.abs(bins.mean - exact(a)) < 5 * error).all()
    mean, spread = averaged(found)
    assert mean.std == pytest.approx(0)
    expected = np.std([exact(a) for a in values], axis=0, ddof=1)
    np.testing.assert_allclose(spread, expected, atol=0.01)
    assert expected.max() > 0.02
