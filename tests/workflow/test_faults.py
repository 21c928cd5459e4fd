"""What goes wrong on real machines, done on purpose: a clear message, an exit code that is not 0, and a next run that
recovers. docs/reliability.md counts these tests; one of them holds it to that."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from house import ROOT, copy_house, snakemake, start_snakemake
from test_file_events import write_muons

from saggiatore.request import DEFAULTS

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("house")]

RULES = ("spec", *DEFAULTS)  # the local rule, and all that a scheduler runs: a rule that is added is killed too
STUDIES = ("every_rule", "every_toy_rule")  # between them they have a job of each
TARGETS = (
    "results/bundles/every_rule.zip",
    "results/every_rule/tables/integrator_comparison.parquet",
    "results/every_rule/tables/main.generator_comparison.parquet",
    "results/every_rule/tables/main.score_comparison.parquet",
    "results/every_toy_rule/tables/generated.amplification.parquet",
)
# they tell how long jobs took
NOT_REPEATED = ("report", "bundle", "integrator_comparison", "generator_comparison", "score_comparison")


@contextlib.contextmanager
def mounted(folder, *options):
    """A small or read-only file system at `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting a tmpfs needs root and the right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def copied(built, folder):
    """A copy of the built study, with everything in it up to date."""
    shutil.copytree(built, folder, symlinks=True)
    touch(folder)
    return folder


def touch(folder):
    """Call everything up to date: what a test made again has the bytes that it had."""
    snakemake(folder, "--touch", "--cores", "1", "--config", "studies=[smoke]")


@pytest.fixture(scope="module")
def house(built, tmp_path_factory):
    """A copy of the built study that tests break and, by its next run, mend."""
    return copied(built, tmp_path_factory.mktemp("faults") / "house")


def saggiatore(folder, *arguments):
    environment = os.environ | {"PYTHONPATH": str(folder / "src")}
    command = [sys.executable, "-m", "saggiatore", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def job_of(run, step):
    """The process of a step that a started Snakemake runs."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and run.poll() is None:
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(run.pid).children(recursive=True):
                if process.cmdline()[1:4] == ["-m", "saggiatore", step]:
                    return process
        time.sleep(0.01)
    pytest.fail(f"no job of {step} began")


def up_to_date(folder):
    return "Nothing to be done" in snakemake(folder, "-n", "--config", "studies=[smoke]")


class Killed(NamedTuple):
    """The artefact that a killed job had published, and whether it was there when the job was tried again."""

    target: Path
    was_left: str
    before: bytes


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """One run, a job of every rule killed on the way and tried again: what became of each, and what Snakemake said."""
    folder = tmp_path_factory.mktemp("killed").resolve() / "house"
    copy_house(folder)
    for name in STUDIES:
        shutil.copy(Path(__file__).parent / "studies" / f"{name}.yaml", folder / "config" / "studies")
    write_muons(folder / "mine.csv", 50, seed=1)
    (folder / "graves").mkdir()
    shutil.copy(Path(__file__).with_name("killer.py"), folder / "src" / "sitecustomize.py")  # every Python imports it
    command = ("--cores", "2", "--keep-going", "--retries", "1", "--notemp", *TARGETS)
    chosen = ("--config", f"studies=[{','.join(STUDIES)}]")
    said = snakemake(folder, *command, *chosen)
    jobs = {}
    for grave in (folder / "graves").iterdir():
        target, left = folder / (grave / "target").read_text(), (grave / "left").read_text()
        jobs[grave.name.replace("-", "_")] = Killed(target, left, (grave / "content").read_bytes())
    assert "Nothing to be done" in snakemake(folder, "-n", *command, *chosen)
    assert not [path for end in ("*.tmp", "*.parts", "*.checkpoint") for path in (folder / "results").rglob(end)]
    return jobs, said


@pytest.mark.thorough
@pytest.mark.parametrize("rule", RULES)
def test_a_killed_job(killed, rule):
    """kill -9: no artefact that a rerun would take for finished, but checkpoints; the next try makes the same bytes."""
    jobs, said = killed
    assert rule in jobs, f"tests/workflow/studies have no job of {rule}; add a section that needs one"
    assert f"Error in rule {rule}" in said
    target, was_left, before = jobs[rule]
    if target.suffix == ".checkpoint" or target.parent.suffix == ".parts":  # the job's own notes
        assert was_left == "True"
        assert not target.exists(), "the job that was run again has ended"
    else:
        assert was_left == "False"
        assert target.read_bytes() == before or rule in NOT_REPEATED


@pytest.mark.thorough
def test_a_terminated_run(house):
    """SIGTERM to the whole run: it ends after its job, says so, and the next one goes on from there."""
    name = "results/smoke/tables/network.teacher.parquet"
    (house / name).unlink()
    run = start_snakemake(house, "--cores", "1", name, "--forcerun", "draws", "--config", "studies=[smoke]")
    job_of(run, "draws")
    run.send_signal(signal.SIGTERM)
    text, _ = run.communicate()
    assert run.returncode != 0
    assert "Will exit after finishing currently running jobs" in text
    snakemake(house, "--cores", "2", name, "--rerun-incomplete", "--config", "studies=[smoke]")
    assert (house / name).exists()


@pytest.mark.thorough
def test_a_power_cut(house):
    """kill -9 of Snakemake and its job: its lock stays, and the next run, which finds no run alive, releases it."""
    name = "results/smoke/tables/network.teacher.parquet"
    command = ("--cores", "1", name, "--rerun-incomplete", "--config", "studies=[smoke]")
    run = start_snakemake(house, *command, "--forcerun", "teachers")
    job_of(run, "teachers")
    for process in (psutil.Process(run.pid), *psutil.Process(run.pid).children(recursive=True)):
        process.kill()
    run.communicate()
    assert list((house / ".snakemake" / "locks").glob("*.lock"))
    assert "so the lock is released" in snakemake(house, *command)
    assert (house / name).exists()


@pytest.mark.thorough
@pytest.mark.parametrize("kilobytes", [0, 8, 64])
def test_a_full_disk(built, tmp_path, kilobytes):
    """A file system of a few kilobytes: one line, exit code 1, nothing half-written."""
    results = built / "results" / "smoke"
    with mounted(tmp_path / "small", "size=1m") as small:
        with contextlib.suppress(OSError), open(small / "ballast", "wb") as sink:
            sink.write(bytes((1024 - kilobytes) * 1024))
        found = saggiatore(
            built, "figures", "--spec", results / "spec/figures.pulls.json", "--code", "0", "--tables",
            results / "tables/network.pulls.parquet", results / "tables/network.calibration.parquet",
            "--pdf", small / "pulls.pdf", "--png", small / "pulls.png",
        )  # fmt: skip
        if kilobytes == 64 and found.returncode == 0:
            pytest.fail("the figure fits; make the file system smaller")
        assert found.returncode == 1
        assert "error: cannot write" in found.stderr
        assert "No space left on device" in found.stderr
        assert "Traceback" not in found.stderr
        assert not list(small.glob("*.png")) or not list(small.glob("*.tmp"))
        assert not list(small.glob(".*"))


@pytest.mark.thorough
def test_an_unwritable_results_folder(tmp_path):
    """results/ on a file system that is read-only: Snakemake says so, exits with 1, and works again afterwards."""
    house = tmp_path / "house"
    copy_house(house)
    with mounted(house / "results", "ro"):
        run = start_snakemake(house, "--cores", "1", "results/smoke/spec/sampler.map.json")
        text, _ = run.communicate()
        assert run.returncode != 0
        assert "Read-only file system" in text
    snakemake(house, "--cores", "1", "results/smoke/spec/sampler.map.json")


@pytest.mark.thorough
def test_two_runs_at_once(house):
    """The second is told that the folder is locked, and leaves the first alone."""
    name = "results/smoke/tables/main.information.parquet"
    (house / name).unlink()
    first = start_snakemake(house, "--cores", "1", name, "--config", "studies=[smoke]")
    job = job_of(first, "information")
    job.suspend()  # or the first might end before the second looks
    second = start_snakemake(house, "--cores", "1", name, "--config", "studies=[smoke]")
    text, _ = second.communicate()
    job.resume()
    assert second.returncode != 0, text
    assert "cannot be locked" in text
    text, _ = first.communicate()
    assert first.returncode == 0, text
    assert (house / name).exists()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "damage", "target"),
    [
        ("tables/network.pulls.parquet", "flipped", "figures/pulls.png"),
        ("models/network.eqx", "truncated", "draws/network.parquet"),
        ("formulas/formula.formula.json", "empty", "tables/main.information.parquet"),
    ],
)
def test_a_corrupted_artefact(house, name, damage, target):
    """The job that reads it says so and moves it aside; the next run makes it again, to the same bytes."""
    touch(house)
    path, target = house / "results" / "smoke" / name, f"results/smoke/{target}"
    before, content = path.read_bytes(), bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 0xFF
    path.write_bytes({"truncated": content[: len(content) // 2], "flipped": content, "empty": b""}[damage])
    run = start_snakemake(house, "--cores", "1", target, "--config", "studies=[smoke]", "--show-failed-logs")
    text, _ = run.communicate()
    assert run.returncode != 0, text
    assert f"{name}.damaged: the next run makes it again" in text
    assert "Traceback" not in text
    snakemake(house, "--cores", "2", target, "--rerun-incomplete", "--config", "studies=[smoke]")
    assert path.read_bytes() == before


@pytest.mark.parametrize("days", [-3650, 3650])
def test_a_clock_that_jumped(built, days):
    """A small file dated ten years ahead makes nothing run again; one dated before its inputs is made again."""
    path = (
        built / "results" / "smoke" / "tables" / "network.calibration.parquet"
    )  # small enough for Snakemake to look into
    now = path.stat().st_mtime
    os.utime(path, (now, now + 86400 * days))
    try:
        assert up_to_date(built) == (days > 0)
    finally:
        os.utime(path, (now, now))


def test_a_folder_whose_name_a_shell_would_run(tmp_path):
    """Spaces, quotes and $(...) in the path of the repository: nothing of it is run, and jobs work."""
    folder = tmp_path / 'it\'s a "house" $(touch pwned) ; touch pwned'
    copy_house(folder)
    snakemake(folder, "--cores", "1", "results/smoke/spec/sampler.map.json")
    assert (folder / "results/smoke/spec/sampler.map.json").is_file()
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize("name", ["x$(touch pwned)", "a b", "'quick'"])
def test_a_study_whose_name_a_shell_would_run(built, name):
    """A file of that name may lie in config/studies: the plan refuses it before a command is made."""
    study = built / "config" / "studies" / f"{name}.yaml"
    shutil.copy(built / "config" / "studies" / "smoke.yaml", study)
    try:
        run = start_snakemake(built, "-n", "--config", f'studies=["{name}"]')
        text, _ = run.communicate()
    finally:
        study.unlink()
    assert run.returncode != 0
    assert "no study can be called" in text
    assert not (built / "pwned").exists()


def test_the_docs_count_these_tests():
    """Each fault has a row that names its test and how many variants were tried; no row names a test that is gone."""
    from test_malformed_studies import IMPOSSIBLE, MALFORMED

    text = (ROOT / "docs" / "reliability.md").read_text()
    rows = dict(re.findall(r"\| `(test_\w+)` \| (\d+) \|", text))
    tried = {
        name: next((len(mark.args[1]) for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"), 1)
        for name, test in globals().items()
        if name.startswith("test_") and name != "test_the_docs_count_these_tests"
    }
    tried["test_a_malformed_study_is_refused_by_name"] = len(MALFORMED)
    tried["test_fields_that_cannot_be_together_are_refused"] = len(IMPOSSIBLE)
    elsewhere = {name: count for name, count in rows.items() if name not in tried}
    assert {name: int(count) for name, count in rows.items() if name in tried} == tried
    found = "".join(path.read_text() for path in Path(ROOT / "tests").rglob("test_*.py"))
    assert all(f"def {name}(" in found for name in elsewhere)
