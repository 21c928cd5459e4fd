"""Why something would run again, in words."""

from pathlib import Path

import pytest

from saggiatore import explain
from saggiatore.errors import StudyError
from saggiatore.explain import Planned, causes, differences
from saggiatore.fingerprint import normalised
from saggiatore.steps.why import run
from saggiatore.workflow import Plan

ROOT = Path(__file__).parents[2]


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


def test_specs_are_no_jobs_of_their_own(monkeypatch, capsys):
    wildcards = {"study": "smoke", "label": "network"}
    spec = Planned("spec", ("results/smoke/spec/models.network.json",), "", {**wildcards, "stage": "models"})
    model = Planned("models", ("results/smoke/models/network.eqx",), "Missing output files: a", wildcards)
    monkeypatch.setattr(explain, "dry_run", lambda root, study, target: [spec, model])
    monkeypatch.chdir(ROOT)
    run(Path("results/smoke/models/network.eqx"))
    said = capsys.readouterr().out
    assert "would be made again, by 1 job, because of\n  missing: a\n    seen by models.network\n" in said
    assert said.endswith("Jobs: models.network\n")


def test_a_module_that_differs_from_the_artefacts_commit_is_named(tmp_path, monkeypatch):
    commit = "0123456789" * 4
    artefact = tmp_path / "score.png"
    artefact.write_text(f'{{"code": "0123456789abcdef", "commit": "{commit}"}}')
    job = Planned("figures", (str(artefact),), "", {"study": "smoke", "label": "score"})
    style = ROOT / "src" / "saggiatore" / "figures" / "style.py"
    monkeypatch.setattr(
        explain, "_at", lambda commit, path: "other code" if path == style else normalised(path.read_text())
    )
    (said,) = causes(Plan(ROOT, {"studies": ["smoke"]}), job)
    assert said == f"src/saggiatore/figures/style.py: differs from commit {commit[:10]}"


@pytest.mark.parametrize("target", ["score.pdf", "results/quick", "/etc/passwd"])
def test_a_file_of_no_study_is_refused(target):
    with pytest.raises(StudyError, match="expected a file such as"):
        run(Path(target))
