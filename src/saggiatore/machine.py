"""What this machine can do: one probe a part. None raises, none imports jax or PySR, which must not share a process."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import yaml

from saggiatore.errors import PartonDensityError
from saggiatore.physics.lhagrid import find_grid

_TIMEOUT = 60.0  # seconds that a program may take to answer
_CONDA = (24, 7, 1)  # the oldest that Snakemake accepts
_DEVICES = """
import json, jax
devices = jax.devices()
x = jax.numpy.ones((), "float64") + 1e-12
print(json.dumps({
    "version": jax.__version__, "kinds": [f"{d.platform}: {d.device_kind}" for d in devices],
    "is_gpu": devices[0].platform == "gpu", "is_double": bool(x > 1),
}))
"""


class Finding(NamedTuple):
    """One part: what was found, and the line that installs or repairs it, where it is not all there."""

    part: str
    is_there: bool
    text: str
    advice: str = ""


def packages(names: Iterable[str]) -> Finding:
    """Python packages that jobs import."""
    absent = [name for name in names if _version(name) is None]
    here = f"Python {sys.version.split()[0]}"
    if absent:
        return Finding("packages", False, f"{here}; not installed: {', '.join(absent)}", "make venv")
    return Finding("packages", True, f"{here}, all that the jobs import")


def devices() -> Finding:
    """What jax computes on, and whether it knows double precision."""
    code, said = _ask(sys.executable, "-c", _DEVICES, JAX_ENABLE_X64="1")
    try:
        found = json.loads(said.splitlines()[-1]) if code == 0 else None
    except (IndexError, ValueError):
        found = None
    if found is None:
        return Finding("devices", False, f"jax does not start: {_last(said)}", "make venv")
    text = f"{', '.join(found['kinds'])}; jax {found['version']}, {'float64' if found['is_double'] else 'no float64'}"
    if shutil.which("nvidia-smi") and not found["is_gpu"]:
        advice = f"python -m pip install 'jax[cuda12]=={found['version']}'"
        return Finding(
            "devices", found["is_double"], f"{text}; there is an NVIDIA driver that jax does not use", advice
        )
    return Finding("devices", found["is_double"], text)


def memory(needed: float) -> Finding:
    """Cores, and memory in GB, of which `needed` must be there."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    text = f"{cores} cores, {total:.1f} GB of memory"
    advice = "" if total >= needed else f"run on a machine with {needed:g} GB, or in a larger job (--mem)"
    return Finding("memory", not advice, text, advice)


def disk(folder: Path, needed: float) -> Finding:
    """Free space in GB under `folder`, of which `needed` must be there, and whether it can be written to."""
    free = shutil.disk_usage(folder).free / 1e9
    text = f"{free:.1f} GB free in {folder.resolve()}"
    if not os.access(folder, os.W_OK):
        return Finding("disk", False, f"{text}, not writable", f"chmod u+w {folder.resolve()}, or clone elsewhere")
    advice = "" if free >= needed else f"free {needed:g} GB, or clone to a larger disk"
    return Finding("disk", not advice, text, advice)


def slurm(partition_file: Path) -> Finding:
    """Slurm's commands, its answer, and whether it has the partitions that the profile names."""
    part = "Slurm"
    if shutil.which("sbatch") is None or shutil.which("sinfo") is None:
        return Finding(
            part, False, "no sbatch on the PATH", "run on a login node; on Debian: apt-get install slurm-client"
        )
    if _version("snakemake-executor-plugin-slurm") is None:
        return Finding(part, False, "Snakemake has no Slurm plugin", "make venv")
    code, said = _ask("sinfo", "-h", "-o", "%R")
    if code != 0:
        return Finding(part, False, f"sinfo fails: {_last(said)}", "ask the site; `scontrol ping` tells more")
    partitions = sorted(set(said.split()))
    text = f"partitions {', '.join(partitions)}"
    try:
        named = list(yaml.safe_load(partition_file.read_text(encoding="utf-8"))["partitions"])
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        return Finding(part, False, f"{text}; {partition_file} is unreadable ({error!r})", f"repair {partition_file}")
    unknown = [name for name in named if name not in partitions]
    if unknown:
        return Finding(part, False, f"{text}; the profile names {', '.join(unknown)}", f"edit {partition_file}")
    return Finding(part, True, text)


def conda() -> Finding:
    """conda, for `--software-deployment-method conda`; Snakemake calls conda even where mamba is there too."""
    part, advice = "conda", "install Miniforge: https://conda-forge.org/download"
    path = shutil.which("conda")
    if path is None:
        other = next((name for name in ("mamba", "micromamba") if shutil.which(name)), "")
        text = f"no conda on the PATH{f' ({other} alone does not serve Snakemake)' if other else ''}"
        return Finding(part, False, text, advice)
    code, said = _ask(path, "--version")
    found = tuple(map(int, re.findall(r"\d+", said)[:3]))
    if code != 0 or found < _CONDA:
        wanted = ".".join(map(str, _CONDA))
        return Finding(part, False, f"{_last(said)}; Snakemake needs {wanted}", "conda update -n base conda")
    return Finding(part, True, _last(said))


def operon() -> Finding:
    """The embedded engine of symbolic regression."""
    version = _version("pyoperon")
    if version is None:
        return Finding("Operon", False, "pyoperon is not installed", "make venv")
    return Finding("Operon", True, f"pyoperon {version}")


def julia() -> Finding:
    """PySR and the Julia that it starts."""
    part, version = "Julia and PySR", _version("pysr")
    path = os.environ.get("PYTHON_JULIAPKG_EXE") or shutil.which("julia")
    if version is None:
        return Finding(part, False, "PySR is not installed", "python -m pip install pysr==1.5.10, or envs/distill.yaml")
    if path is None:
        advice = "python -c 'import pysr', where there is a network, fetches Julia; or envs/distill.yaml"
        return Finding(part, False, f"PySR {version}, no Julia", advice)
    code, said = _ask(path, "--version")
    if code != 0:
        return Finding(part, False, f"PySR {version}; {path} does not start: {_last(said)}", "envs/distill.yaml")
    return Finding(part, True, f"PySR {version}, {_last(said)}")


def pythia() -> Finding:
    """Pythia's Python package and the data that come with it."""
    part, version, advice = "Pythia's data", _version("pythia8mc"), "python -m pip install 'pythia8mc<8.318'"
    if version is None:
        return Finding(part, False, "pythia8mc is not installed", advice)
    files = importlib.metadata.files("pythia8mc") or []
    grids = sum(
        file.name.endswith(".dat") and "pdfdata" in file.parts and Path(file.locate()).is_file() for file in files
    )
    settings = any(file.name == "Index.xml" and Path(file.locate()).is_file() for file in files)
    if not grids or not settings:
        return Finding(part, False, f"pythia8mc {version} without its data", f"{advice} --force-reinstall")
    return Finding(part, True, f"pythia8mc {version}, {grids} parton-density grids")


def parton_densities(names: Iterable[str]) -> Finding:
    """The sets that the study names."""
    part, absent = "parton densities", []
    for name in (wanted := sorted(set(names))):
        try:
            find_grid(name)
        except PartonDensityError:
            absent.append(name)
    if absent:
        advice = f"lhapdf install {' '.join(absent)}, and its folder into LHAPDF_DATA_PATH; or name a set of pythia8mc"
        return Finding(part, False, f"not found: {', '.join(absent)}", advice)
    return Finding(part, True, ", ".join(wanted) or "the study needs none")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _ask(*command: str, **variables: str) -> tuple[int, str]:
    """Exit code and output of a program; -1 if it does not answer in time or cannot be started."""
    try:
        found = subprocess.run(
            command,
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        return -1, f"{command[0]} did not answer within {_TIMEOUT:g} s"
    except OSError as error:
        return -1, str(error)
    return found.returncode, found.stdout


def _last(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else "it says nothing"
