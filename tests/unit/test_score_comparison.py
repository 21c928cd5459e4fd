"""Scores side by side: what each is worth beside its posterior's errors and its cost, and what is refused."""

import json

import jax
import numpy as np
import pytest
from synthetic import write_study

from saggiatore.errors import StudyError
from saggiatore.infer.weights import flatten
from saggiatore.job import Job
from saggiatore.models.store import save
from saggiatore.record import recorded
from saggiatore.registry import load
from saggiatore.steps import score_comparison
from saggiatore.steps.information import InformationSection
from saggiatore.tables import Column, TableSchema, read_table, write_table


@pytest.fixture
def inputs(tmp_path, capsys):
    """A section's tables, a flow by the name of one of its scores, the log of its training and draws of it."""
    paths = write_study(tmp_path)
    flow = load("model", "spline_flow")(n_blocks=1, n_bins=4, width=4)
    header = {"kind": "spline_flow", "task": {"kind": "scandal"}, "parameters": ["a"]}
    header |= {
        key: [{"name": name, "unit": "1", "label": name}] for key, name in (("features", "x_p1"), ("context", "a"))
    }
    model = flow.build(("x_p1",), ("a",), key=jax.random.key(1))
    save(tmp_path / "flow.eqx", model, header | {"spec": flow.model_dump(mode="json")})
    with recorded(["models"], [], "code"):
        pass
    record = json.loads(capsys.readouterr().out.removeprefix("record: ")) | {"seconds": 12.34}
    (tmp_path / "flow.log").write_text("training\nrecord: " + json.dumps(record))
    draws = TableSchema("draws", 1, (Column("weight_0", "1", "a weight"),))
    made = {"spec": {"section": {"model": "network"}}}
    write_table(tmp_path / "draws.parquet", draws, {"weight_0": np.zeros(2)}, made)
    return paths, tmp_path, flatten(model).size


def compare(paths, folder, **changes):
    section = {"test": "t", "train": "z", "parameter": "a", "models": ["network"], "references": ["network"]}
    section = InformationSection.model_validate(section | changes)
    job = Job[InformationSection](study="s", stage="information", label="main", seed=1, section=section)
    tables = {"scores": "scores", "information": "information", "agreement": "agreement"}
    tables = {name: paths[table] for name, table in (tables | {"posteriors": "score_posteriors"}).items()}
    lists = {"models": [folder / "flow.eqx"], "logs": [folder / "flow.log"]}
    lists |= {"draws": [folder / "draws.parquet"] * len(section.posteriors)}
    out = {
        "out": folder / "out.parquet",
        "latex": folder / "out.tex",
        "pdf": folder / "out.pdf",
        "png": folder / "o.png",
    }
    score_comparison.run(job, code="c", **tables, **lists, **out)
    return read_table(out["out"], "score_comparison", version=1).data.iloc[0], out["latex"].read_text()


def test_worth_posterior_and_cost_stand_side_by_side(inputs, monkeypatch):
    monkeypatch.setattr(score_comparison, "_LEAST_TIME", 0.01)
    paths, folder, size = inputs
    row, latex = compare(paths, folder, posteriors=["replicas"])
    assert (row["name"], row["kind"], row["task"], row["reference"]) == ("network", "spline_flow", "scandal", "network")
    assert row["n_parameters"] == size
    assert (row["slope_joint"], row["slope"], row["correlation"]) == (0.95, 1.0, 1.0)
    assert (row["posterior"], row["n_draws"], row["spread"], row["error"]) == ("replicas", 9, 0.25, 0.125)
    assert (row["draws_information"], row["draws_slope_joint"], row["draws_slope"]) == (0.25, 0.25, 0.5)
    assert row["score_rate"] > 1000
    assert row["training_time"] == 12.34
    assert "network & spline\\_flow & scandal &" in latex
    assert "$0.5 \\pm 0.5$" in latex
    assert (folder / "out.pdf").stat().st_size > 1000


def test_a_section_without_posteriors_or_references_has_a_table_too(inputs, monkeypatch):
    monkeypatch.setattr(score_comparison, "_LEAST_TIME", 0.01)
    paths, folder, _ = inputs
    row, latex = compare(paths, folder, references=[])
    assert (row["reference"], row["n_draws"], row["posterior"]) == ("joint_score", 0, "")
    assert row["slope"] == row["slope_joint"] == 0.95
    assert "-- & -- & -- & --" in latex


def test_a_training_without_a_record_and_a_section_without_models_are_refused(inputs):
    paths, folder, _ = inputs
    with pytest.raises(StudyError, match="compares no models"):
        compare(paths, folder, models=[], references=[])
    (folder / "flow.log").write_text("training\n")
    with pytest.raises(StudyError, match="no record of the training's time"):
        compare(paths, folder)
