"""Symmetries by construction: whatever an engine finds, every member of the hall of fame has them exactly."""

import numpy as np
import pysr_contract
import pytest
from pydantic import ValidationError

from saggiatore.distill import pysr_engine
from saggiatore.distill.construction import Construction, search
from saggiatore.distill.engine import Problem, pareto_front
from saggiatore.distill.expression import evaluate, parse, symbol_names
from saggiatore.distill.parametric import Parametric
from saggiatore.distill.symmetry import SymmetrySpec, violation
from saggiatore.errors import EngineError
from saggiatore.registry import REGISTRY, load

UNITS = {"x": "1", "phi": "rad", "psi": "rad", "pt": "GeV", "m": "GeV"}
DEMANDS = [
    {"odd_in": ["phi"], "periodic": ["phi"]},
    {"odd_in": ["x"]},
    {"odd_in": ["x", "phi"], "periodic": ["phi"]},
    {"odd_in": ["pt", "psi"], "is_dimensionless": True},
    {"periodic": ["phi", "psi"]},
    {"is_dimensionless": True},
    {"odd_in": ["phi"], "periodic": ["phi", "psi"], "is_dimensionless": True},
]
SMALL = {
    "operon": {
        "population_size": 30,
        "n_generations": 2,
        "rows": 200,
        "fit_rows": 200,
        "max_fits": 20,
        "max_complexity": 12,
    },
    "pysr": {},
}
ROUNDING = 1e-11  # of sin(phi) after a full turn, where it is a factor of something large


def problem(n_rows: int = 300) -> Problem:
    """A target with none of the symmetries, which tempts to formulas that have none."""
    random = np.random.default_rng(3)
    x = random.uniform((-2, -3.1, -3.1, 20, 50), (2, 3.1, 3.1, 100, 90), (n_rows, 5))
    y = x[:, 0] * np.sin(1.01 * x[:, 1]) + 0.1 * x[:, 2] + 0.01 * x[:, 3]
    return Problem(tuple(UNITS), x, y, random.uniform(0.5, 2, n_rows))


def julia(monkeypatch):
    """PySR's side of the contract, for any features: it gets columns, and leaves equations in their names."""

    class Search(pysr_contract.Search):
        def run(self, *_):
            assert self.x.shape == (len(self.y), len(self.names))
            assert np.isfinite(self.x).all()
            first, last = self.names[0], self.names[-1]
            found = ["0.3", f"{last} * 1.1", f"sin({first} * 1.01) + 0.2", f"({first} - 0.4) / ({last} + 9.0)"]
            found += [f"square({first}) + cube({last}) * -0.1", f"exp({first}) * sqrt({last} + 99.0) - {first}"]
            self.write([f'{place},{1 / place},"{text}"' for place, text in enumerate(found, 1)])

    monkeypatch.setattr(pysr_contract, "Search", Search)
    monkeypatch.setattr(pysr_engine, "start_pysr", lambda: pysr_contract.start("1.5.10"))


@pytest.mark.parametrize("name", REGISTRY["engine"])
@pytest.mark.parametrize("demand", DEMANDS, ids=str)
def test_every_member_has_the_demanded_symmetry(name, demand, tmp_path, monkeypatch):
    julia(monkeypatch)
    symmetry, this = SymmetrySpec.model_validate(demand), problem()
    engine = load("engine", name).model_validate({"kind": name, **SMALL[name]}).build()
    found = search(engine, this, Construction.of(symmetry, UNITS), 1, tmp_path, "")
    front = pareto_front(this, found, engine.max_complexity)
    units = UNITS if symmetry.is_dimensionless else {}
    for form in [*found, *(member.form for member in front)]:
        assert symbol_names(form.expression) <= {*UNITS, *form.values}
        if np.isfinite(evaluate(form.expression, {**this.columns, **form.values}, np)).all():
            assert violation(form, this.columns, symmetry.odd_in, symmetry.periodic, units) < ROUNDING, form.filled
    assert len(front) > 1


def test_the_engine_minimises_the_loss_of_the_whole_formula():
    """Sum of w (y - o g)^2 over rows, whatever g is."""
    this, symmetry = problem(), SymmetrySpec(odd_in=("phi", "x"), periodic=("phi",))
    construction = Construction.of(symmetry, UNITS)
    inner = construction.problem(this)
    assert inner.features == ("x_squared", "cos_phi", "phi_over_x", "psi", "pt", "m")
    g = parse("0.3 + 0.2*cos_phi*phi_over_x - 0.01*x_squared")
    whole = construction.forms([Parametric(g, {})])[-1]
    lost = this.weight @ (this.y - evaluate(whole.filled, this.columns, np)) ** 2
    assert inner.weight @ (inner.y - evaluate(g, inner.columns, np)) ** 2 == pytest.approx(lost, rel=1e-12)


def test_nothing_is_lost():
    """Functions with the symmetry that the features' own language writes otherwise."""
    construction = Construction.of(SymmetrySpec(odd_in=("phi", "psi"), periodic=("phi",)), UNITS)
    found = construction.forms([Parametric(parse("a + b*psi_over_phi"), {"a": 0.3, "b": 0.2})])
    assert parse("a*sin(phi) + b*psi") in [form.expression for form in found]
    even = Construction.of(SymmetrySpec(odd_in=("x",)), {"x": "1"})
    assert even.forms([Parametric(parse("1/(a + x_squared)"), {"a": 1.0})])[1].expression == parse("x/(a + x**2)")
    scaled = Construction.of(SymmetrySpec(is_dimensionless=True), {"s": "GeV^2", "pt": "GeV", "x": "1"})
    assert {name: str(part) for name, part in scaled.invariants.items()} == {"s": "s/pt**2", "x": "x"}


def test_no_function_ends_inside_of_another():
    construction = Construction.of(SymmetrySpec(periodic=("phi",)), UNITS)
    assert len(construction.forms([Parametric(parse("sin(cos_phi)"), {})])) == 1  # the constant alone


def test_demands_that_cannot_be_met_are_refused():
    with pytest.raises(EngineError, match="eta is no feature of the teacher; it has x, phi, psi, pt, m"):
        Construction.of(SymmetrySpec(odd_in=("eta",)), UNITS)
    with pytest.raises(EngineError, match="all features with a dimension, pt, change sign"):
        Construction.of(SymmetrySpec(odd_in=("pt",), is_dimensionless=True), {"pt": "GeV", "x": "1"})
    with pytest.raises(ValidationError, match="symmetry demands nothing"):
        SymmetrySpec()
    zero = Problem(("pt", "m"), np.array([[1.0, 0.0], [2.0, 1.0]]), np.ones(2), np.ones(2))
    construction = Construction.of(SymmetrySpec(is_dimensionless=True), {"m": "GeV", "pt": "GeV"})
    with pytest.raises(EngineError, match="pt/m are not finite on 1 of 2 rows"):
        construction.problem(zero)
