"""`snakemake --profile cluster` on a real Slurm: where jobs land, and what faults cost. Run by `make test-cluster`."""

import contextlib
import re
import signal
import threading
from functools import partial
from pathlib import Path

import psutil
import pytest
import yaml
from house import copy_house, snakemake, start_snakemake
from slurm import FOLDER, Slurm, missing

REASON = missing()
pytestmark = [pytest.mark.cluster, pytest.mark.skipif(bool(REASON), reason=REASON)]

PROFILE = ("--profile", "cluster")
MODELS = "results/smoke/models"
NETWORK, FLOW = f"{MODELS}/network.eqx", f"{MODELS}/flow.eqx"
SMOKE = Path("config/studies/smoke.yaml")


def steps(house):
    """Processes of the steps that run in a house now, by `step.label`: the interpreters, not the shells above them."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            command = process.cmdline()
            if command[1:3] == ["-m", "saggiatore"] and "--spec" in command and process.cwd() == str(house):
                name = Path(command[command.index("--spec") + 1]).name
                found[f"{command[3]}.{name.split('.')[1]}"] = process
    return found


class Watch(threading.Thread):
    """Notes which GPUs every training is shown."""

    def __init__(self, house):
        super().__init__(daemon=True)
        self.house = house
        self.gpus, self._over = {}, threading.Event()

    def run(self):
        while not self._over.wait(0.2):
            for name, process in steps(self.house).items():
                with contextlib.suppress(psutil.Error):
                    self.gpus[name] = process.environ().get("CUDA_VISIBLE_DEVICES", "")

    def stop(self):
        self._over.set()
        self.join()


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore it, their children too
    machine = Slurm(tmp_path_factory.mktemp("slurm") / FOLDER)
    try:
        machine.start()
        yield machine
    finally:
        machine.stop()


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster") / "saggiatore"
    copy_house(folder)
    (folder / "cluster").symlink_to("profiles/cluster")
    return folder


@pytest.fixture(scope="module")
def built(slurm, house):
    """The smoke study built through Slurm: the folder, the jobs that Slurm ran, the GPUs that they saw."""
    watch = Watch(house)
    watch.start()
    try:
        snakemake(house, *PROFILE, "--config", "studies=[smoke]")
    finally:
        watch.stop()
    return house, slurm.jobs(), watch.gpus


@pytest.fixture
def small(built):
    """The built house with 1 GB and 10 minutes for the trainings, and a flow that wants no GPU."""
    folder = built[0]
    text = (folder / SMOKE).read_text()
    changed = re.sub(r"^  (network|flow):\n    events", r"  \1:\n    resources: {of_\1}\n    events", text, flags=re.M)
    changed = changed.replace("of_network", "memory: 1 GB, time: 10 min").replace("of_flow", "memory: 1 GB, gpu: 0")
    (folder / SMOKE).write_text(changed)
    if not all((folder / path).exists() for path in (NETWORK, FLOW)):  # after a test that failed
        snakemake(folder, "--cores", "2", NETWORK, FLOW)
    yield folder
    (folder / SMOKE).write_text(text)


def jobs_since(slurm, before, name=""):
    """Jobs younger than `before`, the oldest first; those whose comment holds `name`."""
    return [job for number, job in sorted(slurm.jobs().items()) if number not in before and name in job["Comment"]]


def checkpointed(folder, *labels):
    """The trainings of `labels`, each stopped behind its first checkpoint."""
    return stopped(folder, {f"models.{label}": (folder / MODELS / f".{label}.checkpoint").exists for label in labels})


def stopped(folder, ready):
    """The processes of steps, by `step.label`, each stopped (SIGSTOP) once it is ready, to be there when needed."""
    found, still = {}, {}

    def are_stopped():
        if not ready.keys() <= found.keys():
            found.update(steps(folder))
        for name, is_ready in ready.items():
            if name in found and name not in still and is_ready():
                found[name].send_signal(signal.SIGSTOP)
                still[name] = found[name]
        return len(still) == len(ready)

    Slurm.wait(are_stopped, f"{', '.join(ready)} under way", 180, 0.005)
    return [still[name] for name in ready]


def finish(run):
    text, _ = run.communicate(timeout=300)
    return text, run.returncode


def test_jobs_land_where_they_should_and_a_gpu_job_sees_one_gpu(built):
    folder, jobs, gpus = built
    ran = {job["Comment"]: job for job in jobs.values()}
    assert len(ran) == len(jobs), "no job ran twice"
    trainings = {name for name in ran if name.startswith("rule_models")}
    assert len(trainings) == 2
    for name, job in ran.items():
        assert job["JobState"] == "COMPLETED", name
        assert (job["Partition"], job["NodeList"]) == (("gpu", "g1") if name in trainings else ("cpu", "c1")), name
        assert job.get("JOB_GRES", "(null)") == ("gpu:fake:1" if name in trainings else "(null)"), name
    assert {name: len(seen.split(",")) for name, seen in gpus.items() if seen} == {
        "models.network": 1,
        "models.flow": 1,
    }
    assert sum("figures" in name for name in ran) == 1, "all figures share one job"
    assert "Nothing to be done" in snakemake(folder, "-n", "--config", "studies=[smoke]")
    assert list((folder / "results" / "slurm").rglob("*.log"))


def test_resources_rerun_only_what_holds_the_study(small):
    planned = snakemake(small, "-n", "--config", "studies=[smoke]")
    assert set(re.findall(r"^(?:local)?rule (\w+):$", planned, re.M)) <= {"report", "bundle", "all"}


def test_a_cancelled_job_is_retried_with_more(slurm, small):
    before = slurm.jobs()
    run = start_snakemake(small, *PROFILE, NETWORK, "--forcerun", "models")
    try:
        checkpointed(small, "network")
        (first,) = jobs_since(slurm, before, "network")
        slurm.call("scancel", first["JobId"])
        text, code = finish(run)
    finally:
        run.kill()
    assert code == 0, text
    first, second = jobs_since(slurm, before, "network")
    assert (first["JobState"], second["JobState"]) == ("CANCELLED", "COMPLETED")
    assert (first["MinMemoryNode"], second["MinMemoryNode"]) == ("1000M", "2000M")
    assert (first["TimeLimit"], second["TimeLimit"]) == ("00:10:00", "00:20:00")


def test_an_interrupted_run_leaves_nothing_that_looks_finished(slurm, small):
    before = (small / NETWORK).read_bytes()
    run = start_snakemake(small, *PROFILE, NETWORK, "--forcerun", "models")
    try:
        checkpointed(small, "network")
        run.send_signal(signal.SIGINT)
        text, code = finish(run)
    finally:
        run.kill()
    assert code != 0, text
    Slurm.wait(lambda: not slurm.call("squeue", "-h"), "no job left", 60)
    assert not (small / NETWORK).exists()
    assert re.search(r"^models +1$", snakemake(small, "-n", NETWORK), re.M)
    snakemake(small, "--cores", "1", NETWORK)
    assert (small / NETWORK).read_bytes() == before


def test_a_lost_node_costs_only_its_own_jobs(slurm, small):
    before = {path: (small / path).read_bytes() for path in (NETWORK, FLOW)}
    known = slurm.jobs()
    run = start_snakemake(small, *PROFILE, NETWORK, FLOW, "--forcerun", "models")
    try:
        network, flow = checkpointed(small, "network", "flow")
        (lost,) = jobs_since(slurm, known, "network")
        assert (lost["NodeList"], jobs_since(slurm, known, "flow")[0]["NodeList"]) == ("g1", "c1")
        slurm.lose_node("g1")
        assert not network.is_running()
        Slurm.wait(lambda: slurm.jobs()[int(lost["JobId"])]["JobState"] == "NODE_FAIL", "the job is lost", 30)
        slurm.restore_node("g1")
        flow.send_signal(signal.SIGCONT)
        text, code = finish(run)
    finally:
        run.kill()
    assert code == 0, text
    assert [job["JobState"] for job in jobs_since(slurm, known, "network")] == ["NODE_FAIL", "COMPLETED"]
    assert [job["JobState"] for job in jobs_since(slurm, known, "flow")] == ["COMPLETED"]
    assert {path: (small / path).read_bytes() for path in before} == before


RESUMED = {  # step.label -> its log, what is in it once the step has begun, what it makes
    "models.again": ("models.again.log", "epoch", "models/again.eqx"),
    "draws.again": ("draws.again.log", "chains:", "draws/again.parquet"),
    "distill-island.again": ("distill.again.island-0.log", "operon:", "formulas/again/island-0.parquet"),
}


def test_what_meets_its_time_limit_is_resumed_to_the_same_bytes(slurm, small):
    """A training, Markov chains and a search; Slurm's smallest limit is a minute, for which they are stopped instead of
    burning cores."""
    study = yaml.safe_load((small / SMOKE).read_text())
    for stage, label in (("models", "network"), ("draws", "network"), ("formulas", "formula")):
        resources = {"memory": "1 GB", "time": "1 min", "gpu": 0}
        study[stage]["again"] = {**study[stage][label], "resources": resources}
    (small / SMOKE).write_text(yaml.safe_dump(study, sort_keys=False))
    results, known = small / "results" / "smoke", slurm.jobs()
    logs = {name: results / "logs" / log for name, (log, _, _) in RESUMED.items()}
    made = [results / path for _, _, path in RESUMED.values()]
    targets = [str(path.relative_to(small)) for path in made]
    unwarned = [f"{rule}:slurm_extra=''" for rule in ("models", "draws", "distill_island")]

    def begun(name):
        return logs[name].exists() and RESUMED[name][1] in logs[name].read_text()

    run = start_snakemake(small, *PROFILE, *targets, "--set-resources", *unwarned)
    try:
        alive = dict(zip(RESUMED, stopped(small, {name: partial(begun, name) for name in RESUMED}), strict=True))
        said = {}

        def have_ended():
            said.update({name: logs[name].read_text() for name in alive if not alive[name].is_running()} | said)
            return len(said) == len(alive)

        Slurm.wait(have_ended, "Slurm ends all three", 150)
        text, code = finish(run)
    finally:
        run.kill()
    assert code == 0, text
    for name, text in said.items():
        assert "received SIGTERM and stopped after" in text, f"{name}: {text}"
    ran = jobs_since(slurm, known, "again")
    for rule in ("models", "draws", "distill_island"):
        states = [job["JobState"] for job in ran if job["Comment"].startswith(f"rule_{rule}_")]
        assert states == ["TIMEOUT", "COMPLETED"], rule
    resumed = [path.read_bytes() for path in made]
    for path in made:
        path.unlink()
    snakemake(small, "--cores", "2", *targets)
    assert [path.read_bytes() for path in made] == resumed
