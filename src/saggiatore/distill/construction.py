r"""Symmetries by construction: the engine learns a function g of invariants, and every formula is (odd factor) x g.

Any function that is odd in a feature x is x g(x^2, ...); one that is periodic as well is sin(x) g(cos x, ...); one that
no unit of energy changes depends on ratios alone (Buckingham, Phys. Rev. 4 (1914) 345). With o the odd factor,

    sum_i w_i (y_i - o_i g_i)^2 = sum_i w_i o_i^2 (y_i / o_i - g_i)^2,

so that an engine that knows nothing of symmetries minimises the loss it would have minimised: it is given y/o, and
weights w o^2. Of several features that change sign together the first gives the factor, and the others enter by their
ratio to it, which is even.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import sympy

from saggiatore.distill.engine import Engine, Problem
from saggiatore.distill.expression import evaluate
from saggiatore.distill.local_search import has_nested_functions
from saggiatore.distill.parametric import Parametric, simplest
from saggiatore.distill.symmetry import SymmetrySpec
from saggiatore.errors import EngineError
from saggiatore.units import energy_power

_FREE = sympy.Symbol("free_constant")


@dataclass(frozen=True)
class Construction:
    """Invariants by name, as expressions in `features`, and the factor that changes sign."""

    features: tuple[str, ...]
    invariants: Mapping[str, sympy.Expr]
    factor: sympy.Expr

    @classmethod
    def of(cls, symmetry: SymmetrySpec, units: Mapping[str, str]) -> "Construction":
        """The construction for features with these units, in their order.

        Raises:
            EngineError: if a demand names no feature, or the only features with a dimension change sign.
        """
        unknown = {*symmetry.odd_in, *symmetry.periodic} - units.keys()
        if unknown:
            raise EngineError(
                f"symmetry: {', '.join(sorted(unknown))} is no feature of the teacher; it has {', '.join(units)}."
            )
        bare = _dimensionless(symmetry, units) if symmetry.is_dimensionless else _named(units)
        odd = {
            name: sympy.sin(part) if name in symmetry.periodic else part
            for name, part in bare.items()
            if name in symmetry.odd_in
        }
        factor = next(iter(odd.values()), sympy.Integer(1))
        invariants: dict[str, sympy.Expr] = {}
        for name, part in bare.items():
            is_periodic, is_first = name in symmetry.periodic, odd.get(name) == factor
            if is_periodic:
                invariants[f"cos_{name}"] = sympy.cos(part)
            if is_periodic and name not in odd:
                invariants[f"sin_{name}"] = sympy.sin(part)
            if name in odd and not is_first:
                invariants[f"{name}_over_{next(iter(odd))}"] = odd[name] / factor
            if is_first and not is_periodic:
                invariants[f"{name}_squared"] = part**2
            if not is_periodic and name not in odd:
                invariants[name] = part
        return cls(tuple(units), invariants, factor)

    def problem(self, problem: Problem) -> Problem:
        """What the engine sees: invariants, and the score and weights that go with g.

        Raises:
            EngineError: if an invariant is not finite.
        """
        factor = self._values(self.factor, problem)
        x = np.stack([self._values(part, problem) for part in self.invariants.values()], axis=1)
        n_wrong = int((~np.isfinite(x).all(axis=1) & (factor != 0)).sum())
        if n_wrong:
            raise EngineError(
                f"the invariants {', '.join(map(str, self.invariants.values()))} are not finite on {n_wrong} of "
                f"{len(factor)} rows of the teacher; expected features that are not zero there. Demand less."
            )
        seen = factor != 0  # elsewhere the formula is zero, whatever g is
        y = problem.y[seen] / factor[seen]
        return Problem(tuple(self.invariants), x[seen], y, problem.weight[seen] * factor[seen] ** 2)

    def forms(self, found: Iterable[Parametric]) -> list[Parametric]:
        """Formulas in the features, from those in the invariants, and the factor alone with a constant."""
        alone = [Parametric(_FREE, {_FREE.name: 1.0})]
        return [form for each in (*alone, *found) for form in self._written(each) if not _is_nested(form)]

    def _written(self, form: Parametric) -> list[Parametric]:
        """As a product; and multiplied out where a ratio to the factor may cancel."""
        table = {sympy.Symbol(name): part for name, part in self.invariants.items()}
        product = self.factor * form.expression.xreplace(table)
        written = [product, sympy.expand_mul(product)] if self._has_ratios else [product]
        return [simplest(replace(form, expression=each), self.features) for each in written]

    @property
    def _has_ratios(self) -> bool:
        return any((part * self.factor).free_symbols < part.free_symbols for part in self.invariants.values())

    def _values(self, part: sympy.Expr, problem: Problem) -> np.ndarray:
        with np.errstate(all="ignore"):  # what is not finite is refused by its number of rows
            return np.broadcast_to(np.asarray(evaluate(part, problem.columns, np), dtype=float), len(problem.y))


def search(
    engine: Engine, problem: Problem, construction: Construction | None, seed: int, folder: Path, code: str
) -> list[Parametric]:
    """Forms that `engine` finds, see `Engine.search`, each of them with the symmetries of `construction`."""
    if construction is None:
        return engine.search(problem, seed, folder, code)
    return construction.forms(engine.search(construction.problem(problem), seed, folder, code))


def _named(names: Iterable[str]) -> dict[str, sympy.Expr]:
    return {name: sympy.Symbol(name) for name in names}


def _dimensionless(symmetry: SymmetrySpec, units: Mapping[str, str]) -> dict[str, sympy.Expr]:
    """Features in units of the first that has a dimension and no sign, which is left out."""
    powers = {name: energy_power(unit) for name, unit in units.items()}
    scales = [name for name, power in powers.items() if power and name not in symmetry.odd_in]
    if any(powers.values()) and not scales:
        raise EngineError(
            f"symmetry: all features with a dimension, {', '.join(name for name in units if powers[name])}, change "
            "sign, and none can be the unit of the others. Add one that does not, or leave is_dimensionless out."
        )
    if not scales:
        return _named(units)
    scale = min(scales, key=lambda name: abs(powers[name]))
    unit = sympy.Symbol(scale)
    return {
        name: part / unit ** sympy.Rational(powers[name], powers[scale])
        for name, part in _named(units).items()
        if name != scale
    }


def _is_nested(form: Parametric) -> bool:
    return has_nested_functions(form.expression)
