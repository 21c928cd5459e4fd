"""Steps that draw events from densities and hold them against true ones, on models that are not trained."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from saggiatore.errors import SchemaError, StudyError
from saggiatore.job import Job
from saggiatore.models.base import Event
from saggiatore.models.store import save
from saggiatore.registry import load
from saggiatore.steps import control, events_model, teachers
from saggiatore.steps.events import ModelEvents, SmearedEvents
from saggiatore.tables import Column, TableSchema, read_header, read_table, write_table
from saggiatore.tasks.classifier import labelled

FEATURES = ("x", "y")


def job(stage, label, section):
    return Job[type(section)](study="s", stage=stage, label=label, seed=1, section=section)


def write_events(path, seed, n=400):
    rng = np.random.default_rng(seed)
    names = ("weight", "theta_a", *FEATURES)
    schema = TableSchema("events", 1, tuple(Column(name, "1" if name != "weight" else "pb", name) for name in names))
    columns = {"weight": np.full(n, 2.0 / n), "theta_a": rng.uniform(1, 2, n)}
    columns |= {name: rng.normal(size=n) for name in FEATURES}
    write_table(path, schema, columns, {"spec": {"section": {"source": "process"}}})
    return path


def write_model(path, kind, context=(), task=None):
    spec = load("model", kind).model_validate({"width": 4, "depth": 1} | ({"n_bins": 4} if "spline" in kind else {}))
    model = spec.build(FEATURES, context, key=jax.random.key(1))
    header = {"kind": kind, "spec": spec.model_dump(mode="json"), "task": task or {"kind": "density"}}
    header |= {
        "features": [{"name": n, "unit": "1", "label": n} for n in FEATURES],
        "context": [{"name": n, "column": f"theta_{n}", "unit": "1", "label": n} for n in context],
    }
    save(path, model, header | {"parameters": list(context), "provenance": {}})
    return path


def test_drawn_events_take_weight_and_context_from_others(tmp_path):
    like, model = write_events(tmp_path / "like.parquet", 1), write_model(tmp_path / "m.eqx", "spline_flow", ("a",))
    section = ModelEvents(source="model", model="m", like="like", n_events=300)
    events_model.run(job("events", "drawn", section), code="c", model=model, like=like, out=tmp_path / "out.parquet")
    found, given = read_table(tmp_path / "out.parquet", "events"), read_table(like, "events")
    assert len(found.data) == 300
    assert found.data["weight"].sum() == pytest.approx(2.0)
    assert set(found.data["theta_a"]) <= set(given.data["theta_a"])
    assert found.provenance["generator"]["kind"] == "spline_flow"
    assert found.provenance["generator"]["n_parameters"] > 100
    assert abs(found.data["x"].mean()) < 5 / 300**0.5  # an untrained flow is the identity


def test_smeared_events_teach_the_data_score(tmp_path):
    like, model = write_events(tmp_path / "like.parquet", 1), write_model(tmp_path / "m.eqx", "diffusion")
    section = SmearedEvents(source="smeared", model="m", like="like", time=0.3, n_events=300)
    smeared = tmp_path / "smeared.parquet"
    events_model.run(job("events", "smeared", section), code="c", model=model, like=like, out=smeared)
    found, given = read_table(smeared, "events").data, read_table(like, "events").data[:300]
    moved = found["x"] - given["x"]
    np.testing.assert_allclose(found["joint_score_data_x"], -moved / np.var(moved), rtol=0.3)
    taught = teachers.TeachersSection(model="m", events="smeared", component="y", n_events=200)
    out = tmp_path / "teacher.parquet"
    teachers.run(job("teachers", "t", taught), code="c", model=model, draws=[], events=smeared, out=out)
    assert read_header(out, "teacher")[1]["parameter"] == "data_y"
    assert read_table(out, "teacher").data["score"].std() > 0
    with pytest.raises(StudyError, match="not smeared"):
        teachers.run(job("teachers", "t", taught), code="c", model=model, draws=[], events=like, out=out)


def test_what_draws_no_events_is_refused(tmp_path):
    like = write_events(tmp_path / "like.parquet", 1)
    section = ModelEvents(source="model", model="m", like="like", n_events=10)
    model = write_model(tmp_path / "mlp.eqx", "mlp")
    with pytest.raises(StudyError, match="drawn from densities"):
        events_model.run(job("events", "d", section), code="c", model=model, like=like, out=tmp_path / "o.parquet")
    smear = SmearedEvents(source="smeared", model="m", like="like", time=0.3, n_events=10)
    for kind, context, message in (("spline_flow", (), "noise of a diffusion"), ("diffusion", ("a",), "context")):
        model = write_model(tmp_path / f"{kind}.eqx", kind, context)
        with pytest.raises(StudyError, match=message):
            events_model.run(job("events", "d", smear), code="c", model=model, like=like, out=tmp_path / "o.parquet")


def test_both_sorts_of_event_weigh_the_same():
    def events(n, weight):
        return Event(jnp.ones((n, 2)), jnp.zeros((n, 0)), jnp.zeros((n, 0)), jnp.full(n, weight))

    joined = labelled(events(30, 1.0), events(10, 5.0))
    is_true = joined.target[:, 0] == 1
    assert is_true.sum() == 30
    assert float(joined.weight[is_true].sum()) == pytest.approx(float(joined.weight[~is_true].sum()))
    assert float(joined.weight.mean()) == pytest.approx(1)


def test_the_control_tables_have_a_row_for_each_entry(tmp_path):
    paths = [write_events(tmp_path / f"{i}.parquet", i, 4000) for i in range(3)]
    model = write_model(tmp_path / "c.eqx", "mlp", task={"kind": "classifier", "against": "b"})
    entries = [{"name": name, "events": name, "classifier": "c"} for name in ("a", "b")]
    section = control.ControlSection.model_validate({"truth": "t", "entries": entries, "n_bins": 10, "n_bins_2d": 4})
    written = ("control", "marginals", "weights", "reliability", "tails", "clusters", "latex")
    outputs = {name: tmp_path / f"out.{name}" for name in written}

    def compare(events, classifiers):
        chosen = {"truth": paths[0], "events": events, "classifiers": classifiers}
        control.run(job("control", "c", section), code="c", **chosen, **outputs)

    compare(paths[1:], [model, model])
    rows = read_table(outputs["control"], "control").data
    assert list(rows["name"]) == ["a", "b"]
    assert list(rows["kind"]) == ["truth", "truth"]
    assert ((rows["chi2"] > 0.1) & (rows["chi2"] < 3)).all()
    assert ((rows["chi2_reweighted"] > 0.1) & (rows["chi2_reweighted"] < 5)).all()
    assert (rows["wasserstein_reweighted"] > 0).all()
    assert (abs(rows["auc"] - 0.5) < 5 * rows["auc_error"]).all()
    weights = read_table(outputs["weights"], "weights").data.groupby("name")[["generated", "true"]].sum()
    np.testing.assert_allclose(weights, 1)
    tails = read_table(outputs["tails"], "tails").data
    assert len(tails) == 2 * 2 * 10
    assert (tails.groupby(["name", "feature"])["n_events"].sum() == 4000).all()
    clusters = read_table(outputs["clusters"], "clusters").data
    assert (clusters.groupby(["name", "feature", "tail"])["n_events"].sum() == 20).all()  # 1 % of half the 4000
    assert outputs["latex"].read_text().count(r"\\") == 3
    density = write_model(tmp_path / "d.eqx", "spline_flow")
    with pytest.raises(StudyError, match="expected a classifier"):
        compare(paths[1:], [model, density])
    table = pd.read_parquet(paths[1])
    schema, _ = read_header(paths[1], "events")
    table.loc[0, "weight"] *= 40  # far above the maximum weight, but 1 % of the rate
    write_table(paths[1], schema, {name: table[name].to_numpy() for name in schema.names}, {"spec": {}})
    compare(paths[1:], [model, model])
    table.loc[1:9, "weight"] *= 40
    write_table(paths[1], schema, {name: table[name].to_numpy() for name in schema.names}, {"spec": {}})
    with pytest.raises(SchemaError, match="different weights"):
        compare(paths[1:], [model, model])
