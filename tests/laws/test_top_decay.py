"""Laws of top decays: spins against closed forms, decays that add up to branching ratios, analysing powers."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.physics import electroweak as ew
from saggiatore.physics import top_decay
from saggiatore.physics.jet_phase_space import beams
from saggiatore.physics.kinematics import boost_to_rest
from saggiatore.physics.matrix_element import REFERENCE_ALPHA_S
from saggiatore.physics.top_pair import TopPairSpec
from saggiatore.physics.top_pair_amplitude import squares
from saggiatore.physics.top_pair_decays import TopDecays

PROCESS = {
    "kind": "top_pair",
    "sqrt_s": "13 TeV",
    "parton_density": "NNPDF31_lo_as_0118",
    "strong_coupling": {"at_m_z": 0.118, "loops": 1},
    "scale": {"choice": "mt"},
    "parameters": {"c_tg": {"c_tg": "1 TeV^-2"}},
}
N_EVENTS = 16
COS = 0.4
ENERGIES = (175.0, 240.0, 900.0)  # GeV, of a top quark in the rest frame of the pair


def produced(energy, cos):
    """Partons and tops in the rest frame of the pair, the tops in the plane of x and z."""
    momentum = np.sqrt(energy**2 - ew.M_TOP**2)
    top = jnp.array([energy, momentum * np.sqrt(1 - cos**2), 0.0, momentum * cos])
    return jnp.stack([*beams(2 * energy, 2 * energy), top, top * jnp.array([1.0, -1, -1, -1])])


def decayed(pair, u):
    """The same with products of the tops, from ten numbers."""
    return jnp.concatenate([pair[:2], *(top_decay.decay(pair[2 + i], u[5 * i : 5 * i + 5])[0] for i in (0, 1))])


def spin_correlations(energy, cos):
    """Rate and spin-correlation matrix of gluons and of quarks in the basis (top, normal, third) at leading order.

    Closed forms of arXiv:2003.02280, appendix A: sums over spins are proportional to A, and the rate for unit vectors
    a, b of the analysers to A - a C b.
    """
    b2 = 1 - (ew.M_TOP / energy) ** 2
    s2, sin2 = 1 - cos**2, 2 * cos * np.sqrt(1 - cos**2)
    gluons, root = 1 + s2**2, np.sqrt(1 - b2)
    rate_g = 1 + 2 * b2 * s2 - b2**2 * gluons
    kk = -(1 - b2 * sin2**2 / 2 - b2**2 * gluons)
    nn, rr = -(1 - 2 * b2 + b2**2 * gluons), -(1 - b2 * (2 - b2) * gluons)
    kr = root * b2 * sin2 * s2
    of_gluons = rate_g, np.array([[kk, 0, kr], [0, nn, 0], [kr, 0, rr]])
    kk, kr = b2 + (2 - b2) * cos**2, sin2 * root
    return of_gluons, (2 - b2 * s2, np.array([[kk, 0, kr], [0, -b2 * s2, 0], [kr, 0, (2 - b2) * s2]]))


def decay_square(products):
    """Sum over all spins of |M|^2 of a decay, without colours: 16 (t.f)(b.f') times the couplings."""
    top = products.sum(axis=0)
    metric = jnp.array([1.0, -1, -1, -1])
    return 16 * (top * metric @ products[1]) * (products[0] * metric @ products[2]) * top_decay.strength(products)


@pytest.fixture(scope="module")
def evaluate():
    """|M|^2 of points of several pairs, with c_tG in both orders of the tops; analysers; squares of the decays."""

    def one(pair, point):
        momenta = decayed(pair, point)
        exchanged = jnp.concatenate([momenta[:2], momenta[5:], momenta[2:5]])
        products = jnp.stack([momenta[2:5], momenta[5:]])
        axes = jax.vmap(lambda p: boost_to_rest(p, p.sum(axis=0))[1, 1:])(products)
        both = jax.vmap(squares, (0, 0))(jnp.stack([momenta, momenta, exchanged]), jnp.array([0.0, 1.5, 1.5]))
        return both, axes, jax.vmap(decay_square)(products)

    u = jax.random.uniform(jax.random.key(1), (N_EVENTS, 10))
    pairs = jnp.stack([produced(energy, COS) for energy in ENERGIES])
    return jax.jit(jax.vmap(jax.vmap(one, (None, 0)), (0, None)))(pairs, u)


@pytest.mark.thorough
def test_spins_are_correlated_as_in_closed_form(evaluate):
    """|M|^2 with decays at single points, to rounding: charged leptons analyse spins with a power of one."""
    found, axes, widths = evaluate
    pairs = jnp.stack([produced(energy, COS) for energy in ENERGIES])
    undecayed = jax.jit(jax.vmap(lambda pair: squares(pair, 0.0)))(pairs)
    for i, energy in enumerate(ENERGIES):
        top = np.array(pairs[i, 2, 1:]) / np.linalg.norm(pairs[i, 2, 1:])
        third = (np.array([0.0, 0.0, 1.0]) - COS * top) / np.sqrt(1 - COS**2)
        basis = np.stack([top, np.cross(third, top), third])
        one, two = np.moveaxis(np.array(axes[i] / jnp.linalg.norm(axes[i], axis=-1, keepdims=True)) @ basis.T, 1, 0)
        cases = zip(found, undecayed, spin_correlations(energy, COS), strict=True)
        for square, sum_over_spins, (rate, correlations) in cases:
            correlated = 1 - np.einsum("ei,ij,ej->e", one, correlations, two) / rate
            expected = sum_over_spins[i] * widths[i].prod(axis=1) / 4 * correlated
            np.testing.assert_allclose(square[i, :, 0], expected, rtol=1e-9)


@pytest.mark.thorough
def test_both_charges_of_a_semileptonic_decay_have_one_rate(evaluate):
    """The first three legs may come from either top: exchanged, |M|^2 is the same at the same momenta, with c_tG."""
    for square in evaluate[0]:
        np.testing.assert_allclose(square[:, :, 2], square[:, :, 1], rtol=1e-9)
        assert jnp.all(jnp.abs(square[:, :, 1] / square[:, :, 0] - 1) > 1e-3)


def angles():
    """Four numbers of the unit point for the angles of one decay, and weights: exact for what a decay depends on.

    That is linear in the direction of the W boson, of second degree in the cosine of its products' angle to its flight
    and of first in their azimuth; one degree more is covered.
    """
    cosines, weights = np.polynomial.legendre.leggauss(2)
    sphere = [((c + 1) / 2, (k + 0.5) / 3) for c in cosines for k in range(3)]
    weight = np.repeat(weights / 2, 3) / 3
    points = np.array([[*one, *two] for one, two in itertools.product(sphere, sphere)])
    return points, np.outer(weight, weight).ravel()


@pytest.mark.thorough
def test_decays_add_up_to_their_branching_ratios():
    """The weight of an event, integrated over both decays, is that of the pair times branching ratios, in c_tG too.

    Integrated over the angles of one top, the other one has no polarisation and the masses of the W bosons factorise.
    """
    theta, u_pair, middle = jnp.array([0.7]), jnp.array([0.2, 0.7, 0.4, 0.1]), 0.5
    whole = TopPairSpec.model_validate(PROCESS | {"decays": {"channel": "semileptonic"}}).build()
    bare = TopPairSpec.model_validate(PROCESS).build()
    points, weights = angles()
    masses, mass_weights = np.polynomial.legendre.leggauss(100)

    @jax.jit
    @jax.vmap
    def weigh(u):
        momenta, log_jacobian = whole.momenta(jnp.concatenate([u_pair, u]))
        return whole.rate(momenta, theta) * jnp.exp(log_jacobian)

    middles = [[middle, *one, middle, *two] for one, two in itertools.product(points, points)]
    tail = [middle, *points[5]]
    first = [[(m + 1) / 2, *one, *tail] for m in [0.0, *masses] for one in points]
    second = [[*tail, (m + 1) / 2, *one] for m in [0.0, *masses] for one in points]
    found = np.asarray(weigh(jnp.array([*middles, *first, *second]))).reshape(-1, len(points)) @ weights
    n = len(points)
    total = found[:n] @ weights
    for part in np.split(found[n:], 2):
        total *= mass_weights @ part[1:] / 2 / part[0]
    undecayed = jax.jit(lambda: bare.rate(bare.momenta(u_pair)[0], theta) * jnp.exp(bare.momenta(u_pair)[1]))()
    n_equal = 2 * 2 * (2 * 3)  # charges, leptons, quarks
    np.testing.assert_allclose(total, undecayed * n_equal / top_decay.N_DECAYS**2, rtol=1e-6)


@pytest.mark.parametrize(
    ("channel", "expected"), [("dilepton", 3 * 3), ("semileptonic", 2 * 3 * 6), ("hadronic", 6 * 6)]
)
def test_all_channels_together_are_all_decays(channel, expected):
    """Of 81 equal parts, with three leptons."""
    leptons = {} if channel == "hadronic" else {"leptons": ("e", "mu", "tau")}
    states = TopDecays(channel=channel, **leptons).states()
    assert len(set(states.channels)) * states.n_colours == expected


def test_a_bottom_quark_analyses_the_spin_of_its_top():
    r"""Mean cosines to the spin of a top at rest: 1/3 for the charged lepton, $\kappa_b/3$ for the bottom quark.

    $\kappa_b = -(m_t^2 - 2 m^2)/(m_t^2 + 2 m^2)$ at the mass m of the W boson, -0.40 on its mass shell.
    """
    top = jnp.array([ew.M_TOP, 0.0, 0.0, 0.0])
    points, weights = angles()
    place = 0.47  # of the W boson's mass

    @jax.jit
    @jax.vmap
    def evaluate(point):
        products, _ = top_decay.decay(top, jnp.concatenate([jnp.array([place]), point]))
        row = top_decay.top_row(products)
        up = row.alpha[0] + row.beta[0]  # on the spinor of a top at rest with spin along +z
        return products, (up.real**2 + up.imag**2) * top_decay.strength(products)

    products, density = evaluate(jnp.array(points))
    chance = weights * np.asarray(density)
    means = [np.sum(chance * np.asarray(p[:, 3] / p[:, 0])) / chance.sum() for p in products.transpose(1, 0, 2)]
    mass_squared = float(((products[0, 1] + products[0, 2]) ** 2 * jnp.array([1.0, -1, -1, -1])).sum())
    kappa = -(ew.M_TOP**2 - 2 * mass_squared) / (ew.M_TOP**2 + 2 * mass_squared)
    np.testing.assert_allclose(means[:2], [kappa / 3, 1 / 3], rtol=1e-9)
    assert kappa == pytest.approx(-0.40, abs=0.03)


def test_the_width_is_that_of_the_literature():
    """With W bosons on their mass shell, whose width is nine times that to a lepton pair; Gamma_W / M_W apart."""
    x = (ew.M_W / ew.M_TOP) ** 2
    on_shell = ew.G_FERMI * ew.M_TOP**3 / (8 * np.pi * 2**0.5) * (1 - x) ** 2 * (1 + 2 * x)
    assert top_decay.top_width() == pytest.approx(on_shell, rel=ew.WIDTH_W / ew.M_W)


@pytest.mark.thorough
def test_the_matrix_element_of_decays_takes_legs_in_any_order():
    """Gluons to a lepton and quarks: that of the diagrams with two resonant tops at their pole, three colours."""
    pdg = (21, 21, 3, -4, -5, 14, 5, -13)  # antitop to c~ s, top to mu+ nu
    order = jnp.array([0, 1, 6, 7, 5, 4, 2, 3])  # places of the legs above in the order of the amplitude
    found = TopPairSpec.matrix_element(",".join(map(str, pdg)), False)
    assert found.masses == (0.0,) * 8
    momenta = decayed(produced(300.0, COS), jax.random.uniform(jax.random.key(6), (10,)))

    @jax.jit
    def both(p):
        return found.function(p[order], jnp.array([0.5])), squares(p, 0.5).gluons

    value, square = both(momenta)
    poles = (ew.M_TOP * top_decay.top_width()) ** -4
    np.testing.assert_allclose(value, 3 * (4 * np.pi * REFERENCE_ALPHA_S) ** 2 * poles * square, rtol=1e-7)


@pytest.mark.parametrize(
    ("decays", "message"),
    [
        ({"channel": "hadronic", "leptons": ["e"]}, "has no charged leptons"),
        ({"channel": "dilepton", "leptons": ["e", "e"]}, "each flavour once"),
        ({"channel": "dilepton", "leptons": []}, "at least 1 item"),
    ],
)
def test_decays_that_do_not_exist_are_refused(decays, message):
    with pytest.raises(ValueError, match=message):
        TopDecays.model_validate(decays)
