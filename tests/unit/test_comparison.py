"""Two runs of a study, held against each other: what counts as agreement, and what is told of the rest."""

import json
import math

import numpy as np
import pytest
from synthetic import FORMULA as SHOWN
from synthetic import ORIGIN, SCORES

from saggiatore.comparison import Tolerance, compare, digits
from saggiatore.tables import write_table

FORMULA = {**SHOWN, "expression": "a*x_p1*sin(delta_phi)", "covariance": [[0.0035**2]]}
NAMES = ["tables/main.scores.parquet", "formulas/formula.formula.json", "numbers.json", "models/network.eqx"]
NUMBERS = {
    "information.network": {"value": 0.95, "error": 0.01, "unit": "1", "artefact": "a", "meaning": "m"},
    "best_epoch.network": {"value": 29.0, "error": None, "unit": "1", "artefact": "a", "meaning": "m"},
}


def write(folder, scale=1.0, formula=FORMULA, numbers=NUMBERS, model=b"made here\nweights"):
    rng = np.random.default_rng(1)
    columns = {name: rng.normal(size=50) * (scale if name == "score_network" else 1) for name in SCORES.names}
    write_table(folder / NAMES[0], SCORES, columns, ORIGIN)
    for name, content in ((NAMES[1], formula), (NAMES[2], {"numbers": numbers})):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    (folder / "models").mkdir(exist_ok=True)
    (folder / NAMES[3]).write_bytes(model)
    return folder


@pytest.fixture
def found(tmp_path):
    """Findings by (artefact, entry) when the second run is written with the arguments given."""

    def hold(tolerance=None, **changes):
        first, second = write(tmp_path / "1"), write(tmp_path / "2", **changes)
        findings = compare(first, second, NAMES, tolerance or Tolerance())
        return {(each.artefact, each.entry): each for each in findings}

    return hold


def test_the_same_bytes_agree_in_all_digits(found):
    assert {(each.digits, each.agrees) for each in found().values()} == {(math.inf, True)}


def test_digits_are_counted():
    ones = np.ones(3)
    assert digits(ones, ones) == math.inf
    assert digits(ones, ones + np.array([0, 1e-5, 0])) == pytest.approx(5)
    assert digits(1000 * ones, 1000 * ones + 1) == pytest.approx(3)
    assert digits(ones, -ones) == 0
    assert digits(0 * ones, ones) == 0


@pytest.mark.parametrize(("scale", "agrees"), [(1 + 1e-8, True), (1 + 1e-4, False)])
def test_a_column_agrees_within_the_relative_tolerance(found, scale, agrees):
    findings = found(scale=scale)
    column = findings[NAMES[0], "score_network"]
    assert column.agrees is agrees
    assert column.digits == pytest.approx(-math.log10(scale - 1), abs=0.01)
    assert findings[NAMES[0], "joint_score"].digits == math.inf
    assert found(Tolerance(1e-2), scale=scale)[NAMES[0], "score_network"].agrees


def test_numbers_agree_within_a_share_of_their_error_key_by_key(found):
    def changed(**values):
        return {key: {**entry, "value": values.get(key[:4], entry["value"])} for key, entry in NUMBERS.items()}

    key = (NAMES[2], "information.network")
    assert found(numbers=changed(info=0.9505))[key].agrees
    assert not found(numbers=changed(info=0.96))[key].agrees
    assert "1 standard errors" in found(numbers=changed(info=0.96))[key].text
    assert not found(numbers=changed(best=28.0))[NAMES[2], "best_epoch.network"].agrees
    gone = found(numbers={"information.network": NUMBERS["information.network"]})
    assert gone[NAMES[2], "best_epoch.network"].text == "only in the archive"
    assert not gone[NAMES[2], "best_epoch.network"].agrees


def test_a_formula_agrees_by_structure_and_constants(found):
    (name, value), *_ = FORMULA["constants"].items()
    error = math.sqrt(FORMULA["covariance"][0][0])
    near = {**FORMULA, "constants": {**FORMULA["constants"], name: value + 0.05 * error}}
    far = {**FORMULA, "constants": {**FORMULA["constants"], name: value + 3 * error}}
    assert all(each.agrees for each in found(formula=near).values())
    assert not found(formula=far)[NAMES[1], name].agrees
    other = found(formula={**FORMULA, "expression": f"{name}*x_p1*cos(delta_phi)"})[NAMES[1], "structure"]
    assert not other.agrees
    assert "became" in other.text


def test_models_are_judged_by_what_is_made_from_them(found):
    assert found(model=b"made there\nweights")[NAMES[3], ""].text == "the same weights"
    finding = found(model=b"made here\nothers")[NAMES[3], ""]
    assert finding.agrees
    assert math.isnan(finding.digits)


def test_what_was_not_made_or_cannot_be_read_does_not_agree(found, tmp_path):
    first, second = write(tmp_path / "1"), write(tmp_path / "2")
    (second / NAMES[0]).unlink()
    (second / NAMES[2]).write_text("{")
    findings = {each.artefact: each for each in compare(first, second, NAMES, Tolerance())}
    assert not findings[NAMES[0]].agrees
    assert findings[NAMES[0]].text == "was not made"
    assert "cannot be compared" in findings[NAMES[2]].text
