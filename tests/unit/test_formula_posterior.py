"""The posterior over formulas on draws whose answer is known, and its two jobs joined."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saggiatore.__main__ import main
from saggiatore.distill.constant_fit import fit_covariance
from saggiatore.distill.expression import parse
from saggiatore.distill.formula import Formula
from saggiatore.distill.formula_posterior import Targets, band_of, constants_of, fraction_error, pool, vote
from saggiatore.distill.parametric import Parametric
from saggiatore.distill.sample import Sample
from saggiatore.distill.select import SelectionSpec
from saggiatore.distill.teacher import Teacher
from saggiatore.errors import SchemaError
from saggiatore.steps.structures_draw import FIT_WEIGHT, SEARCH_WEIGHT
from saggiatore.tables import Column, TableSchema, read_table, write_table

N = 4000
RANDOM = np.random.default_rng(11)
X, Y = RANDOM.uniform(0.2, 2, N), RANDOM.uniform(-1, 1, N)
COLUMNS = {"x": X, "y": Y}
SHARE = np.full(N, 1 / N)
NOISE = 0.05 * RANDOM.standard_normal(N)
TRUTH = np.random.default_rng(12).multivariate_normal([0.7, -0.3], [[4e-4, 1e-4], [1e-4, 9e-4]], 300)
DRAWS = TRUTH @ np.stack([X * Y, X])  # (draw, row)
FORM = Parametric(parse("a*x*y + b*x"), {"a": 1.0, "b": 1.0})


def test_constants_spread_as_the_draws_do():
    """The form is exact here, so that the fit returns each draw's constants and adds nothing of its own."""
    found = constants_of(FORM, Targets(COLUMNS, SHARE, DRAWS))
    np.testing.assert_allclose(found.draws, TRUTH, rtol=1e-4)
    np.testing.assert_allclose(found.covariance_draws, np.cov(TRUTH.T), rtol=1e-3)
    assert np.all(np.diag(found.covariance_refit) < 1e-8)
    assert list(found.form.values.values()) == pytest.approx(TRUTH.mean(axis=0), rel=1e-4)


def test_what_the_form_cannot_follow_is_the_error_of_the_fit():
    """The same misfit in each draw moves no constant between draws; it is the sandwich at the mean score."""
    found = constants_of(FORM, Targets(COLUMNS, SHARE, DRAWS + NOISE))
    np.testing.assert_allclose(found.covariance_draws, np.cov(TRUTH.T), rtol=1e-3)
    design = np.stack([X * Y, X])
    expected = 0.05**2 * np.linalg.inv(design @ design.T)  # of linear regression with that noise, n = 4000
    np.testing.assert_allclose(found.covariance_refit, expected, rtol=0.25, atol=0.05 * expected.max())
    centre = Targets(COLUMNS, SHARE, DRAWS).fit(FORM, DRAWS[0] + NOISE)
    assert np.all(np.linalg.eigvalsh(fit_covariance(centre, COLUMNS, DRAWS[0] + NOISE, SHARE)) > 0)


def test_one_form_stands_for_each_structure():
    texts = ("a*x*(y + b)", "b*x + a*x*y", "a*sin(y)", "a*b*sin(y)", "a*x*(b*y + c)")
    found = pool([Parametric(parse(text), dict.fromkeys("abc", 1.0)) for text in texts], ("x", "y"))
    assert [str(form.expression) for form in found.values()] == ["a*sin(y)", "a*x*(b + y)"]
    assert [key.text for key in found] == ["k*sin(y)", "k*x*y + k*x"]


def test_draws_vote_by_the_rule():
    """Half of the draws lack the second term, and the paired rule sees it; resampling changes nothing so clear."""
    held_out = Sample(COLUMNS, DRAWS.mean(axis=0) + NOISE, np.zeros(N), np.ones(N))
    forms = [Parametric(parse("a*x*y"), {"a": 0.7}), FORM]
    spec = SelectionSpec(rule="paired_standard_error", n_bootstrap=20)
    targets = Targets(COLUMNS, SHARE, DRAWS[:3])
    votes = vote(spec, [list(each) for each in zip(*map(targets.fit_all, forms), strict=True)], held_out, seed=1)
    assert votes.chosen.tolist() == [1, 1, 1]
    np.testing.assert_array_equal(votes.probability, [0.0, 1.0])
    without = vote(spec.model_copy(update={"n_bootstrap": 0}), [[FORM, FORM]], held_out, seed=1)
    np.testing.assert_array_equal(without.probability, [1.0, 0.0])


def test_the_band_is_the_law_of_total_variance():
    """Against the draws themselves: values of both structures, mixed with their probabilities."""
    targets = Targets(COLUMNS, SHARE, DRAWS + NOISE)
    found = [constants_of(form, targets) for form in (FORM, Parametric(parse("a*x*y"), {"a": 1.0}))]
    mixed = band_of(found, [0.75, 0.25], COLUMNS)
    values = [found[0].draws @ np.stack([X * Y, X]), found[1].draws @ (X * Y)[None]]
    one, other = (each.mean(axis=0) for each in values)
    wide, narrow = (each.var(axis=0, ddof=1) for each in values)
    np.testing.assert_allclose(mixed.mean, 0.75 * one + 0.25 * other)
    np.testing.assert_allclose(mixed.var_draws, 0.75 * wide + 0.25 * narrow)
    np.testing.assert_allclose(mixed.var_structure, 0.75 * 0.25 * (one - other) ** 2)
    slopes = np.stack([X * Y, X])
    expected = 0.75 * np.einsum("ir,ij,jr->r", slopes, found[0].covariance_refit, slopes)
    np.testing.assert_allclose(mixed.var_refit, expected + 0.25 * found[1].covariance_refit[0, 0] * (X * Y) ** 2)


def test_the_error_of_a_fraction_is_never_zero():
    assert fraction_error(1.0, 4) == pytest.approx(np.sqrt(4.5 * 0.5 / (25 * 6)))
    assert fraction_error(0.0, 4) == fraction_error(1.0, 4)
    assert fraction_error(0.3, 10_000) == pytest.approx(np.sqrt(0.3 * 0.7 / 10_000), rel=1e-3)


def write_teacher(path: Path, var_stat: float = 0.01, **origin: object) -> Path:
    names = ("x", "y", "score", "var_stat", "var_noise", "weight")
    columns = dict.fromkeys(names, np.full(N, 0.04)) | COLUMNS
    columns |= {"score": DRAWS.mean(axis=0), "var_stat": np.full(N, var_stat), "weight": np.ones(N)}
    schema = TableSchema("teacher", 1, tuple(Column(name, "1", name) for name in names))
    write_table(path, schema, columns, {"parameter": "c", **origin})
    return path


def test_chi2_is_the_distance_in_units_of_the_teachers_uncertainty(tmp_path):
    found = Teacher.read(write_teacher(tmp_path / "teacher.parquet", var_floor=0.04))
    assert found.problem.features == ("x", "y")
    assert found.chi2(found.problem.y + 0.1) == pytest.approx(0.1**2 / 0.05)
    assert found.chi2_of_loss(0.1**2) == pytest.approx(0.1**2 / 0.05)
    bare = Teacher.read(write_teacher(tmp_path / "bare.parquet", var_floor=0.0))
    assert bare.chi2(bare.problem.y) is None


def test_a_teacher_of_negative_variance_is_refused(tmp_path):
    with pytest.raises(SchemaError, match=r"var_stat is negative in 4000 of 4000 rows"):
        Teacher.read(write_teacher(tmp_path / "teacher.parquet", var_stat=-1e-6))


def write_inputs(folder: Path) -> None:
    """Four draws of a score, held-out events, the formula of their mean and the specs of both sections."""
    write_teacher(folder / "teacher.parquet", var_floor=0.04)
    features = (Column("x", "1", "x", "x"), Column("y", "1", "y", "y"))
    scores = tuple(Column(f"score_draw_{draw}", "1", "score") for draw in range(4))
    half = (np.arange(N) < N // 2).astype(float)
    columns = COLUMNS | {SEARCH_WEIGHT.name: half, FIT_WEIGHT.name: 1 - half}
    columns |= {column.name: DRAWS[draw] for draw, column in enumerate(scores)}
    origin = {"parameter": "c", "draws": [[0, 5], [1, 7], [2, 1], [3, 9]]}
    write_table(
        folder / "targets.parquet",
        TableSchema("targets", 1, (*features, SEARCH_WEIGHT, FIT_WEIGHT, *scores)),
        columns,
        origin,
    )
    truth = ("parton_score_c", "flavour_variance_c")
    events = COLUMNS | {"weight": np.ones(N), truth[0]: DRAWS.mean(axis=0) + NOISE, truth[1]: np.zeros(N)}
    schema = (*features, Column("weight", "pb", "weight"), *(Column(name, "1", name) for name in truth))
    write_table(folder / "select.parquet", TableSchema("events", 1, schema), events, {})
    engine = {"kind": "operon", "population_size": 60, "n_generations": 4, "max_complexity": 9, "max_fits": 60}
    engine |= {"functions": [], "rows": 500, "fit_rows": 500}
    sections = {
        "formulas": {"teacher": "t", "train": "train", "select": "select", "engine": engine},
        "structures": {"formula": "main", "n_draws": 3, "n_fits": 4, "n_band": 10},
    }
    for stage, section in sections.items():
        content = {"study": "toy", "stage": stage, "label": "main", "seed": 1, "section": section}
        (folder / f"{stage}.json").write_text(json.dumps(content))
    Formula("c", (), parse("a"), {"a": 1.0}, np.eye(1)).write(folder / "formula.json")


def distil(folder: Path, shard: int) -> int:
    command = ["structures-draw", "--spec", str(folder / "structures.json"), "--code", "x", "--shard", str(shard)]
    inputs = {"formulas": "formulas.json", "targets": "targets.parquet", "select": "select.parquet"}
    command += [part for name, path in inputs.items() for part in (f"--{name}", str(folder / path))]
    return main([*command, "--out", str(folder / f"draw-{shard}.parquet")])


def join(folder: Path, draws: list[int], out: Path) -> int:
    command = ["structures", "--spec", str(folder / "structures.json"), "--code", "x"]
    inputs = {"formulas": "formulas.json", "formula": "formula.json", "targets": "targets.parquet"}
    inputs |= {"teacher": "teacher.parquet", "select": "select.parquet"}
    command += [part for name, path in inputs.items() for part in (f"--{name}", str(folder / path))]
    names = ("structures", "constants", "covariances", "band", "drawn", "posterior", "latex")
    command += [part for name in names for part in (f"--{name}", str(out / name))]
    return main([*command, "--draws", *(str(folder / f"draw-{draw}.parquet") for draw in draws)])


def test_draws_are_distilled_and_joined(tmp_path, capsys):
    """Three draws of a x y + b x: its structure is found by each, with the spread of their constants."""
    write_inputs(tmp_path)
    assert [distil(tmp_path, shard) for shard in (0, 1, 2, 3)] == [0, 0, 0, 1]
    assert "draw 3 came, expected one from 0 to 2" in capsys.readouterr().err
    assert join(tmp_path, [2, 0, 1], tmp_path / "one") == 0
    assert join(tmp_path, [0, 1, 2], tmp_path / "other") == 0
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()
    structures = read_table(tmp_path / "one" / "structures", "structures").data
    first, quoted = structures.iloc[0], structures.query("is_formula == 1").iloc[0]
    assert (first["text"], first["n_draws"], first["probability"]) == ("k*x*y + k*x", 3, 1.0)
    assert first["probability_pooled"] > 0.9
    assert (quoted["text"], quoted["n_draws"], quoted["probability_pooled"]) == (
        "k",
        0,
        0.0,
    )
    constants = read_table(tmp_path / "one" / "constants", "constants").data.query("structure == 0")
    np.testing.assert_allclose(constants["error"], np.hypot(constants["error_draws"], constants["error_refit"]))
    formula = Formula.read(tmp_path / "one" / "posterior")
    assert list(formula.errors.values()) == pytest.approx(constants["error"].tolist())
    drawn = read_table(tmp_path / "one" / "drawn", "drawn").data
    assert drawn[["chain", "draw", "structure"]].to_numpy().tolist() == [[0, 5, 0], [1, 7, 0], [2, 1, 0]]
    assert len(pd.read_parquet(tmp_path / "one" / "band")) == 10
    assert (tmp_path / "one" / "latex").read_text().startswith(r"\begin{tabular}")
    assert join(tmp_path, [0, 1], tmp_path / "none") == 1
    assert "draws [2] of structures.main did not come" in capsys.readouterr().err
    assert join(tmp_path, [0, 1, 1], tmp_path / "none") == 1
    assert not (tmp_path / "none").exists()
