"""`python -m saggiatore doctor`: what is there, what is not with the line that installs it, and the exit code."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from saggiatore import machine
from saggiatore.__main__ import main
from saggiatore.machine import Finding

PARTITIONS = "partitions: {cpu: {}, gpu: {max_gpu: 4}}\n"


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A PATH with nothing but the programs that the test writes: name -> what it prints, with its exit code."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    for name in ("PYTHON_JULIAPKG_EXE", "LHAPDF_DATA_PATH"):
        monkeypatch.delenv(name, raising=False)

    def write(name, said="", code=0):
        path = folder / name
        path.write_text(f"#!{sys.executable} -S\nprint({said!r})\nraise SystemExit({code})\n")
        path.chmod(0o755)

    return write


@pytest.fixture
def installed(monkeypatch):
    """Versions of distributions, as the test wants them."""
    versions = {}
    monkeypatch.setattr(machine, "_version", versions.get)
    return versions


@pytest.fixture
def partitions(tmp_path):
    path = tmp_path / "partitions.yaml"
    path.write_text(PARTITIONS)
    return path


def test_jax_answers_from_a_process_of_its_own():
    found = machine.devices()
    assert found.is_there
    assert "cpu" in found.text
    assert "float64" in found.text


def test_a_gpu_that_jax_does_not_use(programs, monkeypatch):
    said = {"version": "1.2.3", "kinds": ["cpu: cpu"], "is_gpu": False, "is_double": True}
    monkeypatch.setattr(machine, "_DEVICES", f"print('''{json.dumps(said)}''')")
    assert machine.devices() == Finding("devices", True, "cpu: cpu; jax 1.2.3, float64")
    programs("nvidia-smi")
    found = machine.devices()
    assert found.is_there
    assert found.advice == "python -m pip install 'jax[cuda12]==1.2.3'"


def test_jax_that_does_not_start(monkeypatch):
    monkeypatch.setattr(machine, "_DEVICES", "raise ImportError('libcuda is gone')")
    found = machine.devices()
    assert (found.is_there, found.advice) == (False, "make venv")
    assert "libcuda is gone" in found.text


def test_a_program_that_hangs_or_breaks_is_a_finding(programs, installed, monkeypatch, partitions):
    installed["snakemake-executor-plugin-slurm"] = "2"
    programs("sbatch")
    programs("sinfo", "slurm_load_partitions: Unable to contact slurm controller", 1)
    found = machine.slurm(partitions)
    assert not found.is_there
    assert "Unable to contact" in found.text
    monkeypatch.setattr(machine, "_TIMEOUT", 0.2)
    monkeypatch.setattr(machine, "_DEVICES", "import time; time.sleep(60)")
    assert "did not answer within 0.2 s" in machine.devices().text


def test_slurm(programs, installed, partitions):
    assert "no sbatch" in machine.slurm(partitions).text
    programs("sbatch")
    programs("sinfo", "cpu\ngpu\nlong")
    assert machine.slurm(partitions).text == "Snakemake has no Slurm plugin"
    installed["snakemake-executor-plugin-slurm"] = "2"
    assert machine.slurm(partitions) == Finding("Slurm", True, "partitions cpu, gpu, long")
    programs("sinfo", "compute")
    found = machine.slurm(partitions)
    assert found.text == "partitions compute; the profile names cpu, gpu"
    assert found.advice == f"edit {partitions}"
    partitions.write_text("cpu")
    assert "unreadable" in machine.slurm(partitions).text


def test_conda(programs):
    assert machine.conda().text == "no conda on the PATH"
    programs("mamba", "mamba 2.0.5")
    assert "mamba alone does not serve" in machine.conda().text
    programs("conda", "conda 4.3.16")
    assert machine.conda().text == "conda 4.3.16; Snakemake needs 24.7.1"
    programs("conda", "conda 25.1.0")
    assert machine.conda() == Finding("conda", True, "conda 25.1.0")


def test_julia(programs, installed):
    assert machine.julia().text == "PySR is not installed"
    installed["pysr"] = "1.5.10"
    assert machine.julia().text == "PySR 1.5.10, no Julia"
    programs("julia", "julia version 1.10.4")
    assert machine.julia() == Finding("Julia and PySR", True, "PySR 1.5.10, julia version 1.10.4")
    programs("julia", "cannot load libjulia", 1)
    assert "cannot load libjulia" in machine.julia().text


def test_pythia_and_parton_densities(installed):
    assert machine.parton_densities(["NNPDF31_lo_as_0118"]).is_there
    found = machine.parton_densities(["CT99"])
    assert (found.is_there, found.text) == (False, "not found: CT99")
    assert "lhapdf install CT99" in found.advice
    assert machine.pythia().text == "pythia8mc is not installed"
    installed["pythia8mc"] = "8.317"
    assert machine.pythia().is_there


def test_memory_and_disk(tmp_path, monkeypatch):
    assert machine.memory(0.1).is_there
    assert "1e+06 GB" in machine.memory(1e6).advice
    assert machine.disk(tmp_path, 0.001).is_there
    assert not machine.disk(tmp_path, 1e9).is_there
    monkeypatch.setattr(machine.os, "access", lambda path, mode: False)
    assert "not writable" in machine.disk(tmp_path, 0.001).text


@pytest.fixture
def root(tmp_path, monkeypatch, partitions):
    """A folder like the repository's root, in which nothing is asked of jax."""
    shutil.copytree(Path(__file__).parents[2] / "config", tmp_path / "config")
    (tmp_path / "profiles" / "cluster").mkdir(parents=True)
    (tmp_path / "profiles" / "cluster" / "partitions.yaml").write_text(PARTITIONS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "devices", lambda: Finding("devices", True, "cpu"))


def test_the_default_study_can_run_here(root, programs, capsys):
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "'quick' can run here." in said
    assert "Slurm             absent  no sbatch on the PATH" in said
    assert "-> run on a login node" in said


def test_what_a_study_needs_decides(root, programs, installed, capsys):
    assert main(["doctor", "--study", "wbf_cp"]) == 1
    said = capsys.readouterr()
    assert "Julia and PySR    FAULT   PySR is not installed" in said.out
    assert "error: 'wbf_cp' cannot run here:" in said.err
    assert "Julia and PySR: PySR is not installed. python -m pip install pysr" in said.err


def test_a_study_that_is_not_there(root, capsys):
    assert main(["doctor", "--study", "quik"]) == 1
    assert "quik.yaml: unreadable" in capsys.readouterr().err
