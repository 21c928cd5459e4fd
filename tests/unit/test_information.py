r"""What a score is worth, against closed forms of the oracle p(c|A) = 3/8 (1 + c^2) + A c at A = 0.

Its score is t = 8 c / (3 (1 + c^2)), with information E[t^2] = 16/3 (1 - pi/4). The sign of c has E[s t] = 1 and
E[s^2] = 1, so it keeps 1 / E[t^2]; c has E[c t] = 2/3 and E[c^2] = 2/5, so it keeps (4/9) / (2/5 E[t^2]).
"""

from dataclasses import replace

import numpy as np
import pytest

from saggiatore.errors import ConvergenceError, ModelError, SchemaError, StudyError
from saggiatore.limits import fisher
from saggiatore.limits.bootstrap import Bootstrap, estimate
from saggiatore.limits.statistic import Statistic, histogram, require_distinct, sign
from saggiatore.tables import Column, TableSchema, read_table, write_table
from saggiatore.tasks.columns import marginal_score_column

INFORMATION = 16 / 3 * (1 - np.pi / 4)
KEPT = {"sign": 1 / INFORMATION, "c": 4 / 9 / (2 / 5 * INFORMATION), "t": 1.0}
N_EVENTS = 100_000


def draw(n_events: int, seed: int) -> np.ndarray:
    """Cosines from 3/8 (1 + c^2), by the closed form of the inverse distribution (Cardano)."""
    u = 4 * np.random.default_rng(seed).uniform(size=n_events) - 2
    root = np.sqrt(u**2 + 1)
    return np.cbrt(u + root) + np.cbrt(u - root)


def score(c: np.ndarray) -> np.ndarray:
    return 8 * c / (3 * (1 + c**2))


@pytest.fixture(scope="module")
def sums() -> np.ndarray:
    c = draw(N_EVENTS, 1)
    statistics = np.stack([np.sign(c), c, score(c), -7 * c], axis=1)
    bootstrap = Bootstrap(400, 2 + 2 * 4, seed=2)
    for part in np.array_split(np.arange(N_EVENTS), 7):
        bootstrap.add(
            fisher.score_terms(statistics[part], score(c[part]), np.zeros(len(part)), np.full(len(part), 1e-3))
        )
    return bootstrap.sums


def test_fisher_information_is_the_closed_form():
    """n = 100,000, 5 standard errors."""
    t = score(draw(N_EVENTS, 1))
    found = fisher.fisher_information(t[:, None], np.ones(N_EVENTS))
    assert found.shape == (1, 1)
    assert abs(found[0, 0] - INFORMATION) < 5 * (t**2).std() / N_EVENTS**0.5


def test_information_kept_is_the_closed_form(sums):
    """n = 100,000, 5 bootstrap errors; the score itself keeps all, without error."""
    kept, error = estimate(fisher.information_kept, sums)
    assert abs(kept[0] - KEPT["sign"]) < 5 * error[0]
    assert abs(kept[1] - KEPT["c"]) < 5 * error[1]
    assert kept[2] == pytest.approx(1.0, abs=1e-12)
    assert kept[3] == pytest.approx(kept[1], rel=1e-12)  # whatever the scale
    assert 1e-4 < error[0] < 1e-2


def test_mean_squared_error_and_its_reference(sums):
    mse, _ = estimate(fisher.mean_squared_error, sums)
    e_t2, e_t2_error = estimate(fisher.mean_squared_score, sums)
    assert mse[2] == pytest.approx(0.0, abs=1e-12)
    assert abs(e_t2 - INFORMATION) < 5 * e_t2_error
    assert mse[0] == pytest.approx(e_t2 - 2 * sums[0, 2] / sums[0, 0] + 1, rel=1e-12)


def test_bootstrap_error_is_that_of_a_mean():
    """400 replicas: the error of a mean within 5 standard errors of std/sqrt(n), 3.5 % each."""
    x = np.random.default_rng(3).exponential(size=20_000)
    bootstrap = Bootstrap(400, 2, seed=4)
    bootstrap.add(np.stack([np.ones_like(x), x], axis=1))
    mean, error = estimate(lambda sums: sums[:, 1] / sums[:, 0], bootstrap.sums)
    assert mean == pytest.approx(x.mean())
    assert error / (x.std() / len(x) ** 0.5) == pytest.approx(1, abs=5 / 800**0.5)


def test_differences_are_paired(sums):
    """c and the score itself are strongly correlated: their difference is known better than either."""
    behind, _ = estimate(fisher.information_behind, sums)
    assert behind[2] == 0
    assert behind[1] == pytest.approx(1 - estimate(fisher.information_kept, sums)[0][1])
    doubled = np.concatenate([sums[:, :4], sums[:, 2:4] + 1e-3 * sums[:, 4:6], sums[:, 6:8], sums[:, 6:8]], axis=1)
    _, kept_error = estimate(fisher.information_kept, doubled)
    _, behind_error = estimate(fisher.information_behind, doubled)
    assert behind_error.min() < 0.1 * kept_error.max()


def test_histogram_and_sign_of_the_oracle():
    """Trained on n = 100,000; two bins of c are its sign, many bins are its score."""
    c = draw(N_EVENTS, 5)
    columns, t, weight = {"c": c}, score(c), np.ones(N_EVENTS)
    test = {"c": draw(N_EVENTS, 6)}
    two, many, signed = (
        statistic.values(test)
        for statistic in (
            histogram("c", 2, columns, t, weight),
            histogram("c", 60, columns, t, weight),
            sign("c", columns, t, weight),
        )
    )
    assert np.abs(two) == pytest.approx(np.abs(signed), abs=0.02)
    assert np.abs(signed) == pytest.approx(1.0, abs=0.01)
    truth = score(test["c"])
    assert np.mean(many * truth) ** 2 / np.mean(many**2) / np.mean(truth**2) > 0.998
    with pytest.raises(StudyError, match="lower n_bins"):
        histogram("c", 10, {"c": c[:5]}, t[:5], weight[:5])


def test_two_scores_of_one_name_are_refused():
    with pytest.raises(StudyError, match="'network' names a model and a formula; rename one"):
        require_distinct([Statistic("network", kind, lambda events: events["c"]) for kind in ("model", "formula")])


EVENTS = TableSchema(
    "events",
    1,
    (
        Column("weight", "pb", "weight"),
        Column("theta_a_fb", "1", "asymmetry"),
        Column("joint_score_a_fb", "1", "joint score"),
        Column("parton_score_a_fb", "1", "its mean over flavours"),
        Column("flavour_variance_a_fb", "1", "its variance over flavours"),
        Column("cos_theta_mu", "1", "polar angle", r"$\cos\theta_\mu$"),
        Column("leg0_e", "GeV", "energy"),
    ),
)


def write_events(path, n_events: int, seed: int, marginal: tuple[str, ...] = ()) -> None:
    """Events of the oracle; with `marginal` they carry the exact score, said to be that of these observables."""
    c = draw(n_events, seed)
    constant = np.ones(n_events)
    columns = {
        "weight": constant,
        "theta_a_fb": 0 * constant,
        "joint_score_a_fb": score(c),
        "parton_score_a_fb": score(c),
        "flavour_variance_a_fb": 0 * constant,
        "cos_theta_mu": c,
        "leg0_e": constant,
    }
    schema = EVENTS
    if marginal:
        columns["marginal_score_a_fb"] = score(c)
        schema = replace(EVENTS, columns=(*EVENTS.columns, marginal_score_column("a_fb")))
    write_table(path, schema, columns, {"spec": {"section": {"marginal": marginal}}})


def job(stage: str, section: dict) -> dict:
    return {"study": "test", "stage": stage, "label": "main", "seed": 1, "section": section}


def test_the_step_weighs_scores_on_the_same_events(tmp_path):
    """The form of the truth keeps everything and finds 8/3; the table of scores holds `n_rows` events."""
    from saggiatore.job import Job
    from saggiatore.steps.information import InformationSection, run

    write_events(tmp_path / "train.parquet", 20_000, 7)
    write_events(tmp_path / "test.parquet", 20_000, 8)
    section = {
        "test": "test",
        "train": "train",
        "parameter": "a_fb",
        "forms": {"truth": "a*cos_theta_mu/(1+cos_theta_mu**2)", "linear": "a*cos_theta_mu"},
        "histograms": ["cos_theta_mu"],
        "signs": ["cos_theta_mu"],
        "references": ["truth"],
        "n_rows": 1000,
    }
    outputs = {name: tmp_path / f"{name}.parquet" for name in ("scores", "information", "agreement", "posteriors")}

    def step(**changes) -> None:
        spec = Job[InformationSection].model_validate(job("information", section | changes))
        inputs = {name: tmp_path / f"{name}.parquet" for name in ("test", "train")}
        run(spec, code="test", models=[], densities=[], draws=[], formulas=[], **inputs, **outputs)

    step()
    rows = read_table(outputs["information"], "information").data.set_index("name")
    assert list(rows.index) == ["truth", "linear", "histogram_cos_theta_mu", "sign_cos_theta_mu"]
    assert rows.information["truth"] == pytest.approx(1, abs=1e-9)
    assert abs(rows.information["linear"] - KEPT["c"]) < 5 * rows.information_error["linear"]
    assert abs(rows.information["sign_cos_theta_mu"] - KEPT["sign"]) < 5 * rows.information_error["sign_cos_theta_mu"]
    assert abs(rows.e_t2["truth"] - INFORMATION) < 5 * rows.e_t2_error["truth"]
    assert "2.66666666666" in rows.expression["truth"]
    assert rows.complexity["sign_cos_theta_mu"] == -1
    agreement = read_table(outputs["agreement"], "agreement").data.set_index(["reference", "name"])
    assert len(agreement) == 8
    np.testing.assert_allclose(agreement.correlation["joint_score"] ** 2, rows.information, rtol=1e-12)
    against = agreement.loc[("truth", "linear")]
    assert abs(against.correlation - KEPT["c"] ** 0.5) < 5 * against.correlation_error
    assert against.slope == pytest.approx(KEPT["c"], abs=0.01)  # a regression: n = 20,000, five errors of its constant
    scores = read_table(outputs["scores"], "scores")
    assert scores.schema.names[:3] == ("cos_theta_mu", "weight", "joint_score")
    assert scores.column("cos_theta_mu").label == r"$\cos\theta_\mu$"
    assert len(scores.data) == 1000
    np.testing.assert_allclose(scores.data["score_truth"], scores.data["joint_score"], rtol=1e-8)

    first = [path.read_bytes() for path in outputs.values()]
    step()
    assert first == [path.read_bytes() for path in outputs.values()]
    with pytest.raises(StudyError, match="delta_phi are no observables; there are cos_theta_mu"):
        step(signs=["delta_phi"])
    with pytest.raises(StudyError, match="references: network are no scores of this section; there are truth, linear"):
        step(references=["network"])


def test_draws_and_teachers_of_a_network(tmp_path):
    """The chain draws -> teachers on a small network, a broken network leaves nothing behind."""
    import equinox as eqx
    import jax

    from saggiatore.infer.base import draw_scores, posterior_score, spread_draws
    from saggiatore.job import Job
    from saggiatore.models.mlp import MLPSpec
    from saggiatore.models.store import save
    from saggiatore.steps import draws, teachers

    write_events(tmp_path / "train.parquet", 3_000, 9)
    write_events(tmp_path / "test.parquet", 2_000, 10, marginal=("cos_theta_mu",))
    spec = MLPSpec(width=6, depth=1, odd_in=("cos_theta_mu",))
    features = [{"name": "cos_theta_mu", "unit": "1", "label": ""}]
    header = {"kind": "mlp", "spec": spec.model_dump(mode="json"), "features": features, "context": []}
    header |= {"parameters": ["a_fb"], "task": {"kind": "joint_score", "parameter": "a_fb"}, "precision": "float32"}
    network = spec.build(("cos_theta_mu",), key=jax.random.key(1))
    save(tmp_path / "good.eqx", network, header)
    save(tmp_path / "bad.eqx", eqx.tree_at(lambda m: m.mixing, network, network.mixing * np.inf), header)
    names = ("draws", "diagnostics", "pulls", "calibration")

    def draw_to(folder, model="good.eqx") -> None:
        section = {"model": "m", "train": "train", "test": "test", "method": {"kind": "last_layer"}}
        spec = Job[draws.DrawsSection].model_validate(job("draws", section))
        inputs = {"model": tmp_path / model, "train": tmp_path / "train.parquet", "test": tmp_path / "test.parquet"}
        inputs["checkpoint"] = folder / "checkpoint"
        draws.run(spec, code="test", **inputs, **{name: folder / f"{name}.parquet" for name in names})

    with pytest.raises(ConvergenceError, match="no maximum"):
        draw_to(tmp_path / "nothing", "bad.eqx")
    assert not (tmp_path / "nothing").exists()
    draw_to(tmp_path / "long")
    table = read_table(tmp_path / "long" / "draws.parquet", "draws")
    assert table.schema.names[:3] == ("chain", "draw", "weight_0")
    assert len(table.data) == 8000
    calibration = read_table(tmp_path / "long" / "calibration.parquet", "calibration").data
    assert list(calibration["level"]) == [0.5, 0.68, 0.9, 0.95, 0.99]
    assert np.all(np.diff(calibration["factor"]) > 0)
    pulls = read_table(tmp_path / "long" / "pulls.parquet", "pulls").data
    np.testing.assert_allclose(pulls["pull_stat"], (pulls["marginal_score"] - pulls["mean"]) / pulls["std_stat"])
    root = ((pulls["marginal_score"] - pulls["mean"]) ** 2).mean() ** 0.5
    assert calibration["pull_stat_width"].iloc[0] == pytest.approx(root / calibration["sharpness_stat"].iloc[0])

    def teach(out, draws_paths: list, n_events: int = 500) -> None:
        section = {"model": "m", "events": "train", "n_events": n_events} | ({"draws": "m"} if draws_paths else {})
        spec = Job[teachers.TeachersSection].model_validate(job("teachers", section))
        teachers.run(
            spec,
            code="test",
            model=tmp_path / "good.eqx",
            draws=draws_paths,
            events=tmp_path / "train.parquet",
            out=out,
        )

    teach(tmp_path / "with.parquet", [tmp_path / "long" / "draws.parquet"])
    teach(tmp_path / "without.parquet", [])
    learned, plain = (read_table(tmp_path / f"{name}.parquet", "teacher").data for name in ("with", "without"))
    assert len(learned) == 500
    assert learned["weight"].mean() == pytest.approx(1)
    assert learned["weight"].corr(learned["var_stat"], method="spearman") == pytest.approx(-1)
    assert np.corrcoef(learned["score"], score(learned["cos_theta_mu"].to_numpy()))[0, 1] > 0.99
    assert (plain["weight"] == 1).all()
    assert (plain["var_stat"] == 0).all()
    assert table.provenance["method"]["kind"] == "last_layer"
    x = np.linspace(-0.9, 0.9, 4)[:, None]
    mean, var_stat, _ = jax.vmap(posterior_score(network, table))(x)
    members = jax.vmap(draw_scores(network, table, spread_draws(table, 2000)))(x)
    assert members.shape == (4, 2000)
    gap = (members.mean(axis=1) - mean) / var_stat**0.5
    assert np.abs(gap).max() < 0.12  # n = 2,000: five standard errors
    assert members.std(axis=1) ** 2 == pytest.approx(np.asarray(var_stat), rel=0.16)
    with pytest.raises(StudyError, match="9000 draws were asked for, the posterior has 8000"):
        spread_draws(table, 9000)
    with pytest.raises(ModelError, match="the draws have"):
        draw_scores(MLPSpec(width=7, depth=1).build(("cos_theta_mu",), key=jax.random.key(1)), table, [0, 1])(x[0])
    with pytest.raises(SchemaError, match="3000 events, the teacher needs 5000"):
        teach(tmp_path / "many.parquet", [], 5000)
