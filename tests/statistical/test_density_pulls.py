"""Whether the stated uncertainty of a learned density is its distance from the truth, on toys that are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.infer.density import LearnedDensity
from saggiatore.infer.density_draws import DensityDraws
from saggiatore.infer.predictive import by_quadrature, in_bins
from saggiatore.infer.replicas import ReplicasSpec
from saggiatore.infer.truth import exact_bins, exact_quantiles
from saggiatore.models.base import Event
from saggiatore.models.spline_flow import SplineFlowSpec
from saggiatore.registry import load

N_EVENTS, N_SETS = 5000, 6
FLOW = SplineFlowSpec(n_blocks=2, n_bins=4, width=16, bounded={"x": (0, 1), "y": (0, 1)})
TRAINING = {"n_epochs": 30, "batch_size": 250, "learning_rate": 0.005, "keep": "last"}
METHOD = ReplicasSpec.model_validate({"n_replicas": 12, "training": TRAINING}).build()
EDGES = [np.linspace(0, 1, 21), np.array([0.0, 1.0])]
RING_FLOW = SplineFlowSpec(n_blocks=3, n_bins=8, width=24, bound=4)
RING_EDGES = [np.linspace(-7, 7, 21), np.array([-8.0, 8.0])]


def on_a_square(process, random):
    """Events of a toy that is flat in y."""
    quantiles = exact_quantiles(process, "x", 1000)
    x = np.interp(random.uniform(size=N_EVENTS), np.linspace(0, 1, 1001), quantiles)
    return np.stack([x, random.uniform(size=N_EVENTS)], axis=1)


def on_a_ring(process, random):
    """Radii by accept-reject: in the plane the density is normal in r, so that r itself has the factor r."""
    r = np.abs(random.normal(process.radius, process.width, 6 * N_EVENTS))
    r = r[random.random(len(r)) * process.high[0] < r][:N_EVENTS]
    angle = random.uniform(0, 2 * np.pi, N_EVENTS)
    return np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1)


def pulls_of(name, seed, sample=on_a_square, flow=FLOW, edges=EDGES):
    """Pulls of the well-populated bins along x, of replicas that learned a toy from events of their own."""
    process = load("process", name)().build()
    truth = exact_bins(process, {"x": edges[0]})
    rows = jnp.asarray(sample(process, np.random.default_rng(seed)))
    nothing = jnp.zeros((N_EVENTS, 0))
    events = Event(rows, nothing, nothing, jnp.ones(N_EVENTS))

    def build(key):
        return flow.build(("x", "y"), (), key=key)

    density = build(jax.random.key(0)).standardise(events)
    sampled = METHOD.sample_density(LearnedDensity(density, build, events), key=jax.random.key(seed))
    found = in_bins(by_quadrature(DensityDraws(density, jnp.asarray(sampled.weights[0])), edges), (0, 1), edges)
    return ((found.mean - truth) / found.std)[N_EVENTS * truth > 100]


@pytest.mark.thorough
def test_the_pulls_of_a_density_are_as_wide_as_one():
    """Root mean square over six sets of 5000 events of two toys between 0.8 and 1.25, in studies' single precision.

    The bins of a set fluctuate together: single sets lie between 0.4 and 1.4.
    """
    with jax.enable_x64(False):
        squares = [np.mean(pulls_of(name, 100 + i) ** 2) for name in ("ramp", "kicker") for i in range(N_SETS)]
    assert 0.8 < np.sqrt(np.mean(squares)) < 1.25


@pytest.mark.thorough
def test_the_pulls_of_a_ring_are_as_wide_as_one():
    """The same over four sets of 5000 events of the ring, whose flow has to be larger."""
    with jax.enable_x64(False):
        squares = [np.mean(pulls_of("ring", 100 + i, on_a_ring, RING_FLOW, RING_EDGES) ** 2) for i in range(4)]
    assert 0.8 < np.sqrt(np.mean(squares)) < 1.25
