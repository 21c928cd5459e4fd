"""Reproduction around the run itself, which test_smoke.py does whole: what is laid out, told and refused."""

import json
import shutil

import pytest
from test_crate import CITATION

from saggiatore.__main__ import main
from saggiatore.bundle import write_bundle
from saggiatore.errors import BundleError, ReproductionError
from saggiatore.steps import reproduce

STUDY = "title: toy\nevents: {train: {n_events: 5}}\n"
OWN = "title: toy\nevents: {train: {source: lhe, path: mine.lhe.gz}, test: {source: lhe, path: mine.lhe.gz}}\n"
NUMBERS = {"numbers": {"e_t2.main": {"value": 1.157, "error": 0.005, "unit": "1", "artefact": "a", "meaning": "m"}}}


def bundle(folder, study=STUDY, **more):
    texts = {"Snakefile": "rule all:\n", "CITATION.cff": CITATION, "config/studies/toy.yaml": study}
    texts |= {"results/toy/numbers.json": json.dumps(NUMBERS), "results/toy/spec/events.train.json": "{}"}
    write_bundle(folder / "toy.zip", {}, texts | more, {}, {"study": "toy", "code": "0", "commit": "unknown"})
    return folder / "toy.zip"


@pytest.fixture
def rerun(monkeypatch):
    """In the place of the run: the archived results once more, with the number as given."""

    def give(value):
        def copy(repository, python, study, cores, log):
            shutil.copytree(repository.parent / "archived" / "results", repository / "results")
            numbers = {"numbers": {"e_t2.main": {**NUMBERS["numbers"]["e_t2.main"], "value": value}}}
            (repository / "results" / study / "numbers.json").write_text(json.dumps(numbers))

        monkeypatch.setattr(reproduce, "_rerun", copy)

    return give


def test_what_agrees_is_reproduced(rerun, tmp_path, capsys):
    rerun(1.1571)
    archive = str(bundle(tmp_path))
    assert main(["reproduce", archive, "--into", str(tmp_path / "again"), "--present-environment"]) == 0
    said = capsys.readouterr().out
    assert "Reproduced: study 'toy', within a relative 1e-06 or 0.1 standard errors" in said
    assert "4.1 digits" in said
    report = json.loads((tmp_path / "again" / "reproduction.json").read_text())
    assert [entry["entry"] for entry in report["entries"]] == ["e_t2.main"]
    assert (tmp_path / "again" / "repository" / "Snakefile").is_file()
    assert not (tmp_path / "again" / "repository" / "README.txt").exists()


def test_what_does_not_agree_is_told_by_the_exit_code(rerun, tmp_path, capsys):
    rerun(1.2)
    archive = str(bundle(tmp_path))
    assert main(["reproduce", archive, "--into", str(tmp_path / "again"), "--present-environment"]) == 1
    assert "numbers.json e_t2.main: 1.4 digits, 8.6 standard errors" in capsys.readouterr().err
    wider = ["reproduce", archive, "--into", str(tmp_path / "wider"), "--present-environment", "--tolerance", "0.1"]
    assert main(wider) == 0


def test_event_files_are_asked_for_and_brought(rerun, tmp_path):
    rerun(1.157)
    archive = bundle(tmp_path, OWN)
    with pytest.raises(ReproductionError, match=r"the study reads mine.lhe.gz, which no archive holds; give --inputs"):
        reproduce.run(archive, into=tmp_path / "without", present_environment=True)
    (tmp_path / "mine.lhe.gz").write_bytes(b"events")
    reproduce.run(archive, into=tmp_path / "with", inputs=tmp_path, present_environment=True)
    assert (tmp_path / "with" / "repository" / "mine.lhe.gz").read_bytes() == b"events"
    climbing = bundle(tmp_path, OWN.replace("mine.lhe.gz", "../../mine.lhe.gz"))
    with pytest.raises(ReproductionError, match="outside of its repository"):
        reproduce.run(climbing, into=tmp_path / "climbs", inputs=tmp_path, present_environment=True)


def test_what_cannot_be_rerun_is_refused(tmp_path):
    archive = bundle(tmp_path)
    (tmp_path / "full" / "archived").mkdir(parents=True)
    (tmp_path / "full" / "archived" / "file").touch()
    with pytest.raises(BundleError, match="not an empty folder"):
        reproduce.run(archive, into=tmp_path / "full", present_environment=True)
    archive.write_bytes(archive.read_bytes()[:-150])
    with pytest.raises(BundleError, match="truncated"):
        reproduce.run(archive, into=tmp_path / "again", present_environment=True)
    assert not (tmp_path / "again").exists()


def test_a_run_that_fails_shows_its_last_words(tmp_path):
    archive = bundle(tmp_path, Snakefile="this is no Snakefile\n")
    with pytest.raises(ReproductionError, match=r"(?s)snakemake .* failed in .*repository"):
        reproduce.run(archive, into=tmp_path / "again", present_environment=True)
