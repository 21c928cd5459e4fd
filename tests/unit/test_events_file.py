"""Events from files: what `export` writes comes back, with joint scores by morphing; what is wrong is named."""

import gzip
import hashlib
import re

import numpy as np
import pandas as pd
import pytest
from external import file_job, sample_of, write_events

from saggiatore.errors import EmptyRegionError, EventError, SaggiatoreError, SchemaError, StudyError
from saggiatore.steps import events, events_file, export
from saggiatore.tables import read_header, read_table

N_EVENTS = 300
ORACLE = {"kind": "asymmetry"}
POINTS = {"point_1": {"a_fb": 0.5}, "point_2": {"a_fb": -0.5}}
Z_PRIME = {
    "kind": "drell_yan",
    "sqrt_s": "13 TeV",
    "parton_density": "NNPDF31_lo_as_0118",
    "factorisation_scale": "100 GeV",
    "z_prime": {"mass": "400 GeV", "width": "0.5 GeV", "coupling": 0},
    "cuts": {"m_ll": "300 GeV", "max_m_ll": "500 GeV"},
    "parameters": {"strength": {"z_prime_strength": 1}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The oracle's events as a table and as files."""
    made = tmp_path_factory.mktemp("events")
    write_events(made / "events.parquet", ORACLE, N_EVENTS)
    for name in ("events.lhe", "events.lhe.gz"):
        export.run(events=made / "events.parquet", out=made / name, points="a_fb=0.5; a_fb=-0.5; a_fb=0.2")
    for name in ("events.root", "events.csv"):
        export.run(events=made / "events.parquet", out=made / name)
    return made


def read(path, out, process=ORACLE, **section):
    """The table that a section makes of the file `path`."""
    if ".lhe" in path.suffixes:
        section = {"source": "lhe", "benchmarks": POINTS, **section}
    job = file_job(process, **{"source": "flat", "path": str(path), **section})
    events_file.run(job, code="c0de", file=path, out=out, sample=sample_of(out))
    return read_table(out, "events", version=1)


def lhe(tmp_path, folder, edit, name="edited.lhe"):
    """The exported file with its text edited."""
    text = (folder / "events.lhe").read_text()
    changed = edit(text)
    assert changed != text
    (tmp_path / name).write_text(changed)
    return tmp_path / name


def centred(score, weight):
    return score - np.average(score, weights=weight)


def assert_same(found, expected, parameter, rtol=1e-12):
    """Momenta, weights, observables; joint scores up to the sample's d log sigma, which makes their mean zero."""
    for name in expected.columns:
        if "score" not in name and "variance" not in name:
            np.testing.assert_allclose(found[name], expected[name], rtol=rtol, atol=1e-14, err_msg=name)
    direct = centred(expected[f"joint_score_{parameter}"], expected["weight"])
    np.testing.assert_allclose(found[f"joint_score_{parameter}"], direct, rtol=1e-9, atol=1e-9)
    assert (found[f"parton_score_{parameter}"] == found[f"joint_score_{parameter}"]).all()
    assert (found[f"flavour_variance_{parameter}"] == 0).all()


@pytest.mark.parametrize("name", ["events.lhe", "events.lhe.gz"])
def test_the_oracle_comes_back_from_les_houches_files(folder, tmp_path, name, capsys):
    expected = read_table(folder / "events.parquet", "events").data
    table = read(folder / name, tmp_path / "out.parquet")
    assert_same(table.data, expected, "a_fb")
    said = capsys.readouterr().err
    assert "1 weights are not benchmarks of the study: point_3" in said
    assert "negative_fraction 0," in said
    sample = table.provenance["sample"]
    assert sample["n_read"] == sample["n_passed"] == N_EVENTS
    assert sample["negative_fraction"] == 0
    assert sample["cross_section"] == pytest.approx(expected["weight"].sum(), rel=1e-12)
    weight = expected["weight"]
    assert sample["ess_weights"] == pytest.approx(weight.sum() ** 2 / (weight**2).sum(), rel=1e-12)
    assert sample["sha256"] == hashlib.sha256((folder / name).read_bytes()).hexdigest()
    stated = read_table(sample_of(tmp_path / "out.parquet"), "sample").data.iloc[0]
    assert {name: stated[name] for name in stated.index} == {name: sample[name] for name in sample if name != "sha256"}


@pytest.mark.thorough
def test_muon_pairs_come_back_from_les_houches_files(tmp_path):
    """The strength of a Z', in which the rate of each flavour channel is a parabola."""
    write_events(tmp_path / "events.parquet", Z_PRIME, 200)
    export.run(events=tmp_path / "events.parquet", out=tmp_path / "events.lhe.gz", points="strength=0.5; strength=1")
    points = {"point_1": {"strength": 0.5}, "point_2": {"strength": 1}}
    table = read(tmp_path / "events.lhe.gz", tmp_path / "out.parquet", Z_PRIME, benchmarks=points)
    expected = read_table(tmp_path / "events.parquet", "events").data
    assert_same(table.data, expected, "strength")
    table = read(tmp_path / "events.lhe.gz", tmp_path / "averaged", Z_PRIME, benchmarks=points, average_flavours=True)
    shift = np.average(expected["joint_score_strength"], weights=expected["weight"])
    direct = expected["parton_score_strength"] - shift
    np.testing.assert_allclose(table.data["parton_score_strength"], direct, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        table.data["flavour_variance_strength"], expected["flavour_variance_strength"], rtol=1e-8
    )


@pytest.mark.parametrize("name", ["events.root", "events.csv"])
def test_tables_come_back_whole(folder, tmp_path, name):
    """All columns, averages over flavours included, to rounding."""
    expected = read_table(folder / "events.parquet", "events").data
    found = read(folder / name, tmp_path / "out.parquet").data
    np.testing.assert_allclose(found[expected.columns], expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["events.root", "events.csv", "events.lhe.gz"])
def test_parts_of_a_file_do_not_overlap(folder, tmp_path, name):
    """skip and n_events cut the file; each part has the whole cross section."""
    expected = read_table(folder / "events.parquet", "events").data
    first = read(folder / name, tmp_path / "a", n_events=120).data
    second = read(folder / name, tmp_path / "b", skip=120).data
    joined = np.concatenate([first["cos_theta_mu"], second["cos_theta_mu"]])
    np.testing.assert_allclose(joined, expected["cos_theta_mu"], rtol=1e-12)
    if name.endswith("gz"):
        for part in (first, second):
            assert part["weight"].sum() == pytest.approx(expected["weight"].sum(), rel=1e-12)
    else:
        np.testing.assert_allclose(first["weight"] * 120 / N_EVENTS, expected["weight"][:120], rtol=1e-12)
    for skip, n_events in ((N_EVENTS, None), (200, 101)):
        with pytest.raises(StudyError, match=f"holds {N_EVENTS} events, but {skip} are skipped"):
            read(folder / name, tmp_path / "c", skip=skip, n_events=n_events)


def test_weights_and_scores_elsewhere(folder, tmp_path):
    """At 0.2: the weights that the file has there as well, and p(c|A)'s own score."""
    expected = read_table(folder / "events.parquet", "events").data
    table = read(folder / "events.lhe", tmp_path / "out", at={"a_fb": 0.2})
    cos = expected["cos_theta_mu"]
    ratio = 1 + 0.2 * cos / (0.375 * (1 + cos**2))
    np.testing.assert_allclose(table.data["weight"], expected["weight"] * ratio, rtol=1e-10)
    score = cos / (0.375 * (1 + cos**2) + 0.2 * cos)
    np.testing.assert_allclose(
        table.data["joint_score_a_fb"], centred(score, expected["weight"] * ratio), rtol=1e-9, atol=1e-9
    )
    assert (table.data["theta_a_fb"] == 0.2).all()


def test_more_benchmarks_than_needed_are_a_check(folder, tmp_path):
    """With a fourth weight the polynomial is tested; a wrong coefficient in the study shows."""
    right = {**POINTS, "point_3": {"a_fb": 0.2}}
    assert read(folder / "events.lhe", tmp_path / "a", benchmarks=right).provenance["sample"]["residual"] < 1e-12
    wrong = {**POINTS, "point_3": {"a_fb": 0.3}}
    with pytest.raises(EventError, match="from polynomials of degree two"):
        read(folder / "events.lhe", tmp_path / "b", benchmarks=wrong)


def test_averages_over_flavours_need_the_files_amplitudes(folder, tmp_path):
    """The oracle has one flavour: the average is the joint score. Benchmarks of twice the coefficient are wrong."""
    found = read(folder / "events.lhe", tmp_path / "a", average_flavours=True).data
    np.testing.assert_allclose(found["parton_score_a_fb"], found["joint_score_a_fb"], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found["flavour_variance_a_fb"], 0, atol=1e-18)
    twice = {"point_1": {"a_fb": 1.0}, "point_2": {"a_fb": -1.0}}
    with pytest.raises(EventError, match=r"lie 1 \(root mean square, relative\) from those of the file"):
        read(folder / "events.lhe", tmp_path / "b", average_flavours=True, benchmarks=twice)
    with pytest.raises(ValueError, match="they need benchmarks"):
        read(folder / "events.csv", tmp_path / "b", average_flavours=True)


def test_cuts_are_applied_and_reported(folder, tmp_path):
    """The fiducial cross section, its derivative in the joint score included, is that of the events inside."""
    cut = {"kind": "asymmetry", "cuts": {"abs_cos_theta_mu": 0.5}}
    expected = read_table(folder / "events.parquet", "events").data
    inside = expected[np.abs(expected["cos_theta_mu"]) <= 0.5]
    assert 0 < len(inside) < N_EVENTS
    table = read(folder / "events.lhe", tmp_path / "out", cut)
    assert table.provenance["sample"]["passed_fraction"] == len(inside) / N_EVENTS
    np.testing.assert_allclose(table.data["weight"], inside["weight"], rtol=1e-12)
    direct = centred(inside["joint_score_a_fb"], inside["weight"])
    np.testing.assert_allclose(table.data["joint_score_a_fb"], direct, rtol=1e-9, atol=1e-9)
    with pytest.raises(EventError, match=f"{N_EVENTS - len(inside)} of {N_EVENTS} events fail the cuts"):
        read(folder / "events.csv", tmp_path / "flat", cut)
    with pytest.raises(EmptyRegionError, match=f"none of {N_EVENTS} events"):
        read(folder / "events.lhe", tmp_path / "none", {"kind": "asymmetry", "cuts": {"abs_cos_theta_mu": 1e-9}})


def test_negative_weights_are_carried_and_reported(folder, tmp_path):
    """All weights of every tenth event change sign: its joint score stays, sums and effective size follow."""
    numbers = iter(range(10**6))

    def negate(block):
        if next(numbers) % 10:
            return block[0]
        return re.sub(r"(?m)(?<=^  4      1 )(?=\d)|(?<=>)(?=\d)", "-", block[0])

    path = lhe(tmp_path, folder, lambda text: re.sub(r"<event>.*?</event>", negate, text, flags=re.DOTALL))
    expected = read_table(folder / "events.parquet", "events").data
    sign = np.where(np.arange(N_EVENTS) % 10, 1, -1)
    table = read(path, tmp_path / "out")
    factor = expected["weight"].sum() / (sign * expected["weight"]).sum()
    np.testing.assert_allclose(table.data["weight"], sign * expected["weight"] * factor, rtol=1e-12)
    direct = centred(expected["joint_score_a_fb"], sign * expected["weight"])
    np.testing.assert_allclose(table.data["joint_score_a_fb"], direct, rtol=1e-9, atol=1e-9)
    sample = table.provenance["sample"]
    assert sample["negative_fraction"] == 0.1
    lost = expected["weight"][::10].sum() / expected["weight"].sum()
    assert sample["negative_weight_fraction"] == pytest.approx(lost, rel=1e-12)
    mine = table.data["weight"]
    assert sample["ess_weights"] == pytest.approx(mine.sum() ** 2 / (mine**2).sum(), rel=1e-12)


def swap(old, new, count=1):
    return lambda text: text.replace(old, new, count)


def drop_weights(text):
    return re.sub(r"<rwgt>.*?</rwgt>\n", "", text, flags=re.DOTALL)


def line_of(event, place, edit):
    """Edit words of one line of one event (numbers from 1; line 0 is the event's own)."""

    def apply(text):
        parts = text.split("<event>")
        lines = parts[event].split("\n")
        words = lines[place + 1].split()
        edit(words)
        lines[place + 1] = " ".join(words)
        return "<event>".join([*parts[:event], "\n".join(lines), *parts[event + 1 :]])

    return apply


def put(**words):
    return lambda line: [line.__setitem__(int(place.strip("_")), value) for place, value in words.items()]


BAD_FILES = {
    "no end": (lambda text: text.removesuffix("</LesHouchesEvents>"), "behind event 300 .*truncated or damaged"),
    "cut inside an event": (lambda text: text[: text.rindex("<rwgt>")], "behind event 299 .*truncated"),
    "no weights": (drop_weights, "event 1 has no weight 'point_1'.*carries no <rwgt>"),
    "another name": (
        lambda text: text.replace("id='point_2'", "id='point_02'"),
        "event 1 has no weight 'point_2'.*did you mean 'point_02'",
    ),
    "a lost weight": (
        lambda text: re.sub(r" <wgt id='point_1'>[^\n]*\n(?!.*id='point_1')", "", text, flags=re.DOTALL),
        "event 300 has no weight 'point_1'",
    ),
    "a NaN weight": (line_of(7, 0, put(_2="nan")), "1 of 300 events have a weight that is NaN.*events 7 of"),
    "NaN at a benchmark": (
        lambda text: re.sub(r"(<wgt id='point_1'>)[^<]*", r"\1inf", text, count=12),
        "12 of 300 events.*events 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ... of",
    ),
    "other particles": (line_of(5, 3, put(_0="15")), r"event 5 is 11 -11 > 15 -13 .*11 -11 > -13 13"),
    "too many particles": (
        lambda text: text.replace("\n<rwgt>", "\n22 1 1 2 0 0 0. 0. 1. 1. 0. 0. 9.\n<rwgt>", 1),
        "event 1 is 11 -11 > 13 -13 22 .*has 4 legs",
    ),
    "a NaN momentum": (line_of(9, 3, put(_6="nan")), r"event 9: particle 3 \(PDG 13\) is not finite"),
    "a negative energy": (line_of(9, 4, put(_9="-3")), "event 9: particle 4 .*no positive energy"),
    "an off-shell leg": (line_of(9, 4, put(_9="50")), "event 9: particle 4 .*off shell.*mass that the file states"),
    "a lost momentum": (line_of(2, 4, put(_8="0", _10="45.6")), "event 2: .*"),
    "no cross section": (lambda text: re.sub(r"(<init>\n.*\n)\S+", r"\g<1>0.0", text), "cross section of 0.0 pb"),
    "no header": (lambda text: "nothing " + text, "no readable Les Houches file"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_refused(folder, tmp_path, name):
    """What came and where; no table is left."""
    edit, message = BAD_FILES[name]
    path = lhe(tmp_path, folder, edit)
    with pytest.raises((EventError, StudyError), match=f"(?s){message}"):
        read(path, tmp_path / "out")
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_a_broken_archive_is_refused(folder, tmp_path):
    path = tmp_path / "events.lhe.gz"
    whole = (folder / "events.lhe.gz").read_bytes()
    for size in (10, len(whole) // 2, len(whole) - 4):
        path.write_bytes(whole[:size])
        with pytest.raises(EventError, match=r"truncated or damaged|no readable"):
            read(path, tmp_path / "out")
    path.write_bytes(whole[:-40] + bytes(20) + whole[-20:])
    with pytest.raises(EventError, match="truncated or damaged"):
        read(path, tmp_path / "out")
    with pytest.raises(StudyError, match=r"cannot be read \(No such file"):
        read(tmp_path / "none.lhe", tmp_path / "out")


def test_benchmarks_are_checked_before_the_file_is_opened(tmp_path):
    for points, message in (
        ({"point_1": {"a_fb": 0.5}}, r"determine 2 of the 3 terms.*Undetermined: -0\.5\*a_fb \+1\*a_fb\^2"),
        ({"point_1": {"a_fb": 0.5}, "point_2": {"b": 1}}, r"name \['b'\]"),
    ):
        with pytest.raises(StudyError, match=message):
            read(tmp_path / "none.lhe", tmp_path / "out", benchmarks=points)


def test_bad_tables_are_refused(folder, tmp_path):
    """Missing columns, other definitions, NaN, no numbers, a tree of another name."""
    data = pd.read_csv(folder / "events.csv", float_precision="round_trip")

    def refuse(changed, error, message):
        changed.to_csv(tmp_path / "bad.csv", index=False)
        with pytest.raises(error, match=message):
            read(tmp_path / "bad.csv", tmp_path / "out")

    refuse(data.rename(columns={"leg2_pz": "leg2_z"}), SchemaError, "no column 'leg2_pz'; did you mean 'leg2_z'")
    refuse(data.assign(cos_theta_mu=-data["cos_theta_mu"]), EventError, "event 1: the file's column 'cos_theta_mu'")
    refuse(data.assign(weight=data["weight"].where(data.index != 3)), EventError, "1 of 300 events.*: events 4 of")
    refuse(data.assign(leg0_pdg=11.5), SchemaError, "event 1 has the PDG numbers")
    refuse(data.assign(leg0_e="many"), SchemaError, "must be numbers")
    (tmp_path / "bad.root").write_bytes((folder / "events.root").read_bytes()[:2000])
    with pytest.raises(SaggiatoreError):
        read(tmp_path / "bad.root", tmp_path / "out")


def test_a_table_with_weights_at_benchmarks_is_morphed(folder, tmp_path):
    """A colleague's table without scores, but with weights: the same as from the Les Houches file."""
    data = pd.read_csv(folder / "events.csv", float_precision="round_trip")
    for name, point in POINTS.items():
        cos = data["cos_theta_mu"]
        data[name] = data["weight"] * (1 + point["a_fb"] * cos / (0.375 * (1 + cos**2)))
    data.drop(columns=[name for name in data.columns if "score" in name or "theta_a" in name]).to_csv(
        tmp_path / "mine.csv", index=False, float_format="%.17g"
    )
    found = read(tmp_path / "mine.csv", tmp_path / "out", benchmarks=POINTS).data
    assert_same(found, read_table(folder / "events.parquet", "events").data, "a_fb")


def test_the_joined_table_keeps_what_was_found(folder, tmp_path):
    """The step `events` takes the file for its only shard."""
    job = file_job(ORACLE, source="lhe", path="events.lhe", benchmarks=POINTS)
    events_file.run(
        job,
        code="c",
        file=folder / "events.lhe",
        out=tmp_path / "file.parquet",
        sample=sample_of(tmp_path / "file.parquet"),
    )
    events.run(job, code="d", shards=[tmp_path / "file.parquet"], out=tmp_path / "events.parquet")
    schema, header = read_header(tmp_path / "events.parquet", "events")
    assert header["sample"]["n_passed"] == N_EVENTS
    meanings = {column.name: column.meaning for column in schema.columns}
    assert "other flavours are not known" in meanings["parton_score_a_fb"]
    first = (tmp_path / "file.parquet").read_bytes()
    events_file.run(
        job,
        code="c",
        file=folder / "events.lhe",
        out=tmp_path / "file.parquet",
        sample=sample_of(tmp_path / "file.parquet"),
    )
    assert (tmp_path / "file.parquet").read_bytes() == first


MADGRAPH = """<LesHouchesEvents version="3.0">
<header>
<!-- a comment -->
<MG5ProcCard><![CDATA[generate p p > mu+ mu- & more <cards> ]]></MG5ProcCard>
<initrwgt>
<weightgroup name='mg_reweighting' weight_name_strategy='includeIdInWeightName'>
<weight id='half'>set param_card frblock 1 0.5</weight>
<weight id='one'>set param_card frblock 1 1.0</weight>
</weightgroup>
</initrwgt>
</header>
<init>
2212 2212 6.500000e+03 6.500000e+03 0 0 247000 247000 -4 1
1.500000e+00 1.0e-02 1.500000e+00 1
<generator name='MadGraph5_aMC@NLO' version='3.5.7'>please cite 1405.0301 </generator>
</init>
<event>
 5      1 +1.5000000e+00 4.00000000e+02 7.54677100e-03 1.18000000e-01
        2 -1    0    0  501    0 +0.0000000000e+00 +0.0000000000e+00 +1.0000000000e+02 1.0000000000e+02 0.0e+00 0. -1.
       -2 -1    0    0    0  501 -0.0000000000e+00 -0.0000000000e+00 -4.0000000000e+02 4.0000000000e+02 0.0000e+00 0. 1.
       23  2    1    2    0    0 +0.0000000000e+00 +0.0000000000e+00 -3.0000000000e+02 5.0000000000e+02 4.0000e+02 0. 0.
      -13  1    3    3    0    0 +2.0000000000e+02 +0.0000000000e+00 -1.5000000000e+02 2.5000000000e+02 0.0000e+00 0. 1.
       13  1    3    3    0    0 -2.0000000000e+02 +0.0000000000e+00 -1.5000000000e+02 2.5000000000e+02 0.0e+00 0. -1.
<mgrwt>
<rscale>  0 0.40000000E+03</rscale>
</mgrwt>
<rwgt>
<wgt id='half'> +1.75e+00 </wgt>
<wgt id='one'> +2.50e+00 </wgt>
</rwgt>
</event>
</LesHouchesEvents>
"""


def test_madgraphs_dialect_is_read(tmp_path):
    """Cards, intermediate particles, clustering blocks; the positive muon first."""
    (tmp_path / "unweighted_events.lhe").write_text(MADGRAPH)
    points = {"half": {"strength": 0.5}, "one": {"strength": 1}}
    found = read(tmp_path / "unweighted_events.lhe", tmp_path / "out", Z_PRIME, benchmarks=points, at={"strength": 1})
    (row,) = found.data.to_dict("records")
    assert [row[f"leg{leg}_pdg"] for leg in range(4)] == [2, -2, 13, -13]
    assert row["leg2_px"] == -200
    assert row["weight"] == pytest.approx(2.5)
    assert row["m_ll"] == pytest.approx(400)
    assert row["joint_score_strength"] == pytest.approx(0, abs=1e-12)  # of one event: its own mean


def test_another_collider_and_other_parameters_are_refused(tmp_path):
    path = tmp_path / "unweighted_events.lhe"
    path.write_text(MADGRAPH)
    points = {"half": {"strength": 0.5}, "one": {"strength": 1}}
    with pytest.raises(StudyError, match=r"13000 GeV together.*sqrt_s = 14000 GeV"):
        read(path, tmp_path / "out", {**Z_PRIME, "sqrt_s": "14 TeV"}, benchmarks=points)
    mixing = {**Z_PRIME, "parameters": {"strength": {"sin2_theta_w": 0.01}}}
    with pytest.raises(StudyError, match="no polynomial of degree two in strength"):
        read(path, tmp_path / "out", mixing, benchmarks=points)


def test_files_of_any_beam_order_are_read(folder, tmp_path):
    """The parton along +z comes first, whichever the file lists first."""
    parts = (folder / "events.lhe").read_text().split("<event>")

    def turn(part):
        lines = part.split("\n")
        return "\n".join([*lines[:2], lines[3], lines[2], *lines[4:]])

    (tmp_path / "turned.lhe").write_text("<event>".join([parts[0], *map(turn, parts[1:])]))
    found = read(tmp_path / "turned.lhe", tmp_path / "out").data
    assert_same(found, read_table(folder / "events.parquet", "events").data, "a_fb")


def test_zipped_or_not_is_told_by_content(folder, tmp_path):
    (tmp_path / "plain.lhe.gz").write_bytes(gzip.decompress((folder / "events.lhe.gz").read_bytes()))
    assert len(read(tmp_path / "plain.lhe.gz", tmp_path / "out").data) == N_EVENTS


@pytest.mark.thorough
def test_six_coefficients_come_back_from_les_houches_files(tmp_path):
    """Weak-boson fusion with all operators: 28 terms of each event's weight."""
    names = ("c_w", "c_b", "c_ww", "c_bb", "c_wwt", "c_bbt")
    directions = ("f_w", "f_b", "f_ww", "f_bb", "f_wwt", "f_bbt")
    process = {
        "kind": "wbf_higgs",
        "sqrt_s": "14 TeV",
        "parton_density": "NNPDF31_lo_as_0118",
        "factorisation_scale": "80.4 GeV",
        "cuts": {"pt_j": "20 GeV", "abs_eta_j": 5, "delta_eta_jj": 2, "m_jj": "400 GeV"},
        "parameters": {name: {to: "1 TeV^-2"} for name, to in zip(names, directions, strict=True)},
    }
    random = np.random.default_rng(3)
    points = [dict(zip(names, values, strict=True)) for values in random.integers(-10, 11, (29, 6)).tolist()]
    text = "; ".join(",".join(f"{name}={value}" for name, value in point.items()) for point in points)
    write_events(tmp_path / "events.parquet", process, 100)
    export.run(events=tmp_path / "events.parquet", out=tmp_path / "events.lhe.gz", points=text)
    benchmarks = {f"point_{number}": point for number, point in enumerate(points, start=1)}
    table = read(tmp_path / "events.lhe.gz", tmp_path / "out", process, benchmarks=benchmarks)
    assert table.provenance["sample"]["n_spare_benchmarks"] == 2
    assert table.provenance["sample"]["residual"] < 1e-12
    expected = read_table(tmp_path / "events.parquet", "events").data
    for name in names:
        direct = centred(expected[f"joint_score_{name}"], expected["weight"])
        size = np.abs(direct).max()
        np.testing.assert_allclose(table.data[f"joint_score_{name}"], direct, rtol=1e-8, atol=1e-9 * size)
