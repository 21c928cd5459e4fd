"""What a symbolic-regression engine is: it gets a teacher's table and gives forms; the rest is the same for all.

The front is made here, once: constants fitted to all rows with the teacher's weights, nodes counted in one way, and
a form kept only where it is better than every simpler one. So that two engines' tables can be compared. A hall of fame
also keeps runners-up, since other events than the teacher's may rank forms otherwise.
"""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from saggiatore.distill.constant_fit import Columns, fit_constants
from saggiatore.distill.expression import complexity, symbol_names
from saggiatore.distill.parametric import Parametric, renamed
from saggiatore.errors import EngineError

WIDTH = 3  # members of one number of nodes in a hall of fame
_SAME = 1e-6  # relative difference of the losses of what is one function, written in two ways


@dataclass(frozen=True)
class Problem:
    """Rows of a teacher: `x` of shape (row, feature), its score `y` and how much each row counts."""

    features: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray

    def __post_init__(self) -> None:
        n_rows = len(self.y)
        if n_rows == 0 or self.x.shape != (n_rows, len(self.features)) or self.weight.shape != (n_rows,):
            raise EngineError(
                f"teacher with x {self.x.shape}, y {self.y.shape}, weight {self.weight.shape}; expected rows of "
                f"{len(self.features)} features. Re-run the rule that makes the teacher."
            )
        if np.any(self.weight < 0) or not np.sum(self.weight) > 0:
            raise EngineError("the teacher's weights are negative or all zero; a weight is a variance's inverse.")

    @property
    def columns(self) -> Columns:
        """Features by name, each of shape (row,)."""
        return dict(zip(self.features, np.ascontiguousarray(self.x.T), strict=True))

    @property
    def share(self) -> np.ndarray:
        """Weights that sum to one."""
        return self.weight / self.weight.sum()

    def digest(self, text: str) -> str:
        """SHA-256 of `text` and of all rows."""
        digest = hashlib.sha256(f"{text}/{self.features}".encode())
        for column in (self.x, self.y, self.weight):
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()

    def rows(self, chosen: np.ndarray) -> "Problem":
        """The problem on some of its rows."""
        return Problem(self.features, self.x[chosen], self.y[chosen], self.weight[chosen])


class Candidate(NamedTuple):
    """A member of the hall of fame: `loss` is the weighted mean squared distance from the teacher."""

    complexity: int
    loss: float
    form: Parametric


class Engine(Protocol):
    """Searches for forms that reproduce a teacher."""

    @property
    def name(self) -> str:
        """Name in the registry."""

    @property
    def max_complexity(self) -> int:
        """Nodes that a form may have."""

    def version(self) -> str:
        """Version of the engine, for the table.

        Raises:
            EngineError: if the engine cannot start.
        """

    def search(self, problem: Problem, seed: int, folder: Path, code: str = "") -> list[Parametric]:
        """Forms of the engine's front; `folder` is the engine's own, for files that it leaves.

        With `code`, the fingerprint of what runs, an engine that can keeps its state there when a scheduler ends it,
        and goes on from a state of the same problem, seed, spec and code.

        Raises:
            EngineError: if the engine cannot start or finds nothing.
            InterruptionError: if a scheduler ended it (SIGTERM, SIGUSR1) and its state was kept.
        """


def pareto_front(problem: Problem, forms: Iterable[Parametric], max_complexity: int, width: int = 1) -> list[Candidate]:
    """Fit the constants of all forms to all rows; keep those better than every simpler one, simplest first.

    Of each number of nodes the best is kept, or the best `width`.

    Raises:
        EngineError: if no form is finite on every row.
    """
    columns, share = problem.columns, problem.share
    candidates = []
    for form in forms:
        nodes = complexity(form.expression)
        if nodes > max_complexity or not symbol_names(form.expression) & set(problem.features):
            continue
        fit = fit_constants(form, columns, problem.y, share)
        if math.isfinite(fit.loss):
            fitted = renamed(Parametric(form.expression, fit.values), problem.features)
            candidates.append(Candidate(nodes, fit.loss, fitted))
    candidates.sort(key=lambda found: (found.complexity, found.loss, str(found.form.expression)))
    front: list[Candidate] = []
    least = math.inf
    for _, group in groupby(candidates, lambda found: found.complexity):
        closer = _distinct(found for found in group if found.loss < least)[:width]
        front += closer
        least = min([least, *(found.loss for found in closer)])
    if not front:
        raise EngineError(
            f"no formula of at most {max_complexity} nodes is finite on all {len(problem.y)} rows of the teacher. "
            "Give the engine more time or rows, or a larger max_complexity."
        )
    return front


def _distinct(members: Iterable[Candidate]) -> list[Candidate]:
    """Members in the order of their losses, one of those that are the same function."""
    kept: list[Candidate] = []
    for member in members:
        is_known = any(member.form.expression == other.form.expression for other in kept)
        if not is_known and (not kept or member.loss > (1 + _SAME) * kept[-1].loss):
            kept.append(member)
    return kept
