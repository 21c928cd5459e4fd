"""GPUs without a scheduler, simulated by their numbers: no job sees another's, and a killed one gives its back."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from saggiatore import gpu
from saggiatore.__main__ import main
from saggiatore.gpu import claimed

SRC = Path(__file__).parents[2] / "src"
LISTED = """\
GPU 0: NVIDIA A100 (UUID: GPU-aaaa-1)
GPU 1: NVIDIA A100 (UUID: GPU-bbbb-2)
  MIG 1g.10gb     Device  0: (UUID: MIG-cccc-3)
  MIG 1g.10gb     Device  1: (UUID: MIG-dddd-4)
"""


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A machine with two GPUs, no scheduler and locks of its own."""
    monkeypatch.setattr(gpu.tempfile, "gettempdir", lambda: str(tmp_path))
    for name in (*gpu._SCHEDULERS, "JAX_PLATFORMS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(gpu.VISIBLE, "0,1")
    monkeypatch.setattr(gpu, "_PAUSE", 0.01)
    return monkeypatch


def visible():
    return os.environ[gpu.VISIBLE]


def claim_anew(machine, ids="0,1"):
    """What another process sees, which begins with the machine's GPUs and not with this one's."""
    machine.setenv(gpu.VISIBLE, ids)
    return claimed(1)


def test_two_jobs_see_two_gpus_and_the_third_waits(machine):
    seen = []

    def third():
        with claim_anew(machine):
            seen.append(visible())

    with claim_anew(machine):
        assert visible() == "0"
        with claim_anew(machine):
            assert visible() == "1"
            waiting = threading.Thread(target=third)
            waiting.start()
            time.sleep(0.2)
            assert not seen
        waiting.join(10)
    assert seen == ["1"]


def test_a_killed_process_gives_its_gpu_back(tmp_path, machine):
    code = "from saggiatore.gpu import claimed\nwith claimed(1):\n    print('locked', flush=True); input()"
    environment = os.environ | {"PYTHONPATH": str(SRC), "TMPDIR": str(tmp_path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, **pipes) as holder:
        assert holder.stdout.readline() == "locked\n"
        with claimed(1):
            assert visible() == "1"
        holder.kill()
    with claim_anew(machine):
        assert visible() == "0"


@pytest.mark.parametrize(("n_gpus", "seen"), [(1, "0"), (2, "0,1"), (7, "0,1"), (0, "")])
def test_a_job_sees_as_many_as_it_asked_for_and_there_are(n_gpus, seen):
    with claimed(n_gpus):
        assert visible() == seen
    assert ("JAX_PLATFORMS" in os.environ) == (n_gpus == 0)


def test_what_a_scheduler_gave_is_left_alone(machine, tmp_path):
    machine.setenv("SLURM_JOB_ID", "17")
    for n_gpus in (0, 2):
        with claimed(n_gpus):
            assert visible() == "0,1"
    with claimed(1):  # one job of an allocation that has two
        assert visible() == "0"
    machine.setenv(gpu.VISIBLE, "0")
    with claimed(1), claimed(1):  # two jobs whose GPUs both have the number 0
        assert visible() == "0"


def test_a_machine_without_gpus_has_nothing_to_wait_for(machine, tmp_path):
    machine.delenv(gpu.VISIBLE)
    machine.setattr(gpu.shutil, "which", lambda _: None)
    with claimed(1):
        assert gpu.VISIBLE not in os.environ
    assert not list(tmp_path.iterdir())


def test_gpus_are_read_as_cuda_and_its_driver_write_them():
    assert gpu._listed(LISTED) == ["GPU-aaaa-1", "MIG-cccc-3", "MIG-dddd-4"]
    assert gpu._stated(" 2, GPU-aaaa,-1,3") == ["2", "GPU-aaaa"]
    assert gpu._stated("") == []


def test_every_step_takes_the_flag(capsys, tmp_path):
    assert main(["verify", "--gpu", "2", str(tmp_path / "missing.zip")]) == 1
    assert visible() == "0,1"
    assert main(["verify", "--gpu", "some"]) == 1
    assert "--gpu: got 'some', expected a number of GPUs" in capsys.readouterr().err
