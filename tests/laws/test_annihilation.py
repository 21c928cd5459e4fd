"""Laws of drell_yan and zh: contractions against Dirac matrices, phase space, symmetries, refused studies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pydantic import ValidationError
from test_wbf_higgs import current, levi_civita

from saggiatore.errors import EventError
from saggiatore.physics import electroweak as ew
from saggiatore.physics.annihilation import CHANNELS, fluxes, type_sums
from saggiatore.physics.drell_yan import DrellYanSpec
from saggiatore.physics.helicity import contract
from saggiatore.physics.peak_map import peak_map
from saggiatore.physics.zh import ZhSpec
from saggiatore.physics.zh_amplitude import crossed_contractions

COLLIDER = {"sqrt_s": "13 TeV", "parton_density": "NNPDF31_lo_as_0118", "factorisation_scale": "125 GeV"}
DRELL_YAN = {
    **COLLIDER,
    "z_prime": {"mass": "1 TeV", "width": "30 GeV", "coupling": 0.5},
    "cuts": {"m_ll": "50 GeV", "max_m_ll": "2 TeV", "pt_l": "20 GeV"},
    "parameters": {
        "strength": {"z_prime_strength": 0.1},
        "coupling": {"z_prime_coupling": 0.1},
        "mass": {"z_prime_mass": "10 GeV"},
        "mixing": {"sin2_theta_w": 0.01},
    },
}
ZH = {
    **COLLIDER,
    "cuts": {"pt_z": "50 GeV", "max_m_zh": "3 TeV"},
    "parameters": {"even": {"f_w": "1 TeV^-2", "f_b": "3 TeV^-2"}, "odd": {"c_wwt": "1 TeV^-2", "f_bbt": "-2 TeV^-2"}},
}
SPECS = {
    "drell_yan": (DrellYanSpec, DRELL_YAN),
    "zh": (ZhSpec, ZH),
    "zh_muons": (ZhSpec, {**ZH, "factorisation_scale": "half_ht", "decay": {"pt_l": "10 GeV", "abs_eta_l": 2.5}}),
}
REFLECTION = jnp.array([1.0, 1.0, -1.0, 1.0])  # py -> -py
BEAMS = jnp.array([1.0, 1.0, -1.0, -1.0])  # a turn by pi about the x axis


def build(name):
    spec, content = SPECS[name]
    return spec.model_validate(content).build()


@pytest.fixture(scope="module", params=SPECS)
def process(request):
    return build(request.param)


@pytest.fixture(scope="module")
def events(process):
    """512 points of the hypercube that are events, their momenta and log Jacobians."""
    u = jax.random.uniform(jax.random.key(7), (2048, process.dim))
    momenta, log_jacobian = jax.jit(jax.vmap(process.momenta))(u)
    inside = jnp.isfinite(log_jacobian) & jax.vmap(process.accepts)(momenta)
    return u[inside][:512], momenta[inside][:512], log_jacobian[inside][:512]


def swap_beams(momenta):
    turned = momenta * BEAMS
    return jnp.concatenate([turned[1::-1], turned[2:]])


def test_jacobian_is_that_of_the_mapping(process, events):
    r"""dx1 dx2 dPhi = (2/s) (2 pi)^4 dy/2 / (2 E) of the last leg times d^3p/((2 pi)^3 2E) of the legs between."""

    def coordinates(u):
        momenta, _ = process.momenta(u)
        last = momenta[-1]
        return jnp.concatenate([momenta[2:-1, 1:].ravel(), jnp.arctanh(last[3] / last[0])[None]])

    u, momenta, log_jacobian = (column[:100] for column in events)
    _, log_det = jnp.linalg.slogdet(jax.jit(jax.vmap(jax.jacfwd(coordinates)))(u))
    n_free = momenta.shape[1] - 3
    sqrt_s = process.sqrt_s if hasattr(process, "sqrt_s") else process.settings.sqrt_s
    measure = -n_free * jnp.log(2 * (2 * jnp.pi) ** 3) - jnp.sum(jnp.log(momenta[:, 2:-1, 0]), axis=1)
    expected = log_det + measure + jnp.log(2 * jnp.pi / sqrt_s**2)
    np.testing.assert_allclose(log_jacobian, expected, atol=1e-6)


def test_nothing_depends_on_which_beam_is_which(process, events):
    """Rates of a symmetric collider, and all observables up to the sign that rapidities get."""
    momenta = events[1]
    theta = 0.4 * jnp.ones(len(process.parameters))
    swapped = jax.vmap(swap_beams)(momenta)
    rate = jax.jit(jax.vmap(process.rate, (0, None)))
    np.testing.assert_allclose(rate(swapped, theta), rate(momenta, theta), rtol=1e-9)
    for name, observable in process.observables.items():
        function = jax.jit(jax.vmap(observable.function))
        sign = -1 if name.startswith(("y_", "eta_")) else 1
        np.testing.assert_allclose(function(swapped), sign * function(momenta), rtol=1e-7, atol=1e-7, err_msg=name)


def test_type_sums_hold_every_channel(process, events):
    density, sqrt_s = (getattr(process, "settings", process).density, getattr(process, "settings", process).sqrt_s)
    flux = fluxes(density, events[1][0], sqrt_s)
    sums = type_sums(flux)
    assert float(sums.sum()) == pytest.approx(float(flux.sum()), rel=1e-12)
    up = sum(flux[i] for i, (first, _) in enumerate(CHANNELS) if first in (2, 4))
    assert float(sums[0, 0]) == pytest.approx(float(up), rel=1e-12)


@pytest.mark.parametrize(("one", "two"), [(-1, -1), (1, 1), (-1, 1), (1, -1)])
def test_crossed_contractions_are_those_of_dirac_matrices(one, two):
    def dot(a, b):
        return a[0] * b[0] - a[1:] @ b[1:]

    stream = np.random.default_rng(3)
    for energies in stream.uniform(50, 500, (20, 2)):
        leptons = [np.array([np.linalg.norm(v), *v]) for v in stream.normal(0, 80, (2, 3))]
        quark, antiquark = np.array([1, 0, 0, 1]) * energies[0], np.array([1, 0, 0, -1]) * energies[1]
        first, second = current(antiquark, quark, one), current(*leptons, two)
        q1, q2 = quark + antiquark, -leptons[0] - leptons[1]
        metric = dot(first, second)
        even = dot(q1, q2) * metric - dot(q2, first) * dot(q1, second)
        expected = np.array([metric, even, levi_civita(q1, first, q2, second)]) / (metric / abs(metric))
        momenta = jnp.array(np.stack([quark, antiquark, *leptons]))
        real, imag = contract(crossed_contractions(momenta), *jnp.eye(3))
        found = np.asarray(real + 1j * (-one) * imag)[0 if one == two else 1]
        scale = energies.prod() * np.array([1.0, abs(dot(q1, q2)), abs(dot(q1, q2))])
        np.testing.assert_allclose(found / scale, expected / scale, atol=1e-9)


def test_cp_reflects_momenta_and_odd_coefficients():
    """|M|^2 of the antiparticles at reflected momenta is that of the particles with the odd coefficients flipped."""
    process = build("zh_muons")
    momenta, _ = jax.jit(jax.vmap(process.momenta))(jax.random.uniform(jax.random.key(3), (512, process.dim)))

    def squares(pdg, at, point):
        function = ZhSpec.matrix_element(pdg, True).function
        return np.asarray(jax.jit(jax.vmap(lambda p: function(p, point)))(at))

    point = jnp.array([1.0, 2.0, -2.0, 3.0, 4.0, -5.0])  # f_w, f_b, f_ww, f_bb, f_wwt, f_bbt, TeV^-2
    flipped = point * jnp.array([1.0, 1.0, 1.0, 1.0, -1.0, -1.0])
    expected = squares("2,-2,13,-13,25", momenta, flipped)
    np.testing.assert_allclose(squares("-2,2,-13,13,25", momenta * REFLECTION, point), expected, rtol=1e-9)
    assert (np.abs(squares("2,-2,13,-13,25", momenta, point) / expected - 1) > 1e-4).mean() > 0.9


@pytest.mark.parametrize("name", ["zh", "zh_muons"])
def test_observables_have_their_parity(name):
    process = build(name)
    momenta, _ = jax.jit(jax.vmap(process.momenta))(jax.random.uniform(jax.random.key(6), (512, process.dim)))
    for label, observable in process.observables.items():
        function = jax.vmap(observable.function)
        expected = observable.parity * function(momenta)
        np.testing.assert_allclose(function(momenta * REFLECTION), expected, rtol=1e-9, atol=1e-9, err_msg=label)


def test_decay_angles_are_those_of_the_mapping():
    """The last two numbers of the hypercube are cos(theta_l) and phi_l, the latter up to the side of the quark."""
    process = build("zh_muons")
    u = jax.random.uniform(jax.random.key(4), (512, process.dim))
    momenta, _ = jax.jit(jax.vmap(process.momenta))(u)
    values = {name: jax.vmap(o.function)(momenta) for name, o in process.observables.items()}
    np.testing.assert_allclose(values["cos_theta_l"], 2 * u[:, 5] - 1, atol=1e-7)
    turn = jnp.where(values["y_zh"] > 0, 0.0, jnp.pi)
    difference = values["phi_l"] - 2 * jnp.pi * (u[:, 6] - 0.5) - turn
    np.testing.assert_allclose(jnp.cos(difference), 1.0, atol=1e-9)


def test_collins_soper_angle_is_the_angle_to_the_quark():
    """Without transverse momentum: towards the quark where it runs along the pair."""
    process = build("drell_yan")
    momenta, _ = jax.jit(jax.vmap(process.momenta))(jax.random.uniform(jax.random.key(5), (512, process.dim)))
    values = {name: jax.vmap(o.function)(momenta) for name, o in process.observables.items()}
    side = jnp.where(values["y_ll"] > 0, 1, -1)
    beam, lepton = momenta[:, 1], momenta[:, 2]
    dots = beam[:, 0] * lepton[:, 0] - jnp.sum(beam[:, 1:] * lepton[:, 1:], axis=1)
    np.testing.assert_allclose(values["cos_theta_star"], side * (4 * dots / values["m_ll"] ** 2 - 1), atol=1e-7)


def test_reduced_mass_is_the_phase_of_the_propagator_of_the_heaviest_resonance():
    """M Gamma/(s - M^2 + i M Gamma) = 1/(eps + i), of the Z' where there is one and of the Z where there is none."""
    spec, content = SPECS["drell_yan"]
    plain = spec.model_validate({**content, "z_prime": None, "parameters": {"mixing": {"sin2_theta_w": 0.01}}}).build()
    for process in (build("drell_yan"), plain):
        momenta, _ = jax.jit(jax.vmap(process.momenta))(jax.random.uniform(jax.random.key(8), (512, process.dim)))
        values = {
            name: np.asarray(jax.vmap(process.observables[name].function)(momenta)) for name in ("m_ll", "eps_ll")
        }
        mass, width = (process.z_prime.mass, process.z_prime.width) if process is not plain else (ew.M_Z, ew.WIDTH_Z)
        expected = mass * width / (values["m_ll"] ** 2 - mass**2 + 1j * mass * width)
        np.testing.assert_allclose(1 / (values["eps_ll"] + 1j), expected, rtol=1e-9)


def test_a_peak_is_flat_under_its_map():
    """A Breit-Wigner shape and 1/m^2 over the density of the map vary by the number of components at most."""
    mapped = peak_map(15.0, 13000.0, ((ew.M_Z, ew.WIDTH_Z), (400.0, 0.5)))
    u = (jnp.arange(20_000) + 0.5) / 20_000
    square, log_jacobian = jax.vmap(mapped)(u)
    assert jnp.all(jnp.diff(square) > 0)
    for mass, width in ((ew.M_Z, ew.WIDTH_Z), (400.0, 0.5)):
        shape = mass * width / jnp.pi / ((square - mass**2) ** 2 + (mass * width) ** 2)
        weights = shape * jnp.exp(log_jacobian)
        assert weights.max() < 3.1
        assert weights.mean() == pytest.approx(1.0, abs=0.02)


def test_which_parameters_are_quadratic():
    assert build("drell_yan").quadratic == ("strength",)
    assert build("zh").quadratic == ("even", "odd")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("drell_yan", {"z_prime": None}, "there is none; add z_prime"),
        ("drell_yan", {"parameters": {"nothing": {"sin2_theta_w": 0}}}, "moves nothing"),
        ("drell_yan", {"cuts": {"m_ll": "50 GeV", "max_m_ll": "60 GeV", "pt_l": "40 GeV"}}, "no lepton pair fits"),
        ("drell_yan", {"cuts": {"m_ll": "50 K"}}, "does not convert"),
        ("zh", {"sqrt_s": "200 GeV"}, "Z and Higgs boson with .* need"),
        ("zh", {"decay": {"m_ll": "120 GeV"}}, "leaves no room"),
        ("zh", {"parameters": {"c": {"f_www": "1 TeV^-2"}}}, "f_wwt"),
    ],
)
def test_studies_that_make_no_sense_are_refused(name, change, message):
    spec, content = SPECS[name]
    with pytest.raises(ValidationError, match=message):
        spec.model_validate({**content, **change})


@pytest.mark.parametrize(
    ("spec", "pdg"),
    [(DrellYanSpec, "2,-4,13,-13"), (DrellYanSpec, "2,-2,11,-11"), (ZhSpec, "2,-2,23"), (ZhSpec, "5,-5,23,25")],
)
def test_channels_that_do_not_exist_are_refused(spec, pdg):
    with pytest.raises(EventError, match="Covered: a quark and its antiquark"):
        spec.matrix_element(pdg, False)
