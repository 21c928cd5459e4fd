"""Parton densities against the numbers that Pythia itself interpolates from the same grid."""

import jax
import numpy as np
import pytest

from saggiatore.physics.parton_density import FLAVOURS, load

# PDF:pSet of Pythia 8.3 (its manual, "PDF Selection")
INTERNAL = {"NNPDF31_lo_as_0118": 18, "NNPDF31_lo_as_0130": 17}
N_POINTS = 400


@pytest.mark.parametrize("name", INTERNAL)
def test_the_same_as_pythia_between_the_knots(name):
    """Relative, for every flavour, at random points; 1e-3 is asked. Pythia sets what is negative to zero."""
    pythia8 = pytest.importorskip("pythia8mc")
    pythia = pythia8.Pythia("", False)
    for setting in (f"PDF:pSet = {INTERNAL[name]}", "Print:quiet = on", "ProcessLevel:all = off"):
        assert pythia.readString(setting)
    assert pythia.init()
    theirs = pythia.getPDFPtr(2212)
    stream = np.random.default_rng(7)
    x = np.exp(stream.uniform(np.log(1e-8), np.log(0.95), N_POINTS))
    q = np.exp(stream.uniform(np.log(1.7), np.log(9e4), N_POINTS))
    ours = np.asarray(jax.vmap(load(name).xf)(x, q))
    reference = np.array([[theirs.xf(i, a, b**2) for i in FLAVOURS] for a, b in zip(x, q, strict=True)])
    positive = reference > 0
    assert positive.mean() > 0.8
    np.testing.assert_allclose(ours[positive], reference[positive], rtol=1e-9)
    assert np.all(ours[~positive] <= 1e-12 * reference.max())
