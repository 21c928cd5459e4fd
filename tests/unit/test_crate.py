"""The archive as an RO-Crate: what it says of every job, and that the public validator finds nothing to complain of."""

import json
import zipfile

import pytest

from saggiatore.attribution import DOI_PLACEHOLDER, read_attribution
from saggiatore.crate import METADATA, describe
from saggiatore.errors import StudyError
from saggiatore.record import Record
from saggiatore.steps.bundle import run

CITATION = """\
title: Saggiatore
license: MIT
authors:
  - name: The Saggiatore authors
  - {family-names: Galilei, given-names: Galileo, orcid: https://orcid.org/0000-0002-1825-0097, affiliation: Padova}
references:
  - title: Back to the Formula
    authors: [{family-names: Butter}, {family-names: Plehn}]
    identifiers: [{type: other, value: "arXiv:2109.10414"}]
"""
STUDY = """\
title: A toy study
authors: [{name: "Sarpi, Paolo", affiliation: Venezia}]
licence: CC-BY-4.0
"""
RESULTS = {name: f"results/toy/{name}" for name in ("events/train.parquet", "models/network.eqx", "numbers.json")}
EVENTS, MODEL, NUMBERS = RESULTS.values()


def record(step, inputs, outputs, second):
    flags = [f"--{place} {name}" for place, name in enumerate([*inputs, *outputs])]
    return Record(
        command=f"python -m saggiatore {step} {' '.join(flags)}",
        code="0123456789abcdef",
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        start=f"2026-01-01T00:00:{second:02}.000+00:00",
        end=f"2026-01-01T00:00:{second + 1:02}.500+00:00",
        seconds=1.5,
        memory=100.0,
        host={"system": "Linux", "architecture": "x86_64", "cores": 2},
        environment={"python": "3.11.7", "saggiatore": "0.1.0", "jax": "0.10.2"},
    )


RECORDS = {
    "events.train": record("events-shard", ["results/toy/spec/events.train.json"], [EVENTS], 0),
    "models.network": record("models", [EVENTS], [MODEL], 5),
    "numbers": record("numbers", [MODEL], [NUMBERS], 10),
}


@pytest.fixture
def root(tmp_path):
    files = {"CITATION.cff": CITATION, "config/studies/toy.yaml": STUDY, "Snakefile": "rule all:\n"}
    files |= {EVENTS: "events", MODEL: "model", NUMBERS: json.dumps({"formulas": {}})}
    files |= {f"results/toy/logs/{name}.log": f"said\n{line(each)}\n" for name, each in RECORDS.items()}
    files |= {"results/toy/logs/models.gone.log": line(record("models", [EVENTS], ["results/toy/models/gone.eqx"], 3))}
    files |= {"results/toy/logs/draws.network.log": "Traceback: it failed\n"}
    for name, content in files.items():
        path = tmp_path / "clone" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path / "clone"


def line(each):
    return "record: " + json.dumps(vars(each))


def build(root, out):
    files = [root / name for name in ("CITATION.cff", "config/studies/toy.yaml", "Snakefile", MODEL, NUMBERS)]
    logs = root / "results" / "toy" / "logs"
    run(study="toy", code="0123", files=files, not_included=[root / EVENTS], logs=logs, root=root, out=out)
    return out


@pytest.fixture
def graph(root, tmp_path):
    with zipfile.ZipFile(build(root, tmp_path / "toy.zip")) as archive:
        document = json.loads(archive.read(METADATA))
    return {entity["@id"]: entity for entity in document["@graph"]}


def test_every_job_is_there_with_what_it_did(graph):
    jobs = {name: entity for name, entity in graph.items() if name.startswith("#job-")}
    assert set(jobs) == {f"#job-{name}" for name in RECORDS}, "jobs of sections that are gone have no place"
    training = jobs["#job-models.network"]
    assert training["description"] == RECORDS["models.network"].command
    assert training["object"] == [{"@id": f"#{EVENTS}"}]
    assert training["result"] == [{"@id": MODEL}]
    assert (training["startTime"], training["endTime"]) == (
        RECORDS["models.network"].start,
        RECORDS["models.network"].end,
    )
    facts = {graph[each["@id"]]["name"]: graph[each["@id"]]["value"] for each in training["additionalProperty"]}
    assert facts["code fingerprint"] == "0123456789abcdef"
    assert facts["host architecture"] == "x86_64"
    versions = {graph[each["@id"]]["name"]: graph[each["@id"]]["value"] for each in training["environment"]}
    assert versions == RECORDS["models.network"].environment


def test_the_run_goes_from_the_first_start_to_the_last_end(graph):
    assert graph["#run"]["startTime"] == "2026-01-01T00:00:00.000+00:00"
    assert graph["#run"]["endTime"] == graph["./"]["datePublished"] == "2026-01-01T00:00:11.500+00:00"


def test_authors_licence_and_citations_are_stated(graph, root):
    top = graph["./"]
    assert top["license"] == {"@id": "https://spdx.org/licenses/CC-BY-4.0"}
    assert [graph[each["@id"]]["name"] for each in top["author"]] == ["Sarpi, Paolo"]
    assert graph[top["citation"][0]["@id"]]["@id"] == "https://arxiv.org/abs/2109.10414"
    assert graph[top["identifier"]["@id"]]["value"] == DOI_PLACEHOLDER
    (root / "bare.yaml").write_text("title: Bare\n")
    cited = read_attribution(root / "bare.yaml", root / "CITATION.cff")
    assert [author.name for author in cited.authors] == ["The Saggiatore authors", "Galileo Galilei"]
    assert cited.authors[1].orcid == "0000-0002-1825-0097"
    assert cited.licence == "MIT"
    (root / "bare.yaml").write_text("title: [\n")
    with pytest.raises(StudyError, match=r"bare.yaml: cannot be read"):
        read_attribution(root / "bare.yaml", root / "CITATION.cff")


def test_files_carry_their_hashes(graph):
    assert graph[MODEL]["sha256"] == "9372c470eeadd5ecd9c3c74c2b3cb633f8e2f2fad799250a0f70d652b6b825e4"
    assert graph[f"#{EVENTS}"]["contentSize"] == "6"
    assert {"@id": MODEL} in graph["./"]["hasPart"]
    assert {"@id": f"#{EVENTS}"} not in graph["./"]["hasPart"]


def test_the_same_records_give_the_same_bytes(root, tmp_path):
    first = build(root, tmp_path / "1.zip").read_bytes()
    assert build(root, tmp_path / "2.zip").read_bytes() == first
    log = root / "results" / "toy" / "logs" / "numbers.log"
    log.write_text(line(record("numbers", [MODEL], [NUMBERS], 20)))
    assert build(root, tmp_path / "3.zip").read_bytes() != first


def test_what_zenodo_reads(root, tmp_path):
    with zipfile.ZipFile(build(root, tmp_path / "toy.zip")) as archive:
        found = json.loads(archive.read(".zenodo.json"))
    assert found["title"] == "A toy study"
    assert found["creators"] == [{"name": "Sarpi, Paolo", "affiliation": "Venezia"}]
    assert found["license"] == "cc-by-4.0"
    assert found["related_identifiers"][0]["identifier"] == "https://arxiv.org/abs/2109.10414"
    assert "doi" not in found


@pytest.mark.thorough
def test_the_public_validator_finds_nothing(root, tmp_path):
    """All required checks of the Provenance Run Crate profile; and it does find two properties that are taken out."""
    validate = pytest.importorskip("validator", reason="roc-validator is not installed: make venv").validate
    with zipfile.ZipFile(build(root, tmp_path / "toy.zip")) as archive:
        archive.extractall(tmp_path / "whole")
    code, said = validate(tmp_path / "whole", tmp_path)
    assert code == 0, said
    path = tmp_path / "whole" / METADATA
    document = json.loads(path.read_text())
    for entity in document["@graph"]:
        if entity["@id"] == "#organisation":
            del entity["result"]
        if entity["@id"] == "./":
            del entity["license"]
    path.write_text(json.dumps(document))
    code, said = validate(tmp_path / "whole", tmp_path)
    assert code != 0, said


def test_a_crate_without_records_claims_no_run(root):
    attribution = read_attribution(root / "config" / "studies" / "toy.yaml", root / "CITATION.cff")
    files = {"Snakefile": {"sha256": "0" * 64, "size": 10}}
    text = describe("toy", files, {}, {}, attribution, {"saggiatore": "0.1.0"})
    assert "wfrun" not in text
    assert "CreateAction" not in text
