"""Local search around a set of candidates: prune, vary, damp, refit; keep the best of each complexity.

Genetic programming finds the structure and leaves it overgrown: spurious terms, scaled leaves, sin(0.99 x). Here every
candidate is taken apart node by node (backward elimination), its powers and features are varied and its constants are
replaced by a feature's power, each time with all constants refitted. Deterministic: no random number is drawn.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import sympy

from saggiatore.distill.constant_fit import Columns, fit_constants
from saggiatore.distill.expression import complexity, evaluate, has_nested_functions, positions, replace
from saggiatore.distill.parametric import Parametric, simplest
from saggiatore.errors import FormulaError

_POWERS = (-2, -1, 1, 2)  # by which a constant becomes a feature's power, and a power is varied
_NEW, _SCALE = sympy.symbols("new_constant new_scale")


@dataclass
class _Member:
    """A form with fitted constants."""

    form: Parametric
    loss: float
    complexity: int
    is_expanded: bool = False


@dataclass
class LocalSearch:
    """The best `width` forms of each complexity on the given rows, and the moves between them."""

    features: Sequence[str]
    columns: Columns
    y: np.ndarray
    weight: np.ndarray
    max_complexity: int
    width: int = 2
    allow_nested: bool = False
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
        if nodes > self.max_complexity or form.expression in self._seen or form.expression.has(sympy.nan, sympy.zoo):
            return
        if not self.allow_nested and has_nested_functions(form.expression):
            return
        self._seen.add(form.expression)
        self.n_fits += 1
        fit = fit_constants(form, self.columns, self.y, self.weight)
        if np.isfinite(fit.loss):
            beam = self._beams.setdefault(nodes, [])
            beam.append(_Member(Parametric(form.expression, fit.values), fit.loss, nodes))
            beam.sort(key=lambda member: (member.loss, str(member.form.expression)))
            del beam[self.width :]

    def run(self, max_fits: int, is_over: Callable[[], bool] = lambda: False) -> None:
        """Expand the most promising form until none is left, `max_fits` were fitted, or `is_over` says so."""
        while self.n_fits < max_fits and not is_over() and (member := self._next()) is not None:
            member.is_expanded = True
            for form in self._moves(member.form):
                self.offer(form)

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

    def _next(self) -> _Member | None:
        """First the front, the simplest first; then the rest of the beams."""
        front = [member for member in self._front() if not member.is_expanded]
        rest = [member for nodes in sorted(self._beams) for member in self._beams[nodes] if not member.is_expanded]
        return next(iter(front + rest), None)

    def _moves(self, form: Parametric) -> Iterator[Parametric]:
        for path, node in positions(form.expression):
            for new, values in self._replacements(node, form):
                yield Parametric(replace(form.expression, path, new), {**form.values, **values})
        for new, values in self._damped(form.expression):
            yield Parametric(new, {**form.values, **values})

    def _replacements(self, node: sympy.Expr, form: Parametric) -> Iterator[tuple[sympy.Expr, dict[str, float]]]:
        yield from ((new, {}) for new in _pruned(node))
        if node.is_Symbol and node.name in form.values:
            yield from self._promoted(node, form.values[node.name])
        elif node.is_Symbol:
            yield from self._varied(node)
        elif node.is_Pow and node.base.is_Symbol:
            yield from ((node.base ** (node.exp + shift), {}) for shift in (-1, 1))
        elif node.free_symbols & {sympy.Symbol(name) for name in self.features}:
            yield _NEW, {_NEW.name: self._mean(node, form)}

    def _promoted(self, constant: sympy.Expr, value: float) -> Iterator[tuple[sympy.Expr, dict[str, float]]]:
        """A constant becomes a constant times a feature's power, of the same median size."""
        for name in self.features:
            size = float(np.median(np.absolute(self.columns[name])))
            for exponent in _POWERS:
                if size > 0:
                    yield constant * sympy.Symbol(name) ** exponent, {constant.name: value / size**exponent}

    def _damped(self, whole: sympy.Expr) -> Iterator[tuple[sympy.Expr, dict[str, float]]]:
        """The whole divided by a constant plus a feature's power: what falls off, or saturates."""
        for name in self.features:
            for exponent in (1, 2):
                size = 2 * float(np.median(np.absolute(self.columns[name]))) ** exponent
                yield _SCALE * whole / (_NEW + sympy.Symbol(name) ** exponent), {_NEW.name: size, _SCALE.name: size}

    def _varied(self, feature: sympy.Expr) -> Iterator[tuple[sympy.Expr, dict[str, float]]]:
        yield feature**2, {}
        yield feature + _NEW, {_NEW.name: 0.0}
        yield from ((sympy.Symbol(name), {}) for name in self.features if name != feature.name)

    def _mean(self, node: sympy.Expr, form: Parametric) -> float:
        with np.errstate(all="ignore"):
            return float(np.mean(evaluate(node, {**self.columns, **form.values}, np)))


def _pruned(node: sympy.Expr) -> Iterable[sympy.Expr]:
    """The node with one part less: a term, a factor, a power, a function."""
    if node.is_Add or node.is_Mul:
        return [node.func(*(node.args[:place] + node.args[place + 1 :])) for place in range(len(node.args))]
    return list(node.args[:1])
