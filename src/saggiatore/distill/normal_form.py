"""The normal form of a form: a ratio of sums in lowest terms, in which functions stand as symbols.

Which of its terms leads decides what is divided out, and functions of one structure could be numbered in any order: of
all orders that one is taken which prints smallest, so that the result depends neither on names nor order of constants.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice, permutations, product
from typing import NamedTuple

import sympy

from saggiatore.distill.expression import FUNCTIONS
from saggiatore.distill.monomial import Terms, of_powers, order, over, ratio_text, sum_text, value_of

_MAX_LABELLINGS = 720  # of functions that differ in the constants inside of them alone


class Normal(NamedTuple):
    """scale * upper / lower; the leading coefficients of both are one. Without a sum below, powers may be negative."""

    scale: sympy.Expr
    upper: Terms
    lower: Terms
    text: str

    @property
    def coefficients(self) -> list[sympy.Expr]:
        """All of them, numbers and functions of constants."""
        return [self.scale, *self.upper.values(), *self.lower.values()]

    @property
    def symbols(self) -> set[sympy.Symbol]:
        """Features and functions."""
        return {symbol for monomial in (*self.upper, *self.lower) for symbol, _ in monomial}

    @property
    def value(self) -> sympy.Expr:
        """The ratio as an expression."""
        return self.scale * value_of(self.upper) / value_of(self.lower)

    def split(self) -> tuple[sympy.Expr, sympy.Expr]:
        """The additive constant, and the rest."""
        constant = self.upper.get((), sympy.Integer(0)) if set(self.lower) == {()} else sympy.Integer(0)
        return self.scale * constant, sympy.expand(self.value - self.scale * constant) if constant != 0 else self.value


class _Atom(NamedTuple):
    """A function, which is one symbol of what surrounds it."""

    function: str
    argument: Normal

    @property
    def text(self) -> str:
        return f"{self.function}({self.argument.text})"


@dataclass
class Reducer:
    """Brings one form to its normal form; functions become symbols, told apart by their exact arguments."""

    features: frozenset[str]
    atoms: dict[sympy.Symbol, _Atom] = field(default_factory=dict)
    definitions: dict[sympy.Symbol, sympy.Expr] = field(default_factory=dict)  # functions of constants
    _known: dict[tuple[str, sympy.Expr], sympy.Symbol] = field(default_factory=dict)

    def rational(self, node: sympy.Expr) -> sympy.Expr:
        """The expression with every function, and every function of constants, replaced by a symbol."""
        if node.is_Symbol:
            return node
        if node.is_Add or node.is_Mul:
            return node.func(*(self.rational(part) for part in node.args))
        if node.is_Pow and node.exp.is_Integer:
            return self.rational(node.base) ** node.exp
        if not self._has_features(node):
            return self._constant(node)
        if node.is_Pow:
            return self._root(self.normal(self.rational(node.base))) ** node.exp.p
        name = next(name for name, function in FUNCTIONS.items() if isinstance(node, function))
        rules: dict[str, Callable[[Normal], sympy.Expr]] = {"exp": self._exp, "log": self._log}
        argument = self.normal(self.rational(node.args[0]))
        return rules[name](argument) if name in rules else self._wave(name, argument)

    def normal(self, node: sympy.Expr) -> Normal:
        """Lowest terms, in the order that gives the smallest text."""
        above, below = (self._terms(part) for part in sympy.fraction(sympy.cancel(node)))
        if len(below) == 1:
            ((monomial, coefficient),) = below.items()
            above = {over(each, monomial): value / coefficient for each, value in above.items()}
            below = {(): sympy.Integer(1)}
        found = (_normalised(above, below, names) for names in islice(self._labellings(above, below), _MAX_LABELLINGS))
        return min(found, key=lambda normal: normal.text)

    def inside(self, whole: Normal) -> list[sympy.Symbol]:
        """The functions that occur, and those inside of them, each once."""
        found: list[sympy.Symbol] = []
        todo = [whole]
        while todo:
            functions = sorted(todo.pop().symbols & self.atoms.keys() - set(found), key=str)
            found += functions
            todo += [self.atoms[symbol].argument for symbol in functions]
        return found

    def _terms(self, polynomial: sympy.Expr) -> Terms:
        symbols = sorted(filter(self._is_variable, polynomial.free_symbols), key=str)
        if not symbols:
            return {(): polynomial}
        terms = sympy.Poly(polynomial, *symbols).terms()
        return {of_powers(dict(zip(symbols, powers, strict=True))): value for powers, value in terms}

    def _labellings(self, above: Terms, below: Terms) -> Iterable[dict[sympy.Symbol, str]]:
        """Names of all symbols; functions of one structure are numbered in every possible way."""
        symbols = sorted({symbol for term in (*above, *below) for symbol, _ in term}, key=str)
        groups: dict[str, list[sympy.Symbol]] = {}
        for symbol in symbols:
            groups.setdefault(self.atoms[symbol].text if symbol in self.atoms else symbol.name, []).append(symbol)
        for orders in product(*(permutations(group) for group in groups.values())):
            yield {
                symbol: text if len(order) == 1 else f"{text}_{place}"
                for text, order in zip(groups, orders, strict=True)
                for place, symbol in enumerate(order, 1)
            }

    def _wave(self, name: str, argument: Normal) -> sympy.Expr:
        """sin or cos, whose phase becomes coefficients."""
        phase, rest = argument.split()
        sign = -1 if rest.could_extract_minus_sign() else 1
        waves = {"sin": lambda: sign * self._atom("sin", sign * rest), "cos": lambda: self._atom("cos", sign * rest)}
        if phase == 0:
            return waves[name]()
        phase = phase.xreplace(self.definitions)
        cosine, sine = (self._constant(function(phase)) for function in (sympy.cos, sympy.sin))
        if name == "sin":
            return cosine * waves["sin"]() + sine * waves["cos"]()
        return cosine * waves["cos"]() - sine * waves["sin"]()

    def _exp(self, argument: Normal) -> sympy.Expr:
        """A product over the terms of the argument; whole multiples are powers."""
        found = sympy.Integer(1)
        for term, coefficient in argument.upper.items():
            factor = sympy.cancel(argument.scale * coefficient)
            if not term and set(argument.lower) == {()}:
                found *= self._constant(sympy.exp(factor.xreplace(self.definitions)))
                continue
            power = factor if factor.is_Integer else sympy.Integer(1)
            unit = value_of({term: factor / power}) / value_of(argument.lower)
            found *= self._atom("exp", unit) ** power
        return found

    def _log(self, argument: Normal) -> sympy.Expr:
        if argument.scale == 1 or (argument.scale.is_number and not argument.scale.is_positive):
            return self._atom("log", argument.value)
        scale = self._constant(sympy.log(argument.scale.xreplace(self.definitions)))
        return scale + self._atom("log", argument.value / argument.scale)

    def _root(self, argument: Normal) -> sympy.Expr:
        if argument.scale == 1 or (argument.scale.is_number and not argument.scale.is_positive):
            return self._atom("sqrt", argument.value)
        scale = self._constant(sympy.sqrt(argument.scale.xreplace(self.definitions)))
        return scale * self._atom("sqrt", argument.value / argument.scale)

    def _atom(self, function: str, argument: sympy.Expr) -> sympy.Symbol:
        argument = sympy.cancel(argument)
        if (function, argument) not in self._known:
            symbol = sympy.Symbol(f"{function}#{len(self.atoms)}")
            self._known[function, argument] = symbol
            self.atoms[symbol] = _Atom(function, self.normal(argument))
        return self._known[function, argument]

    def _constant(self, value: sympy.Expr) -> sympy.Expr:
        """A function of constants as one symbol; a decimal number is a constant, any other is a number."""
        if value.is_Symbol or (value.is_number and not value.has(sympy.Float)):
            return value
        if ("", value) not in self._known:
            symbol = self._known["", value] = sympy.Symbol(f"#{len(self._known)}")
            if value.free_symbols:
                self.definitions[symbol] = value
        return self._known["", value]

    def _is_variable(self, symbol: sympy.Symbol) -> bool:
        return symbol.name in self.features or symbol in self.atoms

    def _has_features(self, node: sympy.Expr) -> bool:
        return any(symbol.name in self.features for symbol in node.free_symbols)


def _normalised(above: Terms, below: Terms, names: dict[sympy.Symbol, str]) -> Normal:
    """Divide by the leading coefficients, where `names` decide which terms lead."""
    upper, lower = ({each: part[each] for each in sorted(part, key=order(names))} for part in (above, below))
    first, second = next(iter(upper.values())), next(iter(lower.values()))
    upper = {each: sympy.cancel(value / first) for each, value in upper.items()}
    lower = {each: sympy.cancel(value / second) for each, value in lower.items()}
    scale = sympy.cancel(first / second)
    below_text = sum_text(sympy.Integer(1), lower, names)
    return Normal(scale, upper, lower, ratio_text(sum_text(scale, upper, names), below_text))
