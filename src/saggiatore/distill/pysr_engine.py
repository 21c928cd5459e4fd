"""PySR (Cranmer, arXiv:2305.01582), with the operators of "Back to the Formula" (arXiv:2109.10414).

PySR embeds Julia and must not share a process with jax: nothing here, nor in what it imports, imports jax. Whatever
matters is set explicitly and lies in the part of the API that 1.5.10 and 2.7.2 have in common, since their defaults
differ. The result is read from hall_of_fame.csv: the checkpoint is a pickle, and is written for failed fits too. It
serves to go on from round to round alone, in `pysr_rounds`.
"""

import importlib.metadata
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Literal, NamedTuple

import pandas as pd
from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.distill.checkpoint import Checkpoint
from saggiatore.distill.engine import Problem
from saggiatore.distill.parametric import Parametric, read_parametric
from saggiatore.distill.pysr_rounds import JULIA, RUN, Rounds, unblocked_signals
from saggiatore.errors import EngineError
from saggiatore.spec import Spec

_COLUMNS = ("Complexity", "Loss", "Equation")
_ADVICE = (
    "Install it with its Julia as the workflow does (`--software-deployment-method conda`, envs/distill.yaml); on a "
    "node without network run `python -c 'import pysr; pysr.load_all_packages()'` once where there is one, and set "
    "JULIA_DEPOT_PATH, PYTHON_JULIAPKG_EXE, PYTHON_JULIAPKG_PROJECT and PYTHON_JULIAPKG_OFFLINE=yes. Or choose "
    "`engine: {kind: operon}`, which needs no Julia."
)


class PySRSpec(Spec):
    """PySR's search. Serial and deterministic unless `parallelism` says otherwise."""

    kind: Literal["pysr"] = "pysr"
    max_complexity: int = Field(30, ge=7, description="nodes of a formula (PySR's maxsize)")
    functions: tuple[Literal["sin", "cos", "exp", "log", "sqrt"], ...] = Field(
        ("sin",), description="functions beside + - * /, square and cube; none stands inside of another"
    )
    n_iterations: int = Field(60, ge=1, description="iterations")
    round_iterations: int = Field(
        20,
        ge=1,
        description="iterations of a round, after which a search that is ended can go on; by its source a round costs "
        "about an iteration more and some compilation; as many as n_iterations: one round",
    )
    n_populations: int = Field(16, ge=1, description="populations")
    population_size: int = Field(40, ge=16, description="individuals of a population")
    n_cycles: int = Field(380, ge=1, description="cycles of evolution per iteration")
    parsimony: float = Field(1e-5, ge=0, description="penalty of a node on the loss")
    batching: bool = Field(True, description="evolve on batches of rows")
    batch_size: int = Field(500, ge=1, description="rows of a batch")
    crossover_probability: float = Field(0.0259, ge=0, le=1, description="probability of a crossover")
    annealing: bool = Field(False, description="lower a temperature within each iteration")
    is_deterministic: bool = Field(True, description="the same seed gives the same formulas; needs parallelism serial")
    parallelism: Literal["serial", "multithreading", "multiprocessing"] = "serial"
    max_seconds: float | None = Field(
        None, gt=0, description="guard in seconds, of all rounds; a search that it ends is not reproducible"
    )

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            "not is_deterministic or parallelism == 'serial'",
            "is_deterministic with parallelism '{parallelism}': PySR is deterministic in serial only; "
            "set is_deterministic: false or parallelism: serial.",
        ),
    )

    def build(self) -> "PySREngine":
        return PySREngine(self)

    def arguments(self, folder: Path) -> dict[str, Any]:
        """Keyword arguments of PySRRegressor, common to 1.5.10 and 2.7.2, but for the seed, which rounds have."""
        return {
            "model_selection": "accuracy",  # ours is `selection`; PySR's "best" dropped a variable in 4 of 4 noisy runs
            "binary_operators": ["+", "-", "*", "/"],
            "unary_operators": [*self.functions, "square", "cube"],
            "nested_constraints": {outer: dict.fromkeys(self.functions, 0) for outer in self.functions},
            "elementwise_loss": "weighted_square(f, t, w) = w * (f - t)^2",
            "maxsize": self.max_complexity,
            "niterations": self.n_iterations,
            "populations": self.n_populations,
            "population_size": self.population_size,
            "ncycles_per_iteration": self.n_cycles,
            "parsimony": self.parsimony,
            "batching": self.batching,
            "batch_size": self.batch_size,
            "crossover_probability": self.crossover_probability,
            "annealing": self.annealing,
            "parallelism": self.parallelism,
            "deterministic": self.is_deterministic,
            "warm_start": True,
            "timeout_in_seconds": self.max_seconds,
            "precision": 32,
            "progress": False,
            "verbosity": 1,
            "output_directory": str(folder),
            "run_id": RUN,
            "temp_equation_file": False,
        }


class Row(NamedTuple):
    """A line of PySR's hall_of_fame.csv, with its own count of nodes and its own loss."""

    complexity: int
    loss: float
    form: Parametric


@dataclass(frozen=True)
class PySREngine:
    """Runs PySR in this process."""

    spec: PySRSpec
    name: str = "pysr"

    @property
    def max_complexity(self) -> int:
        return self.spec.max_complexity

    def version(self) -> str:
        try:
            return importlib.metadata.version("pysr")
        except importlib.metadata.PackageNotFoundError:
            raise EngineError(f"PySR is not installed. {_ADVICE}") from None

    def search(self, problem: Problem, seed: int, folder: Path, code: str = "") -> list[Parametric]:
        """PySR's hall of fame; its files stay in `folder`. A search that was ended goes on after its last round."""
        pysr = start_pysr()
        text = f"{code}/{pysr.__version__}/{pysr.jl.seval(JULIA)}/{seed}/"
        text += self.spec.model_dump_json(exclude={"max_seconds"})
        checkpoint = Checkpoint(folder if code else None, problem.digest(text))
        rounds = Rounds(pysr, self.spec.arguments(folder), self.spec.round_iterations, folder, checkpoint)
        with checkpoint.deferring(), unblocked_signals():
            path = rounds.run(problem, seed)
        forms = [row.form for row in read_hall_of_fame(path, problem.features)]
        rounds.clear()
        return forms


def start_pysr() -> ModuleType:
    """Import PySR, which starts Julia.

    Raises:
        EngineError: if jax is already here, or PySR or Julia cannot start.
    """
    if "jax" in sys.modules:
        raise EngineError("PySR in a process that imported jax: run the step `distill` in a process of its own.")
    try:
        import pysr
    except Exception as error:  # without Julia: ImportError, URLError, or a plain Exception('could not find Julia')
        raise EngineError(f"PySR cannot start ({type(error).__name__}: {error}). {_ADVICE}") from error
    return pysr


def read_hall_of_fame(path: Path, features: Iterable[str]) -> list[Row]:
    """Read PySR's CSV without Julia: every decimal number becomes a free constant.

    Raises:
        EngineError: if the file is missing or has other columns.
        FormulaError: if an equation is outside of the language of formulas.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise EngineError(
            f"{path}: PySR left no readable hall of fame ({error}). See its messages in the log."
        ) from None
    if not set(_COLUMNS) <= set(table.columns) or table.empty:
        raise EngineError(
            f"{path}: has {len(table)} rows of {', '.join(table.columns)}; expected {', '.join(_COLUMNS)}."
        )
    names = tuple(features)
    return [
        Row(int(nodes), float(loss), read_parametric(str(equation).replace("^", "**"), names))
        for nodes, loss, equation in table[list(_COLUMNS)].itertuples(index=False)
    ]
