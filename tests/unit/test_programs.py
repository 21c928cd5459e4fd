"""Compiled programs are kept where the user's cache is, and found again."""

import os
import subprocess
import sys
from pathlib import Path

from saggiatore.programs import keep_programs

_PROGRAM = """
from saggiatore.programs import keep_programs
keep_programs()
import jax
print(jax.jit(lambda x: jax.numpy.sin(x) ** 2)(0.5))
"""


def kept_by_a_job(cache: Path) -> tuple[str, set[tuple[str, int]]]:
    """What a process prints, and the programs that are there afterwards, by name and time of writing."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    said = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env=environment | {"XDG_CACHE_HOME": str(cache)},
        check=True,
        capture_output=True,
        text=True,
    )
    return said.stdout, {(path.name, path.stat().st_mtime_ns) for path in cache.rglob("*-cache")}


def test_a_second_process_finds_the_program_of_the_first(tmp_path):
    first, second = kept_by_a_job(tmp_path), kept_by_a_job(tmp_path)
    assert first == second
    assert first[1]


def test_a_folder_that_the_user_names_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    keep_programs()
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path)


def test_a_cache_that_cannot_be_written_stops_nothing(tmp_path):
    occupied = tmp_path / "file"
    occupied.write_text("no folder")
    printed, kept = kept_by_a_job(occupied)
    assert float(printed) > 0
    assert not kept
