"""Stated errors are true when the truth is known: simulated regressions with heavy tails, and with a wrong noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

from saggiatore.infer.batches import Batch
from saggiatore.infer.calibrate import calibration_columns, evaluate, interval_factors
from saggiatore.infer.laplace import moments, robust_std, sum_events, whiten
from saggiatore.infer.last_layer import LastLayerScore, LastLayerSpec
from saggiatore.models.base import AbstractRegression
from saggiatore.types import Array, Features, Float, Scalar

N_HIDDEN = 24


class Bumps(AbstractRegression):
    """Bumps along one feature; its noise is `power` of the distance from the middle."""

    last_layer: Float[Array, " hidden"]
    power: float = 2.0

    @property
    def scale(self) -> Scalar:
        return jnp.ones(())

    def hidden(self, features: Features) -> Float[Array, " hidden"]:
        at = jnp.linspace(-2, 2, self.last_layer.size)
        return jnp.exp(-0.5 * ((features[0] - at) * self.last_layer.size / 4) ** 2)

    def log_variance(self, features: Features) -> Scalar:
        return jnp.log(0.2 + jnp.abs(features[0]) ** self.power)

    def noise(self, features: Features) -> Scalar:
        return jnp.exp(self.log_variance(features))

    def score(self, features: Features) -> Scalar:
        return self.hidden(features) @ self.last_layer

    def standardise(self, events):
        return self


def simulate(model: Bumps, n_events: int, seed: int) -> Batch:
    """Residuals of the model's variance but far from normal: 1 in 20 events is ten times as wide (kurtosis 24)."""
    random = np.random.default_rng(seed)
    x = random.uniform(-2, 2, (n_events, 1))
    wide = np.where(random.uniform(size=n_events) < 0.05, 10.0, 1.0)
    residual = wide * random.standard_normal(n_events) / np.sqrt(0.95 + 0.05 * 100)
    mean, noise = (np.asarray(column) for column in jax.vmap(lambda x: (model.score(x), model.noise(x)))(x))
    return Batch(x, mean + np.sqrt(noise) * residual, np.ones(n_events))


@pytest.fixture(scope="module")
def truth() -> Bumps:
    return Bumps(jnp.asarray(np.random.default_rng(5).standard_normal(N_HIDDEN)))


@pytest.fixture(scope="module")
def fitted(truth):
    """NUTS on 20,000 events: weights (draw, hidden unit), and the posterior of the score."""
    events = simulate(truth, 20_000, seed=6)
    chains = LastLayerSpec().build().draw(truth, lambda: iter([events]), key=jax.random.key(7))
    weights = np.stack([chains.parameters[f"weight_{i}"].draws.reshape(-1) for i in range(N_HIDDEN)], axis=1)
    noise_scale = np.exp(chains.parameters["log_noise_scale"].draws).mean()
    root = np.linalg.cholesky(np.cov(weights.T)).T
    score = LastLayerScore(truth, jnp.asarray(weights.mean(axis=0)), jnp.asarray(root), jnp.asarray(noise_scale))
    return weights, score, events


def test_true_weights_lie_within_the_posterior(truth, fitted):
    """Mahalanobis distance of the truth: chi-squared with 24 degrees of freedom, two-sided p > 1e-4."""
    weights, _, _ = fitted
    gap = weights.mean(axis=0) - np.asarray(truth.last_layer)
    distance = gap @ np.linalg.solve(np.cov(weights.T), gap)
    assert 5e-5 < chi2.cdf(distance, N_HIDDEN) < 1 - 5e-5


def test_pulls_and_coverage_on_held_out_events(truth, fitted):
    """n = 50,000 held-out events; 5 standard errors of width and coverage, factors from 20,000 training events."""
    _, score, events = fitted
    levels = (0.5, 0.68, 0.9, 0.95, 0.99)
    train = evaluate(score, iter([events]))
    test = evaluate(score, (simulate(truth, 10_000, seed=seed) for seed in range(100, 105)))
    table = calibration_columns(train, test, levels)
    assert abs(table["pull_mean"][0]) < 5 * table["pull_mean_error"][0]
    # the noise scale was fitted to 20,000 events, which adds its error to that of 50,000 pulls
    assert abs(table["pull_width"][0] - 1) < 5 * table["pull_width_error"][0] * 3.5**0.5
    error = table["coverage_error"] * 3.5**0.5
    assert np.all(np.abs(table["coverage"] - levels) < 5 * error)
    assert table["coverage_normal"][1] > 0.9  # a normal interval would claim 68 %


def test_interval_factors_weight_the_events(truth, fitted):
    _, score, events = fitted
    double = Batch(*(np.concatenate([column, column[:5000]]) for column in events))
    heavy = events._replace(weight=np.where(np.arange(20_000) < 5000, 2.0, 1.0))
    factors = [interval_factors(evaluate(score, iter([batch])), (0.3, 0.9)) for batch in (double, heavy)]
    np.testing.assert_allclose(*factors, rtol=1e-3)


@pytest.mark.thorough
def test_sandwich_is_true_where_the_noise_is_wrong(truth):
    """300 replicas of 2,000 events: scatter of the estimate against the stated error, 5 standard errors (4 % each).

    The model believes in constant noise; the events have one that grows, so its own posterior is wrong.
    """
    believed = Bumps(truth.last_layer[:5], power=0.0)
    true = Bumps(truth.last_layer[:5], power=4.0)
    centres, robust, naive = [], [], []
    for seed in range(300):
        events = simulate(true, 2_000, seed=1000 + seed)
        basis = whiten(sum_events(moments, believed, iter([events])), 1.0)
        centres.append(np.asarray(basis.rotation @ basis.centre))
        robust.append(robust_std(believed, iter([events]), basis)[0])
        covariance = (basis.rotation / basis.conditional(basis.hyper)[1]) @ basis.rotation.T
        naive.append(np.sqrt(np.diag(covariance)))
    scatter, robust, naive = np.std(centres, axis=0, ddof=1), np.mean(robust, axis=0), np.mean(naive, axis=0)
    error = 1 / np.sqrt(2 * 299)
    assert np.all(np.abs(robust / scatter - 1) < 5 * error)
    assert np.max(np.abs(naive / scatter - 1)) > 5 * error
