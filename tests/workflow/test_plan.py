"""A study that cannot be built is refused before anything runs; one that can has its jobs in a sensible order."""

import copy
import cProfile
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from saggiatore import fingerprint
from saggiatore.errors import StudyError
from saggiatore.request import DEFAULTS
from saggiatore.workflow import Plan

ROOT = Path(__file__).parents[2]
QUICK = yaml.safe_load((ROOT / "config" / "studies" / "quick.yaml").read_text())


@pytest.fixture
def plan(tmp_path):
    """A plan of the study `other`: `quick` with one value replaced."""
    (tmp_path / "config" / "studies").mkdir(parents=True)
    (tmp_path / "config" / "schema").symlink_to(ROOT / "config" / "schema")

    def change(value, *path):
        study = copy.deepcopy(QUICK)
        node = study
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value
        (tmp_path / "config" / "studies" / "other.yaml").write_text(yaml.safe_dump(study))
        return Plan(tmp_path, {"studies": ["other"]})

    return change


@pytest.fixture
def refuse(plan):
    """The error that a study with one value replaced raises."""

    def check(value, *path):
        with pytest.raises(StudyError) as caught:
            plan(value, *path).targets()
        return str(caught.value)

    return check


def test_unknown_key(refuse):
    message = refuse(3, "models", "network", "trainning")
    assert "models.network.trainning: unknown key" in message
    assert "did you mean 'training'?" in message


def test_unknown_key_inside_a_union(refuse):
    assert "process.cuts.pt_jet: unknown key; did you mean 'pt_j'?" in refuse("20 GeV", "process", "cuts", "pt_jet")


def test_unit_that_does_not_fit(refuse):
    message = refuse("20 pb", "process", "cuts", "pt_j")
    assert "process.cuts.pt_j: got '20 pb', expected a quantity in GeV" in message


def test_missing_unit(refuse):
    assert "process.sqrt_s: got 14, expected a quantity in GeV" in refuse(14, "process", "sqrt_s")


def test_label_that_names_nothing(refuse):
    message = refuse("tain", "models", "network", "events")
    assert "models.network.events: 'tain' names no section of 'events'; did you mean 'train'?" in message


def test_observable_that_the_process_does_not_have(refuse):
    message = refuse(["x_p1", "delta_fi"], "models", "network", "features")
    assert "the process 'wbf_higgs' has no observable 'delta_fi'; did you mean 'delta_phi'?" in message


def test_parameter_that_the_process_does_not_have(refuse):
    assert "has no parameter 'c_hw'" in refuse("c_hw", "information", "main", "parameter")


def test_kind_that_nothing_has(refuse):
    assert "nothing is called 'perceptron'" in refuse({"kind": "perceptron"}, "models", "network", "model")


def test_number_out_of_range(refuse):
    assert "events.train.n_events" in refuse(-5, "events", "train", "n_events")


def test_wrong_type(refuse):
    assert "events.train.n_events" in refuse("many", "events", "train", "n_events")


def test_label_with_odd_characters(refuse):
    assert "figures.My figure" in refuse({"figure": {"kind": "history", "history": "network"}}, "figures", "My figure")


LHE = {
    "source": "lhe",
    "path": "mine.lhe.gz",
    "benchmarks": {"up": {"c_wwt": 1}, "down": {"c_wwt": -1}},
}


def test_source_that_nothing_has(refuse):
    message = refuse({**LHE, "source": "lhef"}, "events", "train")
    assert "events.train.source: nothing is called 'lhef'; did you mean 'lhe'?" in message
    assert "There are: process, lhe, flat, model, smeared, ratio, merged, detector, amplitude." in message


def test_generated_events_still_need_a_sampler(refuse):
    assert "events.train: the key 'sampler' is missing" in refuse({"n_events": 10}, "events", "train")


def test_keys_of_another_source(refuse):
    assert "events.train.sampler: unknown key" in refuse({**LHE, "sampler": "map"}, "events", "train")
    assert "events.train.benchmarks: unknown key" in refuse({**LHE, "source": "process"}, "events", "train")
    assert "the key 'benchmarks' is missing" in refuse({"source": "lhe", "path": "a.lhe"}, "events", "train")


def test_file_of_another_kind(refuse):
    message = refuse({**LHE, "path": "mine.hepmc"}, "events", "train")
    assert "events.train.path: 'mine.hepmc' does not match" in message
    assert ".lhe" in message


def test_benchmarks_of_other_parameters(refuse):
    message = refuse({**LHE, "benchmarks": {"up": {"c_wt": 1}}}, "events", "train")
    assert "events.train.benchmarks.up.c_wt: the process 'wbf_higgs' has no parameter 'c_wt'; did you mean" in message


def test_benchmarks_that_do_not_suffice(refuse):
    message = refuse({**LHE, "benchmarks": {"up": {"c_wwt": 2}}}, "events", "train")
    assert "events.train: the benchmarks determine 2 of the 3 terms" in message
    assert "Undetermined: +1*c_wwt -0.5*c_wwt^2" in message


def test_training_on_the_test_events(refuse):
    """Parts of one file may not overlap where one section tells them apart."""
    message = refuse({"train": LHE, "select": LHE, "test": {**LHE, "path": "./mine.lhe.gz", "skip": 100}}, "events")
    assert "draws.network: events.test and events.train share events of mine.lhe.gz" in message
    parts = {"train": {**LHE, "n_events": 100}, "select": LHE, "test": {**LHE, "skip": 100, "n_events": 100}}
    message = refuse(parts, "events")
    assert "formulas.formula: events.select and events.train share events" in message


def test_a_study_can_do_without_a_sampler(tmp_path):
    """Its events need the file alone: no sampler, no shards, but the key of the file's content."""
    study = copy.deepcopy(QUICK)
    del study["sampler"]
    bounds = {"train": (0, 100), "select": (100, 100), "test": (200, None)}
    path = tmp_path / "mine.lhe.gz"
    study["events"] = {
        label: {**LHE, "path": str(path), "skip": skip, "n_events": n_events}
        for label, (skip, n_events) in bounds.items()
    }
    (tmp_path / "config" / "studies").mkdir(parents=True)
    (tmp_path / "config" / "schema").symlink_to(ROOT / "config" / "schema")
    (tmp_path / "config" / "studies" / "mine.yaml").write_text(yaml.safe_dump(study))
    plan = Plan(tmp_path, {"studies": ["mine"]})
    assert plan.targets() == ["results/bundles/mine.zip"]
    assert plan.inputs("mine", "events", "train") == []
    assert plan.shards("mine", "train") == ["results/mine/events/train/file.parquet"]
    assert plan.event_files("mine", "train") == [str(path)]
    with pytest.raises(StudyError, match=r"mine.lhe.gz: cannot be read \(No such file"):
        plan.content_of("mine", "train")
    path.write_bytes(bytes(3_000_000))
    before = plan.content_of("mine", "train")
    assert before == plan.content_of("mine", "test")
    path.write_bytes(bytes(2_999_999) + b"1")
    assert plan.content_of("mine", "train") != before
    job = json.loads(plan.job("mine", "events", "train"))
    assert job["section"]["max_residual"] == 1e-3
    assert job["process"]["kind"] == "wbf_higgs"


def test_a_posterior_over_formulas_follows_its_formula(plan):
    """Its jobs find model, draws and events through the sections that its formula names, one job a draw."""
    found = plan(3, "structures", "formula", "n_draws")
    way = ("other", "structures", "formula", "formula")
    assert found.along(*way) == ["results/other/formulas/formula.formula.json"]
    assert found.along(*way, "teacher", "draws") == ["results/other/draws/network.parquet"]
    assert found.along(*way, "select") == ["results/other/events/select.parquet"]
    assert found.spec_of(*way) == "results/other/spec/formulas.formula.json"
    draws = [f"results/other/structures/formula/draw-{draw}.parquet" for draw in range(3)]
    assert found.distilled("other", "formula") == draws
    assert "saggiatore.distill.operon_engine" in found.modules("structures_draw", "other", "structures", "formula")


def test_searches_see_neither_their_number_nor_what_becomes_of_them(plan):
    several = plan(3, "formulas", "formula", "n_islands")
    islands = [f"results/other/formulas/formula/island-{shard}.parquet" for shard in range(3)]
    assert several.islands("other", "formula") == islands
    search, whole = (several.job("other", stage, "formula") for stage in ("distill", "formulas"))
    elsewhere = plan("test", "formulas", "formula", "select")
    assert elsewhere.job("other", "distill", "formula") == search
    assert elsewhere.job("other", "formulas", "formula") != whole
    assert "results/other/spec/distill.formula.json" in several.specs("other")
    assert several.specs("other", "sampler") == ["results/other/spec/sampler.map.json"]
    assert (json.loads(search)["stage"], set(json.loads(search)["section"])) == (
        "formulas",
        {"teacher", "engine", "symmetry"},
    )


def test_a_posterior_over_formulas_needs_a_posterior(plan):
    teacher = {"model": "network", "events": "train"}
    found = plan(teacher, "teachers", "network")
    with pytest.raises(StudyError, match=r"teachers.network: 'draws' is missing, and a section downstream needs it"):
        found.along("other", "structures", "formula", "formula", "teacher", "draws")


def test_the_archive_of_every_study_holds_its_submission_to_hepdata():
    names = [path.stem for path in (ROOT / "config" / "studies").glob("*.yaml")]
    plan = Plan(ROOT, {"studies": names})
    assert all(plan.submission(name) == [f"results/{name}/hepdata.zip"] for name in names)


def test_what_figures_are_drawn_from_is_known():
    drawn = dict(each.split("=") for each in Plan(ROOT, {"studies": ["smoke"]}).study("smoke").drawn)
    assert drawn["pulls"] == "network.pulls,network.calibration"


def test_study_that_does_not_exist(tmp_path):
    with pytest.raises(StudyError, match=r"no study is called 'quik'.*did you mean 'quick'"):
        Plan(ROOT, {"studies": ["quik"]}).targets()


def test_studies_must_be_a_list():
    with pytest.raises(StudyError, match="expected a list of names"):
        Plan(ROOT, {"studies": "quick"})


def test_a_group_stands_for_its_studies():
    """Those that are shipped; none is called like a study, which it would hide."""
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    toys = Plan(ROOT, {**config, "studies": ["toys", "smoke", "toy_ring"]})
    assert toys.names == ["toy_ramp", "toy_ring", "toy_kicker", "toy_gaussian", "smoke"]
    assert len(toys.targets()) == 5
    assert not [name for name in config["groups"] if (ROOT / "config" / "studies" / f"{name}.yaml").exists()]
    with pytest.raises(StudyError, match=r"did you mean 'toys'"):
        Plan(ROOT, {**config, "studies": ["toy"]}).targets()
    with pytest.raises(StudyError, match=r"groups\.toys is 'toy_ring', expected a list"):
        Plan(ROOT, {"studies": ["toys"], "groups": {"toys": "toy_ring"}})


def test_every_shipped_study_is_sound():
    names = [path.stem for path in (ROOT / "config" / "studies").glob("*.yaml")]
    assert len(Plan(ROOT, {"studies": names}).targets()) == len(names)


def planned():
    """All that rules ask of every section of every shipped study, as at a start of Snakemake; how many sections."""
    for cached in vars(fingerprint).values():
        if hasattr(cached, "cache_clear"):
            cached.cache_clear()
    names = [path.stem for path in (ROOT / "config" / "studies").glob("*.yaml")]
    plan, rules = Plan(ROOT, {"studies": names}), {asks.stage: rule for rule, asks in DEFAULTS.items()}
    plan.targets()
    for name in names:
        plan.house(name)
        for stage, label in plan.study(name).sections:
            plan.code_of(rules[stage], name, stage, label)
            plan.job(name, stage, label)
            plan.inputs(name, stage, label)
            plan.priority(name, stage, label)
    return sum(len(plan.study(name).sections) for name in names)


def test_planning_all_shipped_studies_is_little_work(tmp_path, monkeypatch):
    """Function calls a section, which no load of the machine changes: 3240 when they were counted."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    planned()  # the first start describes the sources
    with cProfile.Profile() as profile:
        n_sections = planned()
    assert sum(entry.callcount for entry in profile.getstats()) < 5000 * n_sections


def test_what_the_longest_chain_waits_for_comes_first():
    """In the oracle study: train -> network -> draws -> teacher -> formula -> information -> figure."""
    plan = Plan(ROOT, {"studies": ["smoke"]})
    chain = [("sampler", "map"), ("events", "train"), ("models", "network"), ("draws", "network")]
    chain += [("teachers", "network"), ("formulas", "formula"), ("information", "main"), ("figures", "formula")]
    assert [plan.priority("smoke", *section) for section in chain] == [7, 6, 5, 4, 3, 2, 1, 0]
    assert plan.priority("smoke", "events", "theta") == 2  # flow -> information
    assert plan.priority("smoke", "models", "flow") == 1


def asked(plan, rule, attempt=1, study="other", label="network"):
    request, job = plan.request(rule), SimpleNamespace(study=study, label=label)
    return request.mem_mb(job, attempt), request.runtime(job, attempt), request.cpus_per_task(job), request.gpu(job)


def test_resources_are_the_studys_else_the_rules_and_grow_with_each_attempt(plan):
    said = plan({"memory": "2.5 GB", "time": "90 min", "gpu": 0}, "models", "network", "resources")
    assert asked(said, "models") == (2500, 90, 2, 0)
    assert asked(said, "models", attempt=2) == (5000, 180, 2, 0)
    assert asked(Plan(ROOT, {"studies": ["smoke"]}), "models", study="smoke") == (16000, 240, 2, 1)
    assert (
        plan({"time": "10 s"}, "models", "network", "resources")
        .request("models")
        .runtime(SimpleNamespace(study="other", label="network"), 1)
        == 1
    )  # Slurm counts in minutes


def test_resources_change_neither_what_a_job_sees_nor_its_code(plan):
    jobs = [plan(found, "models", "network", "resources") for found in (None, {"gpu": 0, "memory": "1 GB"})]
    seen = [
        (each.job("other", "models", "network"), each.code_of("models", "other", "models", "network")) for each in jobs
    ]
    assert seen[0] == seen[1]
    assert "resources" not in json.loads(seen[0][0])["section"]


def test_resources_have_units_and_known_keys(refuse):
    message = refuse({"memory": 16, "time": "4 parsec", "gpus": 1}, "models", "network", "resources")
    assert "models.network.resources.memory: got 16, expected a quantity in GB, such as '20 GB'" in message
    assert "models.network.resources.time: got '4 parsec', expected a quantity in h" in message
    assert "models.network.resources.gpus: unknown key; did you mean 'gpu'?" in message


def test_every_rule_that_a_scheduler_runs_asks_for_resources():
    text = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    names = set(re.findall(r"^rule (\w+):", text, re.MULTILINE)) - {"spec"}  # a local rule
    assert names == set(DEFAULTS) == set(re.findall(r"plan.request\(\"(\w+)\"\).mem_mb", text))


def test_every_rule_that_may_ask_for_gpus_tells_its_job_how_many():
    """On one machine a job that is not told would see all of them."""
    for path in (ROOT / "rules").glob("*.smk"):
        for rule in re.split(r"^(?=rule )", path.read_text(), flags=re.MULTILINE):
            assert ("gpu=plan.request" in rule) == ("--gpu {resources.gpu} " in rule), rule


def test_the_docs_state_what_rules_ask_for():
    text = (ROOT / "docs" / "cluster.md").read_text()
    for rule, asks in DEFAULTS.items():
        assert f"| `{rule}` | {asks.memory} | {asks.time} | {asks.cores} | {asks.gpu} |" in text


def test_sections_that_wait_for_one_another(refuse):
    like = {"source": "model", "model": "network", "like": "train", "n_events": 10}
    message = refuse(like, "events", "train")
    assert "sections wait for one another: " in message


def test_a_sampler_may_change_the_process_of_its_events(tmp_path, plan, refuse):
    """They alone see the change, which has to fit; what computes with the study's process must not read them."""
    sampler = QUICK["sampler"]["map"]
    message = refuse(sampler | {"process": {"kind": "zh"}}, "sampler", "map")
    assert "the kind of the process is the study's" in message
    message = refuse(sampler | {"process": {"sqrt_s": "14 pb"}}, "sampler", "map")
    assert "sampler.map.process: sqrt_s: got '14 pb', expected a quantity in GeV" in message
    message = refuse(sampler | {"process": {"sqrt_s": "13 TeV"}}, "sampler", "map")
    assert "limits.expected: events.test are of another process than the study's" in message
    study = yaml.safe_load((ROOT / "config" / "studies" / "zj_mixing_angle.yaml").read_text())
    study["sampler"]["two"] = study["sampler"]["map"] | {"process": {"scale": {"choice": "mt"}}}
    study["events"]["other"] = study["events"]["train"] | {"sampler": "two"}
    (tmp_path / "config" / "studies" / "jets.yaml").write_text(yaml.safe_dump(study))
    plan = Plan(tmp_path, {"studies": ["jets"]})
    for stage, label, scale in (("sampler", "two", "mt"), ("events", "other", "mt"), ("events", "train", "half_ht")):
        assert json.loads(plan.job("jets", stage, label))["process"]["scale"]["choice"] == scale
