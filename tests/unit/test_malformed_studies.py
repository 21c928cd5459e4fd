"""Studies that cannot be built, each refused before anything runs, with the key that is wrong and no traceback."""

import copy
import re
from pathlib import Path

import pytest
import yaml

from saggiatore.errors import StudyError
from saggiatore.registry import load
from saggiatore.workflow import Plan, planned

ROOT = Path(__file__).parents[2]
QUICK = yaml.safe_load((ROOT / "config" / "studies" / "quick.yaml").read_text())
GONE = "(gone)"

# (where, what stands there instead, what the message says)
MALFORMED = [
    # unknown keys
    ("proces", {}, "proces: unknown key"),
    ("process.cut", {}, "process.cut: unknown key"),
    ("process.cuts.pt", "20 GeV", "process.cuts.pt: unknown key"),
    ("sampler.map.bins", 3, "sampler.map.bins: unknown key"),
    ("events.train.n_event", 10, "events.train.n_event: unknown key"),
    ("models.network.training.epochs", 3, "models.network.training.epochs: unknown key"),
    ("models.network.model.depht", 3, "depht: unknown key"),
    ("draws.network.method.chains", 2, "chains: unknown key"),
    ("formulas.formula.engine.generations", 2, "generations: unknown key"),
    ("information.main.bins", 2, "information.main.bins: unknown key"),
    ("figures.information.figure.colour", "red", "colour: unknown key"),
    ("resources", {"memory": "1 GB"}, "resources: unknown key"),
    # missing keys
    ("title", GONE, "'title' is missing"),
    ("seed", GONE, "'seed' is missing"),
    ("process", GONE, "'process' is missing"),
    ("events", GONE, "'events' is missing"),
    ("models.network.features", GONE, "'features' is missing"),
    ("models.network.task", GONE, "'task' is missing"),
    ("information.main.test", GONE, "'test' is missing"),
    ("events.train.n_events", GONE, "'n_events' is missing"),
    # wrong units, and none
    ("process.sqrt_s", "14 pb", "process.sqrt_s: got '14 pb'"),
    ("process.sqrt_s", "14", "process.sqrt_s: got '14'"),
    ("process.sqrt_s", 14, "process.sqrt_s: got 14"),
    ("process.cuts.m_jj", "400 Gev", "process.cuts.m_jj: got '400 Gev'"),
    ("process.cuts.pt_j", "heavy", "process.cuts.pt_j: got 'heavy'"),
    ("process.cuts.pt_j", ["20 GeV"], "process.cuts.pt_j"),
    ("process.factorisation_scale", "ht", "got 'ht', expected a quantity in GeV, such as '20 GeV' or half_ht or mt"),
    ("process.factorisation_scale", 80.4, "got 80.4, expected a quantity in GeV, such as '20 GeV' or half_ht or mt"),
    ("process.factorisation_scale", "-1 GeV", "got '-1 GeV', expected a quantity above 0 GeV"),
    ("process.factorisation_factor", 0, "process.factorisation_factor"),
    ("models.network.resources", {"memory": "2 h"}, "resources.memory: got '2 h'"),
    ("models.network.resources", {"memory": "0.0 GB"}, "resources.memory: got '0.0 GB'"),
    ("models.network.resources", {"time": "0e3 h"}, "resources.time: got '0e3 h'"),
    ("models.network.resources", {"time": "-2 h"}, "resources.time: got '-2 h'"),
    ("models.network.resources", {"time": "2 GB"}, "resources.time: got '2 GB'"),
    # numbers out of range, and of another kind
    ("process.sqrt_s", "0 TeV", "process.sqrt_s: got '0 TeV', expected a quantity above 0 GeV"),
    ("process.cuts.m_jj", "-0.1 TeV", "process.cuts.m_jj: got '-0.1 TeV', expected a quantity at least 0 GeV"),
    ("seed", -1, "seed"),
    ("seed", "one", "seed"),
    ("events.train.n_events", 0, "events.train.n_events"),
    ("events.train.n_events", 1.5, "events.train.n_events"),
    ("events.train.n_shards", 0, "events.train.n_shards"),
    ("events.train.n_shards", 10**9, "events.train.n_shards"),
    ("events.train.n_events", 10**400, "events.train.n_events"),
    ("sampler.map.sampler.n_bins", 3 * 10**9, "sampler.map.sampler.n_bins"),
    ("models.network.training.n_epochs", 0, "n_epochs"),
    ("models.network.training.learning_rate", -0.1, "learning_rate"),
    ("models.network.training.learning_rate", float("nan"), "learning_rate"),
    ("models.network.training.learning_rate", float("inf"), "learning_rate"),
    ("models.network.model.width", "wide", "width"),
    ("models.network.resources", {"gpu": -1}, "resources.gpu"),
    # names of nothing, upstream sections that are missing, sections that name themselves
    ("process.kind", "wbf", "nothing is called 'wbf'"),
    ("models.network.model.kind", "mpl", "nothing is called 'mpl'; did you mean 'mlp'"),
    ("models.network.events", "tain", "'tain' names no section of 'events'"),
    ("sampler", {}, "names no section of 'sampler'"),
    ("models", {}, "names no section of 'models'"),
    ("draws.network.model", "draws", "names no section of 'models'"),
    ("teachers.network.draws", "teachers", "names no section of 'draws'"),
    ("models.network.features", ["x_p1", "delta_fi"], "has no observable 'delta_fi'"),
    ("models.network.task.parameter", "c_hw", "has no parameter 'c_hw'"),
    ("models.network.features", ["x_p1", "x_p1"], "non-unique"),
    ("models.network.context", ["pt_j9"], "has no context 'pt_j9'"),
    ("models.network.context", ["x_p1"], "x_p1 is also a feature"),
    ("models.network.context", ["eta_j1"], "eta_j1 is an observable, of which the task joint_score learns no function"),
    ("draws.network.test", "train", "draws.network: 'train' and 'test' are both 'train'"),
    ("formulas.formula.select", "train", "formulas.formula: 'train' and 'select' are both 'train'"),
    # expressions that cannot be read, or say nothing of an event
    ("information.main.forms", {"cut_off": "a*x_p1 +"}, "forms.cut_off: 'a*x_p1 +' is no expression (invalid syntax)"),
    ("information.main.forms", {"typo": "a*x_p3"}, "forms.typo: 'a*x_p3' uses no observable"),
    ("information.main.forms", {"deep": "(" * 3000 + "x_p1" + ")" * 3000}, "is no expression"),
    # labels that would reach a path or a shell
    (("events", "a b"), {"sampler": "map", "n_events": 10}, "events.a b"),
    (("events", "$(touch pwned)"), {"sampler": "map", "n_events": 10}, "events.$(touch pwned)"),
    (("events", "'; rm -rf x; '"), {"sampler": "map", "n_events": 10}, "rm -rf x"),
    (("events", "../../x"), {"sampler": "map", "n_events": 10}, "x"),
    ("models.Network", {}, "models.Network"),
    ("models.nétwork", {}, "models.nétwork: not a label"),
    (("events", "x" * 101), {"sampler": "map", "n_events": 10}, "not a label; expected up to 100 lower-case letters"),
    # no study at all
    ("", [], "is not of type 'object'"),
    ("", None, "is not of type 'object'"),
    ("", "a study", "is not of type 'object'"),
    ("events", [], "events"),
    ("models.network", None, "models.network"),
]

# fields that cannot be together: (study that is changed, where, what stands there, what the message says)
IMPOSSIBLE = [
    # more draws than a posterior has: found hours later otherwise
    ("quick", "structures.formula.n_fits", 9, "n_fits: 9 draws are asked for, draws.network.method makes 8"),
    ("wbf_limits", "limits.two.n_members", 16, "n_members: 16 draws are asked for, draws.network_w.method makes 8"),
    ("oracle_ratio", "limits.expected.n_members", 16, "densities.posterior_alices.method makes 10"),
    # means of trainings, where they say nothing or are not known
    (
        "quick",
        "draws.network.method",
        {"kind": "replicas", "n_starts": 2, "is_bootstrapped": False, "training": {"n_epochs": 9}},
        "n_starts is 2 without bootstrap",
    ),
    # rates that are infinite, or known to nobody
    ("wjj", "process.cuts.delta_r_jj", 0, "process: cuts.delta_r_jj is 0, and the rate of 2 jets is infinite there"),
    ("wjj", "process.cuts", {"pt_j": "20 GeV", "abs_eta_j": 5}, "cuts.delta_r_jj is 0"),
    ("zjets_generators", "process.cuts.delta_r_jj", 0, "cuts.delta_r_jj is 0, and the rate of 3 jets"),
    ("wjj", "process.cuts.pt_j", "0 GeV", "process.cuts.pt_j: got '0 GeV', expected a quantity above 0 GeV"),
    ("wjj", "process.scale.value", "1.5 GeV", "scale.value = 1.5 GeV times renormalisation_factor = 1 is outside"),
    ("wjj", "process.scale.value", "-80 GeV", "process.scale.value: got '-80 GeV', expected a quantity above 0 GeV"),
    ("wjj", "process.renormalisation_factor", 0.01, "is outside the range of strong_coupling, 2 to 100000 GeV"),
    ("zj_mixing_angle", "process.renormalisation_factor", 0.01, "goes below 2 GeV, where strong_coupling ends"),
    # cuts that leave nothing of phase space, or more than the beams have
    ("wjj", "process.cuts", {"pt_j": "20 GeV", "abs_eta_j": 1, "delta_r_jj": 4}, "leaves no room for two jets"),
    ("wjj", "process.cuts.pt_j", "6.5 TeV", "need more than sqrt_s = 13000 GeV"),
    ("wjj", "process.cuts.pt_l", "7 TeV", "cuts.pt_l = 7000 GeV is not below half of sqrt_s"),
    ("wjj", "process.sqrt_s", "60 GeV", "need more than sqrt_s = 60 GeV; lower them"),
    ("wjj", "process.m_lv", {"low": "120 GeV", "high": "40 GeV"}, "process.m_lv: low = 120 GeV is not below high"),
    ("zj_mixing_angle", "process.cuts.pt_j", "6.6 TeV", "need more than sqrt_s"),
    ("drell_yan_zprime", "process.cuts.m_ll", "14 TeV", "process: no lepton pair fits"),
    ("drell_yan_zprime", "process.cuts.max_m_ll", "0.3 TeV", "below cuts.max_m_ll = 300.0"),
    ("drell_yan_zprime", "process.cuts.pt_l", "1.1 TeV", "twice cuts.pt_l = 1100 GeV"),
    ("drell_yan_zprime", "process.sqrt_s", "300 GeV", "no lepton pair fits"),
    ("quick", "process.cuts.delta_eta_jj", 12, "leaves no room within |eta_j| < 5"),
    ("quick", "process.sqrt_s", "0.5 TeV", "with a Higgs boson, more than sqrt_s = 500 GeV"),
    ("quick", "process.cuts.pt_j", "7 TeV", "two jets of cuts.pt_j = 7000 GeV"),
    ("zh_d6", "process.sqrt_s", "200 GeV", "need more than sqrt_s = 200 GeV"),
    ("zh_d6", "process.cuts.max_m_zh", "220 GeV", "or cuts.max_m_zh = 220.0 allow"),
    ("zh_d6", "process.cuts.pt_z", "7 TeV", "cuts.pt_z = 7000 GeV"),
    ("zh_d6", "process.decay.m_ll", "116 GeV", "process.decay: m_ll = 116 GeV leaves no room"),
    ("zh_d6", "process.decay.pt_l", "7 TeV", "decay.pt_l = 7000 GeV is not below half"),
    ("tt_spin", "process.sqrt_s", "340 GeV", "below the least mass of a pair, 346 GeV"),
    ("tt_spin", "process.cuts", {"m_tt": "13 TeV"}, "cuts.m_tt = 13000 GeV; raise it"),
    ("tt_spin", "process.decays.pt_j", "6.5 TeV", "add up to more than sqrt_s"),
    # options that need another one, or exclude it
    ("wjj", "process.scale", {"choice": "fixed"}, "process.scale: choice is 'fixed', value is None"),
    ("wjj", "process.scale.choice", "mt", "choice is 'mt', value is 80.419"),
    ("zj_mixing_angle", "process.final_state", "z", "final_state is 'z'"),
    ("zjets_generators", "process.final_state", "muons", "muons need a window m_ll"),
    ("zjets_generators", "process.cuts.pt_l", "10 GeV", "which has no leptons to cut on"),
    ("tt_spin", "process.decays.channel", "hadronic", "process.decays: the channel 'hadronic' has no charged leptons"),
    ("tt_spin", "process.decays.leptons", ["e", "e"], "process.decays: leptons are ('e', 'e')"),
    ("drell_yan_zprime", "process.z_prime", GONE, "parameters move the Z', of which there is none; add z_prime"),
    ("drell_yan_zprime", "process.z_prime.width", "1.5 TeV", "process.z_prime: width = 1500 GeV is not below mass"),
    # parameters that move nothing
    ("quick", "process.parameters.c_wwt", {"c_wwt": "0 TeV^-2"}, "parameters has one that moves nothing"),
    ("wjj", "process.parameters.m_w", "0 GeV", "parameters has a shift of 0 GeV"),
    ("zj_mixing_angle", "process.parameters.sin2", {"sin2_eff": 0}, "parameters has one that moves nothing"),
    ("tt_spin", "process.parameters.c_tg", {"c_tg": "0 TeV^-2"}, "parameters has one that moves nothing"),
    ("drell_yan_zprime", "process.parameters.mass", {}, "process.parameters.mass: the direction moves nothing"),
    # a sampler's own process is held to the same
    (
        "zjets_generators",
        "sampler.one.process.cuts",
        {"pt_j": "7 TeV", "abs_eta_j": 4},
        "sampler.one.process: jets of cuts.pt_j = 7000 GeV",
    ),
    # sections
    ("quick", "events.train", {"sampler": "map", "n_events": 3, "n_shards": 4}, "n_shards is 4, expected no more than"),
    ("wjj", "events.train.theta", {"m_w": [1, -1]}, "events.train: theta is {'m_w': (1, -1)}, expected ranges"),
    (
        "quick",
        "events.train.marginal",
        ["x_p1", "delta_phi"],
        "events.train.marginal: the process knows no exact score",
    ),
    ("oracle_posteriors", "events.train.variations", {"scales": True}, "has neither scales nor parton densities"),
    ("zjets_generators", "events.select.part", 4, "events.select: part is 4, expected one from 0 to n_parts - 1"),
    ("zjets_generators", "events.train_2.where", {"n_jets": [3, 2]}, "expected [low, high] with low <= high"),
    ("zj_systematics", "events.train.nuisances.a_pt.value", [2, 1], "events.train.nuisances.a_pt: value is (2, 1)"),
    ("zjets_generators", "models.transformer.model.n_heads", 3, "width is 32, expected a multiple of n_heads = 3"),
    (
        "zjets_generators",
        "models.transformer.model.bounded",
        {"eta_j1": [4, -4]},
        "expected [low, high] with low < high",
    ),
    ("zjets_generators", "models.transformer.model.lower", {"eta_j1": 1}, "in two of periodic, lower and bounded"),
    ("zj_systematics", "models.flow.model.bounded", {"a_pt": [0, 30]}, "bounded: a_pt is a theory parameter"),
    ("zj_unfolding", "events.train.response", {"pt_j1": {}}, "pt_j1: all parts of the resolution are 0"),
    ("zj_unfolding", "events.train.response", {"pt_j9": {"noise": 1}}, "has no observable 'pt_j9'"),
    ("zj_unfolding", "models.spline_flow.context", ["detector_pt_j2"], "has no context 'detector_pt_j2'"),
    ("zjets_generators", "models.all.model.high", 1, "low = 1 is not below high = 1"),
    ("wbf_limits", "limits.one.range", {"f_wwt": [0.1, 1]}, "expected ranges that hold zero"),
    ("quick", "formulas.formula.selection.domain", {"x_p1": [56, 0.16]}, "expected [least, largest] of each"),
    ("quick", "structures.formula.n_draws", 30, "n_fits is 8, expected at least n_draws, 30"),
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config" / "studies").mkdir(parents=True)
    (tmp_path / "config" / "schema").symlink_to(ROOT / "config" / "schema")
    return tmp_path


def plan(folder, text):
    (folder / "config" / "studies" / "other.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
    Plan(folder, {"studies": ["other"]}).targets()


def changed(where, value, study=QUICK):
    study = copy.deepcopy(study)
    if not where:
        return value
    keys = where.split(".") if isinstance(where, str) else where
    node = study
    for key in keys[:-1]:
        node = node.setdefault(key, {})
    if value is GONE:
        del node[keys[-1]]
    else:
        node[keys[-1]] = value
    return study


@pytest.mark.parametrize(("where", "value", "message"), MALFORMED, ids=lambda item: str(item)[:40])
def test_a_malformed_study_is_refused_by_name(folder, where, value, message):
    with pytest.raises(StudyError) as caught:
        plan(folder, yaml.safe_dump(changed(where, value)))
    assert message in str(caught.value)


@pytest.mark.parametrize(("name", "where", "value", "message"), IMPOSSIBLE, ids=lambda item: str(item)[:40])
def test_fields_that_cannot_be_together_are_refused(folder, name, where, value, message):
    """By the plan, and, of a process, by its spec in the same words: what a job would refuse is refused before."""
    study = yaml.safe_load((ROOT / "config" / "studies" / f"{name}.yaml").read_text())
    wrong = changed(where, value, study)
    with pytest.raises(StudyError) as caught:
        plan(folder, yaml.safe_dump(wrong))
    assert message in str(caught.value)
    _, _, said = str(caught.value).splitlines()[-1].partition(": ")
    if where.startswith("process.") and not said.startswith("got "):
        with pytest.raises(ValueError, match=re.escape(said)):
            load("process", study["process"]["kind"]).model_validate(wrong["process"])


def test_the_study_that_they_are_made_from_is_sound(folder):
    plan(folder, yaml.safe_dump(QUICK))


@pytest.mark.parametrize("scale", ["mt", "half_ht", "1 TeV"])
def test_a_scale_is_a_quantity_or_a_choice(folder, scale):
    plan(folder, yaml.safe_dump(changed("process.factorisation_scale", scale)))


# (what the file holds, what the message says)
NO_STUDIES = [
    ("", "is empty"),
    ("title: [", "not valid YAML"),
    ("a: b: c", "not valid YAML"),
    ("title: !!python/object:os.system x", "not valid YAML"),
    ("\x00", "not valid YAML"),
    ("title: a\nprocess:\n\tkind: x", r"line 3, column 1\). There is a tab; indent with spaces"),
    ("title: a\n---\ntitle: b", "but found another document"),
    ("title: *nothing", "undefined alias"),
    ("when: 2024-13-45", "not valid YAML: month must be"),
    ("seed: 1\ntitle: x\nseed: 2", "the key 'seed' stands twice in one mapping, in lines 1 and 3"),
    ("events: {train: {n_events: 1}, train: {n_events: 2}}", "the key 'train' stands twice"),
    ("&a [*a]", "contains itself by an alias"),
    ("\n".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]" for n in range(9)).replace("*a0", "x"), "aliases"),
    ("[" * 100_000, "more than 100 levels"),
    ("title: F\xf6rster".encode("latin-1"), "byte 8 is no UTF-8 text"),
]


@pytest.mark.parametrize(("content", "message"), NO_STUDIES, ids=lambda item: str(item)[:40])
def test_what_is_no_yaml_of_a_study_is_refused(folder, content, message):
    with pytest.raises(StudyError, match=f"other.yaml: .*{message}"):
        plan(folder, content)


def test_the_workflow_ends_with_the_message_alone(folder):
    (folder / "config" / "studies" / "other.yaml").write_text("title: x\ntitle: y")
    with pytest.raises(SystemExit, match=r"^error: .*other\.yaml: the key 'title' stands twice"):
        planned(folder, {"studies": ["other"]})


def test_a_file_may_begin_with_a_byte_order_mark(folder):
    plan(folder, b"\xef\xbb\xbf" + yaml.safe_dump(QUICK).replace("\n", "\r\n").encode())


def test_a_merged_key_may_be_overridden(folder):
    train = {"train": "&t {sampler: map, n_events: 1000}", "test": "{<<: *t, n_events: 9}"}
    text = yaml.safe_dump({**QUICK, "events": "EVENTS"})
    lines = [f"  {label}: {train.get(label, train['test'])}" for label in ("train", *sorted(QUICK["events"]))]
    plan(folder, text.replace("EVENTS", "\n" + "\n".join(dict.fromkeys(lines))))


@pytest.mark.parametrize("name", ["a b", "x$(touch pwned)", "x'; touch pwned; '", "../quick", "Quick", "", "x\ny"])
def test_a_name_that_would_reach_a_path_or_a_shell_is_refused(folder, name):
    with pytest.raises(StudyError, match="no study can be called"):
        Plan(folder, {"studies": [name]})
