"""Regression on the joint score: this project's training next to MadMiner and a plain loop in PyTorch, in one run.

``snakemake --cores 2 results/quick/events/{train,select,test}.parquet`` makes the events;
``python -m venv PEERS && PEERS/bin/pip install -r benchmarks/score_peers.txt`` an environment of the peers' own. Then

``taskset -c 0 python benchmarks/score_regression.py PEERS/bin/python``

The first 100,000 events of ``train`` are trained on; three layers of 64 units, 30 epochs and 10. All see the same
observables (the peers the sine and cosine of the angle as well), get the same rates at the same steps and one core.
Ours comes with the options of the study `quick`, exact parity and logarithms, and without them. Processor and wall
seconds run from the arrays to the trained network, compilation included, imports not.

The mean squared error is that on ``select``. On the weighted events of ``test``, as in the workflow, each score gives
the share of the joint information that it keeps (limits/fisher.py) and half the width of the interval of 95 % that is
expected from the shape of the score alone if it is Gaussian, at the luminosity and efficiency of ``wbf_limits``. How
much more ours keeps than the peers, and how much wider their interval is, has an error of its own: all are resampled
together, and what they have in common cancels.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"

import jax
import numpy as np

from saggiatore.learn.loop import TrainingSpec, train
from saggiatore.limits import fisher
from saggiatore.limits.bootstrap import Bootstrap, estimate
from saggiatore.limits.interval import fisher_interval
from saggiatore.models.base import scores
from saggiatore.models.initial import initial
from saggiatore.models.mlp import MLPSpec
from saggiatore.steps.models import gather
from saggiatore.study_file import read_study_file
from saggiatore.tables import Table, read_table
from saggiatore.tasks.columns import flavour_variance_column, joint_score_column, parton_score_column
from saggiatore.tasks.joint_score import JointScoreSpec
from saggiatore.units import PB_FB, parse_quantity

ROOT = Path(__file__).parents[1]
FEATURES = ("x_p1", "x_p2", "delta_eta", "delta_phi")
PARAMETER = "c_wwt"
N_EVENTS, WIDTH, DEPTH = 100_000, 64, 3
N_EPOCHS = (30, 10)
BATCH_SIZES = (128, 500)  # the default of MadMiner, and of this project
LEVEL, N_REPLICAS, ROWS = 0.95, 200, 16384
PARITY = {"odd_in": ("delta_phi",), "periodic": ("delta_phi",), "log": FEATURES[:3]}
KINDS: dict[str, dict] = {
    "Saggiatore": PARITY,
    "one variance": PARITY | {"noise": "constant"},
    "without parity": {"periodic": ("delta_phi",)},
}
Tables = dict[str, Table]


def ours(kind: str, tables: Tables, seed: int, batch_size: int, n_epochs: int) -> tuple[dict[str, object], np.ndarray]:
    """This project's network and loop, as the step `models` calls them: seconds, and scores of the test events."""
    task = JointScoreSpec(parameter=PARAMETER).build(())
    data = gather(tables["train"], FEATURES, (), task)
    spec = TrainingSpec(n_epochs=n_epochs, batch_size=batch_size, learning_rate=2e-3, patience=n_epochs)
    jax.block_until_ready(data)
    jax.clear_caches()
    gc.collect()
    gc.freeze()  # as the command line does: what was imported is no garbage
    wall, processor = time.perf_counter(), time.process_time()
    build = MLPSpec(width=WIDTH, depth=DEPTH, **KINDS[kind]).build
    model = initial(build, FEATURES, (), key=jax.random.key(seed))
    model, _ = train(model.standardise(data), task, data, spec, seed=seed)
    jax.block_until_ready(model.last_layer)
    processor, wall = time.process_time() - processor, time.perf_counter() - wall
    found = {"name": kind, "processor": processor, "wall": wall}
    return found, scores(model, tested(tables))[:, 0]


def tested(tables: Tables) -> np.ndarray:
    """Observables of the events that are tested on: those of `select`, then those of `test`."""
    return np.concatenate([tables[name].array(FEATURES) for name in ("select", "test")])


def arrays(tables: Tables) -> dict[str, np.ndarray]:
    """What the peers read."""
    found = {"t_xz": tables["train"].array([joint_score_column(PARAMETER).name])}
    for name, columns in (("x", tables["train"].array(FEATURES)), ("x_test", tested(tables))):
        angle = columns[:, -1:]
        found[name] = np.concatenate([columns, np.sin(angle), np.cos(angle)], axis=1)
    return found


def trained(
    python: str, tables: Tables, folder: Path, seed: int, batch_size: int, n_epochs: int
) -> Iterator[tuple[dict[str, object], np.ndarray]]:
    """Seconds and scores of the test events: ours, then the peers'."""
    for kind in KINDS:
        yield ours(kind, tables, seed, batch_size, n_epochs)
    sizes = {"width": WIDTH, "depth": DEPTH, "n_epochs": n_epochs, "batch_size": batch_size, "seed": seed}
    flags = [f"--{name}={value}" for name, value in sizes.items()]
    peers = [python, str(Path(__file__).with_name("score_peers.py")), f"--data={folder / 'events.npz'}", *flags]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    told = subprocess.run(peers, check=True, capture_output=True, text=True, env=environment).stdout
    for line in told.splitlines():
        if line.startswith("{"):
            row = json.loads(line)
            yield row, np.load(folder / f"{row['name']}.npy")


def bootstrapped(test: Table, found: np.ndarray) -> np.ndarray:
    """Sums of `fisher.score_terms` over the test events, whose scores are `found`, shape (event, estimator)."""
    kinds = (parton_score_column, flavour_variance_column)
    parton, variance, weight = test.array([*(kind(PARAMETER).name for kind in kinds), "weight"]).T
    bootstrap = Bootstrap(N_REPLICAS, 2 + 2 * found.shape[1], seed=0)
    for first in range(0, len(found), ROWS):
        rows = slice(first, first + ROWS)
        bootstrap.add(fisher.score_terms(found[rows], parton[rows], variance[rows], weight[rows]))
    return bootstrap.sums


def expected_events() -> float:
    """Events that the study `wbf_limits` expects of a pb."""
    section = read_study_file(ROOT / "config" / "studies" / "wbf_limits.yaml")["limits"]["one"]
    return parse_quantity("fb^-1", section["luminosity"]) * section["efficiency"] * PB_FB


def half_width(sums: np.ndarray) -> np.ndarray:
    """Half the expected interval of each estimator, then that of the joint score itself; shape (replica, score)."""
    joint = expected_events() * sums[:, :1] * fisher.mean_squared_score(sums)[:, None]
    information = joint * np.concatenate([fisher.information_kept(sums), np.ones_like(joint)], axis=1)
    widths = [fisher_interval(np.array([[each]]), 0, LEVEL) for each in information.ravel()]
    return np.reshape(widths, information.shape)


def gain(sums: np.ndarray) -> np.ndarray:
    """Share of the information that the first estimator keeps, minus that of each."""
    kept = fisher.information_kept(sums)
    return kept[:, :1] - kept


def excess(sums: np.ndarray) -> np.ndarray:
    """How much wider than the first one's each interval is, relatively."""
    widths = half_width(sums)
    return widths / widths[:, :1] - 1


def report(tables: Tables, rows: list[dict[str, object]], found: np.ndarray, head: str) -> None:
    """Print what each estimator took and what it is worth."""
    target = tables["select"].data[joint_score_column(PARAMETER).name].to_numpy()
    sums = bootstrapped(tables["test"], found[len(target) :])
    quantities = (fisher.information_kept, gain, half_width, excess)
    kept, more, width, wider = (estimate(quantity, sums) for quantity in quantities)
    for place, row in enumerate(rows):
        mse = np.mean((found[: len(target), place] - target) ** 2)
        print(
            f"{head}   {row['name']:14s} processor {row['processor']:6.1f} s   wall {row['wall']:6.1f} s"
            f"   MSE {mse:.5f}   kept {kept[0][place]:.4f} +- {kept[1][place]:.4f}"
            f"   ours more by {more[0][place]:+.4f} +- {more[1][place]:.4f}"
            f"   limit +-{width[0][place]:.5f} +- {width[1][place]:.5f}"
            f"   wider than ours by {wider[0][place]:+.3%} +- {wider[1][place]:.3%}"
        )
    n_expected = expected_events() * tables["test"].data["weight"].sum()
    print(
        f"{head}   joint score    limit +-{width[0][-1]:.5f} +- {width[1][-1]:.5f} from {n_expected:.0f} events"
        f"   load {os.getloadavg()[0]:.1f}"
    )
    sys.stdout.flush()


def main() -> None:
    """Each batch size, number of epochs and seed: ours, then the peers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("python", help="of the peers' environment")
    parser.add_argument("--events", type=Path, default=ROOT / "results" / "quick" / "events", help="folder of tables")
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=BATCH_SIZES)
    parser.add_argument("--epochs", type=int, nargs="+", default=N_EPOCHS)
    parser.add_argument("--seeds", type=int, nargs="+", default=(1, 2))
    options = parser.parse_args()
    tables = {name: read_table(options.events / f"{name}.parquet", "events") for name in ("train", "select", "test")}
    tables["train"] = replace(tables["train"], data=tables["train"].data.iloc[:N_EVENTS])
    with TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "events.npz", **arrays(tables))
        for batch_size, n_epochs, seed in product(options.batch_sizes, options.epochs, options.seeds):
            found = trained(options.python, tables, folder, seed, batch_size, n_epochs)
            rows, columns = zip(*found, strict=True)
            head = f"batch {batch_size:4d} epochs {n_epochs:3d} seed {seed}"
            report(tables, list(rows), np.stack(columns, axis=1).astype(float), head)


if __name__ == "__main__":
    main()
