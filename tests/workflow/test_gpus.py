"""Several GPUs of one machine, simulated by their numbers, under a real Snakemake without a scheduler."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.workflow, pytest.mark.thorough]

SNAKEFILE = """\
rule all:
    input:
        expand("{name}.json", name=["a", "b", "c", "d", "both", "none"])

rule job:
    output:
        "{name}.json"
    resources:
        gpu=lambda wc: {"both": 2, "none": 0}.get(wc.name, 1)
    shell:
        "python job.py {resources.gpu} {output}"
"""
JOB = """\
import json, os, sys, time
from saggiatore.gpu import claimed
with claimed(int(sys.argv[1])):
    seen, start = os.environ["CUDA_VISIBLE_DEVICES"], time.time()
    time.sleep(0.7)
    json.dump([[id for id in seen.split(",") if id], start, time.time()], open(sys.argv[2], "w"))
"""


def test_no_two_jobs_at_a_time_see_the_same_gpu(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "job.py").write_text(JOB)
    own = {"TMPDIR": str(tmp_path), "CUDA_VISIBLE_DEVICES": "0,1", "PYTHONPATH": str(ROOT / "src")}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
    path = f"{Path(sys.executable).parent}:{environment['PATH']}"
    command = [Path(sys.executable).parent / "snakemake", "--cores", "6"]
    found = subprocess.run(
        command, cwd=tmp_path, env=environment | own | {"PATH": path}, capture_output=True, text=True, timeout=300
    )
    assert found.returncode == 0, found.stderr
    jobs = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    assert {name: len(seen) for name, (seen, _, _) in jobs.items()} == dict.fromkeys("abcd", 1) | {"both": 2, "none": 0}
    for one, (seen, start, end) in jobs.items():
        for other, (others, began, _) in jobs.items():
            assert one == other or not set(seen) & set(others) or not start <= began < end, f"{one} and {other}"
    assert {name for seen, _, _ in jobs.values() for name in seen} == {"0", "1"}
