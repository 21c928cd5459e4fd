"""The formula as an artefact, its refit with covariance, and forms that a person wrote."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.distill.expression import parse
from saggiatore.distill.form import fit_form
from saggiatore.distill.formula import Feature, Formula
from saggiatore.distill.latex import latex, number
from saggiatore.distill.parametric import Parametric
from saggiatore.distill.refit import refit
from saggiatore.errors import ConvergenceError, FormulaError

FEATURES = (Feature("x_p1", "1", "$x_{p,1}$"), Feature("delta_phi", "rad", r"$\Delta\phi$"))


def formula(**changes) -> Formula:
    content = {
        "name": "c_wwt",
        "features": FEATURES,
        "expression": parse("a*x_p1*sin(delta_phi) + b"),
        "constants": {"a": -0.5925, "b": 0.001234},
        "covariance": np.array([[1.44e-6, 1e-7], [1e-7, 4e-8]]),
        "quality": {"mse_train": 0.01},
        "engine": {"name": "operon", "version": "0"},
        "provenance": {"code": "x"},
    }
    return Formula(**(content | changes))


def test_a_formula_is_read_back(tmp_path):
    path = tmp_path / "c.formula.json"
    written = formula()
    written.write(path)
    found = Formula.read(path)
    assert found.expression == written.expression
    np.testing.assert_array_equal(found.covariance, written.covariance)
    for name in ("name", "features", "constants", "quality", "engine", "provenance"):
        assert getattr(found, name) == getattr(written, name)
    first = path.read_bytes()
    found.write(path)
    assert path.read_bytes() == first
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_value_and_standard_deviation():
    """The value at an event, and the propagated covariance against draws of the constants."""
    event = jnp.array([1.3, 0.7])
    this = formula()
    assert float(this.function()(event)) == pytest.approx(-0.5925 * 1.3 * np.sin(0.7) + 0.001234, rel=1e-12)
    draws = np.random.default_rng(1).multivariate_normal([-0.5925, 0.001234], this.covariance, 40_000)
    values = draws[:, 0] * 1.3 * np.sin(0.7) + draws[:, 1]
    assert float(this.std()(event)) == pytest.approx(values.std(), rel=5 / np.sqrt(2 * 40_000))
    many = jax.vmap(this.function())(jnp.stack([event, event]))
    assert many.shape == (2,)


def test_a_formula_without_constants_has_no_error():
    bare = formula(expression=parse("x_p1"), constants={}, covariance=np.zeros((0, 0)))
    assert float(bare.std()(jnp.array([1.0, 2.0]))) == 0.0
    flat = formula(expression=parse("a"), constants={"a": 2.0}, covariance=np.array([[0.01]]))
    assert float(flat.function()(jnp.array([1.0, 2.0]))) == 2.0
    assert float(flat.std()(jnp.array([1.0, 2.0]))) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "changes",
    [
        {"expression": parse("a*x_p1 + unknown + b")},
        {"constants": {"a": 1.0, "b": 1.0, "x_p1": 2.0}, "covariance": np.eye(3)},
        {"covariance": np.eye(3)},
        {"covariance": np.full((2, 2), np.nan)},
    ],
)
def test_parts_that_do_not_fit_are_refused(changes):
    with pytest.raises(FormulaError):
        formula(**changes)


@pytest.mark.parametrize(
    "damage",
    [
        {"expression": "__import__('os').getcwd()"},
        {"expression": "Symbol('other')"},
        {"expression": 3},
        {"format": 99},
        {"kind": "model"},
        {"covariance": [[1.0]]},
        {"constants": {"a": "much"}},
        {"features": [{"name": "x_p1", "colour": "red"}]},
        {"quality": None, "missing": "engine"},
    ],
)
def test_a_damaged_file_is_refused(tmp_path, damage):
    path = tmp_path / "c.formula.json"
    formula().write(path)
    content = json.loads(path.read_text()) | damage
    content.pop(damage.get("missing", ""), None)
    path.write_text(json.dumps(content))
    with pytest.raises(FormulaError):
        Formula.read(path)
    path.write_text("{")
    with pytest.raises(FormulaError, match="no readable formula"):
        Formula.read(path)


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [
        (0.59249, 0.00123, "0.5925(12)"),
        (0.59249, 0.0996, "0.59(10)"),
        (123.456, 14.6, "123(15)"),
        (12.3456, 3.21, "12.3(3.2)"),
        (1.2344e-6, 1.5e-8, r"1.234(15) \cdot 10^{-6}"),
        (0.001, 0.05, "0.001(50)"),
        (0.123456, None, "0.1235"),
        (1.23456e-7, None, r"1.235 \cdot 10^{-7}"),
    ],
)
def test_constants_are_rounded_to_their_error(value, error, expected):
    assert number(value, error) == expected


def test_latex_shows_labels_errors_and_signs():
    assert formula().latex() == r"- 0.5925(12)\,x_{p,1}\,\sin{\left(\Delta\phi \right)} + 0.00123(20)"


def test_latex_keeps_ratios_together_below_an_exponent():
    labels = {"x": r"$p_T/m_H$", "y": "y"}
    assert latex(parse("x**2*y**2 + x"), {}, labels) == r"\left(p_T/m_H\right)^{2}\,y^{2} + p_T/m_H"


def test_refit_of_a_linear_form_is_linear_regression():
    """Value and sandwich covariance in closed form: A = sum w x x^T, B = sum w^2 r^2 x x^T."""
    random = np.random.default_rng(2)
    x, noise = random.uniform(0.5, 2, 2000), random.standard_t(4, 2000)
    t, weight = 0.7 * x - 0.2 + 0.1 * x * noise, random.uniform(0.5, 1.5, 2000)
    found = refit(Parametric(parse("a*x + b"), {"a": 1.0, "b": 0.0}), {"x": x}, t, weight)
    design, share = np.stack([x, np.ones_like(x)]), weight / weight.sum()
    inverse = np.linalg.inv(design * share @ design.T)
    theta = inverse @ (design * share @ t)
    slopes = design * (share * (theta @ design - t))
    assert list(found.form.values.values()) == pytest.approx(theta, rel=1e-6)
    np.testing.assert_allclose(found.covariance, inverse @ slopes @ slopes.T @ inverse, rtol=1e-5)
    assert found.mse == pytest.approx(share @ (theta @ design - t) ** 2, rel=1e-9)


def test_stated_errors_cover_under_heavy_tails():
    """200 repetitions, budget 5 standard errors of the spread: a wrong model's best constant has pulls of width one."""
    random, pulls = np.random.default_rng(3), []
    truth = None
    for n_events in (400_000, *(1000,) * 200):
        x = random.uniform(0.2, 2, n_events)
        t = 0.8 * x**2 + 0.3 * x * random.standard_t(5, n_events)
        found = refit(Parametric(parse("sin(a*x)"), {"a": 0.8}), {"x": x}, t, np.ones(n_events))
        value, error = found.form.values["a"], float(np.sqrt(found.covariance[0, 0]))
        truth = value if truth is None else truth
        pulls.append((value - truth) / error)
    width = np.std(pulls[1:])
    assert abs(width - 1) < 5 * np.sqrt(1 / (2 * 200)) + 0.05


def test_undetermined_constants_are_an_error():
    x = np.linspace(0.1, 1, 200)
    with pytest.raises(ConvergenceError):
        refit(Parametric(parse("a*b*x"), {"a": 1.0, "b": 1.0}), {"x": x}, x, np.ones(200))


def test_a_form_is_fitted_from_many_starts():
    """sin(b*x) has many local minima; a phase and a frequency are found from random starts."""
    random = np.random.default_rng(4)
    x = np.stack([random.uniform(-3, 3, 3000), random.uniform(0, 1, 3000)], axis=1)
    t = 1.7 * np.sin(2.3 * x[:, 0] + 0.4)
    found = fit_form("a*sin(b*x + c)", ["x", "unused"], x, t, np.ones(3000))
    assert found.feature_names == ("x",)
    value = np.asarray(jax.vmap(found.function())(jnp.asarray(x[:, :1])))
    np.testing.assert_allclose(value, t, atol=1e-5)
    with pytest.raises(FormulaError, match="uses no feature"):
        fit_form("a*b", ["x"], x[:, :1], t, np.ones(3000))
