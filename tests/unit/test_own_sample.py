"""The README's study from somebody else's sample: the workflow takes it as it stands, and the steps build its like."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from external import sample_of, write_events

from saggiatore.job import Job
from saggiatore.steps import events, events_file, export, information, models
from saggiatore.steps.events import EventsSection
from saggiatore.steps.information import InformationSection
from saggiatore.steps.models import ModelsSection
from saggiatore.workflow import Plan

ROOT = Path(__file__).parents[2]
ORACLE = {"kind": "asymmetry"}


def readme_study():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text[text.index("## Start from your own MadGraph sample") :]
    return re.search(r"```yaml\n(.*?)```", section, re.DOTALL)[1]


def test_the_readmes_study_can_be_built(tmp_path):
    (tmp_path / "config" / "studies").mkdir(parents=True)
    (tmp_path / "config" / "schema").symlink_to(ROOT / "config" / "schema")
    (tmp_path / "config" / "studies" / "mine.yaml").write_text(readme_study())
    plan = Plan(tmp_path, {"studies": ["mine"]})
    assert plan.targets() == ["results/bundles/mine.zip"]
    assert plan.event_files("mine", "train") == plan.event_files("mine", "test") == ["unweighted_events.lhe.gz"]


def oracle_study():
    """The README's study for the oracle: the same sections, with its names and small numbers."""
    study = yaml.safe_load(readme_study())
    study["process"] = ORACLE
    for label, skip in (("train", 0), ("test", 3000)):
        benchmarks = {"point_1": {"a_fb": 0.5}, "point_2": {"a_fb": -0.5}}
        study["events"][label] |= {"skip": skip, "n_events": 3000, "benchmarks": benchmarks}
    network = study["models"]["network"]
    network |= {"features": ["cos_theta_mu"], "task": {"kind": "joint_score", "parameter": "a_fb"}}
    network["model"] = {"kind": "mlp", "width": 16, "depth": 2, "odd_in": ["cos_theta_mu"]}
    network["training"] = {"n_epochs": 12, "batch_size": 100, "learning_rate": 0.005}
    names = {"parameter": "a_fb", "histograms": ["cos_theta_mu"], "signs": ["cos_theta_mu"], "n_bootstrap": 50}
    study["information"]["main"] |= names
    return study


@pytest.mark.thorough
def test_the_steps_build_a_study_from_a_file(tmp_path):
    """From the exported file to the information that a network keeps: nearly all, and a sign the fraction it must."""
    study = oracle_study()
    write_events(tmp_path / "made.parquet", ORACLE, 6000)
    export.run(events=tmp_path / "made.parquet", out=tmp_path / "mine.lhe.gz", points="a_fb=0.5; a_fb=-0.5")

    def job(kind, stage, label):
        section = study[stage][label]
        content = {"study": "mine", "stage": stage, "label": label, "seed": 1, "section": section}
        return Job[kind].model_validate(content | ({"process": ORACLE} if stage == "events" else {}))

    tables = {label: tmp_path / f"{label}.parquet" for label in ("train", "test")}
    for label, table in tables.items():
        mine, shard = job(EventsSection, "events", label), tmp_path / f"{label}-file.parquet"
        events_file.run(mine, code="c", file=tmp_path / "mine.lhe.gz", out=shard, sample=sample_of(shard))
        events.run(mine, code="c", shards=[shard], out=table)
    network = {"model": tmp_path / "network.eqx", "history": tmp_path / "history.parquet"}
    models.run(
        job(ModelsSection, "models", "network"),
        code="c",
        events=tables["train"],
        against=[],
        start=[],
        classifier=[],
        checkpoint=tmp_path / "c",
        **network,
    )
    outputs = {name: tmp_path / f"{name}.parquet" for name in ("scores", "information", "agreement", "posteriors")}
    mine, made = (
        job(InformationSection, "information", "main"),
        {"models": [network["model"]], "formulas": [], "densities": [], "draws": []},
    )
    information.run(mine, code="c", **tables, **made, **outputs)
    rows = pd.read_parquet(outputs["information"]).set_index("name")
    exact = 16 / 3 * (1 - np.pi / 4)
    assert abs(rows["e_t2"].iloc[0] - exact) < 5 * rows["e_t2_error"].iloc[0]
    assert rows["information"]["network"] > 0.98
    sign = rows.loc["sign_cos_theta_mu"]
    assert abs(sign["information"] - 1 / exact) < 5 * sign["information_error"]
