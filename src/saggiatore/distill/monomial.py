"""Monomials of features and functions, sums of them, and how they are written without their constants' values."""

from collections.abc import Callable, Mapping

import sympy

FREE = "k"  # stands for each constant in a structure's text

Monomial = tuple[tuple[sympy.Symbol, int], ...]
Terms = dict[Monomial, sympy.Expr]  # a sum: each term with its coefficient


def of_powers(powers: Mapping[sympy.Symbol, int]) -> Monomial:
    """The product of powers of symbols, without those to the power of zero."""
    return tuple((symbol, power) for symbol, power in sorted(powers.items(), key=lambda pair: pair[0].name) if power)


def over(above: Monomial, below: Monomial) -> Monomial:
    """One product divided by another."""
    powers = dict(above)
    for symbol, power in below:
        powers[symbol] = powers.get(symbol, 0) - power
    return of_powers(powers)


def value_of(terms: Terms) -> sympy.Expr:
    """The sum as an expression."""
    products = (sympy.Mul(*(symbol**power for symbol, power in monomial)) for monomial in terms)
    return sympy.Add(*(value * each for value, each in zip(terms.values(), products, strict=True)))


def order(names: Mapping[sympy.Symbol, str]) -> Callable[[Monomial], tuple[int, str]]:
    """Monomials of high degree come first."""
    return lambda monomial: (-sum(power for _, power in monomial), _monomial_text(monomial, names))


def ratio_text(above: str, below: str) -> str:
    """A ratio of two texts."""
    if below == "1":
        return above
    return f"({above})/({below})" if _is_sum(above) else f"{above}/({below})"


def sum_text(scale: sympy.Expr, terms: Terms, names: Mapping[sympy.Symbol, str]) -> str:
    """Terms with constants of their own are each `k*M`; those in a fixed proportion stay together."""
    fixed = {each: value for each, value in terms.items() if not value.free_symbols}
    unit = sympy.Integer(1) if scale.free_symbols else scale
    parts = [_term_text(unit * value, each, names) for each, value in fixed.items()]
    together = " + ".join(parts)
    if scale.free_symbols:
        together = f"{FREE}*({together})" if len(parts) > 1 else FREE if together == "1" else f"{FREE}*{together}"
    free = [each for each in terms if each not in fixed]
    own = [FREE if not each else f"{FREE}*{_monomial_text(each, names)}" for each in free]
    return " + ".join([together, *own]).replace("-1*", "-").replace("+ -", "- ")


def _is_sum(text: str) -> bool:
    """Whether a sum stands outside of all brackets."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0 and text[place : place + 3] in (" + ", " - "):
            return True
    return False


def _term_text(value: sympy.Expr, monomial: Monomial, names: Mapping[sympy.Symbol, str]) -> str:
    text = _monomial_text(monomial, names)
    if value == 1 or not monomial:
        return text if value == 1 else f"({value})" if value.is_Add else str(value)
    return f"({value})*{text}" if value.is_Add else f"{value}*{text}"


def _monomial_text(monomial: Monomial, names: Mapping[sympy.Symbol, str]) -> str:
    above = [_power_text(names[symbol], power) for symbol, power in monomial if power > 0]
    below = [_power_text(names[symbol], -power) for symbol, power in monomial if power < 0]
    upper = "*".join(sorted(above, key=_features_first)) or "1"
    return "/".join([upper, *sorted(below, key=_features_first)])


def _power_text(name: str, power: int) -> str:
    return name if power == 1 else f"{name}**{power}"


def _features_first(text: str) -> tuple[bool, str]:
    return "(" in text, text
