"""Searches that differ in their seed, and their merging into one hall of fame."""

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from saggiatore.__main__ import main
from saggiatore.distill.engine import Candidate
from saggiatore.distill.expression import complexity, parse
from saggiatore.distill.hall_of_fame import read_hall_of_fame, write_hall_of_fame
from saggiatore.distill.parametric import Parametric
from saggiatore.distill.teacher import Teacher
from saggiatore.job import Job, read_job
from saggiatore.provenance import provenance
from saggiatore.steps.distill_island import SearchSection
from saggiatore.tables import Column, TableSchema, write_table

N = 1000
FEATURES = ("x", "y")
ENGINE = {"kind": "operon", "population_size": 60, "n_generations": 2, "max_complexity": 9, "max_fits": 40}
ENGINE |= {"functions": [], "rows": 300, "fit_rows": 300}
ISLANDS = (("a*x", "a*x*y"), ("a*y", "a*x*y", "a*x*y + b"), ("a*x*y + b*x", "a*x*y + b*x**2"))


def write_inputs(folder: Path) -> None:
    """A teacher of 0.7 x y - 0.2 x, and the spec of its searches."""
    random = np.random.default_rng(4)
    x, y = random.uniform(0.2, 2, N), random.uniform(-1, 1, N)
    names = (*FEATURES, "score", "var_stat", "var_noise", "weight")
    columns = {"x": x, "y": y, "score": 0.7 * x * y - 0.2 * x, "weight": np.ones(N)}
    columns |= dict.fromkeys(("var_stat", "var_noise"), np.full(N, 0.04))
    schema = TableSchema("teacher", 1, tuple(Column(name, "1", name) for name in names))
    write_table(folder / "teacher.parquet", schema, columns, {"parameter": "c", "var_floor": 0.04})
    job = {"study": "toy", "stage": "formulas", "label": "main", "seed": 1}
    (folder / "spec.json").write_text(json.dumps(job | {"section": {"teacher": "t", "engine": ENGINE}}))


def write_island(folder: Path, shard: int, code: str = "x", version: str = "1", name: str = "island") -> Path:
    """What a search might have left: forms whose constants are not at their minimum."""
    path = folder / f"{name}-{shard}.parquet"
    forms = [Parametric(parse(text), {"a": 0.3, "b": 0.1}) for text in ISLANDS[shard]]
    found = [Candidate(complexity(form.expression), 1.0, form) for form in forms]
    made = provenance(read_job(Job[SearchSection], folder / "spec.json").model_dump(mode="json"), code)
    taught = Teacher.read(folder / "teacher.parquet")
    write_hall_of_fame(path, found, ("operon", version), taught, made | {"shard": shard})
    return path


def flags(folder: Path) -> list[str]:
    return ["--spec", str(folder / "spec.json"), "--code", "x", "--teacher", str(folder / "teacher.parquet")]


def merge(folder: Path, islands: list[Path], out: str = "merged.parquet") -> int:
    return main(["distill", *flags(folder), "--islands", *map(str, islands), "--hall-of-fame", str(folder / out)])


def test_islands_are_merged_by_one_rule(tmp_path):
    """Refitted, counted, better than every simpler one, runners-up too; in whatever order the files come."""
    write_inputs(tmp_path)
    islands = [write_island(tmp_path, shard) for shard in range(3)]
    assert merge(tmp_path, islands) == 0
    table, front = read_hall_of_fame(tmp_path / "merged.parquet", FEATURES)
    assert [str(member.form.expression) for member in front] == ["a*y", "a*x", "a*x*y", "a + b*x*y", "a*x + b*x*y"]
    assert table.data["n_islands"].tolist() == [1, 1, 2, 1, 1]
    assert table.data["complexity"].tolist() == [3, 3, 5, 7, 9]
    assert table.data["loss"].drop(1).is_monotonic_decreasing
    assert front[-1].form.values == pytest.approx({"a": -0.2, "b": 0.7})
    assert table.data["chi2"].to_numpy() == pytest.approx(table.data["loss"].to_numpy() / 0.08)
    for number, order in enumerate(permutations(islands)):
        assert merge(tmp_path, list(order), f"{number}.parquet") == 0
        assert (tmp_path / f"{number}.parquet").read_bytes() == (tmp_path / "merged.parquet").read_bytes()


def test_islands_that_do_not_belong_together_are_refused(tmp_path, capsys):
    write_inputs(tmp_path)
    first, second, third = (write_island(tmp_path, shard) for shard in range(3))
    of_other_code = write_island(tmp_path, 1, code="y", name="code")
    of_other_version = write_island(tmp_path, 1, version="2", name="version")
    for islands, said in (
        ([first, third], r"islands [1] of formulas.main did not come"),
        ([first, second, second], "island 1 came twice"),
        ([first, of_other_code], "come from different code"),
        ([first, of_other_version], "expected one version of one engine"),
    ):
        assert merge(tmp_path, islands) == 1
        assert said in capsys.readouterr().err
    spec = json.loads((tmp_path / "spec.json").read_text())
    (tmp_path / "spec.json").write_text(json.dumps(spec | {"seed": 2}))
    assert merge(tmp_path, [first, second, third]) == 1
    assert "no island of formulas.main of this study" in capsys.readouterr().err
    assert not (tmp_path / "merged.parquet").exists()


def test_islands_differ_in_their_seed_alone(tmp_path):
    """The same number gives the same bytes, another one another search; merged they hold the best of both."""
    write_inputs(tmp_path)

    def island(shard: int, name: str) -> Path:
        out = tmp_path / name
        assert main(["distill-island", *flags(tmp_path), "--shard", str(shard), "--out", str(out)]) == 0
        return out

    first, again, second = island(0, "first"), island(0, "again"), island(1, "second")
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes() != second.read_bytes()
    assert merge(tmp_path, [second, first]) == 0
    best = [read_hall_of_fame(path, FEATURES)[1] for path in (first, second)]
    _, merged = read_hall_of_fame(tmp_path / "merged.parquet", FEATURES)
    for front in best:
        for member in front:
            assert min(each.loss for each in merged if each.complexity <= member.complexity) <= member.loss * (1 + 1e-6)
