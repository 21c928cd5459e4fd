"""What PySR's Python source does around a search, with a small search in place of Julia's: a stand-in for `pysr`.

After the sources of 1.5.10 and 2.7.2: which attributes a fit keeps or resets, when and how checkpoint.pkl is written,
what `from_file` does, which seed Julia gets. After SymbolicRegression.jl, in versions near to theirs: what a fit starts
from, what the state that it returns holds and what not (the counter of births, random numbers), who is removed for a
child, and when the hall of fame is written. The search itself evolves sums of linear terms.
"""

import contextlib
import math
import os
import pickle
import random
import signal
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd

from saggiatore.distill.pysr_rounds import BIRTHS, JULIA

VERSIONS = ("1.5.10", "2.7.2")
_SCHEMA = 3  # of 2.7.2's checkpoints
_ARGUMENTS = ("niterations", "populations", "population_size", "ncycles_per_iteration", "maxsize", "random_state")
_ARGUMENTS += ("deterministic", "timeout_in_seconds", "output_directory", "run_id", "warm_start")


class Julia:
    """A process of Julia's: its counter of births starts from zero, and what a test does at certain moments."""

    def __init__(self, version, on=None):
        self.version, self.births, self.on = version, 0, on or {}

    def seval(self, text):
        if text == JULIA:
            return f"1.10.4/{self.version}"
        if text == f"{BIRTHS}[]":
            return self.births
        assert text.startswith(f"{BIRTHS}[] = ")
        self.births = int(text.removeprefix(f"{BIRTHS}[] = "))
        return self.births

    def birth(self, deterministic):
        self.births += deterministic
        return self.births if deterministic else time.time_ns() // 100

    def reach(self, moment):
        """Tell a test that the search is at `moment`."""
        if moment in self.on:
            self.on[moment]()


jl = Julia("none")


def start(version, on=None):
    """The module `pysr` of a new process."""
    global jl  # pickled regressors find their process by it, as PySR's do
    jl = Julia(version, on)
    module = ModuleType("pysr")
    module.__version__, module.jl, module.PySRRegressor = version, jl, PySRRegressor
    return module


class PySRRegressor:
    """PySR's attributes and files; arguments that only Julia needs are taken and ignored."""

    def __init__(self, **arguments):
        assert set(_ARGUMENTS) - {"random_state"} <= set(arguments)
        self.parameters = {"random_state": None, **arguments}

    def __getattr__(self, name):
        if name != "parameters" and name in self.__dict__.get("parameters", {}):
            return self.parameters[name]
        raise AttributeError(name)

    def set_params(self, **parameters):
        assert set(parameters) <= set(self.parameters)
        self.parameters |= parameters
        return self

    @classmethod
    def from_file(cls, equation_file=None, *, run_directory, **parameters):
        assert equation_file is None
        path = Path(run_directory) / "checkpoint.pkl"
        if not path.exists():
            raise FileNotFoundError("recreated from hall_of_fame.csv, without populations")
        with open(path, "rb") as stream:
            model = pickle.load(stream)
        model.set_params(**parameters)
        if model.__dict__.get("equations_") is None:
            model.equations_ = pd.read_csv(Path(model.output_directory_) / model.run_id_ / "hall_of_fame.csv.bak")
        return model

    def __getstate__(self):
        return self.__dict__ | ({"_checkpoint_schema_version": _SCHEMA} if jl.version == "2.7.2" else {})

    def __setstate__(self, state):
        found = state.pop("_checkpoint_schema_version", None)
        if jl.version == "2.7.2" and found != _SCHEMA:
            raise ValueError(f"Unsupported PySR checkpoint schema: expected {_SCHEMA}, found {found!r}.")
        self.__dict__.update(state)

    def _checkpoint(self):
        path = Path(self.output_directory_) / self.run_id_ / "checkpoint.pkl"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = pickle.dumps(self)
        temporary = path if jl.version == "1.5.10" else path.with_name(path.name + ".tmp")
        with open(temporary, "wb") as stream:
            stream.write(content[: len(content) // 2])
            stream.flush()
            jl.reach("checkpoint")
            stream.write(content[len(content) // 2 :])
        os.replace(temporary, path)

    def fit(self, x, y, *, weights, variable_names):
        if not (self.warm_start and hasattr(self, "julia_state_stream_")):
            self.equations_, self.julia_state_stream_ = None, None
        if self.warm_start and hasattr(self, "run_id_"):
            assert (self.run_id_, self.output_directory_) == (self.run_id, self.output_directory)
        else:
            self.run_id_, self.output_directory_ = self.run_id, self.output_directory
        seed = int(np.random.RandomState(self.random_state).randint(0, 2**31 - 1))
        if jl.version == "1.5.10" or self.julia_state_stream_ is None:
            self._checkpoint()
        saved = None if self.julia_state_stream_ is None else pickle.loads(self.julia_state_stream_.tobytes())
        with _external_stop(self) as is_stopped:
            search = Search(self, x, y, weights, variable_names, seed)
            out = search.run(saved, is_stopped)
        self.julia_state_stream_ = np.frombuffer(pickle.dumps(out), np.uint8)
        self.equations_ = pd.read_csv(Path(self.output_directory_) / self.run_id_ / "hall_of_fame.csv.bak")
        self._checkpoint()
        return self


@contextlib.contextmanager
def _external_stop(model):
    """2.7.2 hands signals to Julia through Python's wakeup descriptor; here any of them ends the fit, without error."""
    if jl.version == "1.5.10":
        yield lambda: False
        return
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    interrupted = []
    heard = signal.signal(signal.SIGINT, lambda *_: interrupted.append(True))
    before = signal.set_wakeup_fd(writer)

    def is_stopped():
        with contextlib.suppress(BlockingIOError):
            return bool(os.read(reader, 1))
        return False

    try:
        yield is_stopped
    finally:
        signal.set_wakeup_fd(before)
        signal.signal(signal.SIGINT, heard)
        os.close(reader)
        os.close(writer)
    model.interrupted_ = bool(interrupted)


class Search:
    """Regularised evolution of members (cost, terms, birth), as SymbolicRegression.jl has it, serial."""

    def __init__(self, model, x, y, weights, names, seed):
        self.model, self.x, self.y, self.weights, self.names = model, x, y, weights, names
        self.random = random.Random(seed)

    def run(self, saved, is_stopped):
        start, populations = time.monotonic(), self.model.populations
        hall = {} if saved is None else {size: self.again(member) for size, member in saved[1].items()}
        pops = [[self.member([]) for _ in range(self.model.population_size)] for _ in range(populations)]
        if saved is not None:  # losses are worked out again, births are what they were
            pops = [[self.again(member) for member in each] for each in saved[0]]
        last, running = list(pops), [self.cycle(each) for each in pops]
        for place in range(self.model.niterations * populations):
            last[place % populations] = pop = running[place % populations]
            for member in pop:
                size = self.size(member[1])
                if size not in hall or member[0] < hall[size][0]:
                    hall[size] = member
            self.write(rows(hall, self.names))
            jl.reach("iteration")
            migrated = list(pop)
            migrated[self.random.randrange(len(pop))] = self.member(self.random.choice(list(hall.values()))[1])
            running[place % populations] = self.cycle(migrated)
            limit = self.model.timeout_in_seconds
            if is_stopped() or (limit is not None and time.monotonic() - start > limit):
                break
        return last, hall

    def cycle(self, pop):
        pop = list(pop)
        for _ in range(self.model.ncycles_per_iteration):
            child = self.member(self.mutated(min(self.random.sample(pop, 5))[1]))
            pop[min(range(len(pop)), key=lambda place: pop[place][2])] = child  # the oldest goes
        return pop

    def mutated(self, terms):
        terms, choice = list(terms), self.random.random()
        if not terms or (choice < 0.2 and self.size(terms) + 4 <= self.model.maxsize):
            return [*terms, (self.random.gauss(0, 1), self.random.randrange(len(self.names)))]
        place = self.random.randrange(len(terms))
        if choice < 0.3:
            return terms[:place] + terms[place + 1 :]
        terms[place] = (terms[place][0] * self.random.gauss(1, 0.3), terms[place][1])
        return terms

    def member(self, terms):
        return self.cost(terms), terms, jl.birth(self.model.deterministic)

    def again(self, member):
        return self.cost(member[1]), member[1], member[2]

    def cost(self, terms):
        value = sum((factor * self.x[:, place] for factor, place in terms), np.zeros(len(self.y)))
        return float(self.weights @ (value - self.y) ** 2 / self.weights.sum())

    @staticmethod
    def size(terms):
        return max(4 * len(terms) - 1, 1)

    def write(self, rows):
        folder = Path(self.model.output_directory_) / self.model.run_id_
        for name in ("hall_of_fame.csv", "hall_of_fame.csv.bak"):
            (folder / name).write_text("\n".join(["Complexity,Loss,Equation", *rows]) + "\n")


def rows(hall, names):
    """The members that are better than every simpler one, as lines of a hall of fame."""
    found, best = [], math.inf
    for size, (cost, terms, _) in sorted(hall.items()):
        if cost < best:
            text = " + ".join(f"{names[place]} * {factor!r}" for factor, place in terms)
            found.append(f'{size},{cost!r},"{text or 0.5}"')
            best = cost
    return found
