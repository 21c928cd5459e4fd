"""Symmetries by construction against filtering, on a teacher of the default study: quality and time.

``make; python benchmarks/symmetric_formulas.py results/quick``. Every search is `operon` with its defaults, constants
are refitted to the joint score of the events of the training, and the information kept is that of the closest member
with at most so many nodes on the events of the selection: of all members, or of those that are odd and periodic in
delta_phi to rounding, which are all members where the search has the symmetry by construction. The invariants hold the
cosine of the angle, so that such a search may go without a sine of its own.
"""

import argparse
import time
from pathlib import Path

from saggiatore.distill.construction import Construction, search
from saggiatore.distill.engine import pareto_front
from saggiatore.distill.expression import complexity
from saggiatore.distill.operon_engine import OperonSpec
from saggiatore.distill.parametric import Parametric
from saggiatore.distill.refit import refit
from saggiatore.distill.sample import Sample
from saggiatore.distill.symmetry import EXACT, SymmetrySpec, violation
from saggiatore.distill.teacher import Teacher
from saggiatore.errors import ConvergenceError
from saggiatore.tables import read_header

ANGLE = "delta_phi"
NODES = (8, 10, 13, 16, 18, 20, 25)


def refitted(forms: list[Parametric], train: Sample) -> list[Parametric]:
    """Forms whose constants the events determine."""
    found = []
    for form in forms:
        try:
            found.append(refit(form, train.columns, train.score, train.weight).form)
        except ConvergenceError:
            continue
    return found


def cells(members: list[tuple[int, float, float]]) -> str:
    """Information kept by the member with the smallest error, of those with at most so many nodes."""
    able = [[member for member in members if member[0] <= nodes] for nodes in NODES]
    return " ".join(f"{min(some, key=lambda each: each[1])[2]:.4f}" if some else "     -" for some in able)


def main() -> None:
    """Print a row of all members and one of the symmetric ones for each seed and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    options = parser.parse_args()
    table = options.folder / "tables" / "network.teacher.parquet"
    taught, parameter = Teacher.read(table), read_header(table, "teacher")[1]["parameter"]
    train, test = (
        Sample.read(options.folder / "events" / f"{name}.parquet", parameter, taught.features)
        for name in ("train", "select")
    )
    symmetry = SymmetrySpec(odd_in=(ANGLE,), periodic=(ANGLE,))
    construction = Construction.of(symmetry, {feature.name: feature.unit for feature in taught.features})
    usual, bare = OperonSpec().build(), OperonSpec(functions=()).build()
    ways = (
        ("filtered", None, usual),
        ("by construction", construction, usual),
        ("by construction, no sin", construction, bare),
    )
    print(f"{'nodes up to':44s} {' '.join(f'{nodes:6d}' for nodes in NODES)}  members  CPU s")
    for seed in options.seeds:
        for name, way, engine in ways:
            start = time.process_time()
            forms = search(engine, taught.problem, way, seed, Path(), "")
            front = pareto_front(taught.problem, forms, engine.max_complexity)
            used = time.process_time() - start
            members = refitted([member.form for member in front], train)
            nodes = [complexity(form.expression) for form in members]
            rows = [
                (count, float(test.weight @ test.squares(form)), test.information(form).value)
                for count, form in zip(nodes, members, strict=True)
            ]
            able = [violation(form, test.columns, (ANGLE,), (ANGLE,)) < EXACT for form in members]
            symmetric = [row for row, is_able in zip(rows, able, strict=True) if is_able]
            for which, some in (("all", rows), ("symmetric", symmetric)):
                print(
                    f"seed {seed}, {name}, {which}".ljust(44),
                    cells(some),
                    f"{len(some):8d} {used:6.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
