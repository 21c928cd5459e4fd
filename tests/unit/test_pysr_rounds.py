"""Rounds of PySR's: a search that was ended, wherever it was, goes on to the formulas of one that was not.

On a stand-in for PySR (`pysr_contract`), since there is no Julia here; the last tests are of PySR itself.
"""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import distributions
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pysr_contract
import pytest
from pysr_contract import VERSIONS

from saggiatore.distill import pysr_engine, pysr_rounds
from saggiatore.distill.checkpoint import Checkpoint
from saggiatore.distill.engine import Problem
from saggiatore.distill.pysr_engine import PySRSpec
from saggiatore.distill.pysr_rounds import Rounds, round_seed
from saggiatore.errors import EngineError, InterruptionError

UNIT = Path(__file__).parent
HAS_PYSR = any(found.name == "pysr" for found in distributions())
SPEC = PySRSpec(
    n_iterations=5, round_iterations=2, n_populations=2, population_size=16, n_cycles=8, max_complexity=15
)  # rounds of 4, 4 and 2 iterations of a population
KEPT = "rounds.checkpoint"


class Killed(BaseException):
    """SIGKILL: nothing of ours runs after it."""


def problem(seed=8):
    random = np.random.default_rng(seed)
    x = random.normal(size=(40, 3))
    return Problem(("x", "y", "z"), x, x @ [0.7, -1.3, 0.2], random.uniform(0.5, 2, 40))


@pytest.fixture
def search(monkeypatch):
    """One process after the other: each call is a new one."""

    def call(folder, version, on=None, *, spec=SPEC, seed=3, this=None, code="code"):
        monkeypatch.setattr(pysr_engine, "start_pysr", lambda: pysr_contract.start(version, on))
        return spec.build().search(this or problem(), seed, folder, code)

    return call


def after(n_calls, do):
    """A function whose `n_calls`-th call does something."""
    calls = count(1)
    return lambda: do() if next(calls) == n_calls else None


def kill():
    raise Killed


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)
    while not signal.getsignal(signal.SIGTERM).__self__.name:
        time.sleep(0.001)


def left(folder):
    """What a search leaves: PySR's own folder, with its populations, and nothing else."""
    assert [path.name for path in folder.iterdir()] == ["run"]
    model = pickle.loads((folder / "run" / "checkpoint.pkl").read_bytes())
    return (folder / "run" / "hall_of_fame.csv").read_bytes(), model.julia_state_stream_.tobytes()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("moment", ["iteration", "checkpoint"])
def test_killed_anywhere_a_search_goes_on_to_the_same_formulas(search, tmp_path, caplog, version, moment):
    """In every other iteration of a population, and while each checkpoint is half written."""
    whole = search(tmp_path / "whole", version, code="")
    for place in count(1, {"iteration": 2, "checkpoint": 1}[moment]):
        folder = tmp_path / str(place)
        try:
            search(folder, version, {moment: after(place, kill)})
            break
        except Killed:
            done = []
            assert search(folder, version, {"iteration": lambda done=done: done.append(1)}) == whole
            assert (
                len(done) == 10 - 4 * ((place - 1) // 4) or moment == "checkpoint"
            )  # complete rounds are not done again
            assert left(folder) == left(tmp_path / "whole")
    assert place == {"iteration": 11, "checkpoint": 7 if version == "1.5.10" else 5}[moment]
    assert left(folder) == left(tmp_path / "whole")
    assert not caplog.messages


@pytest.mark.parametrize("version", VERSIONS)
def test_killed_again_and_again_or_while_a_round_is_kept(search, tmp_path, caplog, version, monkeypatch):
    whole = search(tmp_path / "whole", version, code="")
    for _ in range(2):
        with pytest.raises(Killed):  # one round in each process
            search(tmp_path / "often", version, {"iteration": after(5, kill)})
    assert json.loads((tmp_path / "often" / KEPT).read_text())["content"]["rounds"] == 2
    assert sorted(path.name for path in (tmp_path / "often").iterdir()) == ["round-2", KEPT, "run"]
    assert search(tmp_path / "often", version) == whole
    for method, n_calls in ((Checkpoint, "save"), 2), ((shutil, "copyfile"), 4), ((Rounds, "_load"), 3):
        folder = tmp_path / method[1]
        with monkeypatch.context() as patch:
            act, dies = getattr(*method), after(n_calls, kill)
            patch.setattr(*method, lambda *given, act=act, dies=dies: (dies(), act(*given))[1])
            with pytest.raises(Killed):
                search(folder, version)
        assert search(folder, version) == whole
        assert left(folder) == left(tmp_path / "whole")
    assert not caplog.messages


@pytest.mark.parametrize(
    ("version", "place", "n_rounds"),
    [("1.5.10", 1, 1), ("1.5.10", 4, 1), ("1.5.10", 6, 2), ("2.7.2", 1, 0), ("2.7.2", 6, 1), ("2.7.2", 9, 2)],
)
def test_a_signal_ends_the_search_after_the_round(search, tmp_path, caplog, version, place, n_rounds):
    """2.7.2 may end a fit for it: such a round is no whole one, and is done again."""
    whole = search(tmp_path / "whole", version, code="")
    found = rf"SIGTERM and stopped after round {n_rounds} of 3\..*, to the formulas of an uninterrupted search"
    with pytest.raises(InterruptionError, match=found):
        search(tmp_path / "told", version, {"iteration": after(place, terminate)})
    assert search(tmp_path / "told", version) == whole
    assert left(tmp_path / "told") == left(tmp_path / "whole")
    assert not caplog.messages


def test_a_signal_in_the_last_round_comes_too_late(search, tmp_path):
    whole = search(tmp_path / "whole", "1.5.10", code="")
    assert search(tmp_path / "told", "1.5.10", {"iteration": after(9, terminate)}) == whole


def test_control_c_leaves_no_half_round(search, tmp_path):
    """2.7.2 returns what it has, without error."""
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "told", "2.7.2", {"iteration": after(6, lambda: os.kill(os.getpid(), signal.SIGINT))})
    assert search(tmp_path / "told", "2.7.2") == search(tmp_path / "whole", "2.7.2", code="")


def no_births(patch):
    act = Rounds._julia
    patch.setattr(Rounds, "_julia", lambda self, text: None if " = " in text else act(self, text))


def no_populations(patch):
    def load(self, state, act=Rounds._load):
        regressor = act(self, state)
        del regressor.julia_state_stream_
        return regressor

    patch.setattr(Rounds, "_load", load)


def no_count(patch):
    def start(self, act=Rounds._start):
        state, regressor = act(self)
        return {**state, "iterations": 0}, regressor

    patch.setattr(Rounds, "_start", start)


def seeds_of_the_process(patch):
    calls = count()
    patch.setattr(pysr_rounds, "round_seed", lambda seed, n_rounds: round_seed(seed, next(calls)))


@pytest.mark.parametrize("mutate", [no_births, no_populations, no_count, seeds_of_the_process])
def test_the_law_notices_what_goes_wrong(search, tmp_path, monkeypatch, mutate):
    """A search that goes on without one of these ends with other formulas."""
    whole, folder = search(tmp_path / "whole", "1.5.10", code=""), ended(search, tmp_path / "ended")
    mutate(monkeypatch)
    assert search(folder, "1.5.10") != whole


def ended(search, folder, version="1.5.10"):
    """The folder of a search that ended in its second round."""
    with pytest.raises(Killed):
        search(folder, version, {"iteration": after(6, kill)})
    return folder


@pytest.mark.parametrize(
    "other",
    [
        {"this": problem(9)},
        {"seed": 4},
        {"code": "other code"},
        {"spec": SPEC.model_copy(update={"round_iterations": 3})},
        {"version": "2.7.2"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_search_starts_anew(search, tmp_path, caplog, other):
    folder, asked = ended(search, tmp_path / "ended"), {"version": "1.5.10", **other}
    (folder / "run" / "of_the_other").touch()
    assert search(folder, **asked) == search(tmp_path / "fresh", **asked)
    assert "belongs to a search with other data, spec or code" in caplog.text
    assert left(folder) == left(tmp_path / "fresh")
    assert not (folder / "run" / "of_the_other").exists()


def rehashed(folder, content):
    """Another checkpoint of PySR's, with a digest that agrees."""
    path = folder / "round-1" / "checkpoint.pkl"
    path.write_bytes(content)
    kept = json.loads((folder / KEPT).read_text())
    kept["content"]["files"]["checkpoint.pkl"] = pysr_rounds._digest(path)
    (folder / KEPT).write_text(json.dumps(kept))


def emptied(folder):
    """What 1.5.10 writes before its first search, or after one that failed."""
    model = pickle.loads((folder / "round-1" / "checkpoint.pkl").read_bytes())
    model.julia_state_stream_ = None
    rehashed(folder, pickle.dumps(model))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: shutil.rmtree(folder / "round-1"), "hall_of_fame.csv is missing, or is not what round 1"),
        (lambda folder: (folder / "round-1" / "checkpoint.pkl").unlink(), "checkpoint.pkl is missing, or is not what"),
        (lambda folder: os.truncate(folder / "round-1" / "checkpoint.pkl", 100), "checkpoint.pkl is missing, or is"),
        (lambda folder: (folder / "round-1" / "hall_of_fame.csv").write_text(""), "hall_of_fame.csv is missing, or is"),
        (lambda folder: os.truncate(folder / KEPT, 30), "rounds.checkpoint cannot be read"),
        (lambda folder: rehashed(folder, b"no pickle"), r"cannot read the checkpoint of round 1 of 3 (UnpicklingError"),
        (lambda folder: rehashed(folder, pickle.dumps({"a": 1})), "cannot read the checkpoint of round 1 of 3 (Attr"),
        (emptied, "checkpoint of round 1 of 3 holds no populations"),
    ],
    ids=["folder", "gone", "truncated", "hall of fame", "JSON", "no pickle", "no regressor", "no populations"],
)
def test_damaged_checkpoints_lead_to_a_fresh_start(search, tmp_path, caplog, damage, said):
    folder = ended(search, tmp_path / "ended")
    damage(folder)
    assert search(folder, "1.5.10") == search(tmp_path / "whole", "1.5.10", code="")
    assert left(folder) == left(tmp_path / "whole")
    assert "starting anew" in caplog.text
    assert said in caplog.text


def test_a_moved_folder_goes_on(search, tmp_path):
    """A fit insists on the folder that its checkpoint was written to."""
    shutil.move(ended(search, tmp_path / "ended"), tmp_path / "moved")
    assert search(tmp_path / "moved", "1.5.10") == search(tmp_path / "whole", "1.5.10", code="")
    assert not (tmp_path / "ended").exists()


def test_where_going_on_is_impossible_the_error_says_why(search, tmp_path, monkeypatch):
    def refuse():
        raise ValueError("no such type")

    with pytest.raises(EngineError, match=r"could not go on after round 1 of 3 \(ValueError: no such type\).*remove"):
        search(ended(search, tmp_path / "state"), "1.5.10", {"iteration": refuse})
    with pytest.raises(ValueError, match="no such type"):  # Julia's own error, in a search that has no state
        search(tmp_path / "first", "1.5.10", {"iteration": refuse})
    with monkeypatch.context() as patch:
        patch.setattr(pysr_contract.PySRRegressor, "_checkpoint", lambda self: None)
        patch.setattr(pysr_contract.Search, "write", lambda self, rows: None)
        patch.setattr(pysr_contract.pd, "read_csv", lambda path: None)
        with pytest.raises(EngineError, match=r"hall_of_fame.csv: PySR left no such file"):
            search(tmp_path / "unwritten", "1.5.10")
    monkeypatch.setattr(pysr_rounds, "BIRTHS", "elsewhere")
    with pytest.raises(EngineError, match="set round_iterations as high as n_iterations"):
        search(tmp_path / "uncounted", "1.5.10")
    assert search(tmp_path / "one", "1.5.10", spec=SPEC.model_copy(update={"round_iterations": 5}))


def test_the_guard_is_for_all_rounds_and_no_part_of_a_search(search, tmp_path, monkeypatch, caplog):
    """0.02 s an iteration of a population: 0.08 s in the first round, and the second has what is left of 0.11 s."""
    given, act, seconds = [], pysr_contract.PySRRegressor.set_params, []

    def set_params(self, **parameters):
        given.append(parameters.get("timeout_in_seconds"))
        return act(self, **parameters)

    spec = SPEC.model_copy(update={"max_seconds": 0.11})
    with monkeypatch.context() as patch:
        patch.setattr(pysr_contract.PySRRegressor, "set_params", set_params)
        for module in (pysr_rounds, pysr_contract):
            patch.setattr(module, "time", SimpleNamespace(monotonic=lambda: sum(seconds)))
        dies = after(2, kill)  # the first call is at the start
        patch.setattr(Rounds, "clear", lambda self: dies())
        with pytest.raises(Killed):
            search(tmp_path / "guarded", "1.5.10", {"iteration": lambda: seconds.append(0.02)}, spec=spec)
    assert [each for each in given if each is not None] == pytest.approx([0.11, 0.03])
    assert len(seconds) == 6
    assert "max_seconds was reached in round 2 of 3: not reproducible" in caplog.text
    assert json.loads((tmp_path / "guarded" / KEPT).read_text())["content"]["rounds"] == 1
    caplog.clear()
    folder = ended(search, tmp_path / "ended")
    longer = SPEC.model_copy(update={"max_seconds": 1000})
    assert search(folder, "1.5.10", spec=longer) == search(tmp_path / "whole", "1.5.10", code="")
    assert not caplog.messages


def test_searches_that_are_not_deterministic_promise_nothing(search, tmp_path):
    spec = SPEC.model_copy(update={"is_deterministic": False})
    with pytest.raises(InterruptionError, match=r"it goes on from there\.$"):
        search(tmp_path, "1.5.10", {"iteration": after(1, terminate)}, spec=spec)
    assert json.loads((tmp_path / KEPT).read_text())["content"]["births"] is None
    assert search(tmp_path, "1.5.10", spec=spec)


def test_each_round_has_a_seed_of_its_own():
    seeds = [round_seed(seed, n_rounds) for seed in (0, 1, 2**40) for n_rounds in range(100)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)


JULIA_LISTENS = """
import os, signal, threading, time
def iteration():  # a long one: until Python has heard the signal
    print("iteration", flush=True)
    while not signal.getsignal(signal.SIGTERM).__self__.name:
        time.sleep(0.01)
told = {signal.SIGTERM, signal.SIGUSR1}
signal.pthread_sigmask(signal.SIG_BLOCK, told)
threading.Thread(target=lambda: os._exit(128 + signal.sigwait(told)), daemon=True).start()
import pysr_contract
module = pysr_contract.start("1.5.10", {"iteration": iteration})
__version__, jl, PySRRegressor = module.__version__, module.jl, module.PySRRegressor
"""
ONE_SEARCH = """
import sys
from pathlib import Path
import test_pysr_rounds
print(test_pysr_rounds.SPEC.build().search(test_pysr_rounds.problem(), 3, Path(sys.argv[1]), "code"))
"""


def test_a_scheduler_reaches_python_through_julia(search, tmp_path):
    """A process in which another thread waits for signals that the first one blocks, as Julia does at its start."""
    (tmp_path / "pysr").mkdir()
    (tmp_path / "pysr" / "__init__.py").write_text(JULIA_LISTENS)
    path = os.pathsep.join([str(tmp_path), str(UNIT), os.environ.get("PYTHONPATH", "")])
    alone = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # no thread of others that would take the signal
    command = [sys.executable, "-c", ONE_SEARCH, str(tmp_path / "told")]
    with subprocess.Popen(
        command,
        env={**os.environ, **alone, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as job:
        assert job.stdout.readline() == "iteration\n"
        job.send_signal(signal.SIGTERM)
        said = job.communicate(timeout=60)[1]
    assert job.returncode == 1
    assert "the search received SIGTERM and stopped after round 1 of 3" in said
    assert search(tmp_path / "told", "1.5.10") == search(tmp_path / "whole", "1.5.10", code="")


REAL_SEARCH = """
import sys
from pathlib import Path
import numpy as np
from saggiatore.distill.engine import Problem
from saggiatore.distill.pysr_engine import PySRSpec
x = np.random.default_rng(1).uniform(0.1, 2, (500, 2))
problem = Problem(("x", "y"), x, 1.5 * x[:, 0] * np.sin(x[:, 1]) + 0.1 * x[:, 1], np.ones(500))
spec = PySRSpec(n_iterations=6, round_iterations=2, n_populations=4, max_complexity=12)
for form in spec.build().search(problem, 1, Path(sys.argv[1]), "code"):
    print("formula", form.filled)
"""


def formulas(job):
    """Among what Julia prints."""
    return [line for line in job.stdout.splitlines() if line.startswith("formula ")]


@pytest.mark.julia
@pytest.mark.skipif(not HAS_PYSR, reason="no PySR, no Julia")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_a_real_search_that_was_ended_goes_on_to_the_same_formulas(tmp_path, number):
    """In processes of their own: one undisturbed, one ended after its first round, one that goes on."""
    command = [sys.executable, "-c", REAL_SEARCH]
    whole = subprocess.run([*command, str(tmp_path / "whole")], capture_output=True, text=True, check=True, timeout=900)
    folder = tmp_path / "ended"
    with subprocess.Popen([*command, str(folder)], stdout=subprocess.DEVNULL) as job:
        while not (folder / KEPT).exists() and job.poll() is None:
            time.sleep(0.01)
        job.send_signal(number)
        assert job.wait(timeout=300) != 0, "the search was over before the signal came"
    assert json.loads((folder / KEPT).read_text())["content"]["rounds"] in (1, 2)
    again = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=True, timeout=900)
    assert formulas(again) == formulas(whole) != []
    hall_of_fame = Path("run", "hall_of_fame.csv")
    assert (folder / hall_of_fame).read_bytes() == (tmp_path / "whole" / hall_of_fame).read_bytes()
