"""When two formulas are the same: laws over random forms, and pairs whose answer a person knows."""

import numpy as np
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from saggiatore.distill.expression import FUNCTIONS, evaluate, parse
from saggiatore.distill.normal_form import Reducer
from saggiatore.distill.parametric import Parametric, simplest
from saggiatore.distill.structure import Structure, structure

LAW = settings(max_examples=30, deadline=None, derandomize=True)
FEATURES = ("x", "y", "z")
CONSTANTS = sympy.symbols("a b c d e f")
SPARE = sympy.Symbol("unused")
POINT = {"x": 0.37, "y": 1.21, "z": 0.83, "a": 0.71, "b": 1.37, "c": 0.59, "d": 1.13, "e": 0.91, "f": 1.61}


def _grow(parts: st.SearchStrategy) -> st.SearchStrategy:
    return st.one_of(
        st.tuples(parts, parts).map(lambda pair: pair[0] + pair[1]),
        st.tuples(parts, parts).map(lambda pair: pair[0] * pair[1]),
        st.tuples(parts, parts).map(lambda pair: pair[0] / pair[1]),
        st.tuples(parts, st.sampled_from([2, 3])).map(lambda pair: pair[0] ** pair[1]),
        parts.map(sympy.sin),
        st.sampled_from([sympy.cos, sympy.exp, sympy.log]).flatmap(parts.map),
        parts.map(lambda part: sympy.sqrt(part + sympy.Symbol("y"))),  # a root of a root is not in the language
    )


LEAVES = st.sampled_from([*sympy.symbols(FEATURES), *2 * [sympy.Symbol("constant")]])


@st.composite
def forms(draw: st.DrawFn, max_leaves: int = 6) -> sympy.Expr:
    """A form that uses a feature; constants are a, b, ... in the order of appearance, or any, several times."""
    parts = str(draw(st.recursive(LEAVES, _grow, max_leaves=max_leaves))).split("constant")
    assume(len(parts) <= 1 + len(CONSTANTS))
    own = st.just([str(name) for name in CONSTANTS[: len(parts) - 1]])
    several = st.lists(st.sampled_from("abcdef"), min_size=len(parts) - 1, max_size=len(parts) - 1)
    names = draw(st.one_of(own, several))
    form = parse(parts[0] + "".join(name + part for name, part in zip(names, parts[1:], strict=True)))
    assume({symbol.name for symbol in form.free_symbols} & set(FEATURES))
    assume(np.isfinite(value(form)) and abs(value(form)) > 1e-9)
    return form


def value(form: sympy.Expr) -> complex:
    with np.errstate(all="ignore"):
        return complex(evaluate(form, {name: np.complex128(number) for name, number in POINT.items()}, np))


def of(form: sympy.Expr | str) -> Structure:
    return structure(Parametric(parse(form) if isinstance(form, str) else form, {}), FEATURES)


@LAW
@given(forms())
def test_the_normal_form_is_the_same_function(form):
    """At one point, with complex arithmetic: nothing is lost on the way to the terms."""
    reducer = Reducer(frozenset(FEATURES))
    found = reducer.normal(reducer.rational(sympy.expand(form))).value
    while found.free_symbols & reducer.atoms.keys():
        functions = {**FUNCTIONS, "sqrt": sympy.sqrt}
        found = found.xreplace(
            {symbol: functions[atom.function](atom.argument.value) for symbol, atom in reducer.atoms.items()}
        )
    assert value(found.xreplace(reducer.definitions)) == pytest.approx(value(form), rel=1e-7)


@LAW
@given(forms(), st.permutations(CONSTANTS))
def test_names_of_constants_do_not_count(form, names):
    assert of(form.xreplace(dict(zip(CONSTANTS, names, strict=True)))) == of(form)


@LAW
@given(forms(), st.sampled_from([lambda a, b: a * b, lambda a, b: a + b, lambda a, b: 1 / a, lambda a, b: 3 * a / b]))
def test_an_invertible_change_of_constants_does_not_count(form, change):
    """(a, b) -> (ab, b) and the like: the same family of functions, with b or without it before."""
    a, b = CONSTANTS[:2]
    changed = form.subs(a, change(a, b))
    assume(not changed.has(sympy.nan, sympy.zoo))
    assert of(changed) == of(form)


@LAW
@given(forms(), st.sampled_from([sympy.expand, sympy.together, sympy.factor_terms, sympy.cancel]))
def test_brackets_do_not_count(form, rewrite):
    assert of(rewrite(form)) == of(form)


@LAW
@given(forms(max_leaves=5), st.floats(0.1, 3))
def test_fewer_constants_do_not_count(form, number):
    """`simplest` merges constants that only occur together, each of which occurs once."""
    text = str(form)
    assume(all(text.count(name.name) <= 1 for name in CONSTANTS))
    raw = Parametric(form, {name.name: number for name in form.free_symbols & set(CONSTANTS)})
    merged = simplest(raw, FEATURES)
    assume({symbol.name for symbol in merged.expression.free_symbols} & set(FEATURES))
    assert structure(merged, FEATURES) == structure(raw, FEATURES)


@LAW
@given(forms())
def test_one_term_more_is_another_structure(form):
    more = structure(Parametric(form + sympy.Symbol("g") * SPARE, {}), (*FEATURES, SPARE.name))
    assert more != of(form)
    assert more.text != of(form).text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a*(x + b)", "c*x + d"),
        ("a*b*x", "-c*x"),
        ("a*(x + b)/(c*y + d)", "(a*x + b)/(y + c)"),
        ("a*sin(x + b)", "a*cos(x) + b*sin(x)"),
        ("a*exp(x + b)", "a*exp(x)"),
        ("a*log(b*x) + c", "a*log(x) + c"),
        ("sqrt(a*x + b)", "c*sqrt(x + b)"),
        ("a*x*y/(b*x)", "a*y"),
        ("a*sin(b*x) + c*sin(d*x)", "c*sin(d*x) + a*sin(b*x)"),
        ("a*x*(b/z**2 + y)*sin(x)", "x*sin(x)*y*c + d*x*sin(x)/z**2"),
        ("1.5*x + 2.5", "0.1*x - 3.5"),
    ],
)
def test_the_same(one, other):
    assert of(one) == of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a*x", "a*x + b"),
        ("a*x", "x"),
        ("a*x", "a*y"),
        ("a*x", "a*x**2"),
        ("a*(x + 2*y)", "a*(x + y)"),
        ("a*(x + y)", "a*x + b*y"),
        ("a*(x + b)*(y + c)", "a*x*y + b*x + c*y + d"),
        ("a*sin(x)", "a*sin(b*x)"),
        ("a*sin(b*x)**2", "a*sin(b*x)*sin(c*x)"),
        ("a*x/(y + b)", "a*x/(y**2 + b)"),
        ("a*sin(x)", "a*cos(x)"),
    ],
)
def test_not_the_same(one, other):
    assert of(one) != of(other)


def test_a_structure_is_readable():
    assert str(of("a*x*(b/z**2 + y)*sin(x)")) == "k*x*y*sin(x) + k*x*sin(x)/z**2"
    assert str(of("a*(x + b)*(y + c)")) == "k*x*y + k*x + k*y + k [3 of 4 k free]"
    assert str(of("(x - y)/(z + b)")) == "(x - y)/(z + k)"
    assert str(of("a*(x - 2*y)/(z + b)")) == "k*(x - 2*y)/(z + k)"
