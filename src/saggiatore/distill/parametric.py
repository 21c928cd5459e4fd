"""A form and its constants: the numbers of an expression become named constants, as few as the form needs."""

import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import sympy

from saggiatore.distill.expression import evaluate, fill, parse, symbol_names
from saggiatore.errors import FormulaError

_ROUNDS = 4  # of simplification; one rule may open the way for another


@dataclass(frozen=True)
class Parametric:
    """An expression in features and named constants, with values of the constants (in the order of appearance)."""

    expression: sympy.Expr
    values: dict[str, float]

    @property
    def filled(self) -> sympy.Expr:
        """The expression with the numbers in their places; its form is kept."""
        return fill(self.expression, self.values)


def constant_names(features: Iterable[str]) -> Iterator[str]:
    """a, b, c, ..., z, a1, b1, ... without the names of features."""
    taken = set(features)
    suffix = 0
    while True:
        for letter in string.ascii_lowercase:
            name = letter + (str(suffix) if suffix else "")
            if name not in taken:
                yield name
        suffix += 1


def read_parametric(text: str, features: Iterable[str]) -> Parametric:
    """Read an engine's expression: every decimal number becomes a free constant.

    Raises:
        FormulaError: if the text is outside of the language of formulas.
    """
    names = (f"k_{place}" for place in range(10_000))
    values: dict[str, float] = {}

    def constant(value: float) -> sympy.Symbol:
        symbol = sympy.Symbol(next(names))
        values[symbol.name] = value
        return symbol

    expression = parse(text, constant)
    return simplest(Parametric(expression, values), features)


def simplest(form: Parametric, features: Iterable[str]) -> Parametric:
    """The same function with no more constants than it needs, named in their order of appearance.

    Constants that only occur together are merged (a*b -> a, a + b -> a, sin(a) -> a), like terms are collected,
    scales are taken out of sums that are factors, and a sign is carried by a constant where there is one.
    """
    merger = _Merger(form.values)
    expression = form.expression
    for _ in range(_ROUNDS):
        merged = merger.merge(expression)
        if merged == expression:
            break
        expression = merged
    return renamed(Parametric(expression, merger.values), features)


def renamed(form: Parametric, features: Iterable[str]) -> Parametric:
    """Constants called a, b, c, ... in their order of appearance; constants that do not occur are dropped."""
    order = [node.name for node in sympy.preorder_traversal(form.expression) if node.is_Symbol]
    order = [name for name in dict.fromkeys(order) if name in form.values]
    names = constant_names(features)
    table = {old: next(names) for old in order}
    swap = {sympy.Symbol(old): sympy.Symbol(new) for old, new in table.items()}
    expression = form.expression.xreplace(swap)
    return Parametric(expression, {new: form.values[old] for old, new in table.items()})


class _Merger:
    """Merges constants from the leaves upwards, and keeps their values beside."""

    def __init__(self, values: dict[str, float]):
        self.values = dict(values)
        self._fresh = 0

    def merge(self, expression: sympy.Expr) -> sympy.Expr:
        if expression.is_Symbol or not expression.args:
            return expression
        if self._is_constant(expression):
            return self._constant(expression)
        arguments = expression.args if expression.is_Pow else [self.merge(part) for part in expression.args]
        if expression.is_Pow:
            return sympy.Pow(self.merge(expression.base), expression.exp)
        if expression.is_Add:
            return self._merge_sum(sympy.Add(*arguments))
        if expression.is_Mul:
            return self._merge_product(sympy.Mul(*arguments))
        return expression.func(*arguments)

    def _is_constant(self, expression: sympy.Expr) -> bool:
        names = symbol_names(expression)
        return bool(names) and names <= self.values.keys()

    def _constant(self, expression: sympy.Expr) -> sympy.Symbol:
        if expression.is_Symbol:
            return expression
        self._fresh += 1
        symbol = sympy.Symbol(f"m_{self._fresh}")
        self.values[symbol.name] = self._value(expression)
        return symbol

    def _value(self, expression: sympy.Expr) -> float:
        with np.errstate(all="ignore"):
            found = float(evaluate(expression, {name: np.float64(v) for name, v in self.values.items()}, np))
        if not np.isfinite(found):
            raise FormulaError(f"'{expression}' is not finite at {self.values}.")
        return found

    def _split(self, expression: sympy.Expr, operation: type[sympy.Expr]) -> tuple[sympy.Expr, sympy.Expr]:
        """The part of a sum or product that has no features, and the rest."""
        parts = operation.make_args(expression)
        fixed = [part for part in parts if symbol_names(part) <= self.values.keys()]
        return operation(*fixed), operation(*(part for part in parts if part not in fixed))

    def _merge_sum(self, expression: sympy.Expr) -> sympy.Expr:
        """Collect terms that differ only in their constant factor."""
        terms: dict[sympy.Expr, sympy.Expr] = {}
        for term in sympy.Add.make_args(expression):
            coefficient, rest = self._split(term, sympy.Mul)
            terms[rest] = terms.get(rest, sympy.Integer(0)) + coefficient
        merged = []
        for rest, coefficient in terms.items():
            merged.append((self._constant(coefficient) if self._is_constant(coefficient) else coefficient) * rest)
        return sympy.Add(*merged)

    def _merge_product(self, expression: sympy.Expr) -> sympy.Expr:
        """One constant for a product; sums of which every term has a constant lend it their scale."""
        coefficient, rest = self._split(expression, sympy.Mul)
        factors = []
        for factor in sympy.Mul.make_args(rest):
            scale, reduced = self._scale(factor)
            coefficient *= scale
            factors.append(reduced)
        if coefficient == -1:
            coefficient, factors = self._hand_over_sign(factors)
        if self._is_constant(coefficient):
            coefficient = self._constant(coefficient)
        return sympy.Mul(coefficient, *factors)

    def _scale(self, factor: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
        base, exponent = (factor.base, factor.exp) if factor.is_Pow else (factor, sympy.Integer(1))
        if not base.is_Add or exponent.q != 1:
            return sympy.Integer(1), factor
        split = [self._split(term, sympy.Mul) for term in base.args]
        if not all(self._is_constant(coefficient) for coefficient, _ in split):
            return sympy.Integer(1), factor
        scale = next(coefficient for coefficient, rest in split if rest != 1)
        if self._value(scale) == 0.0:
            return sympy.Integer(1), factor
        terms = [self._constant(coefficient / scale) * rest for coefficient, rest in split if coefficient != scale]
        lead = [rest for coefficient, rest in split if coefficient == scale]
        return scale**exponent, sympy.Add(*lead, *terms) ** exponent

    def _hand_over_sign(self, factors: list[sympy.Expr]) -> tuple[sympy.Expr, list[sympy.Expr]]:
        """-(a - x) is x - a, and the constant may carry that sign."""
        for place, factor in enumerate(factors):
            if factor.is_Add and any(self._is_constant(term) for term in factor.args):
                flipped = self._merge_sum(sympy.Add(*(-term for term in factor.args)))
                return sympy.Integer(1), [*factors[:place], flipped, *factors[place + 1 :]]
        return sympy.Integer(-1), factors
