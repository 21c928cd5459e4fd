"""Parts of an archive: what is in, what is only on record, and that each is an archive like the whole."""

import json
import zipfile

import pytest
from test_crate import EVENTS, MODEL, NUMBERS, build, root  # noqa: F401

from saggiatore.bundle import README
from saggiatore.crate import METADATA
from saggiatore.deposit import part_of, sizes
from saggiatore.errors import BundleError
from saggiatore.steps.deposit import run
from saggiatore.verification import verify


@pytest.fixture
def bundle(root, tmp_path):  # noqa: F811
    return build(root, tmp_path / "toy.zip")


def read(path, name):
    with zipfile.ZipFile(path) as archive:
        return archive.read(name).decode()


def test_a_small_deposit_leaves_models_on_record(bundle, tmp_path):
    run(bundle, parts="formula, tables,figures", out=tmp_path / "small.zip")
    small, whole = verify(tmp_path / "small.zip"), verify(bundle)
    assert small.is_whole
    assert small.is_sealed
    assert MODEL not in small.manifest["files"]
    assert small.manifest["not_included"][MODEL] == whole.manifest["files"][MODEL]
    assert {NUMBERS, "Snakefile", "config/studies/toy.yaml"} < set(small.manifest["files"])
    assert small.manifest["parts"] == ["always", "formula", "tables", "figures"]
    assert MODEL in read(tmp_path / "small.zip", README)


def test_its_crate_describes_what_is_in_it(bundle, tmp_path):
    run(bundle, parts="tables", out=tmp_path / "small.zip")
    graph = {each["@id"]: each for each in json.loads(read(tmp_path / "small.zip", METADATA))["@graph"]}
    held = set(verify(tmp_path / "small.zip").manifest["files"]) - {METADATA}
    assert {each["@id"] for each in graph["./"]["hasPart"]} == held
    assert graph[f"#{MODEL}"]["@type"] == "CreativeWork"
    assert graph["#job-models.network"]["result"] == [{"@id": f"#{MODEL}"}]


def test_events_come_from_the_results_if_they_are_the_same(bundle, root, tmp_path):  # noqa: F811
    run(bundle, parts="models,events", results=root / "results", out=tmp_path / "large.zip")
    large = verify(tmp_path / "large.zip")
    assert large.is_whole
    assert {EVENTS, MODEL} < set(large.manifest["files"])
    graph = {each["@id"]: each for each in json.loads(read(tmp_path / "large.zip", METADATA))["@graph"]}
    assert graph[EVENTS]["@type"] == "File"
    assert {"@id": EVENTS} in graph["./"]["hasPart"]
    (root / EVENTS).write_text("other")
    with pytest.raises(BundleError, match="not those of the archive"):
        run(bundle, parts="events", results=root / "results", out=tmp_path / "other.zip")


def test_without_parts_sizes_are_shown(bundle, capsys):
    run(bundle)
    said = capsys.readouterr().out
    assert "models       1 files" in said
    assert "not in the archive" in said
    assert sizes(verify(bundle).manifest)["events"] == (1, 6)


def test_the_same_parts_give_the_same_bytes(bundle, tmp_path):
    for name in ("1.zip", "2.zip"):
        run(bundle, parts="figures", out=tmp_path / name)
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()


def test_what_cannot_be_is_refused(bundle):
    with pytest.raises(BundleError, match=r"no part is called tabels; there are formula, tables"):
        run(bundle, parts="tabels")
    with pytest.raises(BundleError, match="is the archive itself"):
        run(bundle, parts="tables", out=bundle)
    with zipfile.ZipFile(bundle, "a") as archive:
        archive.writestr("more", "more")
    with pytest.raises(BundleError, match="not whole"):
        run(bundle, parts="tables")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("results/q/tables/a.parquet", "tables"),
        ("results/q/numbers.json", "always"),
        ("results/q/hepdata.zip", "tables"),
        ("results/q/limits/one.workspace.json", "limits"),
        ("results/q/structures/main.formula.json", "formula"),
        ("src/saggiatore/models/mlp.py", "always"),
    ],
)
def test_parts_are_told_by_the_folder(name, part):
    assert part_of(name) == part


@pytest.mark.thorough
def test_the_public_validator_accepts_a_deposit(bundle, tmp_path):
    validate = pytest.importorskip("validator", reason="roc-validator is not installed: make venv").validate
    run(bundle, parts="tables", out=tmp_path / "small.zip")
    with zipfile.ZipFile(tmp_path / "small.zip") as archive:
        archive.extractall(tmp_path / "small")
    code, said = validate(tmp_path / "small", tmp_path)
    assert code == 0, said
