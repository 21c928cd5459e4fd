"""Regression on the joint score: this project's training next to MadMiner and a plain loop in PyTorch, in one run.

``snakemake --cores 2 results/quick/events/train.parquet results/quick/events/select.parquet`` makes the events;
``python -m venv PEERS && PEERS/bin/pip install -r benchmarks/score_peers.txt`` an environment of the peers' own. Then

``taskset -c 0 python benchmarks/score_regression.py PEERS/bin/python``

The first 100,000 events of the one table are trained on, the other table tests; three layers of 64 units, 30 epochs.
All see the same observables (the peers the sine and cosine of the angle as well), get the same rates at the same steps
and one core. Processor and wall seconds run from the arrays to the trained network, compilation included, imports not.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.compilation import RUN_ONCE
from saggiatore.learn.loop import TrainingSpec, train
from saggiatore.models.base import scores
from saggiatore.models.mlp import MLPSpec
from saggiatore.steps.models import gather
from saggiatore.tables import read_table
from saggiatore.tasks.joint_score import JointScoreSpec

EVENTS = Path(__file__).parents[1] / "results" / "quick" / "events"
FEATURES = ("x_p1", "x_p2", "delta_eta", "delta_phi")
PARAMETER = "c_wwt"
N_EVENTS, WIDTH, DEPTH, N_EPOCHS = 100_000, 64, 3, 30
BATCH_SIZES = (128, 500)  # the default of MadMiner, and of this project


def ours(seed: int, batch_size: int) -> dict[str, object]:
    """This project's network and loop, as the step `models` calls them."""
    task = JointScoreSpec(parameter=PARAMETER).build(())
    table = read_table(EVENTS / "train.parquet", "events")
    data = gather(replace(table, data=table.data.iloc[:N_EVENTS]), FEATURES, (), task)
    test = read_table(EVENTS / "select.parquet", "events")
    spec = TrainingSpec(n_epochs=N_EPOCHS, batch_size=batch_size, learning_rate=2e-3, patience=N_EPOCHS)
    jax.block_until_ready(data)
    jax.clear_caches()
    wall, processor = time.perf_counter(), time.process_time()
    options = {"odd_in": ("delta_phi",), "periodic": ("delta_phi",), "log": FEATURES[:3]}
    build = eqx.filter_jit(MLPSpec(width=WIDTH, depth=DEPTH, **options).build, compiler_options=RUN_ONCE)
    model = build(FEATURES, (), key=jax.random.key(seed))
    model, _ = train(model.standardise(data), task, data, spec, seed=seed)
    jax.block_until_ready(model.last_layer)
    processor, wall = time.process_time() - processor, time.perf_counter() - wall
    found = np.asarray(scores(model, jnp.asarray(test.array(FEATURES))))[:, 0]
    mse = float(np.mean((found - test.data[f"joint_score_{PARAMETER}"]) ** 2))
    return {"name": "Saggiatore", "processor": processor, "wall": wall, "mse": mse}


def arrays() -> dict[str, np.ndarray]:
    """What the peers read."""
    tables = {name: read_table(EVENTS / f"{name}.parquet", "events") for name in ("train", "select")}
    found = {}
    for name, n, x, t in (("train", N_EVENTS, "x", "t_xz"), ("select", None, "x_test", "t_test")):
        columns = tables[name].array(FEATURES)[:n]
        angle = columns[:, -1:]
        found[x] = np.concatenate([columns, np.sin(angle), np.cos(angle)], axis=1)
        found[t] = tables[name].array([f"joint_score_{PARAMETER}"])[:n]
    return found


def main() -> None:
    """Each batch size and seed: the peers, then ours."""
    parser = argparse.ArgumentParser()
    parser.add_argument("python", help="of the peers' environment")
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=BATCH_SIZES)
    parser.add_argument("--seeds", type=int, nargs="+", default=(1, 2))
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "events.npz"
        np.savez(path, **arrays())
        for batch_size in options.batch_sizes:
            for seed in options.seeds:
                sizes = {"width": WIDTH, "depth": DEPTH, "n_epochs": N_EPOCHS, "batch_size": batch_size, "seed": seed}
                flags = [f"--{name}={value}" for name, value in sizes.items()]
                peers = [options.python, str(Path(__file__).with_name("score_peers.py")), f"--data={path}", *flags]
                environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
                told = subprocess.run(peers, check=True, capture_output=True, text=True, env=environment).stdout
                rows = [ours(seed, batch_size), *(json.loads(row) for row in told.splitlines() if row.startswith("{"))]
                for row in rows:
                    times = f"processor {row['processor']:6.1f} s   wall {row['wall']:6.1f} s"
                    load = f"load {os.getloadavg()[0]:.1f}"
                    print(
                        f"batch {batch_size:4d} seed {seed}   {row['name']:14s} {times}   MSE {row['mse']:.5f}   {load}"
                    )
                    sys.stdout.flush()


if __name__ == "__main__":
    main()
