"""Why something would run again, in words."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from test_crate import record

from saggiatore import explain
from saggiatore.errors import StudyError
from saggiatore.explain import Planned, causes, differences
from saggiatore.steps.why import run
from saggiatore.workflow import Plan

ROOT = Path(__file__).parents[2]
WILDCARDS = {"study": "smoke"}


def test_keys_that_differ():
    before = {"training": {"n_epochs": 30, "patience": 5}, "features": ["x"], "old": 1}
    now = {"training": {"n_epochs": 40, "patience": 5}, "features": ["x", "y"], "new": None}
    assert list(differences(before, now)) == [
        'features: ["x"] became ["x", "y"]',
        "new: null is new",
        "old: 1 is gone",
        "training.n_epochs: 30 became 40",
    ]
    assert list(differences(before, before)) == []


def test_reasons_of_snakemake():
    reason = "Missing output files: a/b.png, a/b.pdf; Input files updated by another job: c; Updated input files: d"
    job = Planned("figures", ("a/b.png",), reason, {"study": "smoke", "label": "score"})
    plan = Plan(ROOT, {"studies": ["smoke"]})
    assert list(causes(plan, job)) == ["missing: a/b.png, a/b.pdf", "newer than what was made from it: d"]
    shard = "results/smoke/events/train/shard-0.parquet"
    reason = f"Missing output files: {shard}"
    assert list(causes(plan, Planned("events_shard", (shard,), reason, {"study": "smoke", "label": "train"}))) == []


def test_specs_are_no_jobs_of_their_own(monkeypatch, capsys, tmp_path):
    wildcards = {"study": "smoke", "label": "network"}
    spec = Planned("spec", ("results/smoke/spec/models.network.json",), "", {**wildcards, "stage": "models"})
    model = Planned("models", ("results/smoke/models/network.eqx",), "Missing output files: a", wildcards)
    monkeypatch.setattr(explain, "dry_run", lambda root, study, target: [spec, model])
    for name in ("Snakefile", "config"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    run(Path("results/smoke/models/network.eqx"))
    said = capsys.readouterr().out
    assert "would be made again, by 1 job, because of\n  missing: a\n    seen by models.network\n" in said
    assert said.endswith("Jobs: models.network\n")


def test_a_module_that_differs_from_the_artefacts_commit_is_named(tmp_path, monkeypatch):
    commit = "0123456789" * 4
    artefact = tmp_path / "score.png"
    artefact.write_text(f'{{"code": "0123456789abcdef", "commit": "{commit}"}}')
    job = Planned("figures", (str(artefact),), "", {"study": "smoke", "label": "score"})
    monkeypatch.setattr(explain, "_is_known", lambda commit: True)
    monkeypatch.setattr(explain, "_at", lambda commit, path: path.read_text().replace('"figure.dpi"', '"other"'))
    (said,) = causes(Plan(ROOT, {"studies": ["smoke"]}), job)
    assert said.startswith("src/saggiatore/figures/style.py, line ")
    assert said.endswith(f": differs from commit {commit[:10]}")


def test_a_commit_of_another_checkout_names_no_module(tmp_path):
    artefact = tmp_path / "score.png"
    artefact.write_text(f'{{"code": "0123456789abcdef", "commit": "{"0123456789" * 4}"}}')
    job = Planned("figures", (str(artefact),), "", {"study": "smoke", "label": "score"})
    (said,) = causes(Plan(ROOT, {"studies": ["smoke"]}), job)
    assert said.startswith("the code of figures.score: fingerprint 0123456789abcdef became")


def test_a_page_is_told_by_the_record_in_its_log(tmp_path, monkeypatch):
    """It has no header of its own; what its rule says of it is told only where the code is the same."""
    monkeypatch.chdir(tmp_path)
    page, logs = Path("results/smoke/report.html"), Path("results/smoke/logs")
    logs.mkdir(parents=True)
    page.touch()
    plan = Plan(ROOT, {"studies": ["smoke"]})
    job = Planned("report", (str(page),), "Params have changed since last execution: before: 1 now: 2", WILDCARDS)
    for code, expected in (
        ("0123", "the code of report: fingerprint 0123 became"),
        (plan.code_of("report", "smoke"), "what the rule report says of its job is another: before: 1 now: 2"),
    ):
        made = replace(record("report", [], [str(page)], 0), code=code, environment={})
        (logs / "report.log").write_text(f"record: {json.dumps(asdict(made))}")
        (said,) = causes(plan, job)
        assert said.startswith(expected)


@pytest.mark.parametrize("target", ["score.pdf", "results/quick", "/etc/passwd"])
def test_a_file_of_no_study_is_refused(target):
    with pytest.raises(StudyError, match="expected a file such as"):
        run(Path(target))
