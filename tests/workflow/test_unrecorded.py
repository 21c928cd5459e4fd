"""Results that came without Snakemake's record of them are not taken for those of a study that has changed since."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest

from saggiatore.unrecorded import complaint
from saggiatore.workflow import Plan

ROOT = Path(__file__).parents[2]
SPEC = "results/smoke/spec/draws.network.json"


@pytest.fixture
def plan():
    return Plan(ROOT, {"studies": ["smoke"]})


def write(folder: Path, plan: Plan, **changed) -> None:
    """The spec of a posterior as the study has it, but for `changed`."""
    content = json.loads(plan.job("smoke", "draws", "network"))
    (folder / SPEC).parent.mkdir(parents=True)
    (folder / SPEC).write_text(json.dumps(content | changed, indent=2))


def test_a_changed_spec_without_a_record_is_told_of(tmp_path, plan):
    write(tmp_path, plan, seed=-1)
    told = complaint(tmp_path, plan, ["snakemake"])
    assert told.startswith(f"error: {SPEC}: the study says something else")
    assert told.endswith(f"--forcerun {SPEC}")
    assert not complaint(tmp_path, plan, ["snakemake", "--forcerun", SPEC])
    assert not complaint(tmp_path, plan, ["snakemake", "-F"])


def test_an_unchanged_spec_is_not(tmp_path, plan):
    assert not complaint(tmp_path, plan)
    write(tmp_path, plan)
    assert not complaint(tmp_path, plan)


def test_what_snakemake_has_a_record_of_is_left_to_it(tmp_path, plan):
    write(tmp_path, plan, seed=-1)
    record = tmp_path / ".snakemake" / "metadata" / base64.urlsafe_b64encode(SPEC.encode()).decode()
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    assert not complaint(tmp_path, plan)


def test_a_run_ends_before_it_starts(tmp_path, plan):
    """With the message alone, and nothing is touched."""
    write(tmp_path, plan, seed=-1)
    before = (tmp_path / SPEC).read_bytes()
    command = [sys.executable, "-m", "snakemake", "-n", "-s", ROOT / "Snakefile", "--configfile"]
    command += [ROOT / "config" / "config.yaml", "--config", "studies=[smoke]"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert f"error: {SPEC}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert (tmp_path / SPEC).read_bytes() == before
