"""The view of running jobs, from logs as jobs write them."""

import io
import os
import shutil

import pytest
from rich.console import Console
from tqdm import tqdm

from saggiatore.errors import StudyError
from saggiatore.steps import watch as step
from saggiatore.watch import survey, view

NOW = 1_000_000.0


@pytest.fixture
def results(tmp_path):
    (tmp_path / "quick" / "logs").mkdir(parents=True)
    (tmp_path / "quick" / "benchmarks").mkdir()
    return tmp_path


def log(results, job, text, age=1.0):
    path = results / "quick" / "logs" / f"{job}.log"
    path.write_text(text)
    os.utime(path, (NOW - age, NOW - age))


def benchmark(results, job, age):
    path = results / "quick" / "benchmarks" / f"{job}.tsv"
    path.touch()
    os.utime(path, (NOW - age, NOW - age))


def jobs(results):
    return {each.job: each for each in survey(results, ["quick"], NOW)}


def bar(done, total, **values):
    """What a progress bar writes into a log, all its states."""
    out = io.StringIO()
    with tqdm(total=total, desc="training", unit="epoch", file=out, ncols=100, mininterval=0) as shown:
        for _ in range(done):
            shown.set_postfix(values)
            shown.update()
    return out.getvalue()


def test_the_last_state_of_a_progress_bar_counts(results):
    log(results, "models.network", bar(7, 30, train=-5.85, validation=-5.84))
    job = jobs(results)["models.network"]
    assert (job.state, job.what, job.done, job.total, job.unit) == ("running", "training", 7, 30, "epoch")
    assert job.values == "train=-5.85, validation=-5.84"
    assert job.left


def test_a_job_is_finished_when_its_benchmark_is_newer_than_its_log(results):
    log(results, "sampler.map", "", age=10)
    benchmark(results, "sampler.map", age=10)
    log(results, "draws.network", "", age=10)
    benchmark(results, "draws.network", age=500)  # of the run before
    assert {name: job.state for name, job in jobs(results).items()} == {
        "sampler.map": "finished",
        "draws.network": "running",
    }


@pytest.mark.parametrize("text", ["error: sampler.map: no event falls inside", "Traceback (most recent call last):\n"])
def test_a_job_that_failed_says_so(results, text):
    log(results, "sampler.map", bar(2, 5) + "\n" + text)
    assert jobs(results)["sampler.map"].state == "failed"


def test_specs_and_the_bundle_have_no_benchmark_and_are_left_out(results):
    log(results, "spec.models.network", "")
    log(results, "bundle", "")
    assert jobs(results) == {}


def test_the_view_names_running_and_failed_jobs_and_counts_the_others(results):
    log(results, "models.network", bar(7, 30, train=-5.85), age=600)
    log(results, "distill.formula", "error: nothing found")
    log(results, "sampler.map", "", age=10)
    benchmark(results, "sampler.map", age=1)
    console = Console(file=io.StringIO(), width=140)
    console.print(view(survey(results, ["quick"], NOW)))
    said = console.file.getvalue()
    assert "quick models.network" in said
    assert "training, 7/30" in said
    assert "train=-5.85, silent for 10 min" in said
    assert "see results/quick/logs/distill.formula.log" in said
    assert "finished: 1" in said
    assert "sampler.map" not in said


def test_a_study_that_is_none_is_refused(results, monkeypatch):
    monkeypatch.setattr(step, "RESULTS", results)
    with pytest.raises(StudyError, match="no study is called 'other'; there are logs of quick"):
        step.run(study="other", once=True)


def test_it_may_be_started_before_the_run(results, monkeypatch, capsys):
    """The view takes in what begins while it is open: a run that is started in another terminal a moment later."""
    monkeypatch.setattr(step, "RESULTS", results)
    monkeypatch.setattr(step, "STUDIES", results)
    (results / "late.yaml").touch()
    shown = []
    monkeypatch.setattr(step.Live, "update", lambda live, table: shown.append(table.row_count))

    def begin(seconds):
        if len(shown) > 1:
            raise KeyboardInterrupt
        (results / "late" / "logs").mkdir(parents=True)
        (results / "late" / "logs" / "sampler.map.log").touch()

    monkeypatch.setattr(step.time, "sleep", begin)
    step.run(study="late")
    assert shown == [0, 1]
    shutil.rmtree(results / "late")
    shown.clear()
    step.run()
    assert shown == [0, 1]
