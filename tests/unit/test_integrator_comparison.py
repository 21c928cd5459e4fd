"""The table of samplers: one row each, numbers that do not depend on the clock, and errors that help."""

import json

import numpy as np
import pytest

from saggiatore.__main__ import main
from saggiatore.steps.integrator_comparison import efficiencies
from saggiatore.tables import read_table

COARSE = {"n_bins": 16, "n_iterations": 2, "n_points": 16_384, "max_cubes": 1}
SAMPLERS = {"map": {"kind": "vegas", **COARSE}, "two_maps": {"kind": "multichannel", "grid": COARSE}}


def spec(folder, label, sampler, study="oracle", stage="sampler"):
    path = folder / f"sampler.{label}.json"
    section = {"sampler": sampler, "n_integral": 16_384}
    job = {"study": study, "stage": stage, "label": label, "seed": 1, "section": section}
    path.write_text(json.dumps(job | {"process": {"kind": "asymmetry"}}))
    return str(path)


def compare(folder, *specs):
    flags = ["--study", "oracle", "--code", "0", "--specs", *specs, "--out", str(folder / "out.parquet")]
    return main(["integrator-comparison", *flags, "--latex", str(folder / "out.tex")])


@pytest.mark.thorough
def test_one_row_a_sampler(tmp_path):
    """sigma is 1 pb, within five standard errors of 16k points; the LaTeX says the same."""
    assert compare(tmp_path, *(spec(tmp_path, *item) for item in SAMPLERS.items())) == 0
    table = read_table(tmp_path / "out.parquet", "integrator_comparison", version=1).data
    assert list(table["sampler"]) == list(SAMPLERS)
    assert list(table["kind"]) == ["vegas", "multichannel"]
    assert (np.abs(table.cross_section - 1) < 5 * table.cross_section_error).all()
    assert (table.efficiency_max <= table.efficiency_0_1).all()
    assert (table.efficiency_0_1 <= table.efficiency_1).all()
    assert (table[["adaptation_time", "million_time"]] > 0).all(axis=None)
    text = (tmp_path / "out.tex").read_text()
    assert text.count(r"\\") == 3
    assert r"two\_maps & multichannel & $" in text


def test_efficiencies_are_those_of_known_weights():
    """Nine weights of 1 and one of 11: with up to 1 % of the rate above, the maximum is the largest weight."""
    weights = np.array([1.0] * 9 + [11.0])
    assert efficiencies(weights)["max"] == pytest.approx(2 / 11)
    assert efficiencies(weights)["1"] == pytest.approx(2 / 11, rel=2e-3)


def test_a_job_of_something_else_is_refused(tmp_path, capsys):
    assert compare(tmp_path, spec(tmp_path, "map", SAMPLERS["map"], study="other")) == 1
    assert "expected a sampler of 'oracle'" in capsys.readouterr().err
    assert compare(tmp_path, str(tmp_path / "none.json")) == 1
    assert "no readable spec" in capsys.readouterr().err
