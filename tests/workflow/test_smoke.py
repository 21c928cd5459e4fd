"""The oracle study, built whole, against its closed form."""

import json
import math
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from house import snakemake

from saggiatore.crate import METADATA as CRATE
from saggiatore.infer.laplace import last_features
from saggiatore.models.store import load_model
from saggiatore.tables import read_table
from saggiatore.verification import unpack, verify

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("house")]


@pytest.fixture(scope="module")
def numbers(built):
    return json.loads((built / "results" / "smoke" / "numbers.json").read_text())["numbers"]


def touch(folder):
    """Call everything up to date, after a part was built again to the same bytes."""
    snakemake(folder, "--touch", "--cores", "1", "--config", "studies=[smoke]")
    assert "Nothing to be done" in snakemake(folder, "-n", "--config", "studies=[smoke]")


def saggiatore(folder, *arguments):
    environment = os.environ | {"PYTHONPATH": str(folder / "src")}
    command = [sys.executable, "-m", "saggiatore", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_every_artefact_is_there(built):
    results = built / "results" / "smoke"
    for name in ("information", "pulls", "formula", "hall_of_fame", "history"):
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
    sign = numbers["information.main.sign_cos_theta_mu"]
    assert abs(sign["value"] - 1 / exact) < 5 * sign["error"] + 1e-3


def test_network_flow_and_formula_keep_the_information(numbers):
    assert numbers["information.main.network"]["value"] > 0.99
    assert numbers["information.main.formula"]["value"] > 0.99
    assert numbers["information.density.flow"]["value"] > 0.95


def test_the_truth_refits_to_its_constant(built, numbers):
    truth = numbers["information.main.truth"]
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


@pytest.mark.thorough
def test_an_artefact_is_byte_identical_when_rebuilt(built):
    """The same study and seed give the same bytes: a figure, and sampling in shards."""
    # the figure first: it needs what the sampling behind it would make outdated
    for name, rules in (("figures/formula.png", ("figures",)), ("events/theta.parquet", ("sampler", "events_shard"))):
        path = built / "results" / "smoke" / name
        before = path.read_bytes()
        snakemake(built, "--cores", "2", f"results/smoke/{name}", "--forcerun", *rules)
        assert path.read_bytes() == before
    touch(built)


@pytest.mark.thorough
def test_the_bundle_is_a_valid_crate_with_every_job(built, tmp_path):
    """All required checks of the public validator; a record for every rule that made anything in it."""
    validate = pytest.importorskip("validator", reason="roc-validator is not installed: make venv").validate
    unpack(built / "results/bundles/smoke.zip", tmp_path / "crate")
    code, said = validate(tmp_path / "crate", tmp_path)
    assert code == 0, said
    graph = json.loads((tmp_path / "crate" / CRATE).read_text())["@graph"]
    made = {each["@id"] for job in graph if job["@id"].startswith("#job-") for each in job["result"]}
    results = {name for name in verify(tmp_path / "crate").manifest["files"] if name.startswith("results/")}
    exported = {name for name in results if name.endswith((".py", ".cpp", ".tformula.txt"))}
    assert results - made == exported | {"results/smoke/report.html"} - made


@pytest.fixture(scope="module")
def again(built, tmp_path_factory):
    """The study made again from its archive alone: how that ended, and the folder."""
    folder = tmp_path_factory.mktemp("reproduced") / "again"
    command = ("reproduce", "results/bundles/smoke.zip", "--into", str(folder), "--present-environment", "--cores", "2")
    return saggiatore(built, *command), folder


@pytest.mark.thorough
def test_a_study_is_reproduced_from_its_archive_alone(again):
    """Unpacked, run again, compared: all digits on the same machine."""
    found, folder = again
    assert found.returncode == 0, found.stdout + found.stderr
    assert "Reproduced: study 'smoke'" in found.stdout
    entries = json.loads((folder / "reproduction.json").read_text())["entries"]
    assert {each["artefact"] for each in entries} >= {"numbers.json", "tables/main.scores.parquet"}
    assert all(each["agrees"] and each["digits"] is None for each in entries), "null stands for all digits"


@pytest.mark.thorough
def test_a_second_house_makes_the_same_artefacts(built, again):
    """Simulation, training, draws, distillation and figures repeat to the byte; only what tells of the run does not."""
    houses = built, again[1] / "repository"
    stated = [verify(folder / "results/bundles/smoke.zip").manifest for folder in houses]
    first, second = ({**each["files"], **each["not_included"]} for each in stated)
    assert first.keys() == second.keys()
    assert {name for name in first if first[name] != second[name]} <= {CRATE, "results/smoke/report.html"}


def test_apply_with_draws_gives_their_mean_and_spread(built, tmp_path):
    """Against the last layer's features times every draw of its weights."""
    results, out = built / "results" / "smoke", tmp_path / "scores.parquet"
    model, draws, events = (
        results / name for name in ("models/network.eqx", "draws/network.parquet", "events/test.parquet")
    )
    sources = {"--model": model, "--draws": draws, "--events": events, "--out": out}
    found = saggiatore(built, "apply", *(str(part) for pair in sources.items() for part in pair))
    assert found.returncode == 0, found.stderr
    table, posterior = read_table(draws, "draws"), read_table(out, "applied").data.head(500)
    features = read_table(events, "events").data[["cos_theta_mu"]].to_numpy()[:500]
    network, _ = load_model(model)
    hidden = np.asarray(jax.vmap(lambda x: last_features(network, x))(features))
    scores = hidden @ table.array([name for name in table.schema.names if name.startswith("weight_")]).T
    np.testing.assert_allclose(posterior["score_a_fb"], scores.mean(axis=1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(posterior["score_a_fb_std"], scores.std(axis=1), rtol=1e-3, atol=1e-6)


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
        built, "models", "--spec", str(spec), "--code", "x", "--events", "none.parquet", "--against",
        "--start", "--classifier", "--checkpoint", "c", "--model", str(out), "--history", str(tmp_path / "h")
    )  # fmt: skip
    assert found.returncode == 1
    assert "training.learning_rat" in found.stderr
    assert "unknown key" in found.stderr
    assert "Traceback" not in found.stderr
    assert not out.exists()
