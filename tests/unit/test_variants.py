"""Theory variations: rates at other scales and members, against densities and couplings taken by hand."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_parton_density import Q, X, grid_text

from saggiatore.errors import PartonDensityError
from saggiatore.integrate.variants import variants
from saggiatore.physics import parton_density, strong_coupling
from saggiatore.physics.drell_yan import DrellYanSpec
from saggiatore.physics.parton_density import FLAVOURS
from saggiatore.physics.process import weight
from saggiatore.physics.variation import Variation, seven_points
from saggiatore.physics.zjets import ZJetsSpec

SET = "NNPDF31_lo_as_0118"
PAIRS = DrellYanSpec(
    sqrt_s="13 TeV",
    parton_density=SET,
    factorisation_scale="91.188 GeV",
    cuts={"m_ll": "60 GeV", "max_m_ll": "120 GeV"},
    parameters={"mixing": {"sin2_theta_w": 0.01}},
)
COUPLING = {"at_m_z": 0.13, "loops": 2}


def jet(scale):
    return ZJetsSpec(
        sqrt_s="13 TeV",
        parton_density=SET,
        strong_coupling=COUPLING,
        scale=scale,
        n_jets=1,
        final_state="z",
        cuts={"pt_j": "20 GeV", "abs_eta_j": 5},
        parameters={"c": {"sin2_eff": 0.01}},
    )


@eqx.filter_jit
def described(process, u):
    """Momenta of points of the hypercube, whether they are inside the cuts, and the likeliest flavour channel."""

    def one(u):
        momenta, _ = process.momenta(u)
        theta = jnp.zeros(len(process.parameters))
        channels = jnp.arange(len(process.channels))
        rates = jax.vmap(lambda channel: process.channel_rate(momenta, channel, theta))(channels)
        return momenta, weight(process, u, theta) > 0, jnp.argmax(rates)

    return jax.vmap(one)(u)


def ratios(spec, named):
    process = spec.build()
    momenta, inside, channels = described(process, jax.random.uniform(jax.random.key(8), (256, process.dim)))
    momenta, channels = momenta[inside], channels[inside]
    theta = jnp.zeros(len(process.parameters))
    assert len(momenta) > 16
    several = variants({name: spec.varied(variation).build() for name, variation in named.items()})
    found = jax.jit(jax.vmap(lambda p, k: several.ratios(process, p, k, theta)))(momenta, channels)
    return np.asarray(momenta), np.array(process.channels)[np.asarray(channels)], found


def densities(momenta, pdg, q, sqrt_s=13000.0):
    """f_1 f_2 of the incoming partons; `q` is a number or one for each event."""
    xf = jax.jit(jax.vmap(parton_density.load(SET).xf))
    product = 1.0
    for leg in (0, 1):
        x = 2 * momenta[:, leg, 0] / sqrt_s
        rows = xf(jnp.asarray(x), jnp.broadcast_to(jnp.asarray(q), x.shape))
        product = product * np.asarray(rows)[np.arange(len(x)), [FLAVOURS.index(parton) for parton in pdg[:, leg]]]
    return product


def test_seven_points_leave_out_the_opposite_corners():
    assert len(seven_points()) == 6
    factors = {(each.renormalisation, each.factorisation) for each in seven_points().values()}
    assert not factors & {(0.5, 2.0), (2.0, 0.5), (1.0, 1.0)}
    assert seven_points()["mur0p5_muf1"] == Variation(0.5, 1.0)


@pytest.mark.thorough
def test_lepton_pairs_follow_the_densities():
    assert list(PAIRS.scale_variations()) == ["muf0p5", "muf2"]
    momenta, pdg, found = ratios(PAIRS, PAIRS.scale_variations())
    for name, factor in (("muf0p5", 0.5), ("muf2", 2.0)):
        expected = densities(momenta, pdg, factor * 91.188) / densities(momenta, pdg, 91.188)
        np.testing.assert_allclose(found[name], expected, rtol=1e-9)
        assert np.ptp(expected) > 0.01


FIXED = {"choice": "fixed", "value": "91.188 GeV"}


@pytest.mark.thorough
@pytest.mark.parametrize("scale", [FIXED, {"choice": "half_ht"}])
def test_jets_follow_densities_and_coupling(scale):
    """With a dynamical scale each event has its own: H_T/2 of a Z boson on its mass shell and one jet."""
    spec = jet(scale)
    momenta, pdg, found = ratios(spec, spec.scale_variations())
    pt = np.hypot(momenta[:, 2, 1], momenta[:, 2, 2])
    mu = (np.hypot(91.188, pt) + pt) / 2 if scale["choice"] == "half_ht" else np.full(len(pt), 91.188)
    alpha_s = jax.jit(jax.vmap(strong_coupling.evolve(COUPLING["at_m_z"], COUPLING["loops"])))
    for name, (r, f, _) in spec.scale_variations().items():
        coupling = np.asarray(alpha_s(jnp.asarray(r * mu)) / alpha_s(jnp.asarray(mu)))
        expected = coupling * densities(momenta, pdg, f * mu) / densities(momenta, pdg, mu)
        np.testing.assert_allclose(found[name], expected, rtol=1e-9, err_msg=name)


def test_what_does_not_vary_is_kept_once():
    """Amplitudes, which dominate, are not computed for each variation."""
    spec = jet({"choice": "half_ht"})
    several = variants({name: spec.varied(each).build() for name, each in spec.scale_variations().items()})
    assert sum(several.is_varied) == 1  # the factors: densities and coupling are tables of all scales


def test_members_of_a_set(tmp_path, monkeypatch):
    """A toy set whose third member is twice its central one: both partons double the rate."""
    folder = tmp_path / "Toy"
    folder.mkdir()
    for member, factor in ((0, 1.0), (3, 2.0)):
        text = grid_text(
            np.geomspace(1e-6, 1, 9), [np.geomspace(1, 1e4, 7)], "-2 -1 1 2", lambda x, q, k, f=factor: f * (1 + k)
        )
        (folder / f"Toy_{member:04d}.dat").write_text(text)
    monkeypatch.setenv("LHAPDF_DATA_PATH", str(tmp_path))
    spec = PAIRS.model_copy(update={"parton_density": "Toy"})
    _, _, found = ratios(spec, {"member3": Variation(member=3)})
    np.testing.assert_allclose(found["member3"], 4, rtol=1e-9)
    assert math.isclose(float(parton_density.load("Toy/3").xf(X[3], Q[3])[FLAVOURS.index(1)]), 6.0)
    with pytest.raises(PartonDensityError, match=r"Toy_0007\.dat"):
        spec.varied(Variation(member=7)).build()
    with pytest.raises(PartonDensityError, match="NAME/MEMBER"):
        parton_density.load("Toy/minus one")


def test_no_variation_is_none():
    assert variants({}) is None
