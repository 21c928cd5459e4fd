"""What training reaches where the truth is known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.learn.loop import TrainingSpec, train
from saggiatore.models.base import Event, scores
from saggiatore.models.flow_matching import FlowMatchingSpec
from saggiatore.models.mlp import MLPSpec
from saggiatore.tasks.density import DensitySpec
from saggiatore.tasks.joint_score import JointScoreSpec

N = 20_000


def heavy_tailed(rng, n):
    """A score like that of a CP-odd coupling, -x1 x2 sin(phi) (kurtosis about 80), and a joint score with noise."""
    x = np.exp(rng.normal(-0.5, 0.55, (n, 2)))
    phi = rng.uniform(-np.pi, np.pi, n)
    score = -x[:, 0] * x[:, 1] * np.sin(phi)
    std = 0.1 * x[:, 0] * (1.5 + np.cos(phi))
    return jnp.asarray(np.column_stack([x, phi])), score, std, jnp.asarray(score + std * rng.normal(size=n))[:, None]


def test_a_network_learns_a_heavy_tailed_score_and_its_noise():
    """20000 events to learn from, 20000 others to judge: correlation with the truth 0.99, noise within 10 %."""
    rng = np.random.default_rng(1)
    features, _, _, target = heavy_tailed(rng, N)
    events = Event(features, jnp.zeros((N, 0)), target, jnp.ones(N))
    names = ("x1", "x2", "phi")
    spec = MLPSpec(width=32, depth=2, odd_in=("phi",), periodic=("phi",), log=("x1", "x2"))
    model = spec.build(names, key=jax.random.key(0)).standardise(events)
    task = JointScoreSpec(parameter="c").build(())
    model, history = train(model, task, events, TrainingSpec(n_epochs=20, batch_size=250, learning_rate=3e-3), seed=3)
    features, truth, std, _ = heavy_tailed(rng, N)
    found = np.asarray(scores(model, features))[:, 0]
    assert np.corrcoef(found, truth)[0, 1] > 0.99
    ratio = np.asarray(jax.jit(jax.vmap(model.noise))(features)) / std**2
    assert abs(np.median(ratio) - 1) < 0.1
    assert history["validation_loss"][-1] < history["validation_loss"][0]


def asymmetric(rng, asymmetry):
    """c = cos(theta) from 3/8 (1 + c^2) + A c, by accept-reject."""
    c = np.empty_like(asymmetry)
    left = np.arange(c.size)
    while left.size:
        trial = rng.uniform(-1, 1, left.size)
        keep = rng.uniform(0, 1.5, left.size) < 0.375 * (1 + trial**2) + asymmetry[left] * trial
        c[left[keep]] = trial[keep]
        left = left[~keep]
    return c


@pytest.mark.thorough
def test_a_flow_learns_the_score_of_the_oracle():
    """50000 events, A in [-0.5, 0.5]: the slope's statistical error is 2.5 %, five of them; correlation 0.98."""
    rng = np.random.default_rng(2)
    n = 50_000
    asymmetry = rng.uniform(-0.5, 0.5, n)
    c = asymmetric(rng, asymmetry)
    events = Event(jnp.asarray(c[:, None]), jnp.asarray(asymmetry[:, None]), jnp.zeros((n, 0)), jnp.ones(n))
    spec = FlowMatchingSpec(width=32, depth=2, bounded={"c": (-1.0, 1.0)})
    model = spec.build(("c",), ("a",), key=jax.random.key(0)).standardise(events)
    training = TrainingSpec(n_epochs=10, batch_size=500, learning_rate=5e-3)
    model, _ = train(model, DensitySpec().build(("a",)), events, training, seed=3)
    c = asymmetric(rng, np.zeros(4000))
    truth = 8 * c / (3 * (1 + c**2))
    found = np.asarray(scores(model, jnp.asarray(c[:, None])))[:, 0]
    assert abs(np.mean(found * truth) / np.mean(truth**2) - 1) < 5 * 0.025
    assert np.corrcoef(found, truth)[0, 1] > 0.98
