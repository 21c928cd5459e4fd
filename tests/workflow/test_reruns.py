"""An edit reruns what it touches and nothing else: each told by a dry run over the built oracle study."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from changes import CHANGES, code, made, page, release, study
from house import snakemake

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("house")]

ROOT = Path(__file__).parents[2]


def planned(house):
    """Jobs that a dry run would start, as rule.label; shards and specs aside, which follow from their stage."""
    text = snakemake(house, "-n", "--config", "studies=[smoke]")
    jobs = set()
    for rule, body in re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)", text, re.MULTILINE):
        label = re.search(r"wildcards: .*label=(\w+)", body)
        if rule not in ("all", "spec", "events_shard"):
            jobs.add(f"{rule}.{label[1]}" if label else rule)
    return jobs


def test_nothing_is_left_to_do(built):
    assert "Nothing to be done" in snakemake(built, "-n", "--config", "studies=[smoke]")


QUICK = ("comment", "process_s_code", "mlp", "a_figure_s_code", "figures_in", "a_cut", "numpy", "matplotlib")
ALL = [
    pytest.param(each, id=each.name, marks=[] if any(word in each.name for word in QUICK) else pytest.mark.thorough)
    for each in CHANGES
]


def test_a_further_island_is_the_only_one_that_runs(built):
    with made(built, study("    select: select\n", "    select: select\n    n_islands: 3\n")):
        text = snakemake(built, "-n", "--config", "studies=[smoke]")
    assert sorted(re.findall(r"^rule distill_island:\n(?:    .*\n)*?    output: \S+/island-(\d+)", text, re.M)) == [
        "1",
        "2",
    ]


@pytest.mark.parametrize("change", ALL)
def test_a_change_reruns_what_it_touches(built, change):
    with made(built, change.edits):
        assert planned(built) == change.reruns


def test_the_documentation_lists_these_changes():
    assert (ROOT / "docs" / "reruns.md").read_text() == page(), "run: python tests/workflow/changes.py > docs/reruns.md"


def why(house, target):
    command = [sys.executable, "-m", "saggiatore", "why", target]
    environment = os.environ | {"PYTHONPATH": str(house / "src")}
    return subprocess.run(command, cwd=house, env=environment, capture_output=True, text=True, check=True).stdout


def test_why_names_the_key_the_code_and_the_library_that_changed(built):
    """At once: Snakemake alone gives no reason for a job of other code that reruns anyway."""
    with made(built, (*study("n_bins: 32", "n_bins: 64"), *code("models/mlp.py"))):
        said = why(built, "results/smoke/models/network.eqx")
    assert "would be made again, by" in said
    key = r"config/studies/smoke.yaml, line \d+: sampler.map.sampler.n_bins: 32 became 64\n    seen by sampler.map"
    assert re.search(key, said)
    assert re.search(r"the code of models.network: fingerprint [0-9a-f]{16} became", said)
    assert "Jobs: sampler.map, " in said
    with made(built, (release("matplotlib", "99.0.0"),)):
        said = why(built, "results/smoke/figures/formula.pdf")
    assert re.search(r"matplotlib: version \S+ became 99.0.0\n    seen by figures.formula\n", said)
