"""Steps of learned ratios: events of two hypotheses, ratios against the exact one, and as observables of limits."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracle import ENERGY, draw_at, write_events

from saggiatore.errors import EventError, StudyError
from saggiatore.infer.base import CHAIN, DRAW
from saggiatore.infer.weights import flatten, with_weights
from saggiatore.job import Job
from saggiatore.models.base import scores
from saggiatore.models.ratio import log_ratios_at
from saggiatore.models.store import save
from saggiatore.registry import load
from saggiatore.steps import events_ratio, limits, ratios
from saggiatore.steps.events import RatioEvents
from saggiatore.tables import Column, TableSchema, read_table, write_table

N = 4000
VALUES = (-0.6, -0.3, 0.15, 0.6)


def density(c, a):
    return 0.375 * (1 + c**2) + a * c


def at_many(columns):
    """The same table with events of several asymmetries, the second half of them with twice the weight."""
    random, share = np.random.default_rng(4), N // len(VALUES)
    c = np.concatenate([draw_at(a, share, random) for a in VALUES])
    order = random.permutation(N)
    columns = columns | {"cos_theta_mu": c[order], "theta_a_fb": np.repeat(VALUES, share)[order]}
    columns["weight"] = np.where(np.arange(N) < N // 2, 1.0, 2.0)
    for leg, sign in ((2, 1), (3, -1)):
        sin = np.sqrt(1 - columns["cos_theta_mu"] ** 2)
        columns[f"leg{leg}_px"], columns[f"leg{leg}_pz"] = sign * ENERGY * sin, sign * ENERGY * columns["cos_theta_mu"]
    return columns


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ratio")
    write_events(folder / "theta.parquet", N, 1, at_many)
    write_events(folder / "zero.parquet", 2 * N, 2)
    return folder


def joined(folder, numerator="theta", denominator="zero"):
    section = RatioEvents(source="ratio", numerator=numerator, denominator=denominator)
    content = {"study": "s", "stage": "events", "label": "both", "seed": 1, "section": section}
    job = Job[RatioEvents].model_validate(content | {"process": {"kind": "asymmetry"}})
    paths = {"numerator": folder / f"{numerator}.parquet", "denominator": folder / f"{denominator}.parquet"}
    events_ratio.run(job, code="c", **paths, out=folder / "both.parquet")
    return read_table(folder / "both.parquet", "events")


def test_events_of_two_hypotheses_have_the_closed_ratio_and_score(folder):
    table = joined(folder)
    data, about = table.data, table.provenance["hypotheses"]
    c, a = data["cos_theta_mu"].to_numpy(), data["theta_a_fb"].to_numpy()
    # sigma(a) is 1, and so is its mean over any events and their images
    np.testing.assert_allclose(data["joint_log_ratio"], np.log(density(c, a) / density(c, 0)), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(data["joint_score_a_fb"], c / density(c, a), rtol=1e-9, atol=1e-12)
    halves = data.groupby("is_numerator")["weight"].sum()
    assert halves.to_numpy() == pytest.approx([0.5, 0.5])
    assert (about["n_numerator"], about["n_denominator"]) == (N, 2 * N)
    assert about["ess_numerator"] == pytest.approx(N * 1.5**2 / 2.5, rel=1e-2)  # half of them weigh twice as much
    assert about["ess_denominator"] == pytest.approx(2 * N)


def test_both_hypotheses_have_one_prior(folder):
    """n = 8000 denominators: each value's share is that of the numerators within five binomial errors."""
    data = joined(folder).data
    for value in VALUES:
        shares = [
            half["weight"][half["theta_a_fb"] == value].sum() / half["weight"].sum()
            for _, half in data.groupby("is_numerator")
        ]
        assert abs(shares[0] - shares[1]) < 5 * (0.25 * 0.75 / (2 * N)) ** 0.5
    below = data[data["is_numerator"] == 0]
    assert abs(np.corrcoef(below["theta_a_fb"], below["cos_theta_mu"])[0, 1]) < 5 / (2 * N) ** 0.5


def test_wrong_hypotheses_are_refused(folder):
    with pytest.raises(StudyError, match=r"events.both.numerator: .* none vary"):
        joined(folder, "zero", "zero")
    with pytest.raises(StudyError, match=r"events.both.denominator: a_fb are not zero"):
        joined(folder, "theta", "theta")
    write_events(folder / "negative.parquet", 100, 1, lambda columns: columns | {"weight": -columns["weight"]})
    with pytest.raises(StudyError, match=r"denominator: some weights are negative"):
        joined(folder, "theta", "negative")
    write_events(folder / "far.parquet", N, 1, lambda columns: at_many(columns) | {"theta_a_fb": np.linspace(-2, 2, N)})
    with pytest.raises(EventError, match=r"the rate of event \d+ vanishes at {'a_fb'"):
        joined(folder, "far")


def write_model(path, kind, task):
    """A network of arbitrary numbers, filled in without compiling."""
    context = ("a_fb",) if "ratio" in kind else ()
    spec = load("model", kind)(width=4, depth=1, odd_in=("cos_theta_mu", *context))
    shape = eqx.filter_eval_shape(spec.build, ("cos_theta_mu",), context, key=jax.random.key(3))
    draw = np.random.default_rng(3).uniform
    is_shape = lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct)  # noqa: E731
    fill = lambda leaf: jnp.asarray(draw(0.3, 0.9, leaf.shape)) if is_shape(leaf) else leaf  # noqa: E731
    model = jax.tree.map(fill, shape)
    header = {"kind": kind, "spec": spec.model_dump(mode="json"), "task": {"kind": task}, "parameters": ["a_fb"]}
    named = {"features": ("cos_theta_mu",), "context": context}
    header |= {key: [{"name": n, "unit": "1", "label": n} for n in names] for key, names in named.items()}
    save(path, model, header | {"provenance": {}})
    return model


def write_draws(path, net, n_draws=6, of="net"):
    """Weights that scatter about those of the network."""
    weights = np.asarray(flatten(net)) * np.random.default_rng(5).normal(1, 0.05, (n_draws, flatten(net).size))
    names = [f"weight_{place}" for place in range(weights.shape[1])]
    schema = TableSchema("draws", 1, (CHAIN, DRAW, *(Column(name, "1", name) for name in names)))
    columns = {"chain": np.zeros(n_draws, int), "draw": np.arange(n_draws)} | dict(zip(names, weights.T, strict=True))
    made = {"spec": {"section": {"model": of}}, "method": {"kind": "replicas", "training": {"n_epochs": 1}}}
    write_table(path, schema, columns, made)
    return weights


@pytest.fixture(scope="module")
def net(folder):
    return write_model(folder / "net.eqx", "ratio_mlp", "alices")


@pytest.fixture(scope="module")
def score(folder):
    return write_model(folder / "score.eqx", "mlp", "joint_score")


def compared(folder, test="zero", **changes):
    section = {"test": test, "parameter": "a_fb", "values": [-0.4, 0.2], "models": ["net", "score"], "n_events": 500}
    content = {"study": "s", "stage": "ratios", "label": "main", "seed": 1, "section": section | changes}
    job = Job[ratios.RatiosSection].model_validate(content | {"process": {"kind": "asymmetry"}})
    outputs = {name: folder / f"main.{name}.parquet" for name in ("ratios", "log_ratios")}
    paths = [folder / f"{name}.eqx" for name in job.section.models]
    draws = [folder / f"{name}.draws.parquet" for name in job.section.posteriors]
    behind = {"draws": draws, "drawn": [folder / "net.eqx"] * len(draws)}
    ratios.run(job, code="c", test=folder / f"{test}.parquet", models=paths, **behind, **outputs)
    return (read_table(path, name).data for name, path in outputs.items())


def has_spread(rows, events, drawn):
    """Mean and standard deviation over the ratios of all draws, each evaluated by itself."""
    assert events["log_ratio_spread"].to_numpy() == pytest.approx(drawn.mean(axis=0))
    deviation = drawn.std(axis=0, ddof=1)
    assert events["spread_spread"].to_numpy() == pytest.approx(deviation)
    row = rows[(rows["name"] == "spread") & (rows["theta"] == 0.2)].iloc[0]
    assert row["spread"] == pytest.approx(np.sqrt(np.mean(deviation**2)))
    pull = (events["log_ratio_spread"] - events["log_ratio_exact"]) / deviation
    assert row["pull"] == pytest.approx(np.sqrt(np.mean(pull**2)))
    assert (rows.loc[rows["kind"] != "posterior", ["spread", "pull"]] == 0).all(axis=None)


def test_models_are_held_against_the_exact_ratio(folder, net, score):
    weights = write_draws(folder / "spread.draws.parquet", net)
    rows, events = compared(folder, posteriors=["spread"])
    c = read_table(folder / "zero.parquet", "events").data["cos_theta_mu"].to_numpy()[:500]
    exact = np.log(density(c, 0.2) / density(c, 0))
    assert np.abs(events["log_ratio_exact"] - exact).max() < 5 * 0.2 * 0.012  # sigma(a) from 8000 events
    learned = {
        "net": log_ratios_at(net, c[:, None], jnp.array([0.2])),
        "score": 0.2 * np.asarray(scores(score, jnp.asarray(c[:, None])))[:, 0],
    }
    for name, value in learned.items():
        assert events[f"log_ratio_{name}"].to_numpy() == pytest.approx(np.asarray(value))
        row = rows[(rows["name"] == name) & (rows["theta"] == 0.2)].iloc[0]
        assert row["mse"] == pytest.approx(np.mean((value - events["log_ratio_exact"]) ** 2))
        assert row["mean_square"] == pytest.approx(np.mean(events["log_ratio_exact"] ** 2))
    assert list(rows["kind"][::2]) == ["ratio", "score", "posterior"]
    assert list(rows["task"][::2]) == ["alices", "joint_score", "alices"]
    drawn = [log_ratios_at(with_weights(net, jnp.asarray(w)), c[:, None], jnp.array([0.2])) for w in weights]
    has_spread(rows, events, np.array(drawn))
    with pytest.raises(StudyError, match="theta_a_fb are not zero"):
        compared(folder, test="theta")
    with pytest.raises(ValueError, match="share a name, expected different names"):
        compared(folder, posteriors=["net"])


LIMITS = {
    "events": "zero",
    "train": "zero",
    "range": {"a_fb": [-0.7, 0.7]},
    "luminosity": "20 fb^-1",
    "efficiency": 0.001,
    "models": ["score"],
    "ratios": ["net"],
    "ratios_at": [-0.4, 0.4],
    "signs": ["cos_theta_mu"],
    "n_experiments": 0,
    "n_bins_each": 6,
}
OUTPUTS = ("limits", "sensitivity", "coverage", "scan", "bins", "workspace")


def expected(folder, **changes):
    content = {"study": "s", "stage": "limits", "label": "one", "seed": 1, "section": LIMITS | changes}
    job = Job[limits.LimitsSection].model_validate(content | {"process": {"kind": "asymmetry"}})
    outputs = {name: folder / f"one.{name}.{'json' if name == 'workspace' else 'parquet'}" for name in OUTPUTS}
    paths = {name: [folder / f"{each}.eqx" for each in getattr(job.section, name)] for name in ("models", "ratios")}
    events = {"events": folder / "zero.parquet", "train": folder / "zero.parquet"}
    drawn = [folder / f"{name}.draws.parquet" for name in job.section.ratio_posteriors]
    limits.run(job, code="c", draws=[], formulas=[], ratio_draws=drawn, **events, **paths, **outputs)
    return {name: read_table(outputs[name], name).data for name in ("limits", "sensitivity")}


@pytest.mark.usefixtures("score")
def test_a_ratio_is_an_observable_of_limits(folder, net):
    """One feature: functions of it that nobody trained keep less than the truth, and more than half.

    Draws of its weights are other observables, with other limits: the band.
    """
    write_draws(folder / "spread.draws.parquet", net)
    found = expected(folder, n_members=4, ratio_posteriors=["spread"])
    rows = found["sensitivity"].query("with_rate == 0").set_index("name")
    assert rows.kind["net"] == "ratio"
    assert 6 < rows.n_bins["net"] <= 36
    assert 0.5 < rows.information["net"] <= 1.0001
    widths = found["limits"].query("level == 0.95 and method == 'expected' and with_rate == 0").set_index("name").high
    assert widths["truth"] <= widths["net"] < 1.4 * widths["truth"]
    errors = found["limits"].query("name == 'net' and method == 'expected'")
    assert (errors["high_error"] > 0).all()
    assert (errors["high_error"] < 0.2 * errors["high"]).all()
    with pytest.raises(StudyError, match="'score' is a mlp, expected a likelihood ratio"):
        expected(folder, ratios=["score"])
    write_draws(folder / "strange.draws.parquet", net, of="other")
    with pytest.raises(StudyError, match="got posteriors of other; expected some of net"):
        expected(folder, ratio_posteriors=["strange"])
    for wrong in ([], [0.0, 0.4]):
        with pytest.raises(ValueError, match="expected values other than zero, with `ratios`"):
            expected(folder, ratios_at=wrong)
    with pytest.raises(ValueError, match="ratios are for sections of one parameter"):
        expected(folder, range={"a_fb": [-0.5, 0.5], "b": [-0.5, 0.5]})
