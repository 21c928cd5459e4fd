"""One command before a run without a network. A script stands for Python: it notes what it is asked, and may fail."""

import json
import os
import subprocess
import sys

import pytest

from saggiatore.__main__ import main
from saggiatore.errors import MachineError
from saggiatore.steps.prepare import run

SCRIPT = """\
#!{python}
import json, os, sys
shown = {{name: os.environ.get(name) for name in {names}}}
with open({log!r}, "a") as sink:
    sink.write(json.dumps([sys.argv[1:], shown]) + "\\n")
if {failing!r} in " ".join(sys.argv):
    sys.exit("Could not connect to the server")
print("/opt/julia/bin/julia" if "executable" in sys.argv[-1] else "done")
"""
DISTILL = "dependencies:\n  - pysr=1.5.10\n"
VARIABLES = ("CONDA_OVERRIDE_CUDA", "JULIA_DEPOT_PATH", "PYTHON_JULIAPKG_OFFLINE", "PYTHON_JULIAPKG_EXE")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A repository with one study, and what was called in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    for folder in ("bin", "envs", "config/studies", ".snakemake/conda"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "config/config.yaml").write_text("studies: [mine]")
    (tmp_path / "envs/distill.yaml").write_text(DISTILL)
    real = sys.executable

    def make(engine="operon", failing="nothing at all"):
        (tmp_path / "config/studies/mine.yaml").write_text(f"formulas: {{f: {{engine: {{kind: {engine}}}}}}}")
        text = SCRIPT.format(python=real, names=VARIABLES, log=str(tmp_path / "log"), failing=failing)
        for name in ("bin/python", "bin/conda"):
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(tmp_path / "bin/python"))
        return lambda: [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]

    return make


def test_conda_environments_for_cuda_and_no_julia_where_none_is_needed(site, tmp_path, capsys):
    called = site()
    run(cuda="12.6")
    ((command, variables),) = called()
    assert command[:2] == ["-m", "snakemake"]
    assert "--conda-create-envs-only" in command
    assert command[-1] == "studies=[mine]"
    assert variables["CONDA_OVERRIDE_CUDA"] == "12.6"
    assert "snakemake --profile cluster --sdm conda" in capsys.readouterr().out
    assert "export" not in (tmp_path / "offline.sh").read_text()


def test_a_study_with_pysr_gets_a_depot_which_is_tried_without_a_network(site, tmp_path):
    called = site("pysr")
    prefix = tmp_path / ".snakemake/conda/0123"
    prefix.with_suffix(".yaml").write_text(DISTILL)
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin/python").symlink_to(tmp_path / "bin/python")
    run()
    calls = called()
    assert ["pysr" in each[0][-1] for each in calls] == [False, True, False, True]
    assert [each[1]["PYTHON_JULIAPKG_OFFLINE"] for each in calls] == [None, None, None, "yes"]
    assert {each[1]["JULIA_DEPOT_PATH"] for each in calls[1:]} == {str(tmp_path / ".julia")}
    shell = ["bash", "-c", "source ./offline.sh; echo $PYTHON_JULIAPKG_EXE $JULIA_DEPOT_PATH"]
    found = subprocess.run(shell, capture_output=True, text=True, check=True).stdout
    assert found.split() == ["/opt/julia/bin/julia", str(tmp_path / ".julia")]


@pytest.mark.parametrize("engine", ["operon", "pysr"])
def test_a_venv_gets_the_build_for_cuda_of_the_jax_that_it_has(site, tmp_path, engine):
    called = site(engine)
    run(environments="venv", cuda="12")
    command, _ = called()[0]
    assert command[1:3] == ["pip", "install"]
    assert command[4].startswith("jax[cuda12]==0.")
    assert command[5:] == (["pysr==1.5.10"] if engine == "pysr" else [])
    assert f"export PATH={tmp_path / 'bin'}:" in (tmp_path / "offline.sh").read_text()


@pytest.mark.parametrize(("failing", "part"), [("snakemake", "environments"), ("load_all", "Julia depot")])
def test_without_a_network_the_part_and_the_way_out_are_named(site, tmp_path, failing, part):
    site("pysr", failing)
    with pytest.raises(MachineError, match=rf"^{part}: (.|\n)*Could not connect(.|\n)*where there is a network"):
        run()
    assert not (tmp_path / "offline.sh").exists()


def test_what_makes_no_sense_is_refused(site, tmp_path, monkeypatch, capsys):
    site()
    assert main(["prepare", "--cuda", "new"]) == 1
    assert "expected conda or venv, and a version such as 12.4" in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(tmp_path / "envs"))
    assert main(["prepare"]) == 1
    assert "no conda on the PATH" in capsys.readouterr().err
