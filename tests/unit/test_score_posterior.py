"""What a posterior says about a score: draws whose spread is known, and the step on a density that was not trained."""

import jax
import numpy as np
import pytest
from test_information import job, score, write_events

from saggiatore.errors import StudyError
from saggiatore.infer.base import Chains, draws_columns, draws_schema
from saggiatore.infer.network import stated
from saggiatore.infer.weights import flatten
from saggiatore.job import Job
from saggiatore.limits.score_posterior import JointScore, ScorePosterior
from saggiatore.models.store import save
from saggiatore.registry import load
from saggiatore.steps.information import InformationSection, run
from saggiatore.tables import read_table, write_table

N_DRAWS, N_EVENTS = 8, 20_000


def test_noise_of_known_size_is_its_spread():
    """s_k = t + 0.5 z_k with normal t and z: a draw keeps 0.8, their mean is off by 0.5/sqrt(8). Five per cent.

    The true error of the mean is sqrt(8) times smaller than the spread of a draw: nearly all events lie within two.
    The reference is half of t: with it a draw correlates as with t, and is twice as steep.
    """
    rng = np.random.default_rng(1)
    t, z = rng.normal(size=N_EVENTS), rng.normal(size=(N_EVENTS, N_DRAWS))
    posterior = ScorePosterior("flow", lambda events: events["t"][:, None] + 0.5 * events["z"])
    for part in np.array_split(np.arange(N_EVENTS), 3):
        events = {"t": t[part], "z": z[part]}
        joint = JointScore(t[part], np.zeros(len(part)), np.full(len(part), 2.0))
        drawn = posterior.draws(events)
        assert drawn.mean(axis=1) == pytest.approx(posterior.statistic.values(events))
        spread = posterior.add(drawn, t[part, None] / 2, joint, t[part])
        assert spread == pytest.approx(0.5 * z[part].std(axis=1, ddof=1))
    row, other = posterior.rows(["half"])
    assert (row["reference"], other["reference"]) == ("joint_score", "half")
    assert row["n_draws"] == N_DRAWS
    assert row["information"] == other["information"] == pytest.approx(0.8, rel=0.05)
    assert 0 < row["information_std"] < 0.02
    assert row["correlation"] == pytest.approx(0.8**0.5, rel=0.05)
    assert row["slope"] == pytest.approx(1, rel=0.05)
    assert other["correlation"] == pytest.approx(row["correlation"])
    assert other["slope"] == pytest.approx(2 * row["slope"])
    assert row["spread"] == pytest.approx(0.5, rel=0.05)
    assert row["error"] == pytest.approx(0.5 / N_DRAWS**0.5, rel=0.05)
    away = np.abs(z.mean(axis=1)) / z.std(axis=1, ddof=1)
    assert row["within_1"] == pytest.approx((away < 1).mean())
    assert row["within_2"] == pytest.approx((away < 2).mean())


def write_density(folder, kind, context):
    """A model, and three draws of its weights about those that it has."""
    spec = load("model", kind).model_validate({"width": 4, "depth": 1} | ({"n_bins": 4} if "spline" in kind else {}))
    model = spec.build(("cos_theta_mu",), context, key=jax.random.key(1))
    named = {"features": ("cos_theta_mu",), "context": context}
    header = {field: [{"name": n, "unit": "1", "label": n} for n in names] for field, names in named.items()}
    header |= {"kind": kind, "spec": spec.model_dump(mode="json"), "parameters": list(context)}
    save(folder / "model.eqx", model, header)
    weights = np.asarray(flatten(model)) + 0.1 * np.random.default_rng(2).normal(size=(1, 3, flatten(model).size))
    chains = Chains({f"weight_{i}": stated(weights[..., i], "weight") for i in range(weights.shape[2])}, 0)
    made = {"method": {"kind": "replicas", "training": {"n_epochs": 1}}}
    write_table(folder / "draws.parquet", draws_schema(chains), draws_columns(chains), made)


def weigh(folder, **changes):
    section = {"test": "test", "train": "test", "parameter": "a_fb", "posteriors": ["flow"], "signs": ["cos_theta_mu"]}
    spec = Job[InformationSection].model_validate(job("information", section | changes))
    names = ("scores", "information", "agreement", "posteriors")
    outputs = {name: folder / f"{name}.parquet" for name in names}
    lists = {"models": [], "formulas": [], "densities": [folder / "model.eqx"], "draws": [folder / "draws.parquet"]}
    run(spec, code="c", test=folder / "test.parquet", train=folder / "test.parquet", **lists, **outputs)
    return outputs


@pytest.mark.thorough
def test_the_step_states_mean_and_spread(tmp_path):
    write_events(tmp_path / "test.parquet", 500, 3)
    write_density(tmp_path, "spline_flow", ("a_fb",))
    outputs = weigh(tmp_path)
    scores = read_table(outputs["scores"], "scores").data
    assert (scores["spread_flow"] > 0).all()
    assert scores["joint_score"].to_numpy() == pytest.approx(score(scores["cos_theta_mu"].to_numpy()))
    rows = read_table(outputs["information"], "information").data
    assert list(rows["name"]) == ["flow", "sign_cos_theta_mu"]
    assert list(rows["kind"]) == ["posterior", "sign"]
    table = read_table(outputs["posteriors"], "score_posteriors")
    assert list(table.data["n_draws"]) == [3]
    assert "error" not in table.schema.names  # these events do not know the exact score
    mean_square = np.mean(scores["spread_flow"] ** 2) / np.mean(scores["joint_score"] ** 2)
    assert table.data["spread"][0] == pytest.approx(mean_square**0.5)


def test_a_posterior_without_a_score_is_refused(tmp_path):
    write_events(tmp_path / "test.parquet", 500, 3)
    write_density(tmp_path, "spline_flow", ())
    with pytest.raises(StudyError, match="'flow' is of a model without a score"):
        weigh(tmp_path)


def test_an_exact_score_that_the_events_lack_is_refused(tmp_path):
    write_events(tmp_path / "test.parquet", 500, 3)
    write_density(tmp_path, "spline_flow", ("a_fb",))
    with pytest.raises(StudyError, match="does not carry the exact score of a_fb"):
        weigh(tmp_path, exact=True)
