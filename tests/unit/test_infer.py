"""The posterior of a last layer against its closed form, its diagnostics, and the errors that it must raise."""

import signal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from saggiatore.errors import ConvergenceError, InterruptionError, ModelError
from saggiatore.infer import last_layer
from saggiatore.infer.base import (
    Chains,
    Parameter,
    PointScore,
    draw_scores,
    draws_columns,
    draws_schema,
    posterior_score,
)
from saggiatore.infer.batches import Batch, padded
from saggiatore.infer.diagnostics import diagnostics_columns, ess, require_convergence, rhat
from saggiatore.infer.laplace import moments, sum_events, whiten
from saggiatore.infer.last_layer import LastLayerSpec, run_nuts
from saggiatore.models.base import AbstractRegression
from saggiatore.tables import Table, read_table, write_table
from saggiatore.types import Array, Features, Float, Scalar


class Waves(AbstractRegression):
    """Cosines of one feature, with a noise that grows with it."""

    last_layer: Float[Array, " hidden"]
    unit: Scalar
    noise_scale: float = 1.0

    @property
    def scale(self) -> Scalar:
        return self.unit

    def hidden(self, features: Features) -> Float[Array, " hidden"]:
        return jnp.cos(jnp.arange(self.last_layer.size) * features[0])

    def log_variance(self, features: Features) -> Scalar:
        return jnp.log(0.1 + features[0] ** 2)

    def noise(self, features: Features) -> Scalar:
        return self.noise_scale * self.scale**2 * jnp.exp(self.log_variance(features))

    def score(self, features: Features) -> Scalar:
        return self.scale * self.hidden(features) @ self.last_layer

    def standardise(self, events):
        return self


class Doubled(Waves):
    """Every hidden feature, and a third of it: only one sum of their two weights counts."""

    def __init__(self, waves: Waves):
        self.last_layer = jnp.concatenate([waves.last_layer / 2, 1.5 * waves.last_layer])
        self.unit = waves.unit

    def hidden(self, features: Features) -> Float[Array, " hidden"]:
        waves = jnp.cos(jnp.arange(self.last_layer.size // 2) * features[0])
        return jnp.concatenate([waves, waves / 3])


def make_waves(n_hidden: int, noise_scale: float = 1.0) -> Waves:
    return Waves(jax.random.normal(jax.random.key(1), (n_hidden,)), jnp.asarray(0.5), noise_scale)


def simulate(model: Waves, n_events: int, seed: int = 0) -> Batch:
    random = np.random.default_rng(seed)
    x = random.uniform(-2, 2, (n_events, 1))
    mean, noise = jax.vmap(model.score)(x), jax.vmap(model.noise)(x)
    return Batch(x, np.asarray(mean) + np.sqrt(noise) * random.standard_normal(n_events), np.full(n_events, 1e-6))


def exact_moments(basis, spec: LastLayerSpec):
    """Posterior mean and covariance by quadrature over log s, log tau and, for a horseshoe, each log lambda.

    The weights are independent given the scales, and integrated in closed form.
    """
    is_local = spec.prior == "horseshoe"
    log_local = np.linspace(-25, 25, 401) if is_local else np.zeros(1)
    steps = np.linspace(-9, 9, 91 if is_local else 181)
    log_s, log_tau = np.meshgrid(
        *(c + w * steps for c, w in zip(basis.hyper, basis.hyper_width, strict=True)), indexing="ij"
    )
    noise = np.exp(log_s)[..., None, None]
    precision = np.exp(-2 * (log_tau[..., None] + log_local))[..., None, :] + (spec.slab_scale**-2 if is_local else 0)
    prior = float(basis.unit) ** 2 / precision  # axes: log s, log tau, weight, log lambda
    eigenvalue, centre = np.asarray(basis.eigenvalue), np.asarray(basis.centre)
    projection = np.asarray(basis.projection)
    energy = basis.energy + 2 * projection @ centre - eigenvalue @ centre**2
    curvature = eigenvalue[:, None] / noise + 1 / prior
    means = projection[:, None] / noise / curvature
    terms = 0.5 * (projection[:, None] / noise * means - np.log(prior * curvature)) - np.logaddexp(
        log_local, -log_local
    )
    log_weight = np.logaddexp.reduce(terms, axis=-1)
    local = np.exp(terms - log_weight[..., None])
    mean = np.sum(local * means, axis=-1)
    variance = np.sum(local * (means**2 + 1 / curvature), axis=-1) - mean**2
    log_evidence = (
        -0.5 * (basis.n_events * log_s + energy / noise[..., 0, 0])
        + log_weight.sum(axis=-1)
        - 0.5 * log_s**2
        - 0.5 * (log_tau - np.log(spec.prior_scale)) ** 2
    )
    share = np.exp(log_evidence - log_evidence.max())
    share /= share.sum()
    first = np.einsum("ab,abw->w", share, mean)
    second = np.einsum("ab,abw,abv->wv", share, mean, mean) + np.diag(np.einsum("ab,abw->w", share, variance))
    rotation = np.asarray(basis.rotation)
    hyper = np.array([(share * log_s).sum(), (share * log_tau).sum()])
    return rotation @ first, rotation @ (second - np.outer(first, first)) @ rotation.T, hyper


def few_events():
    """A network and a posterior with few events and a prior that matters: 4 weights, 60 events."""
    model = make_waves(4, noise_scale=3.0)
    return model, whiten(sum_events(moments, model, iter([simulate(model, 60)])), 1.0)


@pytest.fixture(scope="module")
def sampled():
    """The posterior under a Gaussian prior."""
    model, basis = few_events()
    return model, basis, run_nuts(LastLayerSpec(), basis, jax.random.key(3))


def test_nuts_agrees_with_quadrature(sampled):
    """n = 8000 draws; budget: 5 standard errors of each mean and standard deviation."""
    _, basis, chains = sampled
    require_exact(LastLayerSpec(), basis, chains)


@pytest.mark.thorough
def test_nuts_under_a_horseshoe_agrees_with_quadrature():
    """n = 24,000 draws, more correlated; the same budget."""
    spec = LastLayerSpec(prior="horseshoe", prior_scale=0.3, n_draws=6000, target_accept=0.95)
    _, basis = few_events()
    require_exact(spec, basis, run_nuts(spec, basis, jax.random.key(5)))


def require_exact(spec, basis, chains):
    weights, hyper, n_divergent = chains
    mean, covariance, hyper_mean = exact_moments(basis, spec)
    assert n_divergent == 0
    for i in range(4):
        draws = np.asarray(weights[..., i])
        std, n_effective = covariance[i, i] ** 0.5, ess(draws)
        assert abs(draws.mean() - mean[i]) < 5 * std / n_effective**0.5
        n_square = ess((draws - draws.mean()) ** 2)
        fourth = np.mean((draws - draws.mean()) ** 4) / std**4
        assert abs(draws.var() / std**2 - 1) < 5 * ((fourth - 1) / n_square) ** 0.5
    for i in range(2):
        draws = np.asarray(hyper[..., i])
        assert abs(draws.mean() - hyper_mean[i]) < 5 * draws.std() / ess(draws) ** 0.5


@pytest.mark.parametrize("n_blocks", [1, 4], ids=["warm-up", "draws"])
def test_chains_that_a_scheduler_ends_go_on_to_the_same_draws(sampled, tmp_path, monkeypatch, caplog, n_blocks):
    """A signal during warm-up, or between draws: the rerun makes the very numbers of uninterrupted chains."""
    _, basis, (weights, hyper, _) = sampled
    checkpoint, advance, calls = tmp_path / "checkpoint", last_layer._advance, []

    def signalled(*arguments):
        calls.append(arguments)
        if len(calls) == n_blocks:
            signal.raise_signal(signal.SIGTERM)
        return advance(*arguments)

    monkeypatch.setattr(last_layer, "_advance", signalled)
    kept = {"checkpoint": checkpoint, "identity": "code"}
    with pytest.raises(InterruptionError, match=f"received SIGTERM and stopped after block {n_blocks} of 10"):
        run_nuts(LastLayerSpec(), basis, jax.random.key(3), **kept)
    again = run_nuts(LastLayerSpec(), basis, jax.random.key(3), **kept)
    np.testing.assert_array_equal(again[0], weights)
    np.testing.assert_array_equal(again[1], hyper)
    assert len(calls) == 10
    assert not caplog.messages
    run_nuts(LastLayerSpec(), basis, jax.random.key(4), **kept)
    assert len(calls) == 20
    assert "belongs to a job with other data" in caplog.text


def test_posterior_score_is_the_spread_over_draws(sampled, tmp_path):
    """The mean and variance at an event are those of h(x) . w over the rows of the table, read back from disk."""
    model, _, (weights, hyper, n_divergent) = sampled
    names = {f"weight_{i}": np.asarray(weights[..., i]) for i in range(4)}
    names |= {"log_noise_scale": np.asarray(hyper[..., 0]), "log_prior_scale": np.asarray(hyper[..., 1])}
    chains = Chains({name: Parameter(draws, "test", 1.0) for name, draws in names.items()}, int(n_divergent))
    path = tmp_path / "draws.parquet"
    method = {"method": LastLayerSpec().model_dump(mode="json")}
    write_table(path, draws_schema(chains), draws_columns(chains), method)
    x = jnp.array([0.7])
    estimate = posterior_score(model, read_table(path, "draws"))(x)
    over_draws = 0.5 * np.asarray(weights) @ np.cos(np.arange(4) * 0.7)
    assert float(estimate.mean) == pytest.approx(over_draws.mean(), rel=1e-10)
    assert float(estimate.var_stat) == pytest.approx(over_draws.var(ddof=1), rel=1e-10)
    noise = np.exp(names["log_noise_scale"]).mean() * float(model.noise(x))
    assert float(estimate.var_noise) == pytest.approx(noise, rel=1e-10)
    with pytest.raises(ModelError, match="4 weights, the network 5"):
        posterior_score(make_waves(5), read_table(path, "draws"))(x)
    single = draw_scores(model, read_table(path, "draws"), [7, 3])(x)
    np.testing.assert_allclose(single, over_draws.reshape(-1)[[7, 3]], rtol=1e-10)
    with pytest.raises(ModelError, match="4 weights, the network 5"):
        draw_scores(make_waves(5), read_table(path, "draws"), [0])(x)


def test_unit_of_the_weights_and_padding_do_not_matter():
    model = make_waves(3)
    events = simulate(model, 500)
    heavy = events._replace(weight=events.weight * 1e9)
    parts = [Batch(*(column[part] for column in events)) for part in (slice(0, 7), slice(7, None))]
    reference, *others = (
        whiten(sum_events(moments, model, iter(batches)), 1.0)
        for batches in ([events], [heavy], parts, [padded(events)])
    )
    for other in others:
        for a, b in zip(reference.rotation * reference.centre, other.rotation * other.centre, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-12)
        assert float(other.n_events) == pytest.approx(500)


def test_features_that_explain_nothing_have_a_posterior():
    """The evidence alone is largest at a prior of no width."""
    model = eqx.tree_at(lambda m: m.last_layer, make_waves(3), jnp.zeros(3))
    for seed in range(10):
        basis = whiten(sum_events(moments, model, iter([simulate(model, 60, seed)])), 1.0)
        assert -4 < basis.hyper[1] < 0.5
        assert abs(basis.hyper[0]) < 1


def test_directions_below_the_rounding_of_others_tell_nothing():
    """Little noise, and waves of which several are nearly the same in a narrow range."""
    model = eqx.tree_at(lambda m: (m.noise_scale, m.unit), make_waves(12), (1e-12, jnp.asarray(1.0)))
    events = simulate(model, 500)
    x = events.features / 10
    noise = np.sqrt(jax.vmap(model.noise)(x)) * np.random.default_rng(1).standard_normal(500)
    narrow = Batch(x, np.asarray(jax.vmap(model.score)(x)) + noise, events.weight)
    basis = whiten(sum_events(moments, model, iter([narrow])), 1.0)
    assert (basis.eigenvalue == 0).sum() > 3
    assert abs(basis.hyper[1]) < 5


def test_scores_without_noise_are_known_to_rounding():
    """Targets that the last layer gives exactly, three of whose directions the events say nothing of.

    The variance of the score lies sixteen orders below that of the weights; neither it nor the sandwich is negative.
    """
    network = Doubled(make_waves(3))
    x = np.random.default_rng(2).uniform(-1, 1, (400, 1))
    t = np.asarray(jax.vmap(network.score)(jnp.asarray(x)))
    chains = LastLayerSpec().build().draw(network, lambda: iter([Batch(x, t, np.ones(400))]), key=jax.random.key(1))
    weights = np.stack([chains.parameters[f"weight_{i}"].draws.reshape(-1) for i in range(6)], axis=1)
    stds = np.array([parameter.std_robust for parameter in chains.parameters.values()])
    columns = {name: parameter.draws.reshape(-1) for name, parameter in chains.parameters.items()}
    draws = Table(draws_schema(chains), pd.DataFrame(columns), {"method": LastLayerSpec().model_dump(mode="json")})
    found = jax.vmap(posterior_score(network, draws))(jnp.asarray(x))
    assert np.isfinite(stds).all()
    assert weights.std() > 0.1
    assert (found.var_stat >= 0).all()
    assert np.sqrt(found.var_stat.max()) < 1e-7
    np.testing.assert_allclose(found.mean, t, atol=1e-6)


def test_what_is_left_of_exact_scores_is_rounding_and_never_negative():
    """A difference of sums that cancel to their last digits, of either sign."""
    network = Doubled(make_waves(3))
    for seed in range(20):
        x = np.random.default_rng(seed).uniform(-1, 1, (400, 1))
        t = np.asarray(jax.vmap(network.score)(jnp.asarray(x)))
        basis = whiten(sum_events(moments, network, iter([Batch(x, t, np.ones(400))])), 1.0)
        assert 0 < float(basis.energy) < 1e-12 * (t @ t)
        assert -40 < float(basis.hyper[0]) < -25


def test_unequal_weights_count_as_fewer_events():
    model = make_waves(3)
    events = simulate(model, 400)
    weight = np.where(np.arange(400) < 200, 1.0, 3.0)
    basis = whiten(sum_events(moments, model, iter([events._replace(weight=weight)])), 1.0)
    assert float(basis.n_events) == pytest.approx(800**2 / (200 * 10))


def test_rhat_sees_chains_that_disagree():
    random = np.random.default_rng(0)
    good = random.standard_normal((4, 500))
    assert rhat(good) < 1.01
    assert rhat(good + np.array([[0], [0], [0], [1.0]])) > 1.05
    assert rhat(good * np.array([[1], [1], [1], [3.0]])) > 1.05  # same mean, other spread


def test_effective_sample_size_of_an_autoregressive_chain():
    """ESS/n = (1 - rho)/(1 + rho); n = 4 x 5000, budget 20 %."""
    random, rho = np.random.default_rng(1), 0.8
    draws = np.zeros((4, 5000))
    for i in range(1, 5000):
        draws[:, i] = rho * draws[:, i - 1] + random.standard_normal(4)
    assert ess(draws) == pytest.approx(20000 * (1 - rho) / (1 + rho), rel=0.2)


@pytest.mark.parametrize(
    ("shift", "n_draws", "n_divergent", "message"),
    [
        (0.0, 500, 3, "3 divergent transitions, expected none: raise target_accept"),
        (2.0, 500, 0, "R-hat .* of 'w', expected at most 1.01: raise n_warmup"),
        (0.0, 60, 0, "effective sample size .* of 'w', expected 400: raise n_draws"),
    ],
)
def test_what_did_not_converge_is_refused(shift, n_draws, n_divergent, message):
    draws = np.random.default_rng(2).standard_normal((4, n_draws)) + shift * np.arange(4)[:, None]
    chains = Chains({"w": Parameter(draws, "test", 1.0)}, n_divergent)
    with pytest.raises(ConvergenceError, match=message):
        require_convergence(diagnostics_columns(chains), 1.01, 400)


def test_a_network_without_finite_noise_is_refused():
    model = eqx.tree_at(lambda m: m.unit, make_waves(3), jnp.asarray(jnp.nan))
    with pytest.raises(ConvergenceError, match="no maximum"):
        whiten(sum_events(moments, model, iter([simulate(make_waves(3), 50)])), 1.0)


def test_a_model_without_a_last_layer_is_refused():
    with pytest.raises(ModelError, match="needs a regression"):
        LastLayerSpec().build().draw(eqx.nn.Identity(), lambda: iter([]), key=jax.random.key(0))


def test_a_model_without_draws_states_no_variance():
    estimate = PointScore(make_waves(3), 0)(jnp.array([0.3]))
    assert float(estimate.mean) == pytest.approx(float(make_waves(3).score(jnp.array([0.3]))))
    assert (float(estimate.var_stat), float(estimate.var_noise)) == (0.0, 0.0)
