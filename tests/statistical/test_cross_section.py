"""Cross sections and distributions against closed forms, an independent integration and MadGraph."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats

from saggiatore.integrate.events import Draw, generate
from saggiatore.integrate.integral import CrossSection, _by_derivatives, _by_nodes, _nodes, integral_schema, measure
from saggiatore.integrate.vegas import VegasSpec
from saggiatore.physics.asymmetry import AsymmetrySpec
from saggiatore.physics.wbf_higgs import WbfHiggsSpec
from saggiatore.physics.zh import ZhSpec
from saggiatore.physics.zjets import ZJetsSpec
from saggiatore.tables import read_table, write_table

GOLDEN = Path(__file__).parents[1] / "golden" / "wbf_t_r13.parquet"
N_EVENTS = 20_000
N_POINTS = 600_000
OVERWEIGHT = 1e-3
BUDGET = 1e-4 / 6  # least p-value of each of the six two-sample tests


@pytest.fixture(scope="module")
def reference():
    table = pq.read_table(GOLDEN)
    return json.loads(table.schema.metadata[b"reference"]), table.to_pandas()


@pytest.fixture(scope="module")
def wbf():
    """Process, sampler and integral of MadGraph's run wbf_t_r13: its energy, densities, scale and cuts."""
    process = WbfHiggsSpec(
        sqrt_s="13 TeV",
        parton_density="NNPDF23_lo_as_0130_qed",
        factorisation_scale="125 GeV",
        cuts={"pt_j": "20 GeV", "abs_eta_j": 5, "delta_eta_jj": 2},
        parameters={"c_wwt": {"c_wwt": "1 TeV^-2"}, "f_ww": {"f_ww": "1 TeV^-2"}},
    ).build()
    sampler = VegasSpec().adapt(process, jnp.zeros(2), key=jax.random.key(11))
    row = measure(process, sampler, N_POINTS, OVERWEIGHT, key=jax.random.key(12))
    return process, sampler, {name: float(column[0]) for name, column in row.items()}


@pytest.mark.thorough
def test_wbf_cross_section(wbf, reference):
    """600k points, error below 0.15 %: within 0.5 % of MadGraph (0.19 %) and of a semi-analytic integral (0.06 %)."""
    _, _, row = wbf
    truth, _ = reference
    assert row["cross_section_error"] < 0.0015 * row["cross_section"]
    for value, error in ((truth["cross_section_pb"], truth["error_pb"]), truth["semi_analytic_pb"]):
        assert row["cross_section"] == pytest.approx(value, rel=0.005)
        assert abs(row["cross_section"] - value) < 5 * np.hypot(error, row["cross_section_error"])


@pytest.mark.thorough
def test_wbf_unweights_well(wbf):
    """The design asks for 3.8 % at 0.1 % overweight; half of what was reached is demanded here."""
    _, _, row = wbf
    assert row["unweighting_efficiency"] > 0.1
    assert 0 < row["overweight_rate"] <= OVERWEIGHT


@pytest.mark.thorough
def test_wbf_distributions(wbf, reference):
    """20k events against MadGraph's 20k: two-sample Kolmogorov-Smirnov tests, p > 1.7e-5 each (1e-4 over six)."""
    process, sampler, row = wbf
    _, theirs = reference
    curve = CrossSection(jnp.array(row["cross_section"]), jnp.zeros(2), jnp.zeros((2, 2)))
    ratio = jnp.array(row["max_weight"] / row["cross_section"])
    draw = Draw(process, sampler, curve, jnp.zeros(2), jnp.zeros(2), ratio, jnp.array(row["kept_fraction"]))
    blocks = list(generate(draw, N_EVENTS, N_EVENTS, key=jax.random.key(13)))
    ours = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    pairs = {name: (ours[name], theirs[name]) for name in theirs.columns}  # 0.1 % overweight is beyond these tests
    pairs["delta_eta"] = ours["delta_eta"], np.abs(theirs["eta_j1"] - theirs["eta_j2"])
    for name, (first, second) in pairs.items():
        assert stats.ks_2samp(first, second).pvalue > BUDGET, name


@pytest.mark.thorough
def test_z_jet_cross_section():
    """300k points, error below 0.15 %: within 0.5 % and 5 errors of MadEvent's 11909.7 +- 17.4 pb (run zj_r13).

    13 TeV, on-shell Z, pT > 20 GeV, |eta| < 5, both scales M_Z, alpha_s(M_Z) = 0.130.
    """
    process = ZJetsSpec(
        sqrt_s="13 TeV",
        parton_density="NNPDF23_lo_as_0130_qed",
        strong_coupling={"at_m_z": 0.130, "loops": 2},
        scale={"choice": "fixed", "value": "91.188 GeV"},
        n_jets=1,
        final_state="z",
        cuts={"pt_j": "20 GeV", "abs_eta_j": 5},
        parameters={"sin2": {"sin2_eff": 0.01}},
    ).build()
    sampler = VegasSpec(n_iterations=5, n_cube_points=100_000).adapt(process, jnp.zeros(1), key=jax.random.key(21))
    row = measure(process, sampler, 300_000, OVERWEIGHT, key=jax.random.key(22))
    sigma, error = row["cross_section"][0], row["cross_section_error"][0]
    assert error < 0.0015 * sigma
    assert sigma == pytest.approx(11909.7, rel=0.005)
    assert abs(sigma - 11909.7) < 5 * np.hypot(error, 17.4)


@pytest.mark.thorough
def test_the_parity_of_the_coefficients(wbf):
    """A CP-odd coefficient enters the cross section quadratically, to rounding; a CP-even one linearly."""
    _, _, row = wbf
    assert abs(row["gradient_c_wwt"]) < 1e-12 * row["cross_section"]
    assert abs(row["hessian_c_wwt_f_ww"]) < 1e-12 * row["cross_section"]
    assert abs(row["gradient_f_ww"]) > 20 * row["gradient_f_ww_error"]
    assert row["hessian_c_wwt_c_wwt"] > 20 * row["hessian_c_wwt_c_wwt_error"]


def test_nodes_give_the_weight_at_any_theta():
    """The polynomial through the nodes is the weight itself, event by event: two parameters, degree two."""
    nodes, solve = _nodes(2)
    stream = np.random.default_rng(1)
    coefficients = stream.normal(size=6)

    def polynomial(a, b):
        terms = np.array([1, a, b, a**2 / 2, a * b, b**2 / 2])
        return coefficients @ terms

    assert not nodes[0].any()
    np.testing.assert_allclose(solve @ [polynomial(*node) for node in nodes], coefficients, rtol=1e-12)


@pytest.mark.thorough
def test_derivatives_are_those_of_the_polynomial():
    """Where the rate is a parabola, nodes and derivatives are the same numbers, for an event and for its image."""
    process = ZhSpec(
        decay={},
        sqrt_s="13 TeV",
        parton_density="NNPDF23_lo_as_0130_qed",
        factorisation_scale="125 GeV",
        parameters={"c_wwt": {"c_wwt": "1 TeV^-2"}, "f_b": {"f_b": "1 TeV^-2"}},
    ).build()
    sampler = VegasSpec().build(process.dim)
    v = jax.random.uniform(jax.random.key(14), (256, process.dim))
    found, expected = (
        np.asarray(jax.jit(jax.vmap(lambda point, f=f: f(process, sampler, point)))(v))
        for f in (_by_derivatives, _by_nodes)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())


def test_the_oracle_is_one_picobarn():
    """sigma = 1 pb over all angles for every a_fb; with |cos| < 1/2 it is (3 x + x^3) / 4 at x = 1/2."""
    coarse = VegasSpec(n_iterations=3, max_cubes=64, n_cube_points=50_000)
    for cut, exact in ((1.0, 1.0), (0.5, (1.5 + 0.125) / 4)):
        process = AsymmetrySpec(cuts={"abs_cos_theta_mu": cut}).build()
        sampler = coarse.adapt(process, jnp.zeros(1), key=jax.random.key(1))
        row = measure(process, sampler, 50_000, 1e-3, key=jax.random.key(2))
        error = row["cross_section_error"][0]
        assert error < 1e-3 * exact
        assert abs(row["cross_section"][0] - exact) < 5 * error
        assert abs(row["gradient_a_fb"][0]) < 1e-12
        assert abs(row["hessian_a_fb_a_fb"][0]) < 1e-12


def test_the_cross_section_is_read_back(tmp_path):
    """Value, gradient and Hessian of two parameters, through the integral table."""
    names = ("a", "b")
    schema = integral_schema(names)
    columns = {column.name: np.array([float(i)]) for i, column in enumerate(schema.columns)}
    columns["n_points"] = np.array([3])
    write_table(tmp_path / "integral.parquet", schema, columns, {})
    curve = CrossSection.read(read_table(tmp_path / "integral.parquet", "integral", version=1), names)
    row = {name: column[0] for name, column in columns.items()}
    theta = jnp.array([0.3, -0.2])
    expected = row["cross_section"] + 0.3 * row["gradient_a"] - 0.2 * row["gradient_b"] + 0.045 * row["hessian_a_a"]
    expected += 0.02 * row["hessian_b_b"] - 0.06 * row["hessian_a_b"]
    assert curve(theta) == pytest.approx(expected)
    np.testing.assert_allclose(jax.grad(lambda t: jnp.log(curve(t)))(theta), curve.log_gradient(theta), rtol=1e-12)
