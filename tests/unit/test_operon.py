"""The embedded engine on small problems, and its local search."""

import os
import signal
import subprocess
import sys
import time
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyoperon.sklearn import SymbolicRegressor

from saggiatore.distill.engine import Problem, pareto_front
from saggiatore.distill.expression import parse
from saggiatore.distill.local_search import LocalSearch
from saggiatore.distill.operon_engine import OperonSpec
from saggiatore.distill.parametric import Parametric
from saggiatore.errors import EngineError, InterruptionError

SMALL = OperonSpec(population_size=100, n_generations=5, rows=300, fit_rows=300, max_fits=100, max_complexity=15)
FOLDER = Path("unused")
FORMS = (
    "a*x",
    "a*phi",
    "a*sin(phi)",
    "a*x*phi",
    "a*x*sin(phi)",
    "a*phi**2",
    "phi*x",
    "a*x + b*phi",
    "a*sin(phi) + b*x",
)
FORMS += ("a*phi + b*phi*x", "(a + b*x)*phi", "phi*(b + a*x)", "a*x**2*sin(phi)")


def problem(n_rows: int = 1000) -> Problem:
    random = np.random.default_rng(8)
    x = np.stack([random.uniform(0.2, 2, n_rows), random.uniform(-3, 3, n_rows)], axis=1)
    return Problem(("x", "phi"), x, -0.7 * x[:, 0] ** 2 * np.sin(x[:, 1]), random.uniform(0.5, 2, n_rows))


def front(seed: int):
    return pareto_front(problem(), SMALL.build().search(problem(), seed, FOLDER), 15)


def test_a_product_with_a_sine_is_found():
    found = front(1)
    assert [member.complexity for member in found] == sorted({member.complexity for member in found})
    assert any(member.form.expression == parse("a*x**2*sin(phi)") and member.loss < 1e-12 for member in found)


def test_the_same_seed_gives_the_same_front():
    assert front(2) == front(2)


def signalled(monkeypatch, owner, name, n_calls):
    """SIGTERM comes with the `n_calls`-th call of a method."""
    method, calls = getattr(owner, name), []

    def call(*arguments, **options):
        calls.append(name)
        if len(calls) == n_calls:
            heard = signal.getsignal(signal.SIGTERM).__self__
            os.kill(os.getpid(), signal.SIGTERM)
            while not heard.name:  # the main thread has to wake up for it
                time.sleep(0.001)
        return method(*arguments, **options)

    monkeypatch.setattr(owner, name, call)


@pytest.mark.parametrize(
    ("owner", "name", "n_calls", "where"),
    [
        (SymbolicRegressor, "fit", 3, r"after generation (5|10) of 15"),
        (LocalSearch, "_next_variations", 2, r"after \d+ fits of the local search"),
    ],
    ids=["generations", "local search"],
)
def test_a_search_that_a_scheduler_ends_goes_on_to_the_same_formulas(
    tmp_path, monkeypatch, caplog, owner, name, n_calls, where
):
    """Populations are restored to the last digit; the rerun does what was left, and leaves nothing behind."""
    folder, engine = tmp_path / "operon", SMALL.model_copy(update={"n_generations": 15}).build()
    whole = engine.search(problem(), 3, folder)
    assert not folder.exists()
    with monkeypatch.context() as patch:
        signalled(patch, owner, name, n_calls)
        with pytest.raises(InterruptionError, match=f"received SIGTERM and stopped {where}"):
            engine.search(problem(), 3, folder, "code")
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert engine.search(problem(), 3, folder, "code") == whole
    assert not folder.exists()
    assert not caplog.messages
    folder.mkdir()
    for part, content in kept.items():
        (folder / part).write_bytes(content)
    engine.search(problem(), 3, folder, "other code")
    assert "belongs to a search with other data, spec or code" in caplog.text


def test_the_guard_ends_a_search_and_says_so(caplog):
    spec = SMALL.model_copy(update={"max_seconds": 1e-3, "n_generations": 50})
    forms = spec.build().search(problem(), 1, FOLDER)
    assert any(form.expression == parse("a*x**2*sin(phi)") for form in forms)  # pruned nevertheless
    assert "max_seconds ended the generations early" in caplog.text


def test_local_search_prunes_what_genetic_programming_leaves():
    """A spurious term, a scaled leaf and an offset go; the structure stays."""
    this = problem()
    search = LocalSearch(this.features, this.columns, this.y, this.share, 20)
    grown = parse("a + b*(x**2 + c*phi)*sin(d*phi)/(e + f*x)")
    search.offer(Parametric(grown, {"a": 0.1, "b": -0.7, "c": 0.01, "d": 1.02, "e": 1.0, "f": 0.01}))
    search.run(300)
    best = next(form for form in search.front() if form.expression == parse("a*x**2*sin(phi)"))
    assert best.values["a"] == pytest.approx(-0.7, rel=1e-6)


def test_local_search_adds_what_is_missing():
    """From a x (phi + b) to a x (phi + x + b): one feature more, and no constant."""
    this = problem()
    x, phi = this.x.T
    search = LocalSearch(this.features, this.columns, 0.5 * x * (phi + x + 1.5), this.share, 12)
    search.offer(Parametric(parse("a*x*(phi + b)"), {"a": 1.0, "b": 0.0}))
    search.run(300)
    best = search.front()[-1]
    assert best.expression == parse("a*x*(b + phi + x)")
    assert best.values == pytest.approx({"a": 0.5, "b": 1.5})
    assert search.front()[0] in search.members()


@pytest.mark.parametrize("pairs", [False, True])
def test_two_features_enter_at_once_where_one_brings_nothing(pairs):
    """The mean of a product over any one of its factors is zero, as of a decay's angles: no step there is better."""
    columns = dict(zip("xyz", np.random.default_rng(5).uniform(-2, 2, (3, 1000)), strict=True))
    target = 3 * columns["x"] * columns["y"] * columns["z"]
    search = LocalSearch(tuple(columns), columns, target, np.full(1000, 1e-3), 7, pairs=pairs)
    search.offer(Parametric(parse("a*x"), {"a": 0.1}))
    search.run(100)
    assert (search.front()[-1].expression == parse("a*x*y*z")) == pairs


def test_few_rows_do_not_decide_between_the_best():
    """The last row alone tells x from x + phi/100; it is none of the few that sort out what is far behind."""
    n_rows = 2000
    random = np.random.default_rng(3)
    columns = {"x": random.uniform(1, 2, n_rows), "phi": np.where(np.arange(n_rows) < n_rows - 1, 0.0, 1.0)}
    y = columns["x"] + 0.01 * columns["phi"]
    search = LocalSearch(("x", "phi"), columns, y, np.full(n_rows, 1 / n_rows), 9, width=1)
    for text in ("a*phi", "a*x", "a*x + b*phi"):
        search.offer(Parametric(parse(text), {"a": 0.5, "b": 0.5}))
    assert [str(form.expression) for form in search.front()] == ["a*x", "a*x + b*phi"]
    assert search.front()[-1].values == pytest.approx({"a": 1.0, "b": 0.01})


def test_no_function_stands_inside_of_another():
    this = problem()
    search = LocalSearch(this.features, this.columns, this.y, this.share, 20)
    search.offer(Parametric(parse("a*sin(sin(phi))"), {"a": 1.0}))
    assert search.front() == []


def test_a_teacher_that_is_none_is_refused():
    with pytest.raises(EngineError, match="Re-run"):
        Problem(("x",), np.zeros((3, 2)), np.zeros(3), np.ones(3))
    with pytest.raises(EngineError, match="weights"):
        Problem(("x",), np.zeros((3, 1)), np.zeros(3), -np.ones(3))
    with pytest.raises(EngineError, match="no formula of at most 2 nodes"):
        pareto_front(problem(), [Parametric(parse("a*x"), {"a": 1.0})], 2)


@given(st.lists(st.sampled_from(FORMS), min_size=1), st.integers(1, 4))
def test_a_front_has_the_best_of_each_number_of_nodes_and_runners_up(texts, width):
    forms = [Parametric(parse(text), {name: 0.3 for name in "ab" if name in text}) for text in texts]
    found = pareto_front(problem(), forms, 15, width)
    groups = [list(group) for _, group in groupby(found, lambda member: member.complexity)]
    assert [group[0] for group in groups] == pareto_front(problem(), forms, 15)
    assert found == sorted(found, key=lambda member: (member.complexity, member.loss))
    for simpler, group in pairwise(groups):
        assert len(group) <= width
        assert group[-1].loss < simpler[0].loss
    for group in groups:  # a*phi + b*phi*x and (a + b*x)*phi are one function
        assert len({f"{member.loss:.6g}" for member in group}) == len(group)
    turned = pareto_front(problem(), forms[::-1], 15, width)  # of one function another way to write it may stay
    assert [member.loss for member in turned] == pytest.approx([member.loss for member in found], rel=1e-5, abs=1e-20)


def test_no_engine_imports_jax():
    """PySR's Julia must not share a process with jax: neither the step nor an engine may import it."""
    code = (
        "import sys, saggiatore.steps.distill, saggiatore.steps.distill_island\n"
        "import saggiatore.distill.operon_engine, saggiatore.distill.pysr_engine\n"
        "import pyoperon.sklearn\nprint(sorted(name for name in sys.modules if name.split('.')[0] == 'jax'))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert found.stdout.strip() == "[]"
