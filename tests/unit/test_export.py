"""Python, C++ and ROOT's TFormula state the same function as JAX does."""

import math
import re
import shutil
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.distill import export
from saggiatore.distill.expression import parse
from saggiatore.distill.formula import Feature, Formula
from saggiatore.errors import FormulaError

NAMES = ("x_p1", "x_p2", "delta_eta", "delta_phi")
FORMS = (
    "a*x_p1*(x_p2 + b/delta_eta**2)*sin(delta_phi)",
    "-x_p1*(a - b*delta_eta)*(x_p2 + c)*sin(delta_phi + d)",
    "1/(a + x_p1**2)**3 - x_p2/delta_eta/x_p1",
    "exp(-a*x_p1)*cos(delta_phi) + log(x_p2)**2*sqrt(delta_eta) - (b - x_p1)**3",
    "x_p1**(-3/2) - (x_p2 - x_p1)*(-a - x_p2) + 3*x_p1/2 - 7",
    "a",
)
EVENTS = np.random.default_rng(5).uniform([0.2, 0.1, 2, -3], [3, 2, 8, 3], (50, 4))


def formula(text: str) -> Formula:
    expression = parse(text)
    names = sorted({symbol.name for symbol in expression.free_symbols} - set(NAMES))
    constants = {name: (-1) ** place * (0.37 + place) for place, name in enumerate(names)}
    features = tuple(Feature(name) for name in NAMES)
    return Formula("c_wwt", features, expression, constants, np.eye(len(names)))


def in_jax(this: Formula) -> np.ndarray:
    return np.asarray(jax.vmap(this.function())(jnp.asarray(EVENTS)))


@pytest.mark.parametrize("text", FORMS)
def test_python(text):
    this, scope = formula(text), {}
    exec(this.to_python(), scope)
    found = scope["score_c_wwt"](*EVENTS.T) * np.ones(len(EVENTS))
    np.testing.assert_allclose(found, in_jax(this), rtol=1e-13)


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_cpp(tmp_path):
    """All forms in one program: it prints the value of each event to the last bit."""
    sources, calls = ["#include <cstdio>"], []
    for place, text in enumerate(FORMS):
        sources.append(formula(text).to_cpp().replace("score_c_wwt", f"f{place}"))
        calls.append(f'std::printf("%.17g ", f{place}(x[0], x[1], x[2], x[3]));')
    rows = ",".join("{" + ",".join(repr(float(value)) for value in event) + "}" for event in EVENTS)
    main = f"int main() {{ const double data[][4] = {{{rows}}}; for (const auto& x : data) {{ {' '.join(calls)} }} }}"
    source, program = tmp_path / "formulas.cpp", tmp_path / "formulas"
    source.write_text("\n".join([*sources, main]))
    subprocess.run(["g++", "-std=c++17", "-Wall", "-Werror", "-o", program, source], check=True, timeout=120)
    printed = subprocess.run([program], capture_output=True, text=True, check=True, timeout=60).stdout
    found = np.array(printed.split(), dtype=float).reshape(len(EVENTS), len(FORMS))
    expected = np.stack([in_jax(formula(text)) for text in FORMS], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("text", FORMS)
def test_tformula(text):
    """TFormula's grammar, as far as we use it: x[i], [i], + - * / ( ), pow, sin, cos, exp, log, sqrt, numbers."""
    this = formula(text)
    source = this.to_tformula()
    token = r"x\[\d\]|\[\d\]|\d+\.\d*(?:e[-+]?\d+)?|\d+|pow|sin|cos|exp|log|sqrt|[-+*/(),]|\s+"
    assert re.fullmatch(f"(?:{token})+", source)
    translated = re.sub(r"x\[(\d)\]", r"x(\1)", source)
    translated = re.sub(r"\[(\d)\]", r"p(\1)", translated)
    constants = list(this.constants.values())
    scope = {name: getattr(math, name) for name in ("pow", "sin", "cos", "exp", "log", "sqrt")}
    found = [eval(translated, scope | {"x": event.__getitem__, "p": constants.__getitem__}) for event in EVENTS]
    np.testing.assert_allclose(found, in_jax(this), rtol=1e-13)


def test_numbers_keep_their_last_bit():
    assert float(export.number(0.1 + 0.2)) == 0.1 + 0.2
    with pytest.raises(FormulaError):
        export.render(parse("x").func("x") ** parse("y"), export.PYTHON, {"x": "x", "y": "y"})
