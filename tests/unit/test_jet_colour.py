"""Colour flows of QCD: what is known of them without colour algebra, and a shower that accepts them."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pylhe
import pytest
import pythia8mc

from saggiatore.integrate.events import Draw, events_schema, generate
from saggiatore.integrate.integral import CrossSection
from saggiatore.integrate.vegas import VegasSpec
from saggiatore.physics import electroweak as ew
from saggiatore.physics.boson_jets import on_shell, products
from saggiatore.physics.jet_amplitude import one_line, two_line_assignments
from saggiatore.physics.jet_colour import (
    jet_flows,
    one_line_by_flow,
    one_line_strings,
    two_line_strings,
    two_lines_by_flow,
)
from saggiatore.physics.top_pair_amplitude import gluon_flows
from saggiatore.physics.zjets import ZJetsSpec
from saggiatore.steps.export import run
from saggiatore.tables import write_batches

JETS = {
    "kind": "zjets",
    "sqrt_s": "13 TeV",
    "parton_density": "NNPDF31_lo_as_0118",
    "strong_coupling": {"at_m_z": 0.118, "loops": 1},
    "scale": {"choice": "half_ht"},
    "final_state": "z",
    "cuts": {"pt_j": "30 GeV", "abs_eta_j": 4, "delta_r_jj": 0.4},
    "parameters": {"sin2": {"sin2_eff": 0.01}},
}


def events(n_jets, n_points=32):
    """Partons and boson of some points inside the cuts, in float64."""
    process = ZJetsSpec.model_validate(JETS | {"n_jets": n_jets}).build()
    u = jax.random.uniform(jax.random.key(4), (4 * n_points, process.dim))
    momenta, log_jacobian = jax.jit(jax.vmap(process.momenta))(u)
    inside = jax.jit(jax.vmap(process.accepts))(momenta) & jnp.isfinite(log_jacobian)
    return momenta[inside][:n_points]


def of_boson(function, momenta):
    def one(p):
        return function(p[:-1], on_shell(p[-1], ew.M_Z))

    return jax.jit(jax.vmap(one))(momenta)


def test_there_are_as_many_flows_as_orders_of_gluons():
    for n in (1, 2, 3):
        assert len(one_line_strings(n)) == math.factorial(n)
    for n in (0, 1, 2):
        n_leading, strings = two_line_strings(n)
        assert n_leading == math.factorial(n + 1)
        assert len(strings) == 2 * n_leading
    # q, qbar, g: which leg is which, and one string
    assert len(jet_flows(3)) == 6


@pytest.mark.thorough
def test_one_gluon_has_one_flow():
    """q qbar g Z: all of the square is in the one string, whose trace is C_F N = 4."""
    momenta = events(1)
    full = of_boson(one_line, momenta).square
    by_flow = of_boson(one_line_by_flow, momenta).square
    np.testing.assert_allclose(4 * by_flow.sum(axis=1), full, rtol=1e-10)


@pytest.mark.thorough
def test_a_gluon_exchanged_has_one_leading_flow():
    """q q' -> Z q q': the one leading string pair has 1/2 of the exchange's T^a T^a, whose square is 2."""
    momenta = events(2, 8)
    full = of_boson(products, momenta).two
    by_flow = of_boson(two_lines_by_flow, momenta)
    for exact, leading in ((full.first, by_flow.first), (full.second, by_flow.second), (full.mixed, by_flow.mixed)):
        np.testing.assert_allclose(8 * leading.sum(axis=1), exact, rtol=1e-9, atol=1e-12 * np.abs(exact).max())
    assert len(two_line_assignments(4)) == full.first.shape[1]


@pytest.mark.thorough
@pytest.mark.parametrize("cos", [-0.8, -0.2, 0.5])
def test_flows_of_gluons_to_tops_at_high_energy(cos):
    """Colour-ordered squares of massless quarks are (t^2 + u^2) u / (t s^2) and t <-> u: their ratio is u^2/t^2."""
    energy = 50_000.0
    momentum = math.sqrt(energy**2 - ew.M_TOP**2)
    sin = math.sqrt(1 - cos**2)
    top = jnp.array([energy, momentum * sin, 0.0, momentum * cos])
    beams = jnp.array([[energy, 0, 0, energy], [energy, 0, 0, -energy]])
    momenta = jnp.stack([*beams, top, top * jnp.array([1.0, -1, -1, -1])])
    first, second = gluon_flows(momenta, jnp.zeros(()))
    t, u = -(1 - cos) / 2, -(1 + cos) / 2  # t belongs to the gluon along +z, which the first string has beside the top
    assert float(first / second) == pytest.approx((u / t) ** 2, rel=1e-3)


@pytest.mark.thorough
def test_pythia_showers_jets(tmp_path):
    """Z + 2 jets, all channels: scales and couplings of each event are in the file, and Pythia accepts every one."""
    process = ZJetsSpec.model_validate(JETS | {"n_jets": 2}).build()
    zero, curve = jnp.zeros(1), CrossSection(jnp.array(1.0), jnp.zeros(1), jnp.zeros((1, 1)))
    draw = Draw(process, VegasSpec().build(process.dim), curve, zero, zero, jnp.ones(()), jnp.ones(())).weighted(0.5)
    spec = ZJetsSpec.model_validate(JETS | {"n_jets": 2}).model_dump(mode="json")
    origin = {"spec": {"process": spec, "study": "test", "label": "events"}, "code": "0" * 16}
    blocks = generate(draw, 400, 400, key=jax.random.key(2))
    write_batches(tmp_path / "events.parquet", events_schema(process), blocks, origin)
    run(events=tmp_path / "events.parquet", out=tmp_path / "events.lhe")
    found = list(pylhe.LHEFile.fromfile(tmp_path / "events.lhe").events)
    for event in found:
        pt = [math.hypot(p.px, p.py) for p in event.particles[2:]]
        half_ht = (math.hypot(ew.M_Z, pt[-1]) + pt[0] + pt[1]) / 2
        assert event.eventinfo.scale == pytest.approx(half_ht, rel=1e-9)
        assert 0.05 < event.eventinfo.aqcd < 0.15
    assert len({tuple(p.id for p in event.particles) for event in found}) > 20
    generator = pythia8mc.Pythia("", False)
    for setting in ("Beams:frameType = 4", f"Beams:LHEF = {tmp_path / 'events.lhe'}", "Print:quiet = on"):
        generator.readString(setting)
    assert generator.init()
    assert sum(1 for _ in itertools.takewhile(bool, iter(generator.next, None))) == 400
