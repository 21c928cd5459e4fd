"""Posteriors of several scores together: the covariance between them is that of estimates over data sets."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from oracle import write_events

from saggiatore.errors import ModelError, StudyError
from saggiatore.infer.base import CHAIN, DRAW
from saggiatore.infer.batches import Batch
from saggiatore.infer.coupling import Drawn, coupled
from saggiatore.infer.laplace import moments, sum_events, whiten
from saggiatore.limits.learned import score_components
from saggiatore.models.base import AbstractRegression
from saggiatore.models.mlp import MLPSpec
from saggiatore.models.store import load_model, save
from saggiatore.tables import Column, Table, TableSchema, read_table, write_table

RHO = 0.8  # of the residuals of two scores
AT = np.array([[-0.6], [0.1], [0.8]])


class Waves(AbstractRegression):
    """Sines of one feature with a noise that grows with it."""

    last_layer: jax.Array
    frequency: float

    @property
    def scale(self):
        return jnp.ones(())

    def hidden(self, features):
        return jnp.sin(self.frequency * features[0] * jnp.arange(1, self.last_layer.size + 1) + 0.3)

    def log_variance(self, features):
        return jnp.log(0.5 + features[0] ** 2)

    def noise(self, features):
        return jnp.exp(self.log_variance(features))

    def score(self, features):
        return self.hidden(features) @ self.last_layer

    def standardise(self, events):
        return self


MODELS = [Waves(jnp.array([1.0, -0.5, 0.3]), 1.0), Waves(jnp.array([0.4, 0.8, -1.0]), 1.4)]


def waves(model, x):
    """What the last layer reads, in numpy: (event, weight)."""
    return np.sin(model.frequency * x * np.arange(1, model.last_layer.size + 1) + 0.3)


def simulate(seed, n_events=400):
    """The same events for both scores, whose residuals go along."""
    random = np.random.default_rng(seed)
    x, weight = random.uniform(-1, 1, (n_events, 1)), random.uniform(0.5, 1.5, n_events)
    noise = random.multivariate_normal([0, 0], [[1, RHO], [RHO, 1]], n_events)
    scores = [waves(model, x) @ np.asarray(model.last_layer) for model in MODELS]
    size = np.sqrt(0.5 + x[:, 0] ** 2)
    return [Batch(x, score + size * noise[:, place], weight) for place, score in enumerate(scores)]


def drawn(model, batch, seed, n_draws=4000, **method):
    """Independent draws of one last layer, at fixed scales."""
    basis = whiten(sum_events(moments, model, iter([batch])), 1.0)
    mean, curvature = basis.conditional(basis.hyper)
    z = np.random.default_rng(seed).standard_normal((n_draws, len(mean)))
    weights = (np.asarray(mean) + z / np.sqrt(curvature)) @ np.asarray(basis.rotation).T
    names = [f"weight_{place}" for place in range(weights.shape[1])]
    hyper = dict(zip(("log_noise_scale", "log_prior_scale"), np.tile(basis.hyper, (n_draws, 1)).T, strict=True))
    columns = dict(zip(names, weights.T, strict=True)) | hyper
    schema = TableSchema("draws", 1, (CHAIN, DRAW, *(Column(name, "1", name) for name in columns)))
    data = pd.DataFrame({"chain": 0, "draw": np.arange(n_draws)} | columns)
    return Drawn(model, Table(schema, data, {"method": {"kind": "last_layer"} | method}), lambda: iter([batch]))


def correlations(one, other):
    """Between values of shape (draw, place), at each place."""
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(one.T, other.T, strict=True)])


@pytest.fixture(scope="module")
def found():
    parts = [drawn(model, batch, seed) for seed, (model, batch) in enumerate(zip(MODELS, simulate(0), strict=True))]
    return parts, [np.asarray(each.weights) @ waves(each.model, AT).T for each in coupled(parts)]


def test_components_go_along_as_estimates_over_data_sets_do(found):
    """150 data sets, 4000 draws of one: the correlations agree within 5 standard errors of both."""
    estimates = []
    for seed in range(150):
        centres = []
        for model, batch in zip(MODELS, simulate(1 + seed), strict=True):
            basis = whiten(sum_events(moments, model, iter([batch])), 1.0)
            centres.append(waves(model, AT) @ np.asarray(basis.rotation) @ np.asarray(basis.centre))
        estimates.append(centres)
    truth = correlations(*np.swapaxes(np.array(estimates), 0, 1))
    error = (1 - truth**2) / np.sqrt(150) + 1 / np.sqrt(4000) + 0.02  # and rho itself, from 400 events
    assert (np.abs(correlations(*found[1]) - truth) < 5 * error).all()
    assert correlations(*found[1]).max() > 0.5


def test_each_component_keeps_its_posterior(found):
    """Means and standard deviations of the coupled draws, within 5 standard errors of 4000 draws each."""
    for part, values in zip(*found, strict=True):
        weights = part.draws.array([f"weight_{place}" for place in range(part.model.last_layer.size)])
        alone = weights @ waves(part.model, AT).T
        assert (np.abs(values.mean(axis=0) - alone.mean(axis=0)) < 5 * alone.std(axis=0) * (2 / 4000) ** 0.5).all()
        assert np.abs(values.std(axis=0) / alone.std(axis=0) - 1).max() < 5 / 4000**0.5


def test_the_first_component_is_left_as_it_is(found):
    part, values = found[0][0], found[1][0]
    weights = part.draws.array([f"weight_{place}" for place in range(3)])
    alone = weights @ waves(part.model, AT).T
    np.testing.assert_allclose(values, alone, rtol=1e-9)


def test_what_has_no_known_covariance_is_refused():
    batches = simulate(0, 50)
    good = drawn(MODELS[0], batches[0], 1, 100)
    with pytest.raises(ModelError, match="a posterior by last_layer with the prior 'horseshoe'"):
        coupled([good, drawn(MODELS[1], batches[1], 2, 100, prior="horseshoe")])
    with pytest.raises(ModelError, match=r"posteriors of \[100, 50\] draws"):
        coupled([good, drawn(MODELS[1], batches[1], 2, 50)])


def saved(folder, label, key):
    """A network for the oracle's score, and draws of its last layer from the events `train`."""
    spec = MLPSpec(width=3, depth=1, odd_in=("cos_theta_mu",))
    build = eqx.filter_jit(spec.build)
    header = {"kind": "mlp", "spec": spec.model_dump(mode="json"), "parameters": ["a_fb"], "context": []}
    header |= {"features": [{"name": "cos_theta_mu", "unit": "1", "label": "c"}]}
    header |= {"task": {"kind": "joint_score", "parameter": "a_fb"}, "provenance": {}}
    save(folder / f"{label}.eqx", build(("cos_theta_mu",), key=jax.random.key(key)), header)
    model, _ = load_model(folder / f"{label}.eqx")
    x, t = (read_table(folder / "train.parquet", "events").data[name] for name in ("cos_theta_mu", "joint_score_a_fb"))
    batch = Batch(x.to_numpy()[:, None], t.to_numpy(), np.full(len(x), 1e-3))
    table = drawn(model, batch, key, 40).draws
    table = Table(table.schema, table.data, table.provenance | {"spec": {"section": {"train": "train"}}})
    write_table(folder / f"{label}.parquet", table.schema, dict(table.data.items()), table.provenance)
    return Drawn(model, table, lambda: iter([batch]))


@pytest.mark.thorough
def test_limits_read_the_coupled_draws(tmp_path):
    write_events(tmp_path / "train.parquet", 300, 1, label="train")
    write_events(tmp_path / "other.parquet", 300, 1, label="other")
    parts = [saved(tmp_path, label, key) for key, label in enumerate(("one", "two"))]
    models = {label: tmp_path / f"{label}.eqx" for label in ("one", "two")}
    draws = [tmp_path / f"{label}.parquet" for label in models]
    first, second = score_components(models, draws, ("a_fb", "a_fb"), 5, tmp_path / "train.parquet")
    c = np.array([-0.5, 0.2, 0.9])
    expected = [
        np.asarray(jax.vmap(each)(c[:, None])).T[np.linspace(0, 39, 5).round().astype(int)] for each in coupled(parts)
    ]
    for component, values in zip((first, second), expected, strict=True):
        np.testing.assert_allclose(component.members({"cos_theta_mu": c}), values, rtol=1e-6)
    with pytest.raises(StudyError, match="drawn from the events train, `train` is other"):
        list(score_components(models, draws, ("a_fb", "a_fb"), 5, tmp_path / "other.parquet"))
