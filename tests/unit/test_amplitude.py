"""Learned amplitudes on the oracle: points with their amplitude, accuracy and pulls, points that weigh more."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracle import ENERGY, write_events

from saggiatore.errors import SchemaError, StudyError
from saggiatore.infer import accuracy as measured
from saggiatore.infer.batches import learned_column, learned_task
from saggiatore.infer.calibrate import Evaluated, pulls_columns, pulls_schema
from saggiatore.job import Job
from saggiatore.models.base import AbstractRegression, Event
from saggiatore.models.dsi import DSISpec
from saggiatore.models.leg import invariant_name, pairs
from saggiatore.models.store import load_model, save
from saggiatore.registry import load
from saggiatore.steps import accuracy, events_amplitude
from saggiatore.steps.accuracy import AccuracySection
from saggiatore.steps.events import AmplitudeEvents
from saggiatore.tables import Column, read_table
from saggiatore.tasks.amplitude import AmplitudeSpec
from saggiatore.tasks.columns import LOG_AMPLITUDE

N = 600
TYPES = ("electron", "positron", "muon", "antimuon")
FEATURES = tuple(invariant_name(i, j) for i, j in pairs(4))


class Constant(AbstractRegression):
    """A mean and a variance that depend on nothing."""

    last_layer: jax.Array
    at: jax.Array

    @property
    def scale(self):
        return jnp.ones(())

    def standardise(self, events):
        return self

    def hidden(self, features):
        return jnp.ones(1)

    def log_variance(self, features):
        return self.at

    def score(self, features):
        return self.last_layer[0]

    def noise(self, features):
        return jnp.exp(self.at)


def made(folder, name, model=(), **fields):
    """Events with an amplitude."""
    section = {"source": "amplitude", "like": "events", "pdg": "11,-11,13,-13", "n_events": N - 100, **fields}
    content = {"study": "s", "stage": "events", "label": name, "seed": 1, "section": section}
    job = Job[AmplitudeEvents].model_validate(content | {"process": {"kind": "asymmetry"}})
    out = folder / f"{name}.parquet"
    events_amplitude.run(job, code="c", like=folder / f"{section['like']}.parquet", model=list(model), out=out)
    return read_table(out, "events")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("amplitude")
    write_events(folder / "events.parquet", N, 1)
    made(folder, "points", skip=100)
    table = read_table(folder / "points.parquet", "events")
    tasks = {"network": {"kind": "amplitude"}, "scores": {"kind": "joint_score", "parameter": "a_fb"}}
    _save({folder / f"{name}.eqx": task for name, task in tasks.items()}, table)
    return folder


def _save(tasks, table):
    """An untrained network in files that say that it learned a task."""
    spec = DSISpec(types=TYPES, embedding=2, width=2, depth=1)
    logarithm = jnp.asarray(table.array(["log_amplitude"]))
    events = Event(
        jnp.asarray(table.array(FEATURES)), jnp.zeros((len(logarithm), 0)), logarithm, jnp.ones(len(logarithm))
    )
    model = eqx.filter_jit(spec.build)(FEATURES, key=jax.random.key(0)).standardise(events)
    header = {"kind": "dsi", "spec": spec.model_dump(mode="json"), "context": [], "parameters": []}
    header["features"] = [{"name": name, "unit": "GeV^2", "label": ""} for name in FEATURES]
    for path, task in tasks.items():
        save(path, model, header | {"task": task, "n_events": 321, "precision": "float64"})


def test_points_have_the_amplitude_and_the_invariants_of_their_momenta(folder):
    found, events = read_table(folder / "points.parquet", "events"), read_table(folder / "events.parquet", "events")
    c = events.data["cos_theta_mu"].to_numpy()[100:]
    np.testing.assert_allclose(found.data["log_amplitude"], np.log(0.375 * (1 + c**2)), atol=1e-9)
    np.testing.assert_allclose(found.data["s_02"], 2 * ENERGY**2 * (1 - c), rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(found.data["s_01"], 4 * ENERGY**2)
    assert found.column("s_01").unit == "GeV^2"
    assert found.data["leg3_pdg"].eq(-13).all()


def test_points_that_a_network_misses_most_weigh_more(folder):
    model, _ = load_model(folder / "network.eqx")
    boost = {"model": "network", "fraction": 0.2, "factor": 3}
    found = made(folder, "boosted", [folder / "network.eqx"], skip=100, boost=boost)
    before = read_table(folder / "points.parquet", "events").data["weight"].to_numpy()
    factor = found.data["weight"].to_numpy() / before
    assert set(np.round(factor, 9)) == {1.0, 3.0}
    assert (factor > 2).mean() == pytest.approx(0.2, abs=1e-9)
    x = jnp.asarray(found.array(FEATURES))
    mean, noise = jax.jit(jax.vmap(lambda at: (model.score(at), model.noise(at))))(x)
    pull = np.abs(found.data["log_amplitude"] - np.asarray(mean)) / np.sqrt(noise)
    assert pull[factor > 2].min() >= pull[factor < 2].max()


def test_points_can_count_the_same_wherever_they_lie(folder):
    write_events(
        folder / "weighted.parquet", N, 1, lambda c: c | {"weight": c["weight"] * (1 + c["cos_theta_mu"] ** 2)}
    )
    found = {flag: made(folder, "even", keeps_weights=flag, like="weighted").data["weight"] for flag in (True, False)}
    assert found[True].nunique() > 1
    assert found[False].nunique() == 1
    assert found[False].sum() == pytest.approx(found[True].sum())


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"skip": 200}, SchemaError, "600 events, events.bad needs 700. Lower its n_events"),
        ({"boost": {"model": "scores"}}, StudyError, "learned with the task joint_score; name an amplitude"),
    ],
)
def test_points_that_cannot_be_had(folder, fields, error, message):
    with pytest.raises(error, match=message):
        made(folder, "bad", [folder / "scores.eqx"], **fields)


def test_accuracy_is_that_of_the_network(folder):
    section = {"test": "points", "entries": [{"name": "net", "model": "network"}], "n_events": 500}
    content = {"study": "s", "stage": "accuracy", "label": "main", "seed": 1, "section": section}
    paths = {"accuracy": folder / "main.accuracy.parquet", "deltas": folder / "main.deltas.parquet"}
    given = {"test": folder / "points.parquet", "models": [folder / "network.eqx"], "draws": []}
    accuracy.run(Job[AccuracySection].model_validate(content), code="c", **given, **paths)
    table, deltas = read_table(paths["accuracy"], "accuracy").data, read_table(paths["deltas"], "deltas").data
    row = table[table["region"] == "all"].iloc[0]
    assert (row["kind"], row["method"], row["n_train"], row["sigma_stat"]) == ("dsi", "none", 321, 0)
    size = np.abs(deltas["delta_net"])
    assert row["delta_50"] == pytest.approx(np.quantile(size, 0.5), rel=0.02)
    assert row["bias"] == pytest.approx(deltas["delta_net"].mean())
    np.testing.assert_allclose(deltas["pull_net"], deltas["pull_syst_net"])
    assert (deltas["pull_stat_net"] == 0).all()
    assert list(table["region"]) == [region.name for region in measured.REGIONS]


def test_summary_of_a_network_that_knows_its_error():
    """n = 20000 events with normal residuals of the stated size: pulls are as wide as one within five errors."""
    random, n = np.random.default_rng(1), 20_000
    truth, syst, stat = random.normal(size=n), np.exp(random.normal(-5, 0.5, n)), 1e-3
    residual = np.sqrt(syst**2 + stat**2) * random.normal(size=n)
    events = Evaluated(np.zeros((n, 1)), truth, np.ones(n), truth - residual, np.full(n, stat**2), syst**2)
    found = measured.summary(events)
    np.testing.assert_allclose(measured.delta(events), 1 - np.exp(-residual))
    for name in ("pull_68", "pull_width"):
        assert abs(found[name] - 1) < 5 * found[f"{name}_error"]
        assert found[f"{name}_error"] < 0.02
    assert abs(found["pull_mean"]) < 5 * n**-0.5
    assert found["sigma_syst"] == pytest.approx(np.exp(-5), rel=0.05)
    assert found["pull_stat_68"] > 4  # the statistical part is the smaller one


@pytest.mark.parametrize("loss", ["likelihood", "squared"])
def test_the_loss_is_minimal_at_the_mean_and_the_variance_of_what_is_left(loss):
    """The mean loss over events at one point, as a function of mean and log variance there: no slope at the truth."""
    residuals = jnp.array([-2.0, 0.5, 1.5])
    task = AmplitudeSpec(loss=loss).build(())

    def mean_loss(mean, log_variance):
        model = Constant(jnp.ones(1) * mean, log_variance)
        event = Event(jnp.zeros(1), jnp.zeros(0), residuals[:, None], jnp.ones(()))
        each = jax.vmap(lambda target: task.loss(model, event._replace(target=target), key=jax.random.key(0)))
        return jnp.mean(each(residuals[:, None]))

    slopes = jax.jit(jax.grad(mean_loss, argnums=(0, 1)))(jnp.zeros(()), jnp.log(jnp.mean(residuals**2)))
    np.testing.assert_allclose(slopes, 0, atol=1e-12)
    assert abs(jax.grad(mean_loss)(jnp.array(0.3), jnp.zeros(()))) > 0.1


SCORE = {"kind": "joint_score", "parameter": "a_fb"}


def test_a_posterior_learns_what_its_model_learned():
    names = {kind: {"context": [], "task": task} for kind, task in (("score", SCORE), ("log", {"kind": "amplitude"}))}
    assert learned_column(names["score"]).name == "joint_score_a_fb"
    assert learned_column(names["log"]) == LOG_AMPLITUDE
    task = learned_task(names["log"])
    training = {"n_epochs": 1, "batch_size": 10}
    ensemble = load("method", "replicas").model_validate({"kind": "replicas", "training": training}).build()
    assert ensemble.learning(task, "float32").task is task
    svi = load("method", "svi").model_validate({"kind": "svi"}).build()
    assert svi.learning(task, "float32") is svi
    with pytest.raises(StudyError, match="the task classifier has none; choose a regression"):
        learned_column({"context": [], "task": {"kind": "classifier", "against": "others"}})


def test_pulls_of_an_amplitude_name_it():
    events = Evaluated(np.zeros((2, 1)), np.ones(2), np.ones(2), np.zeros(2), np.ones(2), np.ones(2))
    feature = (Column("s_01", "GeV^2", "an invariant"),)
    columns = pulls_columns(events, feature, 2, learned=LOG_AMPLITUDE)
    assert set(columns) == set(pulls_schema(feature, False, LOG_AMPLITUDE).names)
    assert "log_amplitude" in columns
    assert "joint_score" not in columns


def test_an_amplitude_has_no_context():
    with pytest.raises(StudyError, match="reads no context, got a"):
        AmplitudeSpec().build(("a",))
