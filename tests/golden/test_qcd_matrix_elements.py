"""|M|^2 of tree-level QCD, with or without a boson, against MadGraph5_aMC@NLO 3.5.7; see the tables' metadata."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow.parquet as pq
import pytest

from saggiatore.physics import colour, weyl
from saggiatore.physics import electroweak as ew
from saggiatore.physics.matrix_element import REFERENCE_ALPHA_S
from saggiatore.physics.recursion import amplitudes
from saggiatore.physics.recursion_plan import Leg, plan
from saggiatore.physics.top_pair_amplitude import squares
from saggiatore.registry import load

pytestmark = pytest.mark.thorough

FOLDER = Path(__file__).parent
TABLES = {
    "zjets": ("uux__zg", "ug__zu", "gg__zuux", "uu__zuu"),
    "wjets": ("udx__wpg",),
    "top_pair": ("gg__ttx", "uux__ttx"),
}


def read(name):
    """Momenta (row, leg, 4), |M|^2 and --pdg of a table; it was made with the coupling that commands use."""
    table = pq.read_table(FOLDER / f"{name}.parquet")
    reference = json.loads(table.schema.metadata[b"reference"])
    assert reference["parameters"]["aS"] == REFERENCE_ALPHA_S
    n_legs = len(reference["pdg"])
    columns = [f"leg{leg}_{part}" for leg in range(n_legs) for part in ("e", "px", "py", "pz")]
    data = table.to_pandas()
    return data[columns].to_numpy().reshape(-1, n_legs, 4), data["me2"].to_numpy(), reference["pdg"]


def evaluate(process, pdg, momenta):
    found = load("process", process).matrix_element(",".join(str(number) for number in pdg), True)
    zero = jnp.zeros(len(found.coefficients))
    return np.asarray(jax.jit(jax.vmap(lambda p: found.function(p, zero)))(momenta))


@pytest.mark.parametrize(("process", "name"), [(process, name) for process in TABLES for name in TABLES[process]])
def test_table(process, name):
    momenta, expected, pdg = read(name)
    np.testing.assert_allclose(evaluate(process, pdg, momenta), expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["gg__zuux", "uu__zuu"])
def test_legs_come_in_any_order_and_frame(name):
    momenta, expected, pdg = read(name)
    order = [1, 0, 4, 3, 2]
    turned = momenta[:, order][..., [0, 2, 3, 1]]  # beams along y
    np.testing.assert_allclose(evaluate("zjets", [pdg[i] for i in order], turned), expected, rtol=1e-9)


def test_gluons_alone():
    """g g -> g g: the three- and four-gluon vertices and their colour."""
    momenta, expected, _ = read("gg__gg")
    steps = plan((Leg("gluon"),) * 4)
    gram = colour.gram_matrix(steps.tensors, steps.tensors)

    def square(p):
        shapes = [tuple(2 if axis == leg else 1 for axis in range(4)) for leg in range(4)]
        waves = [
            jax.tree.map(lambda x, s=shape: x.reshape(s), weyl.gluon(leg)) for leg, shape in zip(p, shapes, strict=True)
        ]
        signed = [weyl.scale(sign, weyl.massless(leg)) for leg, sign in zip(p, (-1.0, -1.0, 1.0, 1.0), strict=True)]
        found = jnp.stack(amplitudes(steps, waves, signed))
        return jnp.einsum("cabde,cf,fabde->", found.conj(), gram, found).real

    average = (4 * np.pi * REFERENCE_ALPHA_S) ** 2 / (16**2 * 2)
    np.testing.assert_allclose(average * jax.jit(jax.vmap(square))(momenta), expected, rtol=1e-9)


@pytest.mark.parametrize(("name", "quarks"), [("gg__ttx", False), ("uux__ttx", True)])
def test_chromomagnetic_moment(name, quarks):
    """Terms linear in c_tG against the closed forms of arXiv:1010.6304, in which c_hg = g_s c_tG.

    The forms were written from memory and still have to be compared with the paper.

    There, d sigma/dt = |M|^2 / (16 pi s^2) has the term sqrt(2) alpha_s g_s v m_t c_hg / s^2 times
    1/(6 tau_1 tau_2) - 3/8 for gluons and 4/9 for quarks, with tau_i = 2 p_i.k_1 / s.
    """
    momenta, _, _ = read(name)
    at = jax.jit(jax.vmap(lambda p, c: squares(p, c).quarks if quarks else squares(p, c).gluons, (0, None)))
    slope = (np.asarray(at(momenta, 1.0)) - np.asarray(at(momenta, -1.0))) / 2
    energy = 4 * momenta[:, 0, 0] * momenta[:, 1, 0]
    products = [
        2 * (momenta[:, i, 0] * momenta[:, 2, 0] - (momenta[:, i, 1:] * momenta[:, 2, 1:]).sum(1)) for i in (0, 1)
    ]
    shape = 4 / 9 if quarks else energy**2 / (6 * products[0] * products[1]) - 3 / 8
    # alpha_s g_s^2 = g_s^4 / (4 pi), and g_s is taken out of the squares
    expected = np.sqrt(2) / (4 * np.pi) * ew.VEV * ew.M_TOP * 1e-6 * shape * 16 * np.pi
    np.testing.assert_allclose(slope, expected, rtol=1e-9)
