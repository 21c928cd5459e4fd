"""Whether the stated uncertainty of a learned density is its distance from the truth, on toys that are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.infer.density import DensityDraws, LearnedDensity
from saggiatore.infer.predictive import by_quadrature, in_bins
from saggiatore.infer.replicas import ReplicasSpec
from saggiatore.models.base import Event
from saggiatore.models.spline_flow import SplineFlowSpec

N_EVENTS, N_SETS = 5000, 6
FLOW = SplineFlowSpec(n_blocks=2, n_bins=4, width=16, bounded={"x": (0, 1), "y": (0, 1)})
TRAINING = {"n_epochs": 30, "batch_size": 250, "learning_rate": 0.005, "keep": "last"}
METHOD = ReplicasSpec.model_validate({"n_replicas": 12, "training": TRAINING}).build()
EDGES = [np.linspace(0, 1, 21), np.array([0.0, 1.0])]
TRUTH = np.diff(EDGES[0] ** 2)


def pulls_of(seed):
    """Pulls of the well-populated bins along x, of replicas that learned the ramp from events of their own."""
    random = np.random.default_rng(seed)
    rows = np.stack([np.sqrt(random.uniform(size=N_EVENTS)), random.uniform(size=N_EVENTS)], axis=1)
    nothing = jnp.zeros((N_EVENTS, 0))
    events = Event(jnp.asarray(rows), nothing, nothing, jnp.ones(N_EVENTS))

    def build(key):
        return FLOW.build(("x", "y"), (), key=key)

    density = build(jax.random.key(0)).standardise(events)
    sampled = METHOD.sample_density(LearnedDensity(density, build, events), key=jax.random.key(seed))
    found = in_bins(by_quadrature(DensityDraws(density, jnp.asarray(sampled.weights[0])), EDGES), (0, 1), EDGES)
    return ((found.mean - TRUTH) / found.std)[N_EVENTS * TRUTH > 100]


@pytest.mark.thorough
def test_the_pulls_of_a_density_are_as_wide_as_one():
    """Root mean square over six sets of 5000 events between 0.8 and 1.25.

    The bins of a set fluctuate together: single sets lie between 0.5 and 1.7.
    """
    width = np.sqrt(np.mean([np.mean(pulls_of(100 + seed) ** 2) for seed in range(N_SETS)]))
    assert 0.8 < width < 1.25
