"""The table and figure of what generators cost: rows of the control table beside times, and what is refused."""

import json

import jax
import numpy as np
import pytest

from saggiatore.errors import StudyError
from saggiatore.infer.control_tables import CONTROL
from saggiatore.job import Job
from saggiatore.models.store import save
from saggiatore.record import recorded
from saggiatore.registry import load
from saggiatore.steps import generator_comparison
from saggiatore.steps.control import ControlSection
from saggiatore.tables import Column, TableSchema, read_table, write_table

KINDS = ("truth", "spline_flow")


@pytest.fixture
def inputs(tmp_path, capsys):
    """A control table of true and of generated events, these events, the model, and the log of its training."""
    numbers = {column.name: np.array([1.0, 2.0]) for column in CONTROL.columns}
    numbers |= {"name": ["limit", "flow_of_few"], "kind": KINDS, "n_parameters": [0, 7], "n_events": [9, 9]}
    write_table(tmp_path / "control.parquet", CONTROL, numbers, {})
    schema = TableSchema("events", 1, tuple(Column(name, "1", name) for name in ("theta_a", "x")))
    write_table(tmp_path / "events.parquet", schema, {"theta_a": np.ones(5), "x": np.ones(5)}, {})
    spec = load("model", "spline_flow")(n_blocks=1, n_bins=4, width=4)
    header = {"kind": "spline_flow", "spec": spec.model_dump(mode="json")}
    header |= {"features": [{"name": "x", "unit": "1", "label": "x"}]}
    header |= {"context": [{"name": "a", "column": "theta_a", "unit": "1", "label": "a"}]}
    save(tmp_path / "flow.eqx", spec.build(("x",), ("a",), key=jax.random.key(1)), header)
    with recorded(["models"], [], "code"):
        pass
    (tmp_path / "flow.log").write_text("training\n" + capsys.readouterr().out)
    return tmp_path


def compare(folder, monkeypatch, **others):
    monkeypatch.setattr(generator_comparison, "_LEAST_TIME", 0.01)
    entries = [{"name": name, "events": "e", "classifier": "c"} for name in ("limit", "flow_of_few")]
    section = ControlSection.model_validate({"truth": "t", "entries": entries})
    paths = {"control": folder / "control.parquet", "out": folder / "out.parquet", "latex": folder / "out.tex"}
    paths |= {"pdf": folder / "out.pdf", "png": folder / "out.png"}
    lists = {"events": [folder / "events.parquet"], "models": [folder / "flow.eqx"], "logs": [folder / "flow.log"]}
    job = Job[ControlSection](study="s", stage="control", label="main", seed=1, section=section)
    generator_comparison.run(job, code="c", **paths, **(lists | others))


def test_costs_stand_beside_distances(inputs, monkeypatch):
    record = json.loads((inputs / "flow.log").read_text().split("record: ")[1])
    record["seconds"], record["host"] = 12.34, {"cores": 3}
    (inputs / "flow.log").write_text("record: " + json.dumps(record))
    compare(inputs, monkeypatch)
    rows = read_table(inputs / "out.parquet", "generator_comparison", version=1).data
    assert list(rows["kind"]) == list(KINDS)
    assert list(rows["training_time"]) == [0.0, 12.34]
    assert list(rows["machine"]) == ["", "3 cores"]
    assert rows["event_rate"][0] == 0
    assert rows["event_rate"][1] > 1000
    assert list(rows["chi2"]) == [1.0, 2.0]
    latex = (inputs / "out.tex").read_text()
    assert "limit & truth & -- & -- & --" in latex
    assert r"flow\_of\_few & spline\_flow & 7 & 12 &" in latex
    assert (inputs / "out.pdf").stat().st_size > 1000


def test_a_training_without_a_record_or_a_model_too_few_is_refused(inputs, monkeypatch):
    with pytest.raises(StudyError, match="0 models came for its generators"):
        compare(inputs, monkeypatch, events=[], models=[], logs=[])
    (inputs / "flow.log").write_text("training\n")
    with pytest.raises(StudyError, match="no record of the training's time"):
        compare(inputs, monkeypatch)
