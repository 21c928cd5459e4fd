"""|M|^2 of all processes against MadGraph5_aMC@NLO 3.5.7; the tables' metadata hold process and Lagrangian.

The polynomials in the coefficients were fitted to |M|^2 at coefficients of 0 and +-10 TeV^-2 with all momenta fixed:
they carry the rounding of differences. An entry is compared to 1e-9 of itself (a mixed term, of its Cauchy-Schwarz
bound) plus `ROUNDING` of the largest |M|^2 that went into it over the step (squared). Most entries agree to 1e-13.
"""

import itertools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow.parquet as pq
import pytest

from saggiatore.physics import electroweak as ew
from saggiatore.registry import load

FOLDER = Path(__file__).parent
SM_TABLES = ("ud__udh", "uc__uch", "us__dch", "tch_udx__udxh")
ZH_TABLES = ("uux__zh", "uux__mummuph")
SMEFT_TABLES = ("hvv6_ud__udh", "hvv6_us__dch", "hvv6_uux__zh")
PROCESSES = {"uux__zh": "zh", "uux__mummuph": "zh", "hvv6_uux__zh": "zh"}  # the others are of wbf_higgs
OPERATORS = ("CWL2", "CBL2", "FWW", "FBB", "FWWT", "FBBT")  # as the coefficients are ordered
SIGNS = np.array([-1, -1, 1, 1, 1, 1])  # f_W = -CWL2, f_B = -CBL2
STEP = 10.0  # TeV^-2
ROUNDING = 2e-15  # nine times the machine's


def read(name):
    """Momenta (row, leg, 4), the data and --pdg of a table."""
    table = pq.read_table(FOLDER / f"{name}.parquet")
    data = table.to_pandas()
    numbers = json.loads(table.schema.metadata[b"reference"])["pdg"]
    legs = [f"leg{leg}_{part}" for leg in range(len(numbers)) for part in ("e", "px", "py", "pz")]
    return data[legs].to_numpy().reshape(-1, len(numbers), 4), data, ",".join(str(number) for number in numbers)


def channel_matrix_element(pdg, widths, process="wbf_higgs"):
    return load("process", process).matrix_element(pdg, widths)


def values(pdg, momenta, point, widths=True, process="wbf_higgs"):
    square = channel_matrix_element(pdg, widths, process).function
    return jax.jit(jax.vmap(lambda p: square(p, jnp.array(point))))(momenta)


@pytest.mark.parametrize("name", SM_TABLES)
@pytest.mark.parametrize(("widths", "column"), [(True, "me2"), (False, "me2_zero_width")])
def test_standard_model(name, widths, column):
    momenta, data, pdg = read(name)
    found = values(pdg, momenta, np.zeros(6), widths)
    np.testing.assert_allclose(found, data[column], rtol=1e-9)


@pytest.mark.parametrize("order", list(itertools.permutations((2, 3, 4))))
def test_outgoing_legs_come_in_any_order(order):
    momenta, data, pdg = read("ud__udh")
    numbers = pdg.split(",")
    places = [0, 1, *order]
    found = values(",".join(numbers[place] for place in places), momenta[:, places], np.zeros(6))
    np.testing.assert_allclose(found, data["me2"], rtol=1e-9)


@pytest.mark.parametrize("name", ZH_TABLES)
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_zh(name, order):
    """Partons in either order; the Higgs boson last or before the others."""
    momenta, data, pdg = read(name)
    numbers = pdg.split(",")
    last = len(numbers) - 1
    places = [*order, last, *range(2, last)] if order == (1, 0) else list(range(last + 1))
    found = values(",".join(numbers[place] for place in places), momenta[:, places], np.zeros(6), process="zh")
    np.testing.assert_allclose(found, data["me2"], rtol=1e-9)


def test_zh_without_the_width_of_its_one_propagator():
    """Annihilation has no mode without widths: its one propagator, that of the Z boson, is exchanged here."""
    momenta, data, pdg = read("uux__zh")
    found = values(pdg, momenta, np.zeros(6), process="zh")
    virtuality = 4 * momenta[:, 0, 0] * momenta[:, 1, 0] - ew.M_Z**2
    ratio = 1 + (ew.M_Z * ew.WIDTH_Z / virtuality) ** 2
    np.testing.assert_allclose(found * ratio, data["me2_zero_width"], rtol=1e-9)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 0, 2, 3), (0, 1, 3, 2), (1, 0, 3, 2)])
def test_drell_yan(order):
    momenta, data, pdg = read("uux__mummup")
    numbers = pdg.split(",")
    reordered = ",".join(numbers[place] for place in order)
    found = values(reordered, momenta[:, list(order)], np.zeros(4), process="drell_yan")
    np.testing.assert_allclose(found, data["me2"], rtol=1e-9)


@pytest.mark.parametrize("coupling", ["0", "0.5", "1", "-1"])
def test_z_prime(coupling):
    """A sequential Z' of 1 TeV and 30 GeV width with the couplings of the Z times a factor."""
    momenta, data, pdg = read("zprime_uux__mummup")
    found = values(pdg, momenta, (float(coupling), 1000.0, 30.0, 0.0), process="drell_yan")
    np.testing.assert_allclose(found, data[f"me2_at_KZP_{coupling}"], rtol=1e-9)


@pytest.fixture(scope="module", params=SMEFT_TABLES)
def polynomial(request):
    """Table and our |M|^2, gradient and half Hessian at zero coefficients, in the table's operators."""
    momenta, data, pdg = read(request.param)
    square = channel_matrix_element(pdg, True, PROCESSES.get(request.param, "wbf_higgs")).function
    zero = jnp.zeros(len(OPERATORS))
    value = jax.jit(jax.vmap(lambda p: square(p, zero)))(momenta)
    gradient = jax.jit(jax.vmap(lambda p: jax.jacfwd(lambda c: square(p, c))(zero)))(momenta) * SIGNS
    hessian = (
        jax.jit(jax.vmap(lambda p: jax.hessian(lambda c: square(p, c))(zero)))(momenta) * np.outer(SIGNS, SIGNS) / 2
    )
    return data, np.asarray(value), np.asarray(gradient), np.asarray(hessian)


def largest(polynomial, i, j):
    """Largest |M|^2 of the fit in coefficients i and j."""
    _, value, gradient, hessian = polynomial
    linear = STEP * (np.abs(gradient[:, i]) + np.abs(gradient[:, j]))
    return value + linear + STEP**2 * (hessian[:, i, i] + hessian[:, j, j] + 2 * np.abs(hessian[:, i, j]))


def test_standard_model_of_the_fits(polynomial):
    data, value, _, _ = polynomial
    np.testing.assert_allclose(value, data["sm"], rtol=1e-9)


@pytest.mark.parametrize("i", range(len(OPERATORS)), ids=OPERATORS)
def test_linear_terms(polynomial, i):
    data, _, gradient, _ = polynomial
    expected = data[f"lin_{OPERATORS[i]}"].to_numpy()
    tolerance = 1e-9 * np.abs(expected) + ROUNDING * largest(polynomial, i, i) / STEP
    assert (np.abs(gradient[:, i] - expected) <= tolerance).all()


@pytest.mark.parametrize(("i", "j"), list(itertools.combinations_with_replacement(range(len(OPERATORS)), 2)))
def test_quadratic_terms(polynomial, i, j):
    data, _, _, hessian = polynomial
    expected = data[f"quad_{OPERATORS[i]}_{OPERATORS[j]}"].to_numpy()
    bound = np.sqrt(hessian[:, i, i] * hessian[:, j, j])
    tolerance = 1e-9 * bound + ROUNDING * largest(polynomial, i, j) / STEP**2
    assert (np.abs(hessian[:, i, j] - expected) <= tolerance).all()


def test_rounding_limits_few_entries(polynomial):
    """The allowance for rounding must not do the work: 98 % of the entries with W agree to 1e-9 of themselves.

    Interference of even with odd operators is left out: in Z h it is zero but for the width.
    """
    data, _, gradient, hessian = polynomial
    with_w = [i for i, name in enumerate(OPERATORS) if "W" in name]
    pairs = [
        (i, j)
        for i, j in itertools.combinations_with_replacement(with_w, 2)
        if OPERATORS[i].endswith("T") == OPERATORS[j].endswith("T")
    ]
    found = [gradient[:, i] for i in with_w] + [hessian[:, i, j] for i, j in pairs]
    names = [f"lin_{OPERATORS[i]}" for i in with_w] + [f"quad_{OPERATORS[i]}_{OPERATORS[j]}" for i, j in pairs]
    expected = data[names].to_numpy().T
    agrees = np.abs(np.stack(found) - expected) <= 1e-9 * np.abs(expected)
    assert agrees.mean() > 0.98
