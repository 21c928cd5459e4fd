"""Laws of weak-boson fusion: closed forms against Dirac matrices, symmetries of |M|^2, the phase-space mapping."""

from itertools import permutations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pydantic import ValidationError

from saggiatore.errors import EventError
from saggiatore.physics import electroweak as ew
from saggiatore.physics.helicity import contract, contractions
from saggiatore.physics.kinematics import boost_along_z, light_cone, rotate_about_y, rotate_about_z
from saggiatore.physics.wbf_channel import channel_matrix_element
from saggiatore.physics.wbf_higgs import WbfHiggsSpec

SPEC = {
    "kind": "wbf_higgs",
    "sqrt_s": "14 TeV",
    "parton_density": "NNPDF31_lo_as_0118",
    "factorisation_scale": "80.4 GeV",
    "cuts": {"pt_j": "20 GeV", "abs_eta_j": 5, "delta_eta_jj": 2, "m_jj": "400 GeV"},
    "parameters": {"even": {"f_w": "1 TeV^-2", "f_bb": "3 TeV^-2"}, "odd": {"c_wwt": "1 TeV^-2", "f_bbt": "-2 TeV^-2"}},
}
POINT = jnp.array([1.0, 2.0, -2.0, 3.0, 4.0, -5.0])  # f_w, f_b, f_ww, f_bb, f_wwt, f_bbt, TeV^-2
ODD = jnp.array([1.0, 1.0, 1.0, 1.0, -1.0, -1.0])
REFLECTION = jnp.array([1.0, 1.0, -1.0, 1.0])  # py -> -py


@pytest.fixture(scope="module")
def process():
    return WbfHiggsSpec.model_validate(SPEC).build()


@pytest.fixture(scope="module")
def events(process):
    """1024 points of the hypercube, their momenta and log Jacobians, all possible."""
    u = jax.random.uniform(jax.random.key(7), (4096, process.dim))
    momenta, log_jacobian = jax.jit(jax.vmap(process.momenta))(u)
    possible = jnp.isfinite(log_jacobian)
    return u[possible][:1024], momenta[possible][:1024], log_jacobian[possible][:1024]


def slow(case):
    """Among the thorough tests: each compiles for some seconds."""
    return pytest.param(case, marks=pytest.mark.thorough)


def squares(pdg, momenta, point=POINT, widths=True):
    function = channel_matrix_element(pdg, widths).function
    return np.asarray(jax.jit(jax.vmap(lambda p: function(p, point)))(momenta))


def spinor(p, helicity):
    """Eigenvector of the helicity, normalised to 2E."""
    sigma = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
    _, vectors = np.linalg.eigh(np.einsum("i,iab->ab", p[1:], sigma))
    return vectors[:, (1 + helicity) // 2] * np.sqrt(2 * p[0])


def current(final, initial, helicity):
    """u(final)^bar gamma^mu u(initial) of massless spinors, upper index."""
    sigma = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
    matrices = np.concatenate([np.eye(2)[None], helicity * sigma])
    return np.einsum("a,mab,b->m", spinor(final, helicity).conj(), matrices, spinor(initial, helicity))


def levi_civita(*vectors):
    """epsilon(a, b, c, d) of contravariant vectors for epsilon^{0123} = -1, all indices lowered in the product."""
    total = 0.0
    lowered = [np.array([1, -1, -1, -1]) * vector for vector in vectors]
    for order in permutations(range(4)):
        sign = -np.linalg.det(np.eye(4)[list(order)])
        total += sign * np.prod([lowered[i][order[i]] for i in range(4)])
    return total


@pytest.mark.parametrize(("one", "two"), [(-1, -1), (1, 1), (-1, 1), (1, -1)])
def test_contractions_are_those_of_dirac_matrices(events, one, two):
    def dot(a, b):
        return a[0] * b[0] - a[1:] @ b[1:]

    for p in np.asarray(events[1][:20]):
        first, second = current(p[2], p[0], one), current(p[3], p[1], two)
        q1, q2 = p[0] - p[2], p[1] - p[3]
        metric = dot(first, second)
        even = dot(q1, q2) * metric - dot(q2, first) * dot(q1, second)
        odd = levi_civita(q1, first, q2, second)
        expected = np.array([metric, even, odd]) / (metric / abs(metric))
        real, imag = contract(contractions(jnp.array(p[:4])), *jnp.eye(3))
        found = np.asarray(real + 1j * (-one) * imag)[0 if one == two else 1]
        scale = p[0, 0] * p[1, 0] * np.array([1.0, abs(dot(q1, q2)), abs(dot(q1, q2))])
        np.testing.assert_allclose(found / scale, expected / scale, atol=1e-9)


def test_exchanged_legs_have_the_opposite_phase(events):
    p = np.asarray(events[1][0])
    t = current(p[2], p[0], -1), current(p[3], p[1], -1)
    u = current(p[3], p[0], -1), current(p[2], p[1], -1)
    metric = np.diag([1, -1, -1, -1])
    assert t[0] @ metric @ t[1] / (u[0] @ metric @ u[1]) == pytest.approx(-1)


def test_light_cone_components_lose_no_digits(events):
    for p in np.asarray(events[1][:50, 2]):
        plus, minus = light_cone(jnp.array(p))
        assert plus * minus == pytest.approx(p[1] ** 2 + p[2] ** 2, rel=1e-14)
        assert plus + minus == pytest.approx(2 * p[0], rel=1e-12)


@pytest.mark.parametrize("pdg", ["2,1,2,1,25", *map(slow, ("2,2,2,2,25", "2,-4,1,-3,25", "-1,3,-1,3,25"))])
def test_squares_are_lorentz_invariant(events, pdg):
    momenta = events[1]
    expected = squares(pdg, momenta)
    moved = jax.vmap(lambda p: rotate_about_z(boost_along_z(p, 0.7), 1.3))(momenta)
    np.testing.assert_allclose(squares(pdg, moved), expected, rtol=1e-7)
    turned = jax.vmap(lambda p: boost_along_z(rotate_about_y(p, 0.4), -0.3))(momenta)
    np.testing.assert_allclose(squares(pdg, turned), expected, rtol=1e-7)


@pytest.mark.parametrize("pdg", ["2,1,2,1,25", *map(slow, ("1,1,1,1,25", "2,3,1,4,25", "2,-1,2,-1,25"))])
def test_cp_reflects_momenta_and_odd_coefficients(events, pdg):
    """|M|^2 of the antiparticles at reflected momenta is that of the particles with the odd coefficients flipped."""
    momenta = events[1]
    anti = ",".join(str(number if number == 25 else -number) for number in map(int, pdg.split(",")))
    expected = squares(pdg, momenta, POINT * ODD)
    np.testing.assert_allclose(squares(anti, momenta * REFLECTION), expected, rtol=1e-9)
    assert (np.abs(squares(pdg, momenta) / expected - 1) > 1e-4).mean() > 0.9


@pytest.mark.parametrize(("pdg", "order"), [("2,1,2,1,25", (1, 0, 3, 2, 4)), ("2,-3,25,-3,2", (1, 0, 2, 4, 3))])
def test_legs_come_in_any_order(events, pdg, order):
    """Exchanging the partons with their legs changes nothing, wherever the Higgs boson stands."""
    places = [0, 1, *((2, 3, 4) if pdg.endswith("25") else (4, 3, 2))]
    momenta = events[1][:, places]
    numbers = pdg.split(",")
    swapped = ",".join(numbers[place] for place in order)
    np.testing.assert_allclose(squares(swapped, momenta[:, order]), squares(pdg, momenta), rtol=1e-9)


@pytest.mark.parametrize("pdg", ["2,-2,3,-3,25", "2,1,2,1", "2,1,2,3,25", "5,1,5,1,25", "2,1,25,2,25", "u,d,u,d,h"])
def test_channels_that_do_not_exist_are_refused(pdg):
    with pytest.raises(EventError, match="Covered: q q' -> q q' h"):
        channel_matrix_element(pdg, False)


def test_the_odd_rate_is_the_mirror_image(process, events):
    """The rate at reflected momenta is that of the opposite odd coefficient."""
    rate = jax.jit(jax.vmap(process.rate, (0, None)))
    mirrored = rate(events[1] * REFLECTION, jnp.array([0.4, -0.5]))
    np.testing.assert_allclose(mirrored, rate(events[1], jnp.array([0.4, 0.5])), rtol=1e-9)


def test_observables_have_their_parity(process, events):
    for name, observable in process.observables.items():
        function = jax.vmap(observable.function)
        values, mirrored = function(events[1]), function(events[1] * REFLECTION)
        np.testing.assert_allclose(mirrored, observable.parity * values, rtol=1e-9, atol=1e-12, err_msg=name)


def test_observables_do_not_know_the_order_of_the_jets(process, events):
    for name, observable in process.observables.items():
        function = jax.vmap(observable.function)
        swapped = events[1][:, jnp.array([0, 1, 3, 2, 4])]
        np.testing.assert_allclose(function(swapped), function(events[1]), atol=1e-12, err_msg=name)


def test_jacobian_is_that_of_the_mapping(process, events):
    r"""dx1 dx2 dPhi = (2/s) (2 pi)^-5 d^3p3/(2 E3) d^3p4/(2 E4) dy/2, differentiated automatically."""

    def coordinates(u):
        momenta, _ = process.momenta(u)
        return jnp.concatenate([momenta[2, 1:], momenta[3, 1:], jnp.arctanh(momenta[4, 3] / momenta[4, 0])[None]])

    u, momenta, log_jacobian = (column[:200] for column in events)
    _, log_det = jnp.linalg.slogdet(jax.jit(jax.vmap(jax.jacfwd(coordinates)))(u))
    energies = momenta[:, 2, 0] * momenta[:, 3, 0]
    expected = log_det - jnp.log(4 * energies * process.sqrt_s**2 * (2 * jnp.pi) ** 5)
    np.testing.assert_allclose(log_jacobian, expected, atol=1e-7)


def test_the_mapping_keeps_to_the_cuts(process, events):
    """Only the cut on m_jj costs points."""
    values = {name: jax.vmap(process.observables[name].function)(events[1]) for name in ("pt_j2", "delta_eta", "m_jj")}
    assert jnp.all(values["pt_j2"] > 20 - 1e-9)
    assert jnp.all(values["delta_eta"] > 2 - 1e-9)
    accepted = jax.vmap(process.accepts)(events[1])
    assert jnp.all(accepted == (values["m_jj"] >= 400))
    assert accepted.mean() > 0.6


def test_electroweak_parameters_are_madgraphs():
    """Numbers that MadGraph5_aMC@NLO 3.5.7 prints for the model sm."""
    assert pytest.approx(80.41900244575616, rel=1e-14) == ew.M_W
    assert pytest.approx(0.22224648578577766, rel=1e-12) == ew.SIN2
    assert pytest.approx(246.21845810181637, rel=1e-12) == ew.VEV
    assert pytest.approx(0.6532329303475799, rel=1e-12) == ew.G
    assert pytest.approx(0.349192196787333, rel=1e-12) == ew.G_PRIME


def test_directions_are_in_the_hisz_basis(process):
    expected = np.array([[1, 0, 0, 3, 0, 0], [0, 0, 0, 0, 4 / ew.G**2, -2]])
    np.testing.assert_allclose(process.directions, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cuts": {"pt_j": "20 GeV", "abs_eta_j": 1, "delta_eta_jj": 3}}, "leaves no room"),
        ({"cuts": {"pt_j": "8 TeV", "abs_eta_j": 5}}, "more than sqrt_s = "),
        ({"cuts": {"pt_j": "0 GeV", "abs_eta_j": 5}}, "greater than 0"),
        ({"parameters": {"c": {"c_hw": "1 TeV^-2"}}}, "f_wwt"),
        ({"parameters": {"c": {"f_ww": "1 GeV"}}}, "does not convert"),
        ({"parameters": {}}, "at least 1"),
    ],
)
def test_studies_that_make_no_sense_are_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        WbfHiggsSpec.model_validate({**SPEC, **change})
