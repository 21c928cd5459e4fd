"""What learned likelihood ratios reach on the oracle, where the exact one is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.learn.loop import TrainingSpec, train
from saggiatore.models.base import Event
from saggiatore.models.ratio import log_ratios_at
from saggiatore.models.ratio_mlp import RatioMLPSpec
from saggiatore.registry import load

WORST = {"alices": 1e-3, "carl": 2e-2, "rascal": 1e-3}  # carl has the labels alone, and their noise
N = 20_000


def density(c, a):
    return 0.375 * (1 + c**2) + a * c


def draw(rng, asymmetry):
    """Cosines at each asymmetry, by accept-reject."""
    c, left = np.empty_like(asymmetry), np.arange(asymmetry.size)
    while left.size:
        trial = rng.uniform(-1, 1, left.size)
        keep = rng.uniform(0, 1.5, left.size) < density(trial, asymmetry[left])
        c[left[keep]] = trial[keep]
        left = left[~keep]
    return c


@pytest.mark.thorough
@pytest.mark.parametrize("name", WORST)
def test_a_loss_teaches_the_ratio(name):
    """20000 events of each hypothesis: mean squared error of log r, whose mean square is 0.05 to 0.44."""
    rng = np.random.default_rng(5)
    a, is_numerator = rng.uniform(-0.6, 0.6, 2 * N), np.repeat([1.0, 0.0], N)
    c = draw(rng, a * is_numerator)
    target = np.stack([is_numerator, np.log(density(c, a) / density(c, 0)), c / density(c, a)], axis=1)
    events = Event(*map(jnp.asarray, (c[:, None], a[:, None], target, np.ones(2 * N))))
    spec = RatioMLPSpec(width=24, depth=2, odd_in=("c", "a"))
    model = spec.build(("c",), ("a",), key=jax.random.key(0)).standardise(events)
    task = load("task", name)().build(("a",))
    model, _ = train(model, task, events, TrainingSpec(n_epochs=8, batch_size=500, learning_rate=5e-3), seed=3)
    c = draw(rng, np.zeros(N))
    for at in (-0.4, 0.2, 0.5):
        error = log_ratios_at(model, c[:, None], jnp.array([at])) - np.log(density(c, at) / density(c, 0))
        assert np.mean(error**2) < WORST[name]
