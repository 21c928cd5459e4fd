"""`python -m saggiatore matrix-element`: values of the tables, and clear errors for bad events and bad questions."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saggiatore.__main__ import main
from saggiatore.tables import read_table

GOLDEN = Path(__file__).parents[1] / "golden"
PARTS = ("e", "px", "py", "pz")


def evaluate(events, out, *flags, process="wbf_higgs"):
    return main(["matrix-element", "--process", process, "--events", str(events), "--out", str(out), *flags])


@pytest.fixture
def antiquark(tmp_path):
    """Events of u d~ -> u d~ h with both beams exchanged: an antiquark first."""
    data = pd.read_parquet(GOLDEN / "tch_udx__udxh.parquet")
    legs = {f"leg{new}_{part}": data[f"leg{old}_{part}"] for new, old in enumerate((1, 0, 2, 3, 4)) for part in PARTS}
    path = tmp_path / "events.parquet"
    pd.DataFrame(legs).to_parquet(path)
    return path, data


def test_values_and_scores(tmp_path):
    """At f_wwt = 5, f_ww = 1, against the polynomial of the table."""
    out = tmp_path / "out.parquet"
    flags = ("--pdg", "2,1,2,1,25", "--coefficients", "f_wwt=5,f_ww=1", "--widths")
    assert evaluate(GOLDEN / "hvv6_ud__udh.parquet", out, *flags) == 0
    table, data = read_table(out, "matrix_element").data, pd.read_parquet(GOLDEN / "hvv6_ud__udh.parquet")
    square = data.sm + 5 * data.lin_FWWT + data.lin_FWW
    square += 25 * data.quad_FWWT_FWWT + data.quad_FWW_FWW + 10 * data.quad_FWW_FWWT
    np.testing.assert_allclose(table.me2, square, rtol=1e-9)
    slope = data.lin_FWWT + 10 * data.quad_FWWT_FWWT + 2 * data.quad_FWW_FWWT
    np.testing.assert_allclose(table.score_f_wwt, slope / square, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "process", "pdg"),
    [("ug__zu", "zjets", "2,21,23,2"), ("udx__wpg", "wjets", "2,-1,24,21"), ("uux__ttx", "top_pair", "2,-2,6,-6")],
)
def test_values_of_qcd(tmp_path, name, process, pdg):
    out = tmp_path / "out.parquet"
    assert evaluate(GOLDEN / f"{name}.parquet", out, "--pdg", pdg, "--widths", process=process) == 0
    table = read_table(out, "matrix_element")
    np.testing.assert_allclose(table.data.me2, pd.read_parquet(GOLDEN / f"{name}.parquet").me2, rtol=1e-9)
    assert table.column("me2").unit == "1"


def test_an_antiquark_may_come_first(tmp_path, antiquark):
    path, data = antiquark
    assert evaluate(path, tmp_path / "out.parquet", "--pdg", "-1,2,2,-1,25") == 0
    found = read_table(tmp_path / "out.parquet", "matrix_element").data
    np.testing.assert_allclose(found.me2, data.me2_zero_width, rtol=1e-9)


def test_units_follow_the_process(tmp_path):
    """|M|^2 of four legs has no unit; a score has that of one over its coefficient."""
    flags = ("--pdg", "2,-2,13,-13", "--coefficients", "z_prime_coupling=0.5,z_prime_mass=1000,z_prime_width=30")
    assert evaluate(GOLDEN / "zprime_uux__mummup.parquet", tmp_path / "a.parquet", *flags, process="drell_yan") == 0
    table = read_table(tmp_path / "a.parquet", "matrix_element")
    expected = pd.read_parquet(GOLDEN / "zprime_uux__mummup.parquet")["me2_at_KZP_0.5"]
    np.testing.assert_allclose(table.data.me2, expected, rtol=1e-9)
    names = ("me2", "score_z_prime_coupling", "score_z_prime_mass", "score_sin2_theta_w")
    assert [table.column(name).unit for name in names] == ["1", "1", "GeV^-1", "1"]
    assert evaluate(GOLDEN / "uux__zh.parquet", tmp_path / "b.parquet", "--pdg", "2,-2,23,25", process="zh") == 0
    assert read_table(tmp_path / "b.parquet", "matrix_element").column("score_f_b").unit == "TeV^2"


@pytest.mark.parametrize(
    ("flags", "process", "message"),
    [
        (("--pdg", "2,-2,4,-4,25"), "wbf_higgs", "no such channel of wbf_higgs. Covered:"),
        (("--pdg", "2,1,2,1,25", "--coefficients", "f_x=1"), "wbf_higgs", "no coefficient is called 'f_x'"),
        (("--pdg", "2,1,2,1,25", "--coefficients", "f_ww"), "wbf_higgs", "is not name=number"),
        (("--pdg", "2,1,2,1,25", "--coefficients", "f_ww=nan"), "wbf_higgs", "must be finite"),
        (
            ("--pdg", "11,-11,13,-13"),
            "ring",
            "no amplitudes to compare; these have: asymmetry, drell_yan, top_pair",
        ),
        (("--pdg", "11,-11,2,-2"), "asymmetry", "no such channel of asymmetry. Covered:"),
        (("--pdg", "2,-1,13,-13"), "drell_yan", "no such channel of drell_yan. Covered:"),
        (("--pdg", "2,-2,24,25"), "zh", "no such channel of zh. Covered:"),
        (("--pdg", "2,1,2,1,25"), "higgs", "no process is called 'higgs'"),
        (("--pdg", "2,-1,23,21"), "zjets", "no such channel of zjets. Covered:"),
        (("--pdg", "23,2,-2,21"), "zjets", "no such channel of zjets. Covered:"),
        (("--pdg", "2,-2,21"), "zjets", "no such channel of zjets. Covered:"),
        (("--pdg", "2,-2,13,-13,13,21"), "zjets", "no such channel of zjets. Covered:"),
        (("--pdg", "2,-2,24,21"), "wjets", "no such channel of wjets. Covered:"),
        (("--pdg", "2,-1,23,x"), "wjets", "expected PDG numbers"),
        (("--pdg", "2,-1,6,-6"), "top_pair", "no such channel of top_pair. Covered:"),
    ],
)
def test_bad_questions(tmp_path, capsys, flags, process, message):
    out = tmp_path / "out.parquet"
    assert evaluate(GOLDEN / "ud__udh.parquet", out, *flags, process=process) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def lose(data):
    return data.drop(columns="leg4_pz")


def set_nan(data):
    return data.assign(leg2_px=data.leg2_px.where(data.index != 5))


def leave_shell(data):
    return data.assign(leg3_e=data.leg3_e + 3 * (data.index == 7))


def break_conservation(data):
    turned = data.leg2_px.where(data.index != 9, -data.leg2_px)
    return data.assign(leg2_px=turned)


def turn_back(data):
    return data.assign(leg0_e=-data.leg0_e)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lose, "no columns ['leg4_pz']"),
        (set_nan, "column 'leg2_px' has 1 of 64 values that are NaN or infinite, the first in row 5"),
        (leave_shell, "row 7: leg 3 is off shell"),
        (break_conservation, "row 9: px is not conserved"),
        (turn_back, "row 0: leg 0 has no positive energy"),
        (lambda data: data[:0], "no rows"),
    ],
)
def test_bad_events(tmp_path, capsys, damage, message):
    events = tmp_path / "events.parquet"
    damage(pd.read_parquet(GOLDEN / "ud__udh.parquet")).to_parquet(events)
    assert evaluate(events, tmp_path / "out.parquet", "--pdg", "2,1,2,1,25") == 1
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["events.parquet"]
