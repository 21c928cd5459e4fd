"""A scheduler's SIGTERM: the training writes a checkpoint, says so, and a rerun ends as if nothing had happened."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from saggiatore.job import Job
from saggiatore.learn.interruption import SIGNALS, deferred_signals
from saggiatore.steps.models import ModelsSection, run
from saggiatore.tables import Column, TableSchema, write_table

SRC = Path(__file__).parents[2] / "src"
EVENTS = TableSchema(
    "events",
    1,
    (
        Column("weight", "pb", "weight"),
        Column("theta_a", "1", "a"),
        Column("joint_score_a", "1", "joint score"),
        Column("x", "1", "an observable"),
    ),
)
SECTION = {
    "events": "train",
    "features": ["x"],
    "task": {"kind": "joint_score", "parameter": "a"},
    "model": {"kind": "mlp", "width": 4, "depth": 1},
    "training": {"n_epochs": 600, "batch_size": 100, "patience": 600, "checkpoint_every": 10},
    "precision": "float64",
}
JOB = Job[ModelsSection](study="s", stage="models", label="m", seed=1, section=SECTION)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    x = np.random.default_rng(0).normal(size=2000)
    columns = {"weight": np.ones(2000), "theta_a": np.zeros(2000), "joint_score_a": np.sin(x), "x": x}
    write_table(folder / "events.parquet", EVENTS, columns, {})
    (folder / "spec.json").write_text(JOB.model_dump_json())
    return folder


def paths(folder, name):
    return {
        "events": folder / "events.parquet",
        "checkpoint": folder / f".{name}.checkpoint",
        "model": folder / f"{name}.eqx",
        "history": folder / f"{name}.history.parquet",
    }


@pytest.fixture(scope="module")
def whole(folder):
    """The model of an uninterrupted training."""
    run(JOB, code="c", against=[], start=[], classifier=[], **paths(folder, "whole"))
    return (folder / "whole.eqx").read_bytes()


def test_a_signalled_training_stops_at_an_epochs_end_and_resumes_to_the_same_bytes(folder, whole):
    files = paths(folder, "interrupted")
    flags = ["--start", *(part for name, path in files.items() for part in (f"--{name}", str(path)))]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "saggiatore",
            "models",
            "--spec",
            str(folder / "spec.json"),
            "--code",
            "c",
            "--against",
            "--start",
            "--classifier",
            *flags,
        ],
        env=os.environ | {"PYTHONPATH": str(SRC)},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not files["checkpoint"].exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert "error: the training received SIGTERM and stopped after epoch" in said
    assert "Traceback" not in said
    assert files["checkpoint"].exists()
    assert not files["model"].exists()
    run(JOB, code="c", against=[], start=[], classifier=[], **files)
    assert files["model"].read_bytes() == whole
    assert not files["checkpoint"].exists()


def test_handlers_are_put_back():
    before = [signal.getsignal(number) for number in SIGNALS]
    with deferred_signals() as interruption:
        for number in SIGNALS:
            os.kill(os.getpid(), number)
            assert interruption.name == number.name
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_another_thread_leaves_signals_alone():
    found = []

    def train():
        with deferred_signals() as interruption:
            found.append((interruption.name, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert found == [("", signal.SIG_DFL)]
