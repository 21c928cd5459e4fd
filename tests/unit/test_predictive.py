"""The posterior predictive in bins: both integrations of a known density, a fit's errors, and the steps around them."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import norm
from scipy.special import ndtr

from saggiatore.errors import ModelError, StudyError
from saggiatore.infer.base import Chains, draws_columns, draws_schema
from saggiatore.infer.density import LearnedDensity, effective, log_likelihood_per_loss, prior_width
from saggiatore.infer.density_draws import DensityDraws
from saggiatore.infer.network import stated, weight_names
from saggiatore.infer.predictive import by_quadrature, by_sampling, in_bins, nodes, polynomial_std
from saggiatore.infer.weights import flatten
from saggiatore.job import Job
from saggiatore.models.base import Event
from saggiatore.models.density import AbstractDensity
from saggiatore.models.frame import Frame, FrameSpec
from saggiatore.models.store import save
from saggiatore.registry import load
from saggiatore.steps import densities, predictive
from saggiatore.tables import Column, TableSchema, read_table, write_table
from saggiatore.tasks.density import Density
from saggiatore.types import Array, Float

FEATURES = ("x", "y")
TRAINING = {"n_epochs": 2, "batch_size": 50, "learning_rate": 0.01}
METHODS = {
    "replicas": {"kind": "replicas", "n_replicas": 3, "training": TRAINING},
    "svi": {"kind": "svi", "n_epochs": 10, "batch_size": 50, "n_draws": 4, "max_drift": 10},
}
EDGES = [np.array([-1.0, 0.0, 0.5]), np.array([-6.0, 6.0])]


class Shifted(AbstractDensity):
    """Normal numbers about a mean that is to be learned: a density that compiles in no time."""

    loss_is_log_prob: ClassVar[bool] = True
    frame: Frame
    mean: Float[Array, " feature"]

    def log_prob(self, features, context):
        return norm.logpdf(features - self.mean).sum()

    def sample(self, context, *, key):
        return self.mean + jax.random.normal(key, self.mean.shape)

    def loss(self, features, context, *, key):
        return -self.log_prob(features, context)


def shifted(key=None):
    return Shifted(FrameSpec().frame(FEATURES, ()), jnp.zeros(2) if key is None else jax.random.normal(key, (2,)))


SMALL = {
    "spline_flow": {"width": 4, "depth": 1, "n_blocks": 2, "n_bins": 4},
    "multiplicity": {"number": "n", "high": 2, "width": 4, "transformer": {"width": 4, "depth": 1}},
}


def spec_of(kind):
    return load("model", kind).model_validate(SMALL.get(kind, {"width": 4, "depth": 1}))


def normal_draws(scale=0.0):
    """Five draws of the mean."""
    return DensityDraws(shifted(), scale * jax.random.normal(jax.random.key(2), (5, 2)))


def test_quadrature_knows_the_normal_distribution():
    found = in_bins(by_quadrature(normal_draws(), EDGES), (0, 1), EDGES)
    np.testing.assert_allclose(found.mean, np.diff(ndtr(EDGES[0])), rtol=1e-6)
    np.testing.assert_allclose(found.std, 0, atol=1e-12)
    np.testing.assert_array_equal(found.sampling_error, 0)


def test_sampling_agrees_with_quadrature():
    """20,000 events of 5 draws that differ: means within 5 sampling errors, deviations within one fourth."""
    draws = normal_draws(0.1)
    exact = in_bins(by_quadrature(draws, EDGES), (0, 1), EDGES)
    points = by_sampling(draws, np.zeros((1, 0)), 20_000, key=jax.random.key(3))
    found = in_bins(points, (0,), EDGES[:1])
    assert (np.abs(found.mean - exact.mean) < 5 * found.sampling_error).all()
    assert (np.abs(found.std - exact.std) < found.sampling_error / 4).all()
    np.testing.assert_allclose(points.shares.mean(axis=0), 1 / 20_000, rtol=1e-5)


def test_nodes_integrate_polynomials():
    points, volume = nodes([np.array([0.0, 1.0, 3.0]), np.array([-1.0, 1.0])])
    assert volume.sum() == pytest.approx(6)
    assert volume @ (points[:, 0] ** 3 * points[:, 1] ** 2) == pytest.approx(81 / 4 * 2 / 3)


def test_the_fit_of_a_line_has_its_textbook_error():
    """Of a flat density on [0, 1]: p = 1 + c (2x - 1) with sigma_c = sqrt(3/n); a bin has sigma_c |its integral|."""
    edges = np.linspace(0, 1, 401)
    found = polynomial_std([edges, np.array([0.0, 1.0])], np.full(400, 1 / 400), 1000.0, 1)
    middle = (edges[1:] + edges[:-1]) / 2
    np.testing.assert_allclose(found, (3 / 1000) ** 0.5 * np.abs(2 * middle - 1) / 400, rtol=1e-4)
    with pytest.raises(StudyError, match="one feature"):
        polynomial_std([edges, edges], np.full(160_000, 1 / 160_000), 1000.0, 1)


def events_of(n, seed=0):
    rows = jnp.asarray(np.random.default_rng(seed).normal(0.3, 1, size=(n, 2)))
    return Event(rows, jnp.zeros((n, 0)), jnp.zeros((n, 0)), jnp.ones(n))


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["replicas", "svi"])
def test_the_posterior_of_a_mean_is_the_one_in_closed_form(kind):
    """1000 events, prior of width one: the mean's posterior is Normal(average, 1/1001); both within 5 errors.

    The bootstrap's spread is that of 900 events, a tenth validates; 60 replicas know it to 10 %, the fit to 5 %.
    """
    options = {
        "replicas": {
            "n_replicas": 60,
            "training": TRAINING | {"n_epochs": 20, "learning_rate": 0.05, "weight_decay": 0, "keep": "last"},
        },
        "svi": {"n_epochs": 200, "batch_size": 100, "learning_rate": 0.02, "n_draws": 2000},
    }
    events = events_of(1000)
    method = load("method", kind).model_validate({"kind": kind, **options[kind]}).build()
    found = method.draw_density(LearnedDensity(shifted(), shifted, events), key=jax.random.key(5))
    n_seen = {"replicas": 900, "svi": 1001}[kind]
    for i, average in enumerate(np.asarray(events.features.mean(axis=0))):
        draws = found.parameters[f"weight_{i}"].draws
        assert abs(draws.mean() - average) < 5 * (0.1 / n_seen + 1 / n_seen / draws.size) ** 0.5
        assert draws.std() * n_seen**0.5 == pytest.approx(1, abs=0.5 if kind == "replicas" else 0.1)
    assert set(found.monitored) == {f"log_prob_{i}" for i in range(16)}


class Measured(Density):
    """Four times as well as an event knows the mean, its target does: a stand-in for the joint score."""

    def loss(self, model, event, *, key):
        return super().loss(model, event, key=key) + 2 * jnp.sum((event.target - model.mean) ** 2)


@pytest.mark.thorough
def test_svi_learns_what_the_task_of_the_model_learned():
    """200 events with targets of variance 1/4, prior of width one: the mean has the variance 1/1001; to 10 %."""
    rows = jnp.asarray(np.random.default_rng(6).normal(0.3, 0.5, size=(200, 2)))
    events = events_of(200)._replace(target=rows)
    method = load("method", "svi").model_validate(
        {"kind": "svi", "n_epochs": 300, "batch_size": 50, "learning_rate": 0.02, "n_draws": 2000}
    )
    found = method.build().draw_density(LearnedDensity(shifted(), shifted, events, Measured(())), key=jax.random.key(5))
    for i, (x, t) in enumerate(zip(events.features.mean(axis=0), rows.mean(axis=0), strict=True)):
        draws = found.parameters[f"weight_{i}"].draws
        assert abs(draws.mean() - (200 * x + 800 * t) / 1001) < 5 * (0.1 / 1001 + 1 / 1001 / draws.size) ** 0.5
        assert draws.std() * 1001**0.5 == pytest.approx(1, abs=0.1)


@pytest.mark.thorough
def test_priors_and_likelihoods_of_densities():
    """Biases have the whole width, stacked ones too; a squared error counts with what the network has left."""
    flow = eqx.filter_jit(spec_of("spline_flow").build)(FEATURES, (), key=jax.random.key(1))
    names = weight_names(flow)
    width = np.asarray(prior_width(flow, 2.0))
    is_bias = np.array(["bias" in name for name in names])
    np.testing.assert_array_equal(width[is_bias], 2.0)
    assert (width[~is_bias] < 2.0).all()
    weighted = events_of(300)._replace(weight=jnp.tile(jnp.array([0.2, 0.6]), 150))
    events = effective(weighted)
    assert float(events.weight.sum()) == pytest.approx(300 * 0.8)
    learned = LearnedDensity(shifted(), shifted, events)
    assert float(log_likelihood_per_loss(learned, key=jax.random.key(0))) == 1
    matching = spec_of("flow_matching").build(FEATURES, (), key=jax.random.key(1))
    scale = float(log_likelihood_per_loss(learned._replace(density=matching), key=jax.random.key(0)))
    assert 0.1 < scale < 2  # untrained, its loss is about two: the variance of event minus noise
    with pytest.raises(StudyError, match="300 events have negative weights"):
        effective(weighted._replace(weight=-weighted.weight))


def write_events(path, n=300, seed=1):
    rng = np.random.default_rng(seed)
    names = (*FEATURES, "n")
    schema = TableSchema("events", 1, (Column("weight", "pb", "w"), *(Column(name, "1", name) for name in names)))
    columns = {"weight": np.full(n, 0.1)} | {name: np.sqrt(rng.uniform(size=n)) for name in FEATURES}
    write_table(path, schema, columns | {"n": 1.0 + np.arange(n) % 2}, {})
    return path


def write_model(path, kind="spline_flow", features=FEATURES):
    spec = spec_of(kind)
    columns = [{"name": n, "unit": "1", "label": n} for n in features]
    header = {"kind": kind, "spec": spec.model_dump(mode="json"), "features": columns, "context": [], "parameters": []}
    header["task"] = {"kind": "density"}
    save(path, spec.build(features, (), key=jax.random.key(1)), header)
    return path


def drawn(folder, method, model=None):
    section = densities.DensitiesSection.model_validate({"model": "m", "train": "t", "method": method})
    job = Job[densities.DensitiesSection](study="s", stage="densities", label="d", seed=1, section=section)
    outputs = {"draws": folder / "draws.parquet", "diagnostics": folder / "diagnostics.parquet"}
    train = write_events(folder / "events.parquet")
    densities.run(job, code="c", model=model or write_model(folder / "m.eqx"), train=train, **outputs)
    return outputs


def predicted(folder, draws, truth=(), process="ramp", **section):
    content = {"density": "d", "bins": {"x": {"low": 0, "high": 1, "n": 4}, "y": {"low": 0, "high": 1}}, **section}
    content = predictive.PredictiveSection.model_validate(content)
    about = {"study": "s", "stage": "predictive", "label": "p", "seed": 1, "process": {"kind": process}}
    job = Job[predictive.PredictiveSection](**about, section=content)
    out = folder / "out.parquet"
    predictive.run(job, code="c", model=folder / "m.eqx", draws=draws, truth=list(truth), out=out)
    return read_table(out, "predictive").data


@pytest.mark.thorough
def test_draws_of_a_density_and_their_bins(tmp_path):
    """Replicas of the smallest flow: one row a bin, the exact truth of the ramp, and the fit's error beside."""
    outputs = drawn(tmp_path, METHODS["replicas"])
    table = read_table(outputs["draws"], "draws")
    assert len(table.data) == 3
    assert table.provenance["n_events"] == pytest.approx(300)
    assert set(read_table(outputs["diagnostics"], "diagnostics").data["parameter"]) == {
        f"log_prob_{i}" for i in range(16)
    }
    rows = predicted(tmp_path, outputs["draws"], fit_degrees=[1, 2], n_populated=50)
    np.testing.assert_allclose(rows["truth"], np.diff(np.linspace(0, 1, 5) ** 2), rtol=1e-6)
    np.testing.assert_array_equal(rows["is_populated"], [0, 1, 1, 1])
    np.testing.assert_allclose(rows["relative_std"], rows["std"] / rows["probability"])
    assert ((rows["std"] > 0) & (rows["fit_std_1"] < rows["fit_std_2"])).all()
    counted = predicted(tmp_path, outputs["draws"], [tmp_path / "events.parquet"], bins={"x": {"low": 0, "high": 1}})
    assert counted["truth"].tolist() == pytest.approx([1.0])
    assert (counted["sampling_error"] > 0).all()
    with pytest.raises(StudyError, match="z not among the density's features x, y"):
        predicted(tmp_path, outputs["draws"], bins={"z": {"low": 0, "high": 1}})
    with pytest.raises(StudyError, match="of Asymmetry is not known in closed form"):
        predicted(tmp_path, outputs["draws"], process="asymmetry")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("flow_matching", "svi"),
        ("transformer", "replicas"),
        ("diffusion", "svi"),
        ("spline_flow", "svi"),
    ],
)
def test_other_densities_have_posteriors_too(kind, method, tmp_path):
    model = write_model(tmp_path / "m.eqx", kind)
    rows = predicted(tmp_path, drawn(tmp_path, METHODS[method], model)["draws"])
    assert (rows["std"] > 0).all()


@pytest.mark.thorough
def test_events_with_a_varying_number_have_posteriors_too(tmp_path):
    """Bins of a feature over all numbers, which the predictive draws."""
    model = write_model(tmp_path / "m.eqx", "multiplicity", ("n", "x"))
    rows = predicted(
        tmp_path, drawn(tmp_path, METHODS["replicas"], model)["draws"], bins={"x": {"low": 0, "high": 1, "n": 4}}
    )
    assert (rows["std"] > 0).all()
    assert (rows["sampling_error"] > 0).all()


def test_what_has_no_posterior_of_a_density_is_refused(tmp_path):
    with pytest.raises(ModelError, match="last_layer knows no posterior of a density; choose replicas or svi"):
        drawn(tmp_path, {"kind": "last_layer"})
    mlp = load("model", "mlp").model_validate({"width": 4, "depth": 1})
    columns = [{"name": n, "unit": "1", "label": n} for n in FEATURES]
    header = {"kind": "mlp", "spec": mlp.model_dump(mode="json"), "features": columns, "context": []}
    save(tmp_path / "mlp.eqx", mlp.build(FEATURES, (), key=jax.random.key(0)), header)
    with pytest.raises(ModelError, match="the model is a mlp, expected a density"):
        drawn(tmp_path, METHODS["svi"], tmp_path / "mlp.eqx")


@pytest.mark.thorough
def test_a_nuisance_has_an_error_bar_of_its_own(tmp_path):
    """The spread of bins over its values, whose average they are; what is no context is refused."""
    spec = spec_of("spline_flow")
    model = eqx.filter_jit(spec.build)(FEATURES, ("a",), key=jax.random.key(1))
    weights = flatten(model) + 0.3 * np.random.default_rng(1).normal(size=(1, 3, flatten(model).size))
    columns = [[{"name": n, "unit": "1", "label": n} for n in FEATURES]]
    columns += [[{"name": "a", "column": "theta_a", "unit": "1", "label": "a"}]]
    header = {"kind": "spline_flow", "spec": spec.model_dump(mode="json"), "parameters": ["a"]}
    save(tmp_path / "m.eqx", model, header | dict(zip(("features", "context"), columns, strict=True)))
    chains = Chains({f"weight_{i}": stated(weights[..., i], "weight") for i in range(weights.shape[2])}, 0)
    about = {"method": {"kind": "replicas", "training": {"n_epochs": 1}}, "n_events": 300.0}
    write_table(tmp_path / "draws.parquet", draws_schema(chains), draws_columns(chains), about)
    schema = TableSchema("events", 1, tuple(Column(n, "1", n) for n in ("weight", "theta_a", *FEATURES)))
    rng = np.random.default_rng(2)
    events = {"weight": np.ones(200), "theta_a": rng.uniform(0, 3, 200), "x": rng.uniform(size=200), "y": np.zeros(200)}
    write_table(tmp_path / "truth.parquet", schema, events, {})

    def bins(**section):
        edges = {"x": {"low": -1, "high": 1, "n": 3}, "y": {"low": -1, "high": 1}}
        return predicted(tmp_path, tmp_path / "draws.parquet", [tmp_path / "truth.parquet"], bins=edges, **section)

    found = bins(nuisance="a", n_values=4)
    np.testing.assert_array_equal(found["sampling_error"], 0)
    values = np.quantile(events["theta_a"], (np.arange(4) + 0.5) / 4)
    each = []
    for value in values:
        write_table(tmp_path / "truth.parquet", schema, events | {"theta_a": np.full(200, value)}, {})
        each.append(bins())
        assert "nuisance_std" not in each[-1]
    np.testing.assert_allclose(found["probability"], np.mean([b["probability"] for b in each], axis=0), rtol=1e-5)
    np.testing.assert_allclose(
        found["nuisance_std"], np.std([b["probability"] for b in each], axis=0, ddof=1), rtol=1e-3
    )
    with pytest.raises(StudyError, match="nuisance: b not in the density's context, a"):
        bins(nuisance="b")
