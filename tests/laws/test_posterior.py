"""Laws of posterior methods: two parts of the error that are kept apart, draws that mean what the moments say."""

import json
import re
import signal
from functools import cache
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.errors import InterruptionError, ModelError
from saggiatore.infer import blocks as posterior_blocks
from saggiatore.infer.base import AbstractMethod, draw_scores, draws_columns, draws_schema, posterior_score
from saggiatore.infer.batches import Batch
from saggiatore.infer.network import prior_width
from saggiatore.infer.weights import flatten, with_weights
from saggiatore.models.base import Event
from saggiatore.models.mlp import MLPSpec
from saggiatore.physics.asymmetry import COS_TILT
from saggiatore.registry import REGISTRY, load
from saggiatore.tables import read_table, write_table

TRAINING = {"n_epochs": 60, "batch_size": 50, "learning_rate": 0.02, "patience": 60}
OPTIONS = {  # small, and lenient where a law needs no converged posterior
    "last_layer": {"n_warmup": 100, "n_draws": 100, "max_rhat": 1.2, "min_ess": 20},
    "nuts": {
        "n_climb": 300,
        "n_warmup": 200,
        "n_draws": 250,
        "max_rhat": 1.1,
        "min_ess": 50,
        "target_accept": 0.98,
        "max_divergent": 0.02,
    },
    "replicas": {"n_replicas": 12, "training": TRAINING},
    "stein": {"n_particles": 3, "n_epochs": 500, "batch_size": 50, "learning_rate": 0.03},
    "svi": {"n_epochs": 100, "batch_size": 50, "learning_rate": 0.03, "max_drift": 0.1},
}
# Least and largest width of a posterior over that of nuts, and the largest distance of the means: what a few keys gave
# (docs/physics.md), and on either side five of the errors that the number of draws leaves, or the keys' own scatter.
REFERENCE = {
    "last_layer": (0.5, 2.5, 2.0),
    "replicas": (0.5, 3.0, 2.5),
    "svi": (0.8, 1.8, 1.0),
    "stein": (0.65, 3.0, 1.0),
}
X = np.linspace(-0.9, 0.9, 12)[:, None]


NOISE = 0.714  # root mean square of the joint score about the exact one


def simulate(n_events: int) -> Batch:
    """Events of the oracle: the cosine to its tilted axis, and the joint score, which hangs on a hidden azimuth too."""
    random = np.random.default_rng(1)
    cos = random.uniform(-1, 1, 3 * n_events)
    cos = cos[random.uniform(0, 0.75, cos.size) < 0.375 * (1 + cos**2)][:n_events]
    sin, azimuth = np.sqrt(1 - cos**2), random.uniform(0, 2 * np.pi, n_events)
    seen = COS_TILT * cos + np.sqrt(1 - COS_TILT**2) * sin * np.cos(azimuth)
    return Batch(seen[:, None], cos / (0.375 * (1 + cos**2)), np.full(n_events, 1e-3))


def exact(x):
    """The score of the cosine to the tilted axis."""
    return COS_TILT * x / (0.5 + 0.0625 * (3 * COS_TILT**2 - 1) * (3 * x**2 - 1))


def make_network(batch: Batch):
    build = eqx.filter_jit(MLPSpec(width=3, depth=1, odd_in=("x",), activation="tanh").build)
    target = jnp.asarray(batch.score)[:, None]
    events = Event(jnp.asarray(batch.features), jnp.zeros((len(target), 0)), target, jnp.ones(len(target)))
    return build(("x",), key=jax.random.key(3)).standardise(events)


def drawn(kind: str, batch: Batch, path, network=None):
    """Draws of a method as a table, read back."""
    spec = load("method", kind).model_validate({"kind": kind} | OPTIONS[kind])
    chains = spec.build().draw(network or make_network(batch), lambda: iter([batch]), key=jax.random.key(4))
    write_table(path, draws_schema(chains), draws_columns(chains), {"method": json.loads(spec.model_dump_json())})
    return read_table(path, "draws")


def test_every_registered_method_is_tested():
    assert set(OPTIONS) == set(REGISTRY["method"])


@pytest.fixture(scope="module")
def posterior(tmp_path_factory):
    """Network, draws, and the draws' scores at X, of a method on 200 events; each is drawn once."""
    batch, folder = simulate(200), tmp_path_factory.mktemp("posterior")

    @cache
    def found(kind):
        network = make_network(batch)
        if kind == "last_layer":  # takes its hidden layer as it is: that of a trained network
            replicas = found("replicas")[1].array(f"weight_{i}" for i in range(flatten(network).size))
            network = with_weights(network, jnp.asarray(replicas[0]))
        table = drawn(kind, batch, folder / f"{kind}.parquet", network)
        scores = jax.jit(jax.vmap(draw_scores(network, table, range(len(table.data)))))(X)
        return network, table, np.asarray(scores)

    return found


@pytest.mark.thorough
@pytest.mark.parametrize("kind", OPTIONS)
def test_draws_have_the_moments_that_are_stated(kind, posterior):
    """The two parts of the error: spread of the draws' scores, and a noise near to the true one (within 25 %)."""
    network, table, scores = posterior(kind)
    estimate = jax.jit(jax.vmap(posterior_score(network, table)))(X)
    np.testing.assert_allclose(estimate.mean, scores.mean(axis=1), atol=1e-8)
    np.testing.assert_allclose(estimate.var_stat, scores.var(axis=1, ddof=1), rtol=1e-6)
    assert set(table.data["chain"]) == set(range(table.data["chain"].nunique()))
    assert np.sqrt(estimate.var_noise.mean()) == pytest.approx(NOISE, rel=0.25)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", REFERENCE)
def test_posteriors_are_those_of_markov_chains(kind, posterior):
    """Spread over that of `nuts`, and distance of the means in units of it, as root mean squares over 12 cosines.

    The events are the same, so that only each method's own random numbers vary; see `REFERENCE`.
    """
    reference, scores = posterior("nuts")[2], posterior(kind)[2]
    variance = reference.var(axis=1, ddof=1)
    width = np.sqrt(scores.var(axis=1, ddof=1).mean() / variance.mean())
    distance = np.sqrt(((scores.mean(axis=1) - reference.mean(axis=1)) ** 2).mean() / variance.mean())
    low, high, far = REFERENCE[kind]
    assert (low < width < high, distance < far) == (True, True), f"width {width:.3g}, distance {distance:.3g}"


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["stein", "svi"])
def test_without_events_the_posterior_is_the_prior(kind):
    """Events of next to no weight say nothing: weights have the width of their prior, within 15 %, and the mean zero.

    All 18 weights together; of 75 draws or more, whose errors of mean and width are below 3 %.
    """
    network = make_network(simulate(50))
    nothing = Event(jnp.zeros((50, 1)), jnp.zeros((50, 0)), jnp.zeros((50, 1)), jnp.full(50, 1e-9))
    options = OPTIONS[kind] | {"svi": {"n_epochs": 500, "max_drift": 1e9}}.get(
        kind, {}
    )  # the drift is that of an event
    method = load("method", kind).model_validate(options).build()
    weights = method.sample(network, nothing, key=jax.random.key(5)).weights
    units = weights / np.asarray(prior_width(network, 1.0))
    assert units.std() == pytest.approx(1.0, rel=0.15)
    assert units.mean() == pytest.approx(0.0, abs=0.15)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["replicas", "svi"])
def test_more_events_lower_one_part_of_the_error_alone(kind, tmp_path):
    """Eight times the events: var_stat falls by more than two and a half, var_noise stays within 25 % of the truth."""
    found = {}
    for n_events in (200, 1600):
        batch = simulate(n_events)
        network, table = make_network(batch), drawn(kind, batch, tmp_path / f"{n_events}.parquet")
        found[n_events] = jax.jit(jax.vmap(posterior_score(network, table)))(X)
    assert float(found[1600].var_stat.mean()) < float(found[200].var_stat.mean()) / 2.5
    assert np.sqrt(found[1600].var_noise.mean()) == pytest.approx(NOISE, rel=0.25)
    error = float(np.sqrt(found[1600].var_stat.mean()))
    assert np.sqrt(np.mean((found[1600].mean - exact(X[:, 0])) ** 2)) < 0.05 + 5 * error


@pytest.mark.thorough
@pytest.mark.parametrize("kind", OPTIONS)
def test_what_is_no_regression_is_refused(kind):
    spec = load("method", kind).model_validate({"kind": kind} | OPTIONS[kind])
    with pytest.raises(ModelError, match="needs a regression"):
        spec.build().draw(eqx.nn.Identity(), lambda: iter([simulate(50)]), key=jax.random.key(0))


@pytest.mark.thorough
def test_chains_over_all_weights_that_are_ended_go_on_to_the_same_draws(tmp_path, monkeypatch):
    """SIGTERM in the second of eight blocks, in warm-up, and in the sixth: the very numbers of uninterrupted chains."""
    options = OPTIONS["nuts"] | {"n_climb": 50, "n_warmup": 100, "n_draws": 100, "max_tree_depth": 4}
    options |= {"max_rhat": 3, "min_ess": 2}  # it is not about what they found
    batch, method = simulate(50), load("method", "nuts").model_validate(options).build()
    network, blocks, keep = make_network(batch), [], posterior_blocks._keep

    def draw(chosen):
        return draws_columns(chosen.draw(network, lambda: iter([batch]), key=jax.random.key(4)))

    def signalled(draws, found, block):
        blocks.append(block)
        if len(blocks) in (2, 6):
            signal.raise_signal(signal.SIGTERM)
        keep(draws, found, block)

    whole = draw(method)
    monkeypatch.setattr(posterior_blocks, "_keep", signalled)
    resuming = method.resuming(tmp_path / "checkpoint", "code")
    for n_blocks in (2, 6):
        with pytest.raises(InterruptionError, match=f"received SIGTERM and stopped after block {n_blocks} of 8"):
            draw(resuming)
    resumed = draw(resuming)
    assert blocks == list(range(8))
    for name, column in whole.items():
        np.testing.assert_array_equal(resumed[name], column)


def test_the_docs_say_which_methods_start_anew():
    text = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text()
    rows = re.findall(r"^\| `draws` with (.*?) \| (.*?) \|$", text, re.MULTILINE)
    said = {name: "start anew" not in what for names, what in rows for name in re.findall(r"`(\w+)`", names)}
    built = {kind: load("method", kind).model_validate(OPTIONS[kind]).build() for kind in OPTIONS}
    assert said == {kind: type(each).resuming is not AbstractMethod.resuming for kind, each in built.items()}
