"""Operon, genetic programming in C++ (Burlacu, Kronberger, Kommenda, GECCO 2020), then a local search on its fronts.

NSGA-II minimises error and length in populations that do not talk to each other, each with its own rows, drawn in
proportion to the teacher's weights (pyoperon's own row weights are ignored by its coefficient fit). The budget is
counted in generations and fits, so that a seed gives the same formulas on a slow machine; `max_seconds` is a guard.
A search that a scheduler ends goes on from the generation, or the form of the local search, that it was at.
"""

import importlib.metadata
import logging
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field
from tqdm import tqdm

from saggiatore.distill.checkpoint import Checkpoint
from saggiatore.distill.engine import Problem
from saggiatore.distill.local_search import LocalSearch
from saggiatore.distill.operon_population import dump, restore
from saggiatore.distill.parametric import Parametric, read_parametric
from saggiatore.errors import EngineError, FormulaError
from saggiatore.spec import Spec

log = logging.getLogger(__name__)

_SYMBOLS = ("add", "sub", "mul", "div", "square", "constant", "variable")
_LOCAL = "local_search"  # name of its part of a checkpoint
_EPOCH = 5  # generations between two looks at the clock


class OperonSpec(Spec):
    """The embedded engine: no Julia, no network."""

    kind: Literal["operon"] = "operon"
    max_complexity: int = Field(25, ge=3, le=60, description="nodes of a formula, counted as PySR does")
    functions: tuple[Literal["sin", "cos", "exp", "log", "sqrt"], ...] = Field(
        ("sin",), description="functions beside + - * / and powers; none stands inside of another"
    )
    n_populations: int = Field(2, ge=1, description="independent populations, one thread each")
    population_size: int = Field(500, ge=20, description="individuals of a population")
    n_generations: int = Field(25, ge=1, description="generations of a population")
    max_length: int = Field(20, ge=5, le=100, description="nodes of Operon's own trees")
    rows: int = Field(2000, ge=50, description="teacher rows that a population sees")
    fit_rows: int = Field(8000, ge=50, description="teacher rows of the local search")
    max_fits: int = Field(3200, ge=0, description="forms that the local search fits before it only prunes the best")
    pairs: bool = Field(
        False,
        description="whether the local search also lets two features in at once: for targets whose mean over any one "
        "feature vanishes, as of the angles of a decay, so that one feature more brings a formula no closer",
    )
    max_seconds: float = Field(
        300, gt=0, description="guard in seconds: beyond it the search ends early, says so, and is not reproducible"
    )

    def build(self) -> "OperonEngine":
        return OperonEngine(self)


@dataclass(frozen=True)
class OperonEngine:
    """Populations of genetic programming, merged by a local search."""

    spec: OperonSpec
    name: str = "operon"

    @property
    def max_complexity(self) -> int:
        return self.spec.max_complexity

    def version(self) -> str:
        try:
            return importlib.metadata.version("pyoperon")
        except importlib.metadata.PackageNotFoundError:
            raise EngineError("pyoperon is not installed. Install it: python -m pip install pyoperon") from None

    def search(self, problem: Problem, seed: int, folder: Path, code: str = "") -> list[Parametric]:
        """Fronts of all populations, pruned, varied and refitted. Nothing is left in `folder`."""
        text = f"{code}/{self.version()}/{seed}/{self.spec.model_dump_json(exclude={'max_seconds'})}"
        checkpoint = Checkpoint(folder if code else None, problem.digest(text))
        with checkpoint.deferring():
            forms = self._search(problem, seed, checkpoint)
        checkpoint.clear()
        return forms

    def _search(self, problem: Problem, seed: int, checkpoint: Checkpoint) -> list[Parametric]:
        start = time.monotonic()
        streams = np.random.SeedSequence(seed).spawn(self.spec.n_populations + 1)
        clock = _Clock(start + 0.6 * self.spec.max_seconds)
        found = self._populations(problem, streams[:-1], clock, checkpoint)
        chosen = _rows(problem, self.spec.fit_rows, np.random.default_rng(streams[-1]), weighted=False)
        small = problem.rows(chosen)
        search = LocalSearch(
            problem.features, small.columns, small.y, small.share, self.spec.max_complexity, pairs=self.spec.pairs
        )
        if kept := checkpoint.load(_LOCAL):
            search.restore(kept)
        else:
            for text in found:
                self._offer(search, text, problem.features)
        clock = _Clock(start + self.spec.max_seconds)
        with tqdm(total=self.spec.max_fits, desc="local search", unit="fit", mininterval=1) as bar:
            search.run(self.spec.max_fits, lambda: _is_over(search, clock, bar, checkpoint))
        if clock.rang:
            log.warning("max_seconds ended the local search after %d fits: not reproducible elsewhere.", search.n_fits)
        return search.members()

    def _populations(self, problem: Problem, streams: list, clock: "_Clock", checkpoint: Checkpoint) -> list[str]:
        total = self.spec.n_generations * self.spec.n_populations
        with (
            tqdm(total=total, desc="operon", unit="generation", mininterval=1) as bar,
            ThreadPoolExecutor(self.spec.n_populations) as pool,
        ):
            jobs = [
                pool.submit(self._population, problem, stream, clock, bar.update, checkpoint, f"population-{place}")
                for place, stream in enumerate(streams)
            ]
            found = [job.result() for job in jobs]
        least = min(each["done"] for each in found)
        if checkpoint.is_told and least < self.spec.n_generations:
            raise checkpoint.interrupted(f"after generation {least} of {self.spec.n_generations}")
        if clock.rang:
            log.warning("max_seconds ended the generations early: the formulas depend on the speed of this machine.")
        return [text for each in found for text in each["front"]]

    def _population(
        self,
        problem: Problem,
        stream: np.random.SeedSequence,
        clock: "_Clock",
        tick: Callable[[int], Any],
        checkpoint: Checkpoint,
        name: str,
    ) -> dict[str, Any]:
        """Generations done by one population, and its front as text in X1, X2, ...

        Operon's C++ runs outside of Python's lock. Each few generations are a fit of their own, which starts from the
        population and a seed alone: a population that was kept goes on as if it had never stopped.
        """
        random = np.random.default_rng(stream)
        chosen = _rows(problem, self.spec.rows, random, weighted=True)
        regressor = self._regressor()
        state: dict[str, Any] = checkpoint.load(name) or {"done": 0, "front": []}
        if "individuals" in state:
            random.bit_generator.state = state["random"]
            regressor.individuals_, regressor.is_fitted_ = restore(state.pop("individuals")), True
        tick(state["done"])
        while state["done"] < self.spec.n_generations and not clock.is_late(state["done"]) and not checkpoint.is_told:
            epoch = min(_EPOCH, self.spec.n_generations - state["done"])
            regressor.set_params(generations=epoch, random_state=int(random.integers(2**31)))
            regressor.fit(problem.x[chosen], problem.y[chosen])
            state = {"done": state["done"] + epoch, "front": _front(regressor), "random": random.bit_generator.state}
            tick(epoch)
            if state["done"] == self.spec.n_generations:
                checkpoint.save(name, state)
            elif checkpoint.is_due(name):
                checkpoint.save(name, state | {"individuals": dump(regressor.individuals_)})
        return state

    def _regressor(self) -> Any:
        from pyoperon.sklearn import SymbolicRegressor

        return SymbolicRegressor(
            allowed_symbols=",".join((*_SYMBOLS, *self.spec.functions)),
            objectives=["mse", "length"],
            population_size=self.spec.population_size,
            max_length=self.spec.max_length,
            optimizer_iterations=1,
            max_evaluations=10**9,
            n_threads=1,
            warm_start=True,
        )

    def _offer(self, search: LocalSearch, text: str, features: tuple[str, ...]) -> None:
        try:
            search.offer(read_parametric(_with_names(text, features), features))
        except FormulaError as error:
            log.info("a tree of Operon's is no formula: %s", error)


@dataclass
class _Clock:
    """A deadline (time.monotonic), and whether it cut anything short."""

    deadline: float
    rang: bool = False

    def is_late(self, done: int) -> bool:
        """True past the deadline, but never before the first piece of work is done."""
        if done and time.monotonic() > self.deadline:
            self.rang = True
        return self.rang

    def is_over(self, bar: tqdm, done: int) -> bool:
        bar.update(min(done, bar.total or done) - bar.n)
        return self.is_late(done)


def _is_over(search: LocalSearch, clock: _Clock, bar: tqdm, checkpoint: Checkpoint) -> bool:
    """Whether the local search has had its time; a signal ends it here, between two forms."""
    if checkpoint.is_due(_LOCAL):
        checkpoint.save(_LOCAL, search.state())
    if checkpoint.is_told:
        raise checkpoint.interrupted(f"after {search.n_fits} fits of the local search")
    return clock.is_over(bar, search.n_fits)


def _front(regressor: Any) -> list[str]:
    import pyoperon

    trees = [member["tree"] for member in regressor.pareto_front_]
    return [pyoperon.InfixFormatter.Format(tree, regressor.variables_, 12) for tree in trees]


def _rows(problem: Problem, n_rows: int, random: np.random.Generator, *, weighted: bool) -> np.ndarray:
    """Row numbers drawn without repetition, in proportion to the weights or all alike."""
    n_rows = min(n_rows, int(np.count_nonzero(problem.weight)))
    return np.sort(random.choice(len(problem.y), n_rows, replace=False, p=problem.share if weighted else None))


def _with_names(text: str, features: tuple[str, ...]) -> str:
    """Operon's X1, X2, ... become the features' names, its ^ a power."""
    named = re.sub(r"X(\d+)", lambda found: features[int(found[1]) - 1], text)
    return named.replace("^", "**")
