"""What benchmarks of generators share: seconds of compiled functions, and peers in an environment of their own."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import jax


def seconds(function: Callable, *arguments: object) -> tuple[float, float]:
    """Processor seconds of the first call, which compiles, and of the best of three further ones."""
    found = []
    for _ in range(4):
        start = time.process_time()
        jax.block_until_ready(function(*arguments))
        found.append(time.process_time() - start)
    return found[0], min(found[1:])


def peers(python: str, script: str) -> None:
    """What the packages of `script`, beside this file, reach in the environment of `python`."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "XLA_FLAGS")}
    path = str(Path(__file__).with_name(script))
    told = subprocess.run([python, path], check=True, capture_output=True, text=True, env=environment).stdout
    for row in map(json.loads, told.splitlines()):
        name = row.pop("name")
        for what, rate in row.items():
            show(name, what, rate)


def show(name: str, what: str, rate: float, note: str = "") -> None:
    """One line of a table."""
    print(f"{name:23s} {what:15s} {rate:8.0f} a second   {note}".rstrip(), flush=True)
