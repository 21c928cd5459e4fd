"""The submission to HEPData: every published table, formulas with their errors, figures beside what they show."""

import json
import zipfile

import numpy as np
import pytest
import yaml
from PIL import Image
from synthetic import AGREEMENT, FORMULA, ORIGIN, write_study

from saggiatore.artefacts import ARTEFACTS, PUBLISHED
from saggiatore.formats.distribution import published
from saggiatore.steps.hepdata import run
from saggiatore.tables import read_table, write_table

# rows of events, what is the same as a published table in other words, and the inside of a sampler or of a network
LEFT_OUT = {"events", "scores", "teacher", "grid", "model", "draws", "diagnostics", "drawn", "hall_of_fame"}
LEFT_OUT |= {"latex", "formula", "posterior", "workspace", "pdf", "png"}


@pytest.fixture(scope="module")
def submission(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hepdata") / "results" / "toy"
    paths = write_study(folder)
    figures = [folder / "pulls.png", folder / "observables.png"]
    empty = folder / "tables" / "none.agreement.parquet"
    write_table(empty, AGREEMENT, {name: [] for name in AGREEMENT.names}, ORIGIN)
    for path in figures:
        Image.new("RGBA", (900, 420), "white").save(path)
    (folder / "numbers.json").write_text(
        json.dumps({"figures": {path.stem: {"caption": path.stem} for path in figures}})
    )
    tables = [empty, *(paths[name] for _, name in PUBLISHED if name in paths)]
    drawn = ["pulls=network.pulls,network.calibration", "observables=main.scores"]
    more = {"formulas": [paths["formula"]], "figures": figures, "drawn": drawn, "numbers": folder / "numbers.json"}
    run(study="toy", code="0123", tables=tables, **more, out=folder / "hepdata.zip")
    return folder / "hepdata.zip"


def opened(submission, name):
    with zipfile.ZipFile(submission) as archive:
        return list(yaml.safe_load_all(archive.read(name)))


def test_every_artefact_is_published_or_left_out_by_name():
    assert {name for _, name in ARTEFACTS} == {name for _, name in PUBLISHED} | LEFT_OUT


def test_the_public_validator_accepts_it(submission):
    validator = pytest.importorskip("hepdata_validator.full_submission_validator").FullSubmissionValidator()
    assert validator.validate(archive=str(submission)), validator.get_messages()


def test_a_formula_is_its_constants_with_their_errors(submission):
    (found,) = opened(submission, "formula_formula.yaml")
    (value,) = found["dependent_variables"]
    assert value["values"] == [{"value": -0.5925, "errors": [{"symerror": 0.0035, "label": "stated"}]}]
    about = {each.get("name"): each for each in opened(submission, "submission.yaml")}
    assert FORMULA["shown"]["text"] in about["formula.formula"]["description"]
    assert opened(submission, "formula_formula_covariance.yaml")


def test_figures_stand_beside_what_they_show(submission):
    whole, *sections = opened(submission, "submission.yaml")
    assert "none.agreement" not in {each["name"] for each in sections}  # it has no rows
    images = {each["name"]: [it["location"] for it in each.get("additional_resources", [])] for each in sections}
    assert images["network.pulls"] == images["network.calibration"] == ["pulls.png", "thumb_pulls.png"]
    assert [each["location"] for each in whole["additional_resources"]] == ["observables.png", "thumb_observables.png"]
    with zipfile.ZipFile(submission) as archive, archive.open("thumb_pulls.png") as file, Image.open(file) as image:
        assert image.size == (240, 112)


def test_edges_of_bins_are_one_variable(submission):
    (found,) = opened(submission, "density_predictive.yaml")
    (bins,) = found["independent_variables"]
    assert bins["header"] == {"name": "m_jj", "units": "GeV"}
    assert bins["values"][0] == {"low": 400.0, "high": 450.0}
    (found,) = opened(submission, "one_limits.yaml")  # ends of intervals have errors, and are results
    assert {"low", "high"} <= {each["header"]["name"] for each in found["dependent_variables"]}


@pytest.mark.parametrize("name", ["pulls", "deltas", "log_ratios", "band"])
def test_rows_of_events_are_published_in_bins(tmp_path, name):
    table = read_table(write_study(tmp_path)[name], name)
    found = published(table).data
    assert 20 <= len(found) < 1000
    assert np.isfinite(found.select_dtypes(float)).all(axis=None)
    if name == "pulls":
        inside = table.data["weight"][table.data["pull"].abs() < 5].sum() / table.data["weight"].sum()
        rows = found[found["quantity"] == "pull"]
        assert (rows["density"] * (rows["high"] - rows["low"])).sum() == pytest.approx(inside)
