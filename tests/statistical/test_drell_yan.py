"""Muon pairs against MadEvent, a semi-analytic integral and events of Pythia."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from saggiatore.integrate.events import Draw, generate
from saggiatore.integrate.integral import CrossSection, measure
from saggiatore.integrate.vegas import VegasSpec
from saggiatore.physics import electroweak as ew
from saggiatore.physics.drell_yan import DrellYanSpec

pytestmark = pytest.mark.thorough

N_POINTS = 400_000
N_EVENTS = 40_000
OVERWEIGHT = 1e-3
BUDGET = 1e-4 / 5  # least p-value of each of the five two-sample tests
MASSES = 60, 300  # GeV, compared with Pythia


def integrate(**changes):
    """A process, its sampler and its integral, as the reference runs have them."""
    settings = {
        "sqrt_s": "13 TeV",
        "parton_density": "NNPDF23_lo_as_0130_qed",
        "factorisation_scale": "91.188 GeV",
        "parameters": {"mixing": {"sin2_theta_w": 0.001}},
    }
    process = DrellYanSpec.model_validate({**settings, **changes}).build()
    sampler = VegasSpec().adapt(process, jnp.zeros(1), key=jax.random.key(21))
    row = measure(process, sampler, N_POINTS, OVERWEIGHT, key=jax.random.key(22))
    return process, sampler, {name: float(column[0]) for name, column in row.items()}


# MadGraph5_aMC@NLO 3.5.7 MadEvent, four flavours, 20k events; Gauss-Legendre quadrature of the luminosity times the
# closed partonic cross section, without a stated error
@pytest.mark.parametrize(
    ("cuts", "madevent", "quadrature"),
    [
        ({"m_ll": "50 GeV"}, (1512.395, 1.028437), 1513.779),
        ({"m_ll": "60 GeV", "max_m_ll": "120 GeV"}, (1455.092, 1.094996), 1455.596),
    ],
)
def test_cross_section(cuts, madevent, quadrature):
    """400k points, error below 0.05 %: within five standard errors of both."""
    _, _, row = integrate(cuts=cuts)
    value, error = row["cross_section"], row["cross_section_error"]
    assert error < 5e-4 * value
    assert abs(value - madevent[0]) < 5 * math.hypot(error, madevent[1])
    assert abs(value - quadrature) < 5 * error
    assert row["unweighting_efficiency"] > 0.3


def pythia_events():
    """Cross section in pb with its error, and (m_ll, cosine of the angle to the quark, y_ll), of u, d, s and c quarks.

    Pythia's width grows with s/M^2; its pole is that of a fixed width if M is larger by sqrt(1 + (Gamma/M)^2), and
    what remains is a factor 1/(1 + (Gamma/M)^2) = 0.9993 of the pure Z. The width follows from the couplings; without
    the strong correction it is the one of `electroweak` to 1.3e-4.
    """
    pythia8 = pytest.importorskip("pythia8mc")
    pythia = pythia8.Pythia("", False)
    ratio = ew.WIDTH_Z / ew.M_Z
    mass = ew.M_Z * math.sqrt(1 + ratio**2)
    for setting in (
        "Print:quiet = on",
        "Random:setSeed = on",
        "Random:seed = 5",
        "Beams:eCM = 13000",
        "PDF:pSet = 17",
        "WeakSingleBoson:ffbar2gmZ = on",
        "PartonLevel:all = off",
        "HadronLevel:all = off",
        "SigmaProcess:alphaEMorder = -1",
        "SigmaProcess:factorScale1 = 2",
        f"SigmaProcess:factorFixScale = {ew.M_Z**2}",
        f"PhaseSpace:mHatMin = {MASSES[0]}",
        f"PhaseSpace:mHatMax = {MASSES[1]}",
        f"23:m0 = {mass}",
        "SigmaProcess:alphaSorder = 0",
        "23:mMin = 10",
        "23:onMode = off",
        "23:onIfAny = 13",
        "13:m0 = 0",
    ):
        assert pythia.readString(setting), setting
    # with force, since the settings only allow values near the measured ones
    for name, value in (("alphaEMmZ", ew.ALPHA), ("sin2thetaW", ew.SIN2), ("sin2thetaWbar", ew.SIN2)):
        pythia.settings.parm(f"StandardModel:{name}", value, True)
    pythia.settings.parm("SigmaProcess:alphaSvalue", 0.0, True)
    assert pythia.init()
    assert pythia.particleData.mWidth(23) == pytest.approx(mass * ratio, rel=2e-4)
    rows = []
    for _ in range(N_EVENTS):
        assert pythia.next()
        if abs(pythia.infoPython().id1()) == 5:
            continue
        muon = next(p for p in pythia.process if p.id() == 13)
        quark = next(p for p in pythia.process if p.status() == -21 and p.id() > 0)
        anti = next(p for p in pythia.process if p.status() == -21 and p.id() < 0)
        s = (quark.p() + anti.p()).m2Calc()
        rows.append((math.sqrt(s), 4 * (muon.p() * anti.p()) / s - 1, (quark.p() + anti.p()).rap()))
    info = pythia.infoPython()
    share = len(rows) / N_EVENTS
    return info.sigmaGen() * 1e9 * share, info.sigmaErr() * 1e9 * share, np.array(rows).T


@pytest.fixture(scope="module")
def both():
    """Pythia's events and ours, with our cross section."""
    theirs = pythia_events()
    cuts = {"m_ll": f"{MASSES[0]} GeV", "max_m_ll": f"{MASSES[1]} GeV"}
    process, sampler, row = integrate(parton_density="NNPDF31_lo_as_0130", cuts=cuts)
    curve = CrossSection(jnp.array(row["cross_section"]), jnp.zeros(1), jnp.zeros((1, 1)))
    ratio = jnp.array(row["max_weight"] / row["cross_section"])
    draw = Draw(process, sampler, curve, jnp.zeros(1), jnp.zeros(1), ratio, jnp.array(row["kept_fraction"]))
    blocks = list(generate(draw, N_EVENTS, N_EVENTS, key=jax.random.key(23)))
    return theirs, row, {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def test_pythia_has_the_same_cross_section(both):
    """40k events of Pythia, error 0.3 %: within five standard errors."""
    (value, error, _), row, _ = both
    assert error < 0.005 * value
    assert abs(row["cross_section"] - value) < 5 * math.hypot(error, row["cross_section_error"])


def test_pythia_has_the_same_distributions(both):
    """40k events each: two-sample Kolmogorov-Smirnov tests, p > 2e-5 each (1e-4 over five); the peak by itself, too."""
    (_, _, theirs), _, ours = both
    towards_quark = np.where(ours["leg0_pdg"] > 0, 1, -1) * ours["leg2_pz"]
    energy = ours["leg0_e"] * ours["leg1_e"]
    quark = np.where(ours["leg0_pdg"] > 0, ours["leg1_e"], ours["leg0_e"])  # of the antiquark, along -towards_quark
    cos = 4 * quark * (ours["leg2_e"] + towards_quark) / (4 * energy) - 1
    mass, cos_theirs, rapidity = theirs
    near, near_theirs = np.abs(ours["m_ll"] - ew.M_Z) < 5, np.abs(mass - ew.M_Z) < 5
    pairs = {
        "m_ll": (ours["m_ll"], mass),
        "m_ll near the peak": (ours["m_ll"][near], mass[near_theirs]),
        "cos": (cos, cos_theirs),
        "cos above the peak": (cos[ours["m_ll"] > 100], cos_theirs[mass > 100]),
        "y_ll": (ours["y_ll"], rapidity),
    }
    for name, (first, second) in pairs.items():
        assert stats.ks_2samp(first, second).pvalue > BUDGET, name
