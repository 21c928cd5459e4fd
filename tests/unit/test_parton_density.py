"""Parton densities: exact on the knots, smooth between them, and a clear error for a grid that is not whole."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.errors import PartonDensityError
from saggiatore.physics.lhagrid import find_grid, read_grid
from saggiatore.physics.parton_density import FLAVOURS, load

SET = "NNPDF31_lo_as_0118"
CHARM, UP, GLUON = FLAVOURS.index(4), FLAVOURS.index(2), FLAVOURS.index(21)


@pytest.fixture(scope="module")
def density():
    return load(SET)


HEADER = "PdfType: central\nFormat: lhagrid1\n"


def grid_text(x, q_blocks, ids="21 1 2", value=lambda x, q, k: x * q + k, header=HEADER):
    """A small grid file with one subgrid for each entry of `q_blocks`."""
    blocks = []
    for q in q_blocks:
        knots = [" ".join(f"{number:.7e}" for number in numbers) for numbers in (x, q)]
        rows = [" ".join(f"{value(a, b, k):.8e}" for k in range(len(ids.split()))) for a in x for b in q]
        blocks.append("\n".join([*knots, ids, *rows]))
    return header + "---\n" + "\n---\n".join(blocks) + "\n---\n"


def install(folder, monkeypatch, text, name="Toy", flat=False):
    path = folder / f"{name}_0000.dat" if flat else folder / name / f"{name}_0000.dat"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    monkeypatch.setenv("LHAPDF_DATA_PATH", f"/no/such/folder:{folder}")
    return path


X, Q = np.geomspace(1e-3, 1, 9), np.geomspace(1, 100, 7)


def test_exact_on_the_knots_of_every_subgrid(density):
    subgrids = read_grid(find_grid(SET))
    for subgrid, above in zip(subgrids, [*subgrids[1:], None], strict=True):
        q = subgrid.q if above is None else subgrid.q[:-1]  # a threshold belongs to the subgrid above it
        x, scale = (values.ravel() for values in np.meshgrid(subgrid.x, q, indexing="ij"))
        found = jax.jit(jax.vmap(density.xf))(x, scale)
        columns = [subgrid.ids.index(flavour) for flavour in FLAVOURS]
        expected = subgrid.xf[:, : len(q), columns].reshape(-1, len(FLAVOURS))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10 * np.max(expected))


def test_a_fixed_scale_is_the_same_density(density):
    x = np.geomspace(2e-9, 1, 400)
    general = jax.jit(jax.vmap(density.xf, (0, None)))
    for q in (2.0, 4.92, 80.4, 5000.0):
        fixed = jax.jit(jax.vmap(density.at_scale(q).xf))(x)
        np.testing.assert_allclose(fixed, general(x, q), rtol=1e-11, atol=1e-14)


def test_derivatives_agree_with_finite_differences(density):
    for x, q in ((3.3e-4, 12.3), (0.07123, 80.4), (0.4321, 1234.5)):
        for argument, step in ((0, 1e-6 * x), (1, 1e-6 * q)):
            derivative = jax.jit(jax.jacfwd(density.xf, argument))(x, q)
            shift = np.eye(2)[argument] * step
            difference = (density.xf(x + shift[0], q + shift[1]) - density.xf(x - shift[0], q - shift[1])) / (2 * step)
            np.testing.assert_allclose(derivative, difference, rtol=1e-5, atol=1e-7 * np.abs(difference).max())


def test_momentum_sum(density):
    """The partons that are kept carry the proton's momentum (the photon is none of this set)."""
    x = np.geomspace(1e-9, 1, 20001)
    values = np.asarray(jax.jit(jax.vmap(density.at_scale(80.4).xf))(x)).sum(axis=1)
    assert np.trapezoid(values, x) == pytest.approx(1, abs=5e-3)


def test_nothing_is_extrapolated(density):
    fixed = density.at_scale(80.4)
    assert not fixed.xf(1.5).any()
    assert jnp.isnan(fixed.xf(1e-10)).all()
    assert jnp.isfinite(fixed.xf(1e-9)).all()
    assert jnp.isnan(density.xf(0.1, 1.0)).all()
    assert jnp.isnan(density.xf(0.1, 2e5)).all()
    low, high = density.scale_range
    assert (low, high) == pytest.approx((1.65, 1e5))
    for q in (1.0, 2e5, 0.0, -3.0):
        with pytest.raises(PartonDensityError, match=r"outside the grid.*1\.65 GeV"):
            density.at_scale(q)


@pytest.mark.parametrize("flat", [False, True])
def test_a_set_is_found_in_the_data_path(tmp_path, monkeypatch, flat):
    path = install(tmp_path, monkeypatch, grid_text(X, [Q]), flat=flat)
    assert find_grid("Toy") == path
    density = load("Toy")
    assert not density.xf(0.01, 10.0)[CHARM]  # absent from the grid
    assert density.xf(X[4], Q[2])[UP] == pytest.approx(X[4] * Q[2] + 2, rel=1e-7)
    assert density.xf(X[4], Q[2])[GLUON] == pytest.approx(X[4] * Q[2], rel=1e-6)


def test_a_threshold_belongs_to_the_upper_subgrid(tmp_path, monkeypatch):
    text = grid_text(X, [Q[:4]], value=lambda x, q, k: 1.0)
    text += grid_text(X, [Q[3:]], value=lambda x, q, k: 2.0, header="").removeprefix("---\n")
    install(tmp_path, monkeypatch, text)
    density = load("Toy")
    below, at, above = (density.xf(0.03, q)[UP] for q in (Q[3] * 0.999, Q[3], Q[3] * 1.001))
    assert (below, at, above) == pytest.approx((1, 2, 2))
    assert density.at_scale(Q[3]).xf(0.03)[UP] == pytest.approx(2)


def test_cubic_functions_are_reproduced(tmp_path, monkeypatch):
    """Four knots determine a cubic in log x and log Q^2, at the edges too."""
    install(tmp_path, monkeypatch, grid_text(X, [Q], value=lambda x, q, k: np.log(x) ** 3 * np.log(q) ** 2 + k))
    density = load("Toy")
    for x in (1.1e-3, 0.03, 0.9):
        for q in (1.2, 30.0, 98.0):
            assert density.xf(x, q)[UP] == pytest.approx(np.log(x) ** 3 * np.log(q) ** 2 + 2, rel=1e-5, abs=1e-6)


def test_a_missing_set_names_the_paths_tried(tmp_path, monkeypatch):
    monkeypatch.setenv("LHAPDF_DATA_PATH", str(tmp_path))
    with pytest.raises(PartonDensityError) as caught:
        load("NoSuchSet")
    message = str(caught.value)
    assert str(tmp_path / "NoSuchSet" / "NoSuchSet_0000.dat") in message
    assert str(tmp_path / "NoSuchSet_0000.dat") in message
    assert "pdfdata" in message
    assert "LHAPDF_DATA_PATH" in message


GOOD = grid_text(X, [Q])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "header"),
        (GOOD.replace("lhagrid1", "lhagrid9"), "header"),
        (GOOD[: len(GOOD) // 2], "truncated"),
        (GOOD.removesuffix("---\n"), "truncated"),
        (GOOD.replace("1.0000000e-03", "nan", 1), "knots"),
        (GOOD.replace(" 2\n", " two\n", 1), "two"),
        (GOOD.replace(GOOD.splitlines()[6] + "\n", "", 1), "values"),
        (GOOD.replace(GOOD.splitlines()[6], "nan nan nan", 1), "finite"),
        ("Format: lhagrid1\n---\n", "subgrid"),
    ],
)
def test_a_damaged_grid_is_refused(tmp_path, monkeypatch, text, reason):
    path = install(tmp_path, monkeypatch, text)
    with pytest.raises(PartonDensityError, match=reason) as caught:
        load("Toy")
    assert str(path) in str(caught.value)
