"""The embedded engine next to recorded fronts of PySR, on one teacher table: information kept against complexity.

``python benchmarks/symbolic_regression.py FOLDER --pysr FOLDER/*.csv``. FOLDER holds train.parquet and test.parquet
with the features and the joint score of weak-boson-fusion events; the CSVs are what PySR left. All forms are treated
alike: simplified, constants refitted to all training events, nodes counted by one rule. Of those with at most so many
nodes the one that is closest to the training events is stated, with the information that it keeps on the test events,
E[f t]^2 / (E[f^2] E[t^2]). Seconds are of the wall and of processors, search and refit together.
"""

import argparse
import resource
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import sympy

from saggiatore.distill.engine import Candidate, Problem, pareto_front
from saggiatore.distill.operon_engine import OperonSpec
from saggiatore.distill.parametric import Parametric
from saggiatore.distill.pysr_engine import read_hall_of_fame
from saggiatore.distill.sample import Sample

FEATURES = ("x_p1", "x_p2", "delta_eta", "delta_phi")
TARGET = "joint_score"
NODES = (8, 10, 13, 16, 20, 25)
SHOWN = 16


def problem(path: Path) -> Problem:
    """Events of a table, all with the same weight."""
    table = pd.read_parquet(path).astype(float)
    return Problem(FEATURES, table[list(FEATURES)].to_numpy(), table[TARGET].to_numpy(), np.ones(len(table)))


def best(front: Sequence[Candidate], nodes: int) -> Candidate:
    """The member that is closest to the training events, of those with at most so many nodes."""
    return [member for member in front if member.complexity <= nodes][-1]


def row(name: str, forms: Iterable[Parametric], train: Problem, test: Sample, start: tuple[float, float]) -> str:
    """One line of the table, with the formula of at most `SHOWN` nodes; `start` is `seconds` before the search."""
    front = pareto_front(train, forms, NODES[-1])
    wall, processor = (after - before for before, after in zip(start, seconds(), strict=True))
    kept = [test.information(best(front, nodes).form) for nodes in NODES]
    shown = best(front, SHOWN)
    cells = " ".join(f"{found.value:.4f}({1e4 * found.error:2.0f})" for found in kept)
    return f"{name:26s} {cells} {wall:6.0f} {processor:6.0f}   {shown.complexity}: {sympy.N(shown.form.filled, 3)}"


def seconds() -> tuple[float, float]:
    """Of the wall, and of this process and its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), used.ru_utime + used.ru_stime


def main() -> None:
    """Print a row for each recorded front and each seed, and one of all seeds together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pysr", type=Path, nargs="*", default=[])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--spec", type=OperonSpec.model_validate_json, default=OperonSpec(), help="JSON of the engine")
    options = parser.parse_args()
    train, events = (problem(options.folder / f"{name}.parquet") for name in ("train", "test"))
    test = Sample(events.columns, events.y, np.zeros(len(events.y)), events.weight)
    print(f"{'nodes up to':26s} {' '.join(f'{nodes:10d}' for nodes in NODES)}   wall    CPU s")
    for path in options.pysr:
        forms = [found.form for found in read_hall_of_fame(path, FEATURES)]
        print(row(path.stem, forms, train, test, seconds()))
    islands, first = [], seconds()
    for seed in options.seeds:
        start = seconds()
        islands += (found := options.spec.build().search(train, seed, Path()))
        print(row(f"operon, seed {seed}", found, train, test, start), flush=True)
    print(row("operon, merged", islands, train, test, first))


if __name__ == "__main__":
    main()
