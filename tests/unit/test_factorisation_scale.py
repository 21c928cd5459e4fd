"""Dynamical factorisation scales: each event's rate is that of a process at this event's scale."""

import dataclasses
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.errors import PartonDensityError
from saggiatore.integrate.variants import variants
from saggiatore.physics import parton_density
from saggiatore.physics.drell_yan import DrellYanSpec
from saggiatore.physics.electroweak import M_H, M_Z
from saggiatore.physics.marginal import MarginalPoint, wbf_marginal_rate
from saggiatore.physics.wbf_higgs import WbfHiggsSpec
from saggiatore.physics.zh import ZhSpec

SET = "NNPDF31_lo_as_0118"
COLLIDER = {"sqrt_s": "13 TeV", "parton_density": SET}
VECTOR = {"parameters": {"c": {"c_wwt": "1 TeV^-2"}}}
SPECS = {
    "drell_yan": (DrellYanSpec, {"cuts": {"m_ll": "60 GeV"}, "parameters": {"c": {"sin2_theta_w": 0.01}}}),
    "zh": (ZhSpec, VECTOR),
    "zh_muons": (ZhSpec, {**VECTOR, "decay": {}}),
    "wbf_higgs": (WbfHiggsSpec, {**VECTOR, "cuts": {"pt_j": "20 GeV", "abs_eta_j": 5, "delta_eta_jj": 2}}),
}
N_EVENTS = 6


def spec_of(name, scale, factor=1.0):
    kind, content = SPECS[name]
    return kind.model_validate({**COLLIDER, **content, "factorisation_scale": scale, "factorisation_factor": factor})


@eqx.filter_jit
def described(process, momenta):
    """Scale of an event, its rate, and that of each flavour channel, away from the Standard Model."""
    theta = jnp.full(len(process.parameters), 0.7)
    channels = jnp.arange(len(process.channels))
    rates = jax.lax.map(lambda channel: process.channel_rate(momenta, channel, theta), channels)
    return process.scales(momenta)[0], process.rate(momenta, theta), rates


@cache
def events(name):
    process = spec_of(name, "mt").build()
    u = jax.random.uniform(jax.random.key(4), (64, process.dim))
    momenta, log_jacobian = jax.jit(jax.vmap(process.momenta))(u)
    return momenta[jax.vmap(process.accepts)(momenta) & jnp.isfinite(log_jacobian)][:N_EVENTS]


def at_scale(process, density):
    """The same process with other parton densities."""
    if hasattr(process, "settings"):
        return dataclasses.replace(process, settings=dataclasses.replace(process.settings, density=density))
    return dataclasses.replace(process, density=density)


def mt(p):
    return np.sqrt(p[0] ** 2 - p[3] ** 2)


EXPECTED = {
    ("drell_yan", "mt"): lambda p: mt(p[2] + p[3]),
    ("drell_yan", "half_ht"): lambda p: np.sqrt(p[0, 0] * p[1, 0]),
    ("zh", "mt"): lambda p: 2 * np.sqrt(p[0, 0] * p[1, 0]),
    ("zh", "half_ht"): lambda p: sum(np.hypot(m, np.hypot(*p[3, 1:3])) for m in (M_Z, M_H)) / 2,
    ("zh_muons", "mt"): lambda p: 2 * np.sqrt(p[0, 0] * p[1, 0]),
    ("zh_muons", "half_ht"): lambda p: (mt(p[2] + p[3]) + mt(p[4])) / 2,
    ("wbf_higgs", "mt"): lambda p: np.hypot(M_H, np.hypot(*p[4, 1:3])),
    ("wbf_higgs", "half_ht"): lambda p: (mt(p[4]) + np.hypot(*p[2, 1:3]) + np.hypot(*p[3, 1:3])) / 2,
}


def cases():
    """Two of them compile fast enough for every run of the tests."""
    for name in SPECS:
        for choice, factor in (("mt", 0.5), ("half_ht", 2.0)):
            is_fast = (name, choice) in (("drell_yan", "mt"), ("zh", "half_ht"))
            yield pytest.param(name, choice, factor, marks=[] if is_fast else [pytest.mark.thorough])


@pytest.mark.parametrize(("name", "choice", "factor"), cases())
def test_a_rate_is_that_at_the_scale_of_the_event(name, choice, factor):
    process = spec_of(name, choice, factor).build()
    fixed, density = spec_of(name, "100 GeV").build(), parton_density.load(SET)
    assert len(events(name)) == N_EVENTS
    for momenta in events(name):
        scale, rate, rates = described(process, momenta)
        assert scale > factor * (LEAST[name] if choice == "mt" else LEAST[name] / 2)
        assert float(scale) == pytest.approx(factor * EXPECTED[name, choice](np.asarray(momenta)), rel=1e-9)
        there = described(at_scale(fixed, density.at_scale(float(scale))), momenta)
        np.testing.assert_allclose(rate, there[1], rtol=1e-12)
        np.testing.assert_allclose(rates, there[2], rtol=1e-12)
        assert abs(float(described(fixed, momenta)[1] / rate) - 1) > 1e-6  # another scale is another rate


@pytest.mark.thorough
def test_quadrature_meets_one_scale():
    """Both scales of weak-boson fusion are functions of the four observables of the marginal rate."""
    point = MarginalPoint(*jnp.array([1.2, 0.5, 4.0, 2.0]))
    scale = (np.hypot(1, abs(1.2 + 0.5 * np.exp(2j))) + 1.2 + 0.5) * M_H / 2
    rate = eqx.filter_jit(lambda process: wbf_marginal_rate(process, point, jnp.ones(1), 4))
    fixed, density = spec_of("wbf_higgs", "100 GeV").build(), parton_density.load(SET)
    expected = rate(at_scale(fixed, density.at_scale(float(scale))))
    assert float(rate(spec_of("wbf_higgs", "half_ht").build())) == pytest.approx(float(expected), rel=1e-9)
    assert abs(float(rate(fixed) / expected) - 1) > 1e-3


@pytest.mark.parametrize("name", SPECS)
def test_variations_multiply_either_scale(name):
    for scale, expected in (("mt", "mt"), ("100 GeV", 100.0)):
        spec = spec_of(name, scale, 3.0)
        varied = {label: spec.varied(each) for label, each in spec.scale_variations().items()}
        assert {label: each.factorisation_factor for label, each in varied.items()} == {"muf0p5": 1.5, "muf2": 6.0}
        assert {each.factorisation_scale for each in varied.values()} == {expected}
    several = variants(
        {label: spec_of(name, "mt").varied(each).build() for label, each in spec.scale_variations().items()}
    )
    assert sum(several.is_varied) == 1  # the factor: densities are a table of all scales


def test_a_factor_moves_a_fixed_scale():
    assert float(spec_of("drell_yan", "100 GeV", 2).build().density.scale) == 200


LEAST = {"drell_yan": 60.0, "zh": M_Z + M_H, "zh_muons": 66 + M_H, "wbf_higgs": M_H}  # of mt inside the cuts, GeV


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("choice", ["mt", "half_ht"])
def test_cuts_that_let_scales_fall_below_the_grid_are_refused(name, choice):
    lowest, _ = parton_density.load(SET).scale_range
    jets = 40.0 if name == "wbf_higgs" else 0.0
    least = LEAST[name] if choice == "mt" else (LEAST[name] + jets) / 2
    spec_of(name, choice, 1.001 * lowest / least).build()
    with pytest.raises(PartonDensityError, match=f"'{choice}' goes down to .* inside the cuts, below the grid"):
        spec_of(name, choice, 0.999 * lowest / least).build()
