"""numbers.json: every number with its origin, captions that quote them, and the closing lines."""

import json

import pytest
from synthetic import INFORMATION, ORIGIN, write_study
from test_figures import draw

from saggiatore.__main__ import main
from saggiatore.artefacts import TOLD
from saggiatore.errors import SchemaError, StudyError
from saggiatore.integrate.tally import sample_schema
from saggiatore.number import Number, decimals, fill, quote
from saggiatore.steps.numbers import run
from saggiatore.table_numbers.told import TABLES
from saggiatore.tables import read_table, write_table


@pytest.fixture
def paths(tmp_path):
    return write_study(tmp_path / "results" / "toy")


def collect(paths, folder, figures=(), more=()):
    out = folder / "results" / "toy" / "numbers.json"
    tables = [paths[name] for _, name in TOLD if name in paths]
    run(study="toy", code="0123", tables=[*tables, *more], formulas=[paths["formula"]], figures=list(figures), out=out)
    return out


def test_numbers_have_value_error_unit_and_origin(paths, tmp_path):
    numbers = json.loads(collect(paths, tmp_path).read_text())["numbers"]
    assert numbers["cross_section.map"] == {
        "value": 1.234,
        "error": 0.002,
        "unit": "pb",
        "artefact": "tables/map.integral.parquet",
        "meaning": "fiducial cross section",
    }
    assert (numbers["information.network"]["value"], numbers["information.network"]["error"]) == (0.9543, 0.0034)
    assert numbers["mse.formula"]["value"] == 0.031
    assert numbers["e_t2.main"]["value"] == 0.4
    assert numbers["slope.main.formula.network"]["error"] == 0.002
    assert numbers["draws.main.replicas.information"]["error"] == 0.25
    assert numbers["draws.main.replicas.error"]["value"] == 0.125
    assert numbers["draws.main.replicas.within_1"]["value"] == 0.25
    assert numbers["draws.main.replicas.network.slope"]["value"] == 0.5
    assert "draws.main.replicas.network.information" not in numbers
    assert "correlation.main.formula.joint_score" not in numbers  # the root of the information kept
    assert (numbers["formula.formula.a"]["value"], numbers["formula.formula.a"]["error"]) == (-0.5925, 0.0035)
    assert numbers["formula.formula.complexity"]["value"] == 6
    assert numbers["formula.formula.chi2"]["value"] == 0.42
    assert numbers["formula.formula.frequency"]["value"] == 0.16
    assert numbers["structures.formula.n_structures"]["value"] == 2
    assert numbers["structures.formula.probability_pooled"]["value"] == 0.5
    assert numbers["structures.formula.constant.a"]["error"] == 0.005
    assert numbers["structures.formula.formula_probability"]["value"] == 0.5  # the first is the formula's structure
    assert "structures.formula.constant.b" not in numbers  # a constant of the second structure
    assert 0 < numbers["structures.formula.band_structure"]["value"] < 10
    assert numbers["coverage.network.68"]["value"] == 0.68
    assert numbers["pull_width.network"]["error"] == 0.01
    assert (numbers["rhat.network"]["value"], numbers["ess.network"]["value"]) == (1.01, 400)  # the worst of each
    assert numbers["best_epoch.network"]["value"] == 17  # of 1/n + 0.001 (n - 15)^2
    assert all(set(number) == {"value", "error", "unit", "artefact", "meaning"} for number in numbers.values())
    root = tmp_path / "results" / "toy"
    assert all((root / number["artefact"]).is_file() for number in numbers.values())


def test_limits_that_the_linear_approximation_misses_are_counted(paths, tmp_path):
    folder = tmp_path / "results" / "toy" / "figures"
    document = json.loads(collect(paths, tmp_path, draw("limits", paths, folder)).read_text())
    numbers = document["numbers"]
    found = numbers["limits.one.network.f_w.shape.95.high"]
    assert (found["value"], found["error"]) == (pytest.approx(1.1 * 1.96), 0.1)
    assert numbers["limits.one.truth.f_w.rate.99_7.low"]["value"] == -3.0
    assert numbers["limits.one.n_nonlinear"]["value"] == 2
    assert numbers["limits_coverage.one.network.rate.95"]["value"] == 0.953
    assert numbers["sensitivity.one.network.shape.binning_loss"]["value"] == 0.02
    assert numbers["mse_log_ratio.main.alices.-0_5"]["value"] == 1e-4
    assert "allows, 2 of the table's 18 intervals" in document["figures"]["limits"]["caption"]


def test_every_table_with_numbers_is_told():
    assert {name for _, name in TOLD} == set(TABLES)


def test_generators_densities_and_formulas_are_told_with_their_errors(paths, tmp_path):
    numbers = json.loads(collect(paths, tmp_path).read_text())["numbers"]
    for name, value, error in (
        ("control.main.spline_flow.auc", 0.52, 0.002),
        ("control.main.flow_matching.chi2", 9.0, None),
        ("control.main.spline_flow.reliability", 0.0, None),
        ("control.main.spline_flow.below.true", 0.02, 0.001),
        ("worth.generated.density", 5.0, 0.5),
        ("quantile_error.generated.training", 1.8e-4, 1.8e-5),
        ("formula.formula.information_select", 0.95, 0.002),
        ("limits_profiled.one.network.f_w.shape.95.high", 1.1 * 1.96, 0.0),
        ("n_populated.density", 9, None),
    ):
        assert numbers[name]["value"] == pytest.approx(value), name
        assert numbers[name]["error"] == pytest.approx(error), name
    assert "quantile_error.generated.generated.1000" in numbers
    assert "control.main.truth.auc_error" not in numbers


def test_two_sections_of_information_keep_their_labels(paths, tmp_path):
    other = paths["information"].with_name("smeared.information.parquet")
    columns = {column.name: [0.5] for column in INFORMATION.columns} | {"name": ["network"], "kind": ["model"]}
    columns["singular"] = [""]
    write_table(other, INFORMATION, columns, ORIGIN)
    numbers = json.loads(collect(paths, tmp_path, more=[other]).read_text())["numbers"]
    assert numbers["information.main.network"]["value"] == 0.9543
    assert numbers["information.smeared.network"]["value"] == 0.5
    assert "information.network" not in numbers


def test_what_a_file_of_events_holds_is_stated(paths, tmp_path):
    sample = paths["integral"].with_name("train.sample.parquet")
    schema = sample_schema(is_morphed=True)
    write_table(
        sample,
        schema,
        {column.name: [0.25] for column in schema.columns if column.kind == "float"}
        | {column.name: [3] for column in schema.columns if column.kind == "int"},
        ORIGIN,
    )
    numbers = json.loads(collect(paths, tmp_path, more=[sample]).read_text())["numbers"]
    assert numbers["sample.train.negative_fraction"]["value"] == 0.25
    assert numbers["sample.train.cross_section"]["unit"] == "pb"
    assert numbers["sample.train.n_read"]["artefact"] == "tables/train.sample.parquet"


def test_captions_quote_the_numbers(paths, tmp_path):
    folder = tmp_path / "results" / "toy" / "figures"
    figures = [path for kind in ("formula", "pulls") for path in draw(kind, paths, folder)]
    first = collect(paths, tmp_path, figures).read_bytes()
    found = json.loads(first)["figures"]
    assert "keeps 0.951 ± 0.004 of the joint Fisher information" in found["formula"]["caption"]
    assert "deviation is 1.020 ± 0.010" in found["pulls"]["caption"]
    assert set(found["pulls"]["files"]) == {"figures/pulls.pdf", "figures/pulls.png"}
    assert not any("{" in figure["caption"] for figure in found.values())
    assert collect(paths, tmp_path, reversed(figures)).read_bytes() == first


def test_nothing_is_needed(tmp_path):
    run(study="toy", code="0", tables=[], formulas=[], figures=[], out=tmp_path / "numbers.json")
    assert json.loads((tmp_path / "numbers.json").read_text())["numbers"] == {}
    assert main(["summary", "--numbers", str(tmp_path / "numbers.json")]) == 0


def test_a_damaged_formula_is_refused(paths, tmp_path):
    paths["formula"].write_text('{"name": "c"}')
    with pytest.raises(SchemaError, match=r"formula.formula.json: not a formula of this version"):
        collect(paths, tmp_path)
    assert not (tmp_path / "results" / "toy" / "numbers.json").exists()


def test_the_summary_says_what_was_found(paths, tmp_path, capsys):
    assert main(["summary", "--numbers", str(collect(paths, tmp_path))]) == 0
    text = capsys.readouterr().out
    assert "a*x_p1*sin(delta_phi)" in text
    assert "a = -0.5925 ± 0.0035" in text
    assert "0.5 ± 0.5      0.5 ± 0.5  (the formula above)" in text
    assert "a*x_p1*sin(delta_phi) + b" in text
    assert "of the first: a = -0.590 ± 0.005" in text
    lines = text.splitlines()
    order = [next(n for n, line in enumerate(lines) if name in line) for name in ("0.9543 ±", "0.951 ±", "0.331 ±")]
    assert order == sorted(order)
    head = lines.index(
        "Expected limits 'one', 95 %, from the distribution alone, for 300 fb^-1 and an efficiency of 0.0023:"
    )
    assert [line.split() for line in lines[head + 1 : head + 3]] == [
        ["truth", "f_w", "from", "-1.96", "to", "1.96"],
        ["network", "f_w", "from", "-2.156", "to", "2.156"],
    ]
    at = lines.index("Generators of 'main' against the truth (AUC 0.5, chi2 1: nothing tells them apart):")
    assert " ".join(lines[at + 1].split()) == "AUC chi2 a bin of pairs chi2 reweighted"
    assert lines[at + 2].split()[:6] == ["truth", "0.5000", "±", "0.0020", "1.1", "0.9"]  # the best comes first
    at = lines.index("Made on request, since times differ from run to run:")
    assert lines[at + 1].startswith("    generators of 'main': distances, AUC, time of the training")
    assert lines[at + 2] == "    snakemake --cores 2 results/toy/tables/main.generator_comparison.tex"
    assert lines[at + 3] == ""  # one sampler, one network: nothing to compare
    assert "Density 'generated' is worth 5.0 ± 0.5 times the events of its training" in lines
    assert "Cross section 'map': 1.2340 ± 0.0020 pb" in lines
    assert "pull width 1.020 ± 0.010, coverage of 68 % intervals 0.680 ± 0.010" in text
    assert str(tmp_path / "results" / "bundles" / "toy.zip") in text
    assert main(["summary", "--numbers", str(tmp_path / "none.json")]) == 1
    assert main(["summary"]) == 1


def test_the_summary_of_a_group_is_that_of_its_studies(paths, tmp_path, capsys, monkeypatch):
    collect(paths, tmp_path)
    (tmp_path / "results" / "other").symlink_to(tmp_path / "results" / "toy")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("studies: []\ngroups: {both: [toy, other]}")
    monkeypatch.chdir(tmp_path)
    assert main(["summary", "--study", "both"]) == 0
    found = capsys.readouterr().out
    assert found.count("a = -0.5925 ± 0.0035") == 2
    assert found.index("=toy=") < found.index("=other=")


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.95432, 0.00344, "0.9543 ± 0.0034"),
        (0.95432, 0.00388, "0.954 ± 0.004"),
        (0.8271, 0.119, "0.83 ± 0.12"),
        (0.827, 0.367, "0.8 ± 0.4"),
        (14.5, 0.96, "14.5 ± 1.0"),
        (1234.5, 96.0, "1230 ± 100"),
        (12346.0, 250.0, "12350 ± 250"),
        (-2.5, None, "-2.5"),
        (0.173456, 0.0, "0.1735"),
    ],
)
def test_rounding_follows_the_review_of_particle_physics(value, error, text):
    assert quote(value, error) == text


def test_an_error_keeps_one_or_two_digits():
    assert [decimals(error) for error in (0.0354, 0.0355, 0.0949, 0.095, 0.99, 1.0)] == [3, 2, 2, 2, 1, 1]


def test_a_caption_that_quotes_what_is_not_there_is_an_error():
    number = Number(1.234, 0.002, "pb", "tables/map.integral.parquet", "cross section")
    assert fill("sigma is {cross_section.map}.", {"cross_section.map": number}) == "sigma is 1.2340 ± 0.0020 pb."
    with pytest.raises(StudyError, match=r"quotes 'mse.flow'"):
        fill("{mse.flow}", {})


def test_limits_are_listed_for_readers(paths, tmp_path):
    entry = json.loads(collect(paths, tmp_path).read_text())["limits"]["one"]
    table = read_table(paths["limits"], "limits")
    exact = table.data[table.data["method"] == "expected"]
    assert entry["luminosity"] == table.provenance["spec"]["section"]["luminosity"]
    assert [each["high"] for each in entry["intervals"]] == exact["high"].tolist()
    far = table.data[table.data["is_linear"] == 0]
    keys = {tuple(row) for row in far[["name", "parameter", "with_rate", "level"]].itertuples(index=False)}
    found = {
        tuple(each[k] for k in ("name", "parameter", "with_rate", "level")): each["is_linear"]
        for each in entry["intervals"]
    }
    assert keys
    assert {key for key, is_linear in found.items() if not is_linear} == keys
