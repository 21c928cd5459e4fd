"""Z h production against MadEvent, a semi-analytic integral and the narrow-width limit of its decay."""

import math

import jax
import jax.numpy as jnp
import pytest

from saggiatore.integrate.integral import measure
from saggiatore.integrate.vegas import VegasSpec
from saggiatore.physics import electroweak as ew
from saggiatore.physics.zh import ZhSpec

pytestmark = pytest.mark.thorough

N_POINTS = 400_000
MADEVENT = 0.55962, 0.00041072  # pb; MadGraph5_aMC@NLO 3.5.7, 13 TeV, p p > z h, no cuts, run zh_r13
QUADRATURE = 0.5598475  # pb; Gauss-Legendre quadrature of the luminosity times the closed partonic cross section
WINDOW = 20.0  # GeV, about the mass of the Z boson


def integrate(**changes):
    settings = {
        "sqrt_s": "13 TeV",
        "parton_density": "NNPDF23_lo_as_0130_qed",
        "factorisation_scale": "125 GeV",
        "parameters": {"odd": {"c_wwt": "1 TeV^-2"}},
    }
    process = ZhSpec.model_validate({**settings, **changes}).build()
    sampler = VegasSpec().adapt(process, jnp.zeros(1), key=jax.random.key(31))
    row = measure(process, sampler, N_POINTS, 1e-3, key=jax.random.key(32))
    return {name: float(column[0]) for name, column in row.items()}


@pytest.fixture(scope="module")
def on_shell():
    return integrate()


def test_cross_section(on_shell):
    """400k points, error below 0.05 %: within five standard errors of both."""
    value, error = on_shell["cross_section"], on_shell["cross_section_error"]
    assert error < 5e-4 * value
    assert abs(value - MADEVENT[0]) < 5 * math.hypot(error, MADEVENT[1])
    assert abs(value - QUADRATURE) < 5 * error


def test_decay_multiplies_by_the_branching_ratio(on_shell):
    """Muons within 20 GeV of M_Z: the Breit-Wigner fraction of the branching ratio, to half a per cent.

    What remains is of the order of Gamma/M times the slope of the production rate. The part quadratic in c_wwt, which
    has the spin correlations of another amplitude, agrees to 3 %.
    """
    low, high = ew.M_Z - WINDOW, ew.M_Z + WINDOW
    decayed = integrate(decay={"m_ll": f"{low} GeV", "max_m_ll": f"{high} GeV"})
    couplings = ew.z_couplings(*ew.LEPTON_NUMBERS, ew.SIN2)
    partial = ew.M_Z / (24 * math.pi) * sum(coupling**2 for coupling in couplings)
    inside = sum(math.atan(abs(m**2 - ew.M_Z**2) / (ew.M_Z * ew.WIDTH_Z)) for m in (low, high)) / math.pi
    factor = partial / ew.WIDTH_Z * inside
    assert decayed["cross_section"] == pytest.approx(factor * on_shell["cross_section"], rel=0.005)
    name = "hessian_odd_odd"
    assert decayed[name] == pytest.approx(factor * on_shell[name], rel=0.03)
    assert abs(decayed["gradient_odd"]) < 5 * decayed["gradient_odd_error"] + 1e-3 * math.sqrt(
        decayed[name] * decayed["cross_section"]
    )
