"""Copies of the repository, and Snakemake in them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOUSE = ("Snakefile", "Makefile", "README.md", "LICENSE", "CITATION.cff", "pyproject.toml")
HOUSE += ("requirements.in", "requirements.txt", "requirements-installer.txt")
HOUSE += ("rules", "envs", "config", "profiles", "src")


def snakemake(folder, *arguments, check=True):
    """Run Snakemake in `folder` with that folder's package; return what it printed."""
    started = start_snakemake(folder, *arguments)
    text, _ = started.communicate()
    assert not check or started.returncode == 0, text
    return text


def start_snakemake(folder, *arguments):
    """Start Snakemake in `folder` with that folder's package."""
    binary = Path(sys.executable).parent
    environment = os.environ | {
        "PYTHONPATH": str(folder / "src"),
        "PATH": f"{binary}:{os.environ['PATH']}",
        "PYTHONDONTWRITEBYTECODE": "",  # empty is unset: dozens of jobs read the same modules
    }
    return subprocess.Popen(
        [binary / "snakemake", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def copy_house(folder):
    """Copy what a clone holds (not its results) into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in HOUSE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, folder / name)
