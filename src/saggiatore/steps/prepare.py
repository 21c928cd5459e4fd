"""Bring all that jobs need to where they will run without a network, from a machine that has one: a login node."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from saggiatore.chosen import chosen_studies, read_mapping
from saggiatore.errors import MachineError, StudyError
from saggiatore.files import atomic

_ADVICE = "Run this where there is a network, such as a login node, in a folder that the compute nodes see"
_DISTILL = Path("envs/distill.yaml")
_JULIA = "import pysr; pysr.load_all_packages()"  # fetches Julia where there is none, and compiles PySR's packages
_EXECUTABLE = "import juliapkg; print(juliapkg.executable())"


def run(
    *,
    environments: str = "conda",
    cuda: str = "12.4",
    julia: bool = False,
    config: Path = Path("config/config.yaml"),
    depot: Path = Path(".julia"),
    out: Path = Path("offline.sh"),
) -> None:
    """Build the environments of the studies in config.yaml with jax for CUDA, and the Julia of those that use PySR.

    `environments` are conda's, one for each kind of job, or venv: the Python that runs this. No GPU need be in sight.
    With `julia` there will be a Julia whatever the studies say. `out` is what a shell reads before it starts Snakemake.

    Raises:
        MachineError: naming the part that could not be made, what was said, and what to do.
        StudyError: if a study cannot be read, or the arguments make no sense.
    """
    if environments not in ("conda", "venv") or not re.fullmatch(r"\d+(\.\d+)?", cuda):
        raise StudyError(
            f"--environments {environments} --cuda {cuda}: expected conda or venv, and a version such as 12.4."
        )
    names = chosen_studies(config)
    needs_julia = julia or any(_uses_pysr(read_mapping(config.parent / "studies" / f"{name}.yaml")) for name in names)
    python = _conda(names, cuda) if environments == "conda" else _venv(cuda, needs_julia)
    variables = _julia(python, depot.absolute()) if needs_julia else {}
    _write(out, python.parent if environments == "venv" else None, variables)
    flag = " --sdm conda" if environments == "conda" else ""
    print(f"Ready. On the node that starts jobs: source {out}; snakemake --profile cluster{flag}")


def _conda(names: list[str], cuda: str) -> Path:
    """The environments, by Snakemake's own code; the Python of the one that distils."""
    if shutil.which("conda") is None:
        raise MachineError(
            "environments: no conda on the PATH. Install Miniforge (https://conda-forge.org/download), or take "
            "--environments venv."
        )
    command = [sys.executable, "-m", "snakemake", "--sdm", "conda", "--conda-create-envs-only", "--forceall"]
    _call(
        "environments", [*command, "--cores", "1", "--config", f"studies=[{','.join(names)}]"], CONDA_OVERRIDE_CUDA=cuda
    )
    wanted = _DISTILL.read_bytes()
    made = [path.with_suffix("") for path in Path(".snakemake/conda").glob("*.yaml") if path.read_bytes() == wanted]
    return next((prefix.absolute() / "bin" / "python" for prefix in made), Path(sys.executable))


def _venv(cuda: str, needs_julia: bool) -> Path:
    """jax for CUDA beside what is installed; pip takes the build that is named, not that of this machine."""
    wanted = [f"jax[cuda{cuda.split('.')[0]}]=={version('jax')}"]
    if needs_julia:
        pins = re.findall(r"^ *- pysr=(\S+)", _DISTILL.read_text(encoding="utf-8"), re.MULTILINE)
        wanted += [f"pysr=={pin}" for pin in pins]
    _call("packages", [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *wanted])
    return Path(sys.executable)


def _julia(python: Path, depot: Path) -> dict[str, str]:
    """Fetch and compile Julia's packages once; the variables with which PySR finds them and asks for nothing."""
    variables = {"JULIA_DEPOT_PATH": str(depot), "PYTHON_JULIAPKG_PROJECT": str(depot / "project")}
    variables |= {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    _call("Julia depot", [str(python), "-c", _JULIA], **variables)
    executable = _call("Julia depot", [str(python), "-c", _EXECUTABLE], **variables).strip().splitlines()[-1]
    variables |= {"PYTHON_JULIAPKG_EXE": executable, "PYTHON_JULIAPKG_OFFLINE": "yes"}
    _call("Julia depot without a network", [str(python), "-c", "import pysr"], **variables)
    return {name: value for name, value in variables.items() if name != "PATH"}


def _write(out: Path, binaries: Path | None, variables: dict[str, str]) -> None:
    lines = ["# made by `python -m saggiatore prepare`; jobs inherit what the shell that submits them has"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    lines += [f'export PATH={shlex.quote(str(binaries))}:"$PATH"'] if binaries else []
    with atomic(out) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _call(part: str, command: list[str], **variables: str) -> str:
    print(f"{part}: {shlex.join(command)}", flush=True)
    try:
        found = subprocess.run(
            command, env=os.environ | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except OSError as error:
        raise MachineError(f"{part}: {command[0]} cannot be started ({error}). {_ADVICE}.") from None
    if found.returncode != 0:
        last = "\n  ".join(found.stdout.strip().splitlines()[-8:])
        raise MachineError(f"{part}: `{shlex.join(command)}` failed:\n  {last}\n{_ADVICE}; what is there is kept.")
    return found.stdout


def _uses_pysr(node: Any) -> bool:
    """Whether an engine of that kind stands anywhere in a study."""
    if isinstance(node, dict):
        engine = node.get("engine")
        here = isinstance(engine, dict) and engine.get("kind") == "pysr"
        return here or any(map(_uses_pysr, node.values()))
    return False
