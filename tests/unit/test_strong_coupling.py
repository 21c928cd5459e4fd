"""The running coupling: against MadGraph's two-loop values and a set's own table, and bad sets."""

import math
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.errors import PartonDensityError
from saggiatore.physics import electroweak as ew
from saggiatore.physics.lhagrid import find_grid
from saggiatore.physics.strong_coupling import evolve, load

SET = "NNPDF31_lo_as_0118"


@pytest.mark.parametrize(("q", "expected"), [(91.188, 0.130), (125, 0.1235069), (173, 0.1174755), (80.419, 0.1327867)])
def test_two_loops_are_those_of_madgraph(q, expected):
    assert float(evolve(0.130, 2)(jnp.asarray(q))) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("q", [5.0, 200.0, 5000.0])
def test_one_loop_is_the_closed_form(q):
    expected = 1 / (1 / 0.118 + 23 / (12 * math.pi) * 2 * math.log(q / ew.M_Z))
    assert float(evolve(0.118, 1)(jnp.asarray(q))) == pytest.approx(expected, rel=1e-6)


def test_a_scale_outside_is_not_a_number():
    assert math.isnan(evolve(0.118, 1)(jnp.asarray(0.5)))


@pytest.fixture
def info(tmp_path, monkeypatch):
    """Writes the .info file of a copy of a set."""
    shutil.copy(find_grid(SET), tmp_path / "Mine_0000.dat")
    monkeypatch.setenv("LHAPDF_DATA_PATH", str(tmp_path))
    return lambda text: (tmp_path / "Mine.info").write_text(text)


def test_a_set_states_its_coupling(info):
    """Knots are met exactly, also on both sides of a threshold, a doubled knot."""
    q, values = [2.0, 4.75, 4.75, 50.0, 91.2, 1e4], [0.30, 0.22, 0.22, 0.13, 0.118, 0.07]
    info(f"SetDesc: mine\nAlphaS_Qs: {q}\nAlphaS_Vals: {values}\n")
    coupling = load("Mine", None)
    np.testing.assert_allclose([coupling(jnp.asarray(each)) for each in q], values, rtol=1e-12)
    assert 0.118 < float(coupling(jnp.asarray(70.0))) < 0.13


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("AlphaS_Qs: [1, 2]\n", "'AlphaS_Vals' is missing"),
        ("AlphaS_Qs: [1, x]\nAlphaS_Vals: [1, 2]\n", "is damaged"),
        ("AlphaS_Qs: [1, 2, 3]\nAlphaS_Vals: [0.1, 0.2]\n", "no table of a coupling"),
        ("AlphaS_Qs: [2, 1]\nAlphaS_Vals: [0.1, 0.2]\n", "no table of a coupling"),
    ],
)
def test_damaged_sets_are_refused(info, text, message):
    info(text)
    with pytest.raises(PartonDensityError, match=message):
        load("Mine", None)


def test_a_set_without_a_coupling_needs_one():
    with pytest.raises(PartonDensityError, match=r"comes without .*Give the study a coupling"):
        load(SET, None)
