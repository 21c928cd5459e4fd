"""Formulas in LaTeX, with each constant rounded to what its error deserves: 0.5925(12) is 0.5925 +- 0.0012."""

import math
from collections.abc import Mapping

import sympy
from sympy.printing.latex import LatexPrinter
from sympy.printing.precedence import PRECEDENCE


class _Printer(LatexPrinter):
    """Sympy's, which takes a name such as p_T/m_H for one letter even below an exponent."""

    def parenthesize(self, item: sympy.Expr, level: float, is_neg: bool = False, strict: bool = False) -> str:
        shown = super().parenthesize(item, level, is_neg=is_neg, strict=strict)
        is_ratio = item.is_Symbol and level >= PRECEDENCE["Pow"] and "/" in shown
        return rf"\left({shown}\right)" if is_ratio else shown


def latex(
    expression: sympy.Expr,
    values: Mapping[str, float],
    labels: Mapping[str, str],
    errors: Mapping[str, float] | None = None,
) -> str:
    """LaTeX of an expression: `values` of its constants (with `errors` where known), `labels` of its features."""
    flips = {sympy.Symbol(name): -sympy.Symbol(name) for name, value in values.items() if value < 0}
    names = {sympy.Symbol(name): label.strip("$") for name, label in labels.items()}
    for name, value in values.items():
        names[sympy.Symbol(name)] = number(math.fabs(value), None if errors is None else errors[name])
    printer = _Printer({"symbol_names": names, "mul_symbol": r"\,"})
    return printer.doprint(expression.xreplace(flips))


def number(value: float, error: float | None = None) -> str:
    """A number in LaTeX: four digits, or the error's two digits in brackets, as the Particle Data Group writes them."""
    if error is None or not (math.isfinite(error) and error > 0):
        return _power_of_ten(f"{value:.4g}")
    shift = _magnitude(max(value, error))
    if -4 <= shift <= 4:
        return _bracketed(value, error)
    return rf"{_bracketed(value / 10.0**shift, error / 10.0**shift)} \cdot 10^{{{shift}}}"


def _bracketed(value: float, error: float) -> str:
    places = 1 - _magnitude(error)
    digits = round(error * 10.0**places)
    if digits == 100:  # 0.0996 is 0.10
        places, digits = places - 1, 10
    if places <= 0:
        return f"{round(value, places):.0f}({digits * 10**-places})"
    shown = digits if error < 1 else f"{error:.{places}f}"
    return f"{value:.{places}f}({shown})"


def _magnitude(value: float) -> int:
    return math.floor(math.log10(value))


def _power_of_ten(text: str) -> str:
    mantissa, _, exponent = text.partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa


def quantity(value: float, error: float | None = None) -> str:
    """A number with its error in brackets, signed, in mathematical mode."""
    return f"${'-' if value < 0 else ''}{number(math.fabs(value), error)}$"
