"""An edit reruns what it touches and nothing else: each told by a dry run over the built oracle study."""

import contextlib
import os
import re
import subprocess
import sys

import pytest
from house import snakemake

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("house")]

BELOW_NETWORK = {"models.network", "draws.network", "teachers.network", "distill.formula", "formulas.formula"}
BELOW_NETWORK |= {"information.main", "numbers", "bundle"}
FIGURES = {
    f"figures.{name}" for name in ("observables", "history", "score", "pulls", "hall_of_fame", "formula", "information")
}
FLOW = {"models.flow"}
EVENTS = {"sampler.map"} | {f"events.{name}" for name in ("train", "select", "test", "theta")}
EVERYTHING = EVENTS | FLOW | BELOW_NETWORK | FIGURES


@contextlib.contextmanager
def edited(path, old, new):
    """Replace `old` by `new` in a file, for the duration of the block."""
    text = path.read_text()
    assert old in text, f"{path} has no {old!r}"
    path.write_text(text.replace(old, new, 1))
    try:
        yield
    finally:
        path.write_text(text)


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


def test_a_comment_or_a_docstring_reruns_nothing(built):
    source = built / "src" / "saggiatore" / "physics" / "asymmetry.py"
    with edited(source, '"""', '"""Another first word. '):
        assert planned(built) == set()
    source.write_text("# a comment\n" + source.read_text())
    assert planned(built) == set()


def test_a_figure_reruns_itself_numbers_and_bundle(built):
    with edited(built / "src" / "saggiatore" / "figures" / "pulls.py", "\n\n\n", "\n\nA_NEW_CONSTANT = 1\n\n\n"):
        assert planned(built) == {"figures.pulls", "numbers", "bundle"}


def test_the_mlp_reruns_its_training_and_all_below(built):
    with edited(built / "src" / "saggiatore" / "models" / "mlp.py", "\n\n\n", "\n\nA_NEW_CONSTANT = 1\n\n\n"):
        assert planned(built) == EVERYTHING - EVENTS - FLOW


def test_the_flow_does_not_retrain_the_mlp(built):
    with edited(built / "src" / "saggiatore" / "models" / "flow_matching.py", "\n\n\n", "\n\nA_NEW_CONSTANT = 1\n\n\n"):
        found = planned(built)
    assert "models.flow" in found
    assert not found & {"models.network", "draws.network", "distill.formula"} | found & EVENTS


def test_the_process_reruns_everything(built):
    with edited(built / "src" / "saggiatore" / "physics" / "asymmetry.py", "0.375", "0.3751"):
        assert planned(built) == EVERYTHING


def test_an_unrelated_registered_name_reruns_nothing(built):
    line, more = '"process": {\n', '        "other": "saggiatore.other:Spec",\n'
    with edited(built / "src" / "saggiatore" / "registry.py", line, line + more):
        assert planned(built) == set()


def test_figures_in_the_study_rerun_figures_only(built):
    with edited(built / "config" / "studies" / "smoke.yaml", "of: network", "of: flow"):
        assert planned(built) == {"figures.score", "numbers", "bundle"}


def test_a_cut_reruns_everything_from_the_sampler_on(built):
    with edited(built / "config" / "studies" / "smoke.yaml", "abs_cos_theta_mu: 1", "abs_cos_theta_mu: 0.9"):
        assert planned(built) == EVERYTHING


def test_a_title_reruns_the_bundle_only(built):
    with edited(built / "config" / "studies" / "smoke.yaml", "title: ", "title: Once more, "):
        assert planned(built) <= {"bundle", "numbers"}


def why(house, target):
    command = [sys.executable, "-m", "saggiatore", "why", target]
    environment = os.environ | {"PYTHONPATH": str(house / "src")}
    return subprocess.run(command, cwd=house, env=environment, capture_output=True, text=True, check=True).stdout


def test_why_names_the_key_and_the_code_that_changed(built):
    """Both at once: Snakemake alone gives no reason for a job of other code that reruns anyway."""
    study, model = built / "config" / "studies" / "smoke.yaml", built / "src" / "saggiatore" / "models" / "mlp.py"
    with edited(study, "n_bins: 32", "n_bins: 64"), edited(model, "\n\n\n", "\n\nA_NEW_CONSTANT = 1\n\n\n"):
        said = why(built, "results/smoke/models/network.eqx")
    assert "would be made again, by" in said
    assert "config/studies/smoke.yaml: sampler.map.sampler.n_bins: 32 became 64\n    seen by sampler.map" in said
    assert re.search(r"the code of models.network: fingerprint [0-9a-f]{16} became", said)
    assert "Jobs: sampler.map, " in said
