"""Local search around a set of candidates: prune, vary, damp, refit; keep the best of each complexity.

Genetic programming finds the structure and leaves it overgrown: spurious terms, scaled leaves, sin(0.99 x). Here every
candidate is taken apart node by node (backward elimination), its powers and features are varied, features are added and
constants replaced by a feature's power, each time with all constants refitted: to a few rows first, since most forms
are far behind the best of their complexity, and few rows show it. Deterministic: no random number is drawn.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, combinations
from typing import Any

import numpy as np
import sympy

from saggiatore.distill.constant_fit import Columns, fit_constants
from saggiatore.distill.expression import complexity, evaluate, parse
from saggiatore.distill.parametric import Parametric, simplest
from saggiatore.errors import FormulaError

_POWERS = (-2, -1, 1, 2)  # by which a constant becomes a feature's power, and a power is varied
_ROUGH_ROWS, _ROUGH_STEPS = 1000, 8  # of the first fit of a form
_SLACK = 1.05  # how much worse than the last of the best it may then be
_NEW, _SCALE = sympy.symbols("new_constant new_scale")


@dataclass
class _Member:
    """A form with fitted constants."""

    form: Parametric
    loss: float
    complexity: int
    rough: float  # loss on a few rows, after a few steps
    is_pruned: bool = False
    is_varied: bool = False


@dataclass
class LocalSearch:
    """The best `width` forms of each complexity on the given rows, and the moves between them."""

    features: Sequence[str]
    columns: Columns
    y: np.ndarray
    weight: np.ndarray
    max_complexity: int
    width: int = 4
    allow_nested: bool = False
    pairs: bool = False  # whether a constant may become a product of two features as well
    n_fits: int = 0
    _beams: dict[int, list[_Member]] = field(default_factory=dict)
    _seen: set[sympy.Expr] = field(default_factory=set)

    def offer(self, form: Parametric) -> None:
        """Fit a form and keep it where it is among the best of its complexity."""
        try:
            form = simplest(form, self.features)
        except FormulaError:  # a constant that is not finite: no formula
            return
        nodes = complexity(form.expression)
        is_refused = form.expression in self._seen or form.expression.has(sympy.nan, sympy.zoo)
        is_refused |= not self.allow_nested and has_nested_functions(form.expression)
        if is_refused or nodes > self.max_complexity:
            return
        self._seen.add(form.expression)
        self.n_fits += 1
        self._rank(form, nodes)

    def _rank(self, form: Parametric, nodes: int) -> None:
        """Fit to a few rows first, and to all only what is not far behind the best there: most forms are."""
        beam = self._beams.get(nodes, [])
        rough = fit_constants(form, *self._few, max_steps=_ROUGH_STEPS)
        if not rough.loss < (_SLACK * beam[-1].rough if len(beam) == self.width else np.inf):
            return
        fit = fit_constants(Parametric(form.expression, rough.values), self.columns, self.y, self.weight)
        if np.isfinite(fit.loss):
            beam.append(_Member(Parametric(form.expression, fit.values), fit.loss, nodes, rough.loss))
            beam.sort(key=lambda member: member.loss)
            self._beams[nodes] = beam[: self.width]

    @cached_property
    def _few(self) -> tuple[Columns, np.ndarray, np.ndarray]:
        """Every so many-th of the rows."""
        rows = slice(None, None, max(1, len(self.y) // _ROUGH_ROWS))
        weight = self.weight[rows]
        columns = {name: np.ascontiguousarray(column[rows]) for name, column in self.columns.items()}
        return columns, self.y[rows], weight / weight.sum()

    def run(self, max_fits: int, is_over: Callable[[], bool] = lambda: False) -> None:
        """Prune and vary until nothing is left; after `max_fits` forms, or once `is_over`, only prune the front."""
        while True:
            moves = self._next_prunings(self._front())
            if moves is None and self.n_fits < max_fits and not is_over():
                moves = self._next_variations()
            if moves is None:
                return
            for form in moves:
                self.offer(form)

    def state(self) -> dict[str, Any]:
        """All that the search knows, of what JSON has; to be taken where `run` asks whether it is over."""
        beams = [[vars(member) | {"form": _plain(member.form)} for member in beam] for beam in self._beams.values()]
        return {"n_fits": self.n_fits, "beams": beams, "seen": [sympy.srepr(each) for each in self._seen]}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where another search on the same rows was when its `state` was taken."""
        self.n_fits, self._seen = state["n_fits"], {parse(text) for text in state["seen"]}
        beams = [[_Member(**(row | {"form": _form(*row["form"])})) for row in beam] for beam in state["beams"]]
        self._beams = {beam[0].complexity: beam for beam in beams}

    def members(self) -> list[Parametric]:
        """The best few of each complexity, simplest first; other rows may rank them otherwise."""
        return [member.form for nodes in sorted(self._beams) for member in self._beams[nodes]]

    def front(self) -> list[Parametric]:
        """Forms that are better than every simpler one, simplest first."""
        return [member.form for member in self._front()]

    def _front(self) -> list[_Member]:
        best, front = np.inf, []
        for nodes in sorted(self._beams):
            member = self._beams[nodes][0]
            if member.loss < best:
                best = member.loss
                front.append(member)
        return front

    def _next_prunings(self, members: list[_Member]) -> list[Parametric] | None:
        """Of the longest member that was not pruned yet: cheap, so done first."""
        for member in reversed(members):
            if not member.is_pruned:
                member.is_pruned = True
                return list(self._prunings(member.form))
        return None

    def _next_variations(self) -> list[Parametric] | None:
        """Of the front's simplest member that was not varied yet; then of those behind it, with their prunings."""
        for member in (*self._front(), *chain.from_iterable(beam for _, beam in sorted(self._beams.items()))):
            if not member.is_varied:
                member.is_varied = True
                return [*(self._next_prunings([member]) or ()), *self._variations(member.form)]
        return None

    def _prunings(self, form: Parametric) -> Iterator[Parametric]:
        """One node less: a term, a factor, a power, a function; or a constant for a part."""
        features = {sympy.Symbol(name) for name in self.features}
        for path, node in positions(form.expression):
            for new in _pruned(node):
                yield Parametric(replace(form.expression, path, new), form.values)
            if node.args and node.free_symbols & features:
                values = {**form.values, _NEW.name: self._mean(node, form)}
                yield Parametric(replace(form.expression, path, _NEW), values)

    def _variations(self, form: Parametric) -> Iterator[Parametric]:
        for path, node in positions(form.expression):
            for new, values in self._replacements(node, form):
                yield Parametric(replace(form.expression, path, new), {**form.values, **values})
        for new, values in self._damped(form.expression):
            yield Parametric(new, {**form.values, **values})

    def _replacements(self, node: sympy.Expr, form: Parametric) -> Iterator[tuple[sympy.Expr, dict[str, float]]]:
        is_constant = node.is_Symbol and node.name in form.values
        if is_constant:
            yield from self._promoted(node, form.values[node.name])
        elif node.is_Symbol:
            yield from self._varied(node)
        elif node.is_Pow and node.base.is_Symbol:
            yield from ((node.base ** (node.exp + shift), {}) for shift in (-1, 1))
        yield from self._extended(node, is_constant)

    def _extended(self, node: sympy.Expr, is_constant: bool) -> Iterator[tuple[sympy.Expr, dict[str, float]]]:
        """Another feature is added, with a factor that starts at zero; to a constant also as it is.

        Not the feature itself: sin(1.01 phi) is often a little closer to a teacher than sin(phi), and not periodic.
        """
        for feature in map(sympy.Symbol, self.features):
            if feature != node:
                yield node + _NEW * feature, {_NEW.name: 0.0}
            if is_constant:
                yield node + feature, {}

    def _promoted(self, constant: sympy.Expr, value: float) -> Iterator[tuple[sympy.Expr, dict[str, float]]]:
        """A constant becomes a constant times a feature's power, or times two features, of the same median size."""
        for name in self.features:
            if size := self._size(name):
                for exponent in _POWERS:
                    yield constant * sympy.Symbol(name) ** exponent, {constant.name: value / size**exponent}
        for one, two in combinations(self.features, 2) if self.pairs else ():
            if size := self._size(one) * self._size(two):
                yield constant * sympy.Symbol(one) * sympy.Symbol(two), {constant.name: value / size}

    def _size(self, name: str) -> float:
        return float(np.median(np.absolute(self.columns[name])))

    def _damped(self, whole: sympy.Expr) -> Iterator[tuple[sympy.Expr, dict[str, float]]]:
        """The whole divided by a constant plus a feature's power: what falls off, or saturates."""
        for name in self.features:
            for exponent in (1, 2):
                size = 2 * self._size(name) ** exponent
                yield _SCALE * whole / (_NEW + sympy.Symbol(name) ** exponent), {_NEW.name: size, _SCALE.name: size}

    def _varied(self, feature: sympy.Expr) -> Iterator[tuple[sympy.Expr, dict[str, float]]]:
        yield feature**2, {}
        yield feature + _NEW, {_NEW.name: 0.0}
        yield from ((sympy.Symbol(name), {}) for name in self.features if name != feature.name)

    def _mean(self, node: sympy.Expr, form: Parametric) -> float:
        with np.errstate(all="ignore"):
            return float(np.mean(evaluate(node, {**self.columns, **form.values}, np)))


def _plain(form: Parametric) -> tuple[str, dict[str, float]]:
    return sympy.srepr(form.expression), form.values


def _form(text: str, values: dict[str, float]) -> Parametric:
    return Parametric(parse(text), values)


def _pruned(node: sympy.Expr) -> Iterable[sympy.Expr]:
    """The node with one part less: a term, a factor, a power, a function."""
    if node.is_Add or node.is_Mul:
        return [node.func(*(node.args[:place] + node.args[place + 1 :])) for place in range(len(node.args))]
    return list(node.args[:1])


def has_nested_functions(expression: sympy.Expr) -> bool:
    """Whether a function stands inside of a function, such as sin(sin(x))."""
    inner = {node for node in sympy.preorder_traversal(expression) if node.is_Function}
    return any(node.args[0].atoms(sympy.Function) for node in inner)


def positions(expression: sympy.Expr, path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], sympy.Expr]]:
    """Every sub-expression with the path of argument numbers that leads to it; exponents are not entered."""
    yield path, expression
    arguments = expression.args[:1] if expression.is_Pow else expression.args
    for place, argument in enumerate(arguments):
        yield from positions(argument, (*path, place))


def replace(expression: sympy.Expr, path: tuple[int, ...], new: sympy.Expr) -> sympy.Expr:
    """The expression with the sub-expression at `path` replaced."""
    if not path:
        return new
    arguments = list(expression.args)
    arguments[path[0]] = replace(arguments[path[0]], path[1:], new)
    return expression.func(*arguments)
