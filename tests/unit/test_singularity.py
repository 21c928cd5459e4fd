"""Poles of formulas among events: found where there are some, and nowhere else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saggiatore.distill.election import contenders, elect, reach
from saggiatore.distill.expression import evaluate, parse
from saggiatore.distill.parametric import Parametric
from saggiatore.distill.sample import Sample
from saggiatore.distill.select import SelectionSpec
from saggiatore.distill.singularity import nearest_events, singular_part, stated
from saggiatore.errors import EngineError
from saggiatore.limits.singular import SingularParts
from saggiatore.limits.statistic import Statistic

N = 2000
RANDOM = np.random.default_rng(1)
COLUMNS = {
    "x": RANDOM.uniform(0.2, 8, N),
    "eta": RANDOM.uniform(2, 9, N),
    "phi": RANDOM.uniform(-np.pi, np.pi, N),
}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a*x/eta**2", ""),
        ("a*x*(x + (b + cos(phi))/(eta - 3*x)**2)*sin(phi)", "eta - 3.0*x"),  # a pole of even order
        ("x/(b + cos(phi))", "cos(phi) - 0.4"),
        ("sin(phi)/phi", ""),  # it has a limit
        ("sin(phi)**3/phi**2", ""),
        ("cos(phi)/phi", "phi"),
        ("1/(x*(2 + cos(phi)))", ""),
        ("log(x)", ""),
        ("log(x - 1)", "x - 1.0"),
        ("sqrt(eta - x)", "eta - x"),
        ("1/sqrt(eta + x)", ""),
        ("x/(exp(x) - eta)", "-eta + exp(x)"),
        ("exp(exp(exp(x)))", "exp(exp(exp(x)))"),  # overflows
    ],
)
def test_a_part_without_a_value_is_found(text, part):
    form = Parametric(parse(text), {"a": 0.7, "b": -0.4})
    found = singular_part(form, COLUMNS)
    assert stated(found) == part
    rows = nearest_events(form, COLUMNS)
    assert len(rows) < 60
    assert singular_part(form, {name: column[rows] for name, column in COLUMNS.items()}) == found or len(rows) == 0


@given(zero=st.floats(-20, 20), order=st.integers(1, 3), scale=st.floats(1e-6, 1e6))
def test_a_pole_is_one_if_events_lie_on_both_sides(zero, order, scale):
    form = Parametric(parse(f"a*phi/(x - b)**{order}"), {"a": scale, "b": zero})
    is_among = COLUMNS["x"].min() < zero < COLUMNS["x"].max()
    assert (singular_part(form, COLUMNS) is not None) == is_among


def test_batches_tell_what_all_events_tell():
    """The zero lies between the batches: no batch has events on both of its sides."""
    x = np.linspace(0, 8, N)
    expressions = {"pole": "phi/(x - 4)", "none": "phi/(x + 4)", "number": "3.0", "unwritten": ""}
    statistics = [Statistic(name, "form", lambda events: events["x"], text) for name, text in expressions.items()]
    parts = SingularParts(statistics)
    for rows in (slice(0, N // 2), slice(N // 2, N)):
        parts.add({"x": x[rows], "phi": COLUMNS["phi"][rows]})
    assert parts.found() == ["x - 4.0", "", "", ""]
    assert SingularParts(statistics[:1]).found() == [""]


def test_a_form_with_a_pole_is_not_chosen_however_good_it_is():
    """It is exact on these events, none of which lies near its pole."""
    pole, regular = Parametric(parse("a*x + b/(x - c)"), {"a": 1.0, "b": 1e-7, "c": 4.0}), Parametric(parse("x"), {})
    columns = {"x": COLUMNS["x"]}
    held_out = Sample(columns, COLUMNS["x"] + 1e-7 / (COLUMNS["x"] - 4), np.zeros(N), np.ones(N))
    found = elect(SelectionSpec(rule="best"), [pole, regular], [5, 9], held_out, seed=1)
    assert (found.chosen, found.singular, found.frequency.tolist()) == (1, ["x - 4.0", ""], [0.0, 1.0])
    with pytest.raises(EngineError, match=r"each of 1 formulas that could be chosen .* divides by x - 4\.0"):
        elect(SelectionSpec(), [pole], [5], held_out, seed=1)


def test_of_each_number_of_nodes_the_closest_regular_form_stands_for_election():
    texts = ("1/(x - a)", "a*phi", "a + x", "a*x*phi", "a/(x - b)")
    forms = [Parametric(parse(text), {"a": 4.0, "b": 3.0}) for text in texts]
    held_out = Sample(COLUMNS, np.zeros(N), np.zeros(N), np.ones(N))
    standing = contenders(SelectionSpec(), forms, [5, 3, 3, 5, 7], [0.1, 0.4, 0.3, 0.2, 0.0], held_out)
    assert [texts[place] for place in standing] == ["a + x", "a*x*phi", "a/(x - b)"]
    odd = contenders(SelectionSpec(odd_in=("phi",)), forms, [5, 3, 3, 5, 7], [0.1, 0.4, 0.3, 0.2, 0.0], held_out)
    assert [texts[place] for place in odd] == ["a*phi", "a*x*phi", "a/(x - b)"]


@given(half=st.integers(-40, 40), low=st.integers(-30, 0), width=st.integers(1, 30))
def test_a_pole_in_the_domain_is_seen_where_no_event_is(half, low, width):
    """Among the events and in the domain, and nowhere else: what lies between the two is a way to a pole, too."""
    pole = half + 0.5  # at none of the ends
    spec, form = SelectionSpec(domain={"x": (low, low + width)}), Parametric(parse("a/(x - b)"), {"a": 1.0, "b": pole})
    x = reach(spec, COLUMNS)["x"]
    assert (x.min(), x.max()) == (min(low, COLUMNS["x"].min()), max(low + width, COLUMNS["x"].max()))
    assert (singular_part(form, reach(spec, COLUMNS)) is not None) == (x.min() < pole < x.max())


def test_a_domain_goes_with_the_features():
    corners = reach(SelectionSpec(domain={"x": (0.5, 30), "eta": (2, 10)}), COLUMNS)
    part = parse("(29.9 - x) + (9.99 - eta)")  # negative in one corner alone
    assert (evaluate(part, corners, np) < 0).any()
    assert len({len(column) for column in corners.values()}) == 1
    assert reach(SelectionSpec(), COLUMNS) is COLUMNS
    with pytest.raises(EngineError, match=r"selection\.domain: y is no feature of the teacher; it has"):
        reach(SelectionSpec(domain={"y": (0, 1)}), COLUMNS)
    with pytest.raises(ValueError, match=r"expected \[least, largest\] of each"):
        SelectionSpec(domain={"x": (1, 0)})


def test_a_part_is_stated_with_three_digits():
    assert stated(parse("x - 4.123456789")) == "x - 4.12"
    assert stated(None) == ""
