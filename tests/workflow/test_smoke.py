"""The oracle study, built whole, against its closed form."""

import json
import math
import os
import subprocess
import sys

import pytest
from house import snakemake

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("house")]


@pytest.fixture(scope="module")
def numbers(built):
    return json.loads((built / "results" / "smoke" / "numbers.json").read_text())["numbers"]


def saggiatore(folder, *arguments):
    environment = os.environ | {"PYTHONPATH": str(folder / "src")}
    command = [sys.executable, "-m", "saggiatore", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_every_artefact_is_there(built):
    results = built / "results" / "smoke"
    for name in ("information", "score", "pulls", "formula", "hall_of_fame", "history", "observables"):
        assert (results / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert (results / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert not list(results.rglob("*.tmp"))


def test_cross_section_is_the_oracles(numbers):
    found = numbers["cross_section.map"]
    assert abs(found["value"] - 1) < 5 * found["error"] + 1e-12
    assert found["unit"] == "pb"


def test_information_agrees_with_the_closed_form(numbers):
    """E[t^2] = int_0^1 2 (8c/(3(1+c^2)))^2 3/8 (1+c^2) dc = 16/3 (1 - pi/4); sign(c) keeps (3/4)^2 ... of it."""
    exact = 16 / 3 * (1 - math.pi / 4)
    found = numbers["e_t2.main"]
    assert abs(found["value"] - exact) < 5 * found["error"]
    # E[sign(c) t] = 2 int_0^1 c dc = 1, E[sign^2] = 1
    sign = numbers["information.sign_cos_theta_mu"]
    assert abs(sign["value"] - 1 / exact) < 5 * sign["error"] + 1e-3


def test_network_flow_and_formula_keep_the_information(numbers):
    assert numbers["information.network"]["value"] > 0.99
    assert numbers["information.formula"]["value"] > 0.99
    assert numbers["information.flow"]["value"] > 0.95


def test_the_truth_refits_to_its_constant(built, numbers):
    truth = numbers["information.truth"]
    assert truth["value"] > 0.9999


def test_the_bundle_verifies_from_a_clean_folder(built, tmp_path):
    bundle = built / "results" / "bundles" / "smoke.zip"
    environment = os.environ | {"PYTHONPATH": str(built / "src")}
    command = [sys.executable, "-m", "saggiatore", "verify", str(bundle)]
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


def test_the_bundle_is_byte_identical_when_rebuilt(built):
    bundle = built / "results" / "bundles" / "smoke.zip"
    before = bundle.read_bytes()
    bundle.unlink()
    snakemake(built, "--cores", "2", "results/bundles/smoke.zip")
    assert bundle.read_bytes() == before


def test_an_artefact_is_byte_identical_when_rebuilt(built):
    """The same study and seed give the same bytes: sampling, training and a figure."""
    names = ["events/train.parquet", "models/network.eqx", "figures/score.png"]
    paths = [built / "results" / "smoke" / name for name in names]
    before = [path.read_bytes() for path in paths]
    targets = [f"results/smoke/{name}" for name in names]
    snakemake(built, "--cores", "2", *targets, "--forcerun", "sampler", "events_shard", "models", "figures")
    assert [path.read_bytes() for path in paths] == before
    snakemake(built, "--cores", "2", "--config", "studies=[smoke]")


def test_one_target_can_be_asked_for(built):
    assert "Nothing to be done" in snakemake(built, "-n", "results/smoke/figures/information.pdf")


def test_the_cluster_profile_plans_as_typed(built):
    if not (built / "cluster").exists():
        (built / "cluster").symlink_to("profiles/cluster")
    assert "Job stats" in snakemake(built, "--profile", "cluster", "-n")


def test_a_refused_job_says_why_and_writes_nothing(built, tmp_path):
    spec = tmp_path / "spec.json"
    content = json.loads((built / "results" / "smoke" / "spec" / "models.network.json").read_text())
    content["section"]["training"]["learning_rat"] = 1
    spec.write_text(json.dumps(content))
    out = tmp_path / "out.eqx"
    found = saggiatore(
        built, "models", "--spec", str(spec), "--code", "x", "--events", "none.parquet", "--checkpoint", "c",
        "--model", str(out), "--history", str(tmp_path / "h")
    )  # fmt: skip
    assert found.returncode == 1
    assert "training.learning_rat" in found.stderr
    assert "unknown key" in found.stderr
    assert "Traceback" not in found.stderr
    assert not out.exists()
