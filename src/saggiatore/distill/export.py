"""Formulas for other programs: Python, C++ and ROOT's TFormula, all printed from the same tree.

Sums and products are written out with every bracket that they need, integer powers as powers, so that the dialects
differ in spelling only.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sympy

from saggiatore.distill.expression import FUNCTIONS, check


@dataclass(frozen=True)
class Dialect:
    """How a language spells powers and functions; symbols are spelled by the caller."""

    power: Callable[[str, int], str]
    function: Callable[[str], str]


PYTHON = Dialect(lambda base, exponent: f"{base}**{exponent}", lambda name: f"np.{name}")
CPP = Dialect(lambda base, exponent: f"std::pow({base}, {exponent})", lambda name: f"std::{name}")
TFORMULA = Dialect(lambda base, exponent: f"pow({base},{exponent})", lambda name: name)


def render(expression: sympy.Expr, dialect: Dialect, symbols: Mapping[str, str]) -> str:
    """An expression in a dialect, with its symbols spelled as `symbols` says.

    Raises:
        FormulaError: if the expression is outside of the language of formulas.
    """
    check(expression)
    return _Renderer(dialect, symbols).sum(expression)


@dataclass(frozen=True)
class _Renderer:
    dialect: Dialect
    symbols: Mapping[str, str]

    def sum(self, node: sympy.Expr) -> str:
        text = ""
        for term in node.as_ordered_terms() if node.is_Add else [node]:
            is_negative = term.could_extract_minus_sign() and term.is_Mul
            printed = self.product(-term if is_negative else term)
            if text:
                text += (" - " if is_negative else " + ") + printed
            else:
                text = f"-{printed}" if is_negative else printed
        return text

    def product(self, node: sympy.Expr) -> str:
        upper: list[str] = []
        lower: list[str] = []
        for factor in sympy.Mul.make_args(node):
            base, exponent = (factor.base, factor.exp) if factor.is_Pow else (factor, sympy.Integer(1))
            (lower if exponent < 0 else upper).append(self.power(base, sympy.Abs(exponent)))
        numerator = "*".join(upper) or "1.0"
        if not lower:
            return numerator
        return f"{numerator}/{lower[0]}" if len(lower) == 1 else f"{numerator}/({'*'.join(lower)})"

    def power(self, base: sympy.Expr, exponent: sympy.Rational) -> str:
        if exponent.q == 2:
            root = f"{self.dialect.function('sqrt')}({self.sum(base)})"
            return root if exponent.p == 1 else self.dialect.power(root, int(exponent.p))
        return self.atom(base) if exponent == 1 else self.dialect.power(self.atom(base), int(exponent))

    def atom(self, node: sympy.Expr) -> str:
        if node.is_Symbol:
            return self.symbols[node.name]
        for name, function in FUNCTIONS.items():
            if isinstance(node, function):
                return f"{self.dialect.function(name)}({self.sum(node.args[0])})"
        if not node.args:
            return number(float(node))
        return f"({self.sum(node)})"


def number(value: float) -> str:
    """A literal that every dialect reads back to the last bit, in brackets where it is negative."""
    if not math.isfinite(value):
        raise ValueError(f"got {value}, expected a finite number")
    text = repr(float(value))
    return f"({text})" if value < 0 else text
