"""PySR's search in rounds: each is a fit that starts from the checkpoint of the round before, read back from its file.

Within a fit PySR cannot stop and go on; after one it can. Whether a job was ended between two rounds or not, the next
one starts from the same bytes. The rest follows from the Python sources of PySR 1.5.10 and 2.7.2, and those of
SymbolicRegression.jl, which were read in versions near to theirs:

* checkpoint.pkl holds populations and hall of fame (`julia_state_stream_`) from the end of a fit on. 1.5.10 writes it
  at the start of a fit too, in place, and neither says when it could not: a round's files are copied and read back.
* `niterations` counts anew in each fit, and `random_state` seeds Julia anew: each round has a seed of its own.
* `deterministic` tells ages by a counter of the process, which no state holds. In a new process it starts from zero,
  each child would be older than all that was restored, and evolution, which removes the oldest, would remove the
  children. So the counter goes with the round. Else nothing that a fit depends on outlives it, and one process does
  all rounds: a process for each would cost Julia's start and bring nothing.
* Statistics of complexity (adaptive parsimony) start anew in each fit, so that three rounds of 20 iterations are
  another search than one of 60. That is why a search that nobody ends goes through the same rounds.
"""

import contextlib
import hashlib
import logging
import math
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypedDict

import numpy as np

from saggiatore.distill.checkpoint import Checkpoint
from saggiatore.distill.engine import Problem
from saggiatore.errors import EngineError
from saggiatore.files import atomic
from saggiatore.learn.interruption import SIGNALS

log = logging.getLogger(__name__)

RUN = "run"  # PySR's run_id: the folder of its files
HALL_OF_FAME = "hall_of_fame.csv"
BIRTHS = "parentmodule(SymbolicRegression.PopMemberModule.get_birth_order).pseudo_time"  # Julia: Ref{Int}
JULIA = 'string(VERSION, "/", pkgversion(SymbolicRegression))'
_FILES = (HALL_OF_FAME, "checkpoint.pkl")
_PART = "rounds"  # name of its part of a checkpoint


class State(TypedDict):
    """What is complete: rounds, their iterations and seconds, Julia's counter of births, SHA-256 of the last files."""

    rounds: int
    iterations: int
    seconds: float
    births: int | None
    files: dict[str, str]


@dataclass(frozen=True)
class Rounds:
    """One search: `arguments` are PySRRegressor's, for all rounds together; `folder` is PySR's output_directory."""

    pysr: ModuleType
    arguments: dict[str, Any]
    round_iterations: int
    folder: Path
    checkpoint: Checkpoint

    def run(self, problem: Problem, seed: int) -> Path:
        """Do the rounds that are left; where the last one's hall of fame is.

        Raises:
            EngineError: if PySR leaves no checkpoint that it can read, or cannot go on from one.
            InterruptionError: if a scheduler's signal came before the last round.
        """
        state, regressor = self._start()
        while state["iterations"] < self.arguments["niterations"] and not self._is_late(state):
            self._check(state)
            spent, births = self._fit(regressor, problem, seed, state)
            state = self._copied(state, spent, births)
            regressor = self._load(state)
            self._commit(state)
        return self._place(state) / HALL_OF_FAME

    def clear(self) -> None:
        """Remove what is needed to go on; PySR's own folder stays."""
        self.checkpoint.clear()
        for folder in self.folder.glob("round-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def _start(self) -> tuple[State, Any]:
        """State and regressor of the last complete round of this very search; without one, the files of others go."""
        kept: State | None = self.checkpoint.load(_PART)
        if kept is not None:
            try:
                regressor = self._load(kept)
                log.info("going on after %s.", self._where(kept))
                return kept, regressor
            except EngineError as error:
                log.warning("starting anew: %s", error)
        self.clear()
        shutil.rmtree(self.folder / RUN, ignore_errors=True)
        regressor = self.pysr.PySRRegressor(**self.arguments)
        return State(rounds=0, iterations=0, seconds=0.0, births=None, files={}), regressor

    def _fit(self, regressor: Any, problem: Problem, seed: int, state: State) -> tuple[float, int | None]:
        """Seconds of one round, and the counter of births at its end if another one needs it."""
        regressor.set_params(
            niterations=self._size(state),
            random_state=round_seed(seed, state["rounds"]),
            timeout_in_seconds=self._seconds_left(state),
        )
        if state["births"] is not None:
            self._julia(f"{BIRTHS}[] = {state['births']}")
        weight = problem.weight / np.mean(problem.weight)
        start = time.monotonic()
        try:
            regressor.fit(problem.x, problem.y, weights=weight, variable_names=list(problem.features))
        except Exception as error:
            if not state["rounds"]:
                raise
            raise EngineError(
                f"PySR could not go on after {self._where(state)} ({type(error).__name__}: {error}). See its messages "
                f"in the log; to start anew, remove {self.folder}."
            ) from error
        spent = time.monotonic() - start
        if hasattr(
            regressor, "interrupted_"
        ):  # 2.7.2: Julia reads signals from a pipe, and may end a fit without error
            if regressor.interrupted_:
                raise KeyboardInterrupt
            self._check(state)
        is_last = state["iterations"] + self._size(state) >= self.arguments["niterations"]
        is_counted = self.arguments["deterministic"] and not is_last  # otherwise ages are times
        return spent, int(self._julia(f"{BIRTHS}[]")) if is_counted else None

    def _copied(self, state: State, spent: float, births: int | None) -> State:
        """The state after a round, with its files copied from where PySR writes the next ones."""
        after = State(
            rounds=state["rounds"] + 1,
            iterations=state["iterations"] + self._size(state),
            seconds=state["seconds"] + spent,
            births=births,
            files={},
        )
        for name in _FILES:
            source = self.folder / RUN / name
            if not source.is_file():
                raise EngineError(f"{source}: PySR left no such file. See its messages in the log.")
            with atomic(self._place(after) / name) as temporary:
                shutil.copyfile(source, temporary)
                after["files"][name] = _digest(temporary)
        return after

    def _load(self, state: State) -> Any:
        """PySR as it was after a round, from the files that the round left."""
        place = self._place(state)
        for name, digest in state["files"].items():
            if not (place / name).is_file() or _digest(place / name) != digest:
                raise EngineError(f"{place / name} is missing, or is not what {self._where(state)} left.")
        parameters = {"output_directory": str(self.folder), "run_id": RUN, "warm_start": True}
        try:
            regressor = self.pysr.PySRRegressor.from_file(run_directory=str(place), **parameters)
        except Exception as error:  # a pickle may raise anything
            raise EngineError(
                f"{place}: PySR cannot read the checkpoint of {self._where(state)} ({type(error).__name__}: {error})."
            ) from error
        if getattr(regressor, "julia_state_stream_", None) is None:
            raise EngineError(f"{place}: PySR's checkpoint of {self._where(state)} holds no populations.")
        regressor.output_directory_, regressor.run_id_ = str(self.folder), RUN  # a fit insists that they agree
        return regressor

    def _commit(self, state: State) -> None:
        """From here on the search goes on from `state`: unless `max_seconds` ended it, since it is no whole round."""
        log.info("%s: %.0f s so far.", self._where(state), state["seconds"])
        if self._is_late(state):
            log.warning("max_seconds was reached in %s: not reproducible elsewhere.", self._where(state))
            return
        self.checkpoint.save(_PART, state)
        for folder in self.folder.glob("round-*"):
            if folder != self._place(state):
                shutil.rmtree(folder, ignore_errors=True)

    def _check(self, state: State) -> None:
        if self.checkpoint.is_told:
            where = f"after {self._where(state)}"
            raise self.checkpoint.interrupted(where, is_exact=self.arguments["deterministic"])

    def _julia(self, text: str) -> Any:
        """What an expression of Julia's is, in the module Main, which uses SymbolicRegression."""
        try:
            return self.pysr.jl.seval(text)
        except Exception as error:
            raise EngineError(
                f"this PySR does not count births as 1.5.10 and 2.7.2 do ({type(error).__name__}: {error}), and "
                "rounds need the counter. Install one of these, or set round_iterations as high as n_iterations."
            ) from error

    def _seconds_left(self, state: State) -> float | None:
        limit = self.arguments["timeout_in_seconds"]
        return None if limit is None else max(limit - state["seconds"], 1e-3)

    def _is_late(self, state: State) -> bool:
        limit = self.arguments["timeout_in_seconds"]
        return limit is not None and state["seconds"] >= limit

    def _size(self, state: State) -> int:
        """Iterations of the next round."""
        return int(min(self.round_iterations, self.arguments["niterations"] - state["iterations"]))

    def _place(self, state: State) -> Path:
        return self.folder / f"round-{state['rounds']}"

    def _where(self, state: State) -> str:
        return f"round {state['rounds']} of {math.ceil(self.arguments['niterations'] / self.round_iterations)}"


def round_seed(seed: int, n_rounds: int) -> int:
    """Seed of the round that follows on `n_rounds`."""
    return int(np.random.SeedSequence((seed, n_rounds)).generate_state(1)[0] >> 1)


@contextlib.contextmanager
def unblocked_signals() -> Iterator[None]:
    """Within the block, signals with a handler reach it: Julia blocks them in the thread that it was started from.

    Otherwise they go to a thread of Julia's, which ends the process at once for SIGTERM: that costs a round, no more.
    """
    handled = [each for each in SIGNALS if callable(signal.getsignal(each))]
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, handled)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _digest(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
