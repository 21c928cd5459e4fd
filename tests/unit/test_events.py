"""The sampler and event steps, on the oracle: shares, provenance, order, and refusal of what does not belong."""

import json

import numpy as np
import pytest

from saggiatore.errors import EmptyRegionError, EventError, SchemaError, StudyError
from saggiatore.job import Job
from saggiatore.physics.asymmetry import Asymmetry, AsymmetrySpec
from saggiatore.steps import events, events_shard, sampler
from saggiatore.steps.events import EventsSection
from saggiatore.steps.sampler import SamplerSection
from saggiatore.tables import read_header, read_table

PROCESS = {"kind": "asymmetry"}
VEGAS = {"kind": "vegas", "n_bins": 8, "n_iterations": 1, "n_points": 1000, "n_cube_points": 1000, "max_cubes": 16}


def sampler_job(process=PROCESS, study="toy", **section):
    content = {"sampler": VEGAS, "n_integral": 1000, **section}
    return Job[SamplerSection].model_validate(
        {"study": study, "stage": "sampler", "label": "map", "seed": 1, "section": content, "process": process}
    )


def events_job(label="train", seed=1, process=PROCESS, **section):
    content = {"sampler": "map", "n_events": 103, "n_shards": 4, **section}
    return Job[EventsSection].model_validate(
        {"study": "toy", "stage": "events", "label": label, "seed": seed, "section": content, "process": process}
    )


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    paths = {"grid": folder / "map.grid.parquet", "integral": folder / "map.integral.parquet"}
    sampler.run(sampler_job(), code="c0de", **paths)
    return paths


def shards(job, maps, folder, code="c0de"):
    paths = [folder / f"{job.label}-{number}.parquet" for number in range(job.section.n_shards)]
    for number, path in enumerate(paths):
        events_shard.run(job, code=code, shard=number, out=path, **maps)
    return paths


@pytest.fixture(scope="module")
def four(maps, tmp_path_factory):
    return shards(events_job(), maps, tmp_path_factory.mktemp("shards"))


def test_each_shard_has_its_share(four):
    assert [len(read_table(path, "events").data) for path in four] == [26, 26, 26, 25]


def test_shards_are_joined_by_number_and_not_by_order(four, maps, tmp_path):
    for name, order in (("a", [0, 1, 2, 3]), ("b", [2, 0, 3, 1])):
        events.run(events_job(), code="j01n", shards=[four[i] for i in order], out=tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    joined = read_table(tmp_path / "a", "events", version=1)
    expected = np.concatenate([read_table(path, "events").data["cos_theta_mu"] for path in four])
    np.testing.assert_array_equal(joined.data["cos_theta_mu"], expected)
    assert len(np.unique(expected)) == 103  # no stream twice
    assert joined.data["weight"].sum() == pytest.approx(1, abs=1e-2)
    assert joined.provenance["spec"]["section"]["n_events"] == 103
    row = read_table(maps["integral"], "integral").data.iloc[0]
    assert joined.provenance["integration"] == row["cross_section_error"] / row["cross_section"] > 0


def test_columns_have_units_and_meanings(four):
    schema, header = read_header(four[2], "events", version=1)
    columns = {column.name: column for column in schema.columns}
    assert columns["weight"].unit == "pb"
    assert columns["leg3_pz"].unit == "GeV"
    assert {"theta_a_fb", "joint_score_a_fb", "cos_theta_mu"} <= set(columns)
    assert all(column.meaning for column in columns.values())
    assert header["shard"] == 2


def test_the_same_seed_gives_the_same_bytes(maps, four, tmp_path):
    again = shards(events_job(), maps, tmp_path)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in four]
    other = shards(events_job(seed=2), maps, tmp_path)
    first, second = (read_table(path, "events").data["cos_theta_mu"] for path in (four[0], other[0]))
    assert not np.isin(first, second).any()


def test_sampler_artefacts_are_reproducible(maps, tmp_path):
    sampler.run(sampler_job(), code="c0de", grid=tmp_path / "grid", integral=tmp_path / "integral")
    assert (tmp_path / "grid").read_bytes() == maps["grid"].read_bytes()
    assert (tmp_path / "integral").read_bytes() == maps["integral"].read_bytes()


def test_theta_of_the_study_is_the_events_own(maps, tmp_path):
    fixed, drawn = tmp_path / "fixed", tmp_path / "drawn"
    events_shard.run(events_job(theta={"a_fb": 0.3}, n_shards=1), code="c", shard=0, out=fixed, **maps)
    events_shard.run(events_job(theta={"a_fb": [-0.5, 0.5]}, n_shards=1), code="c", shard=0, out=drawn, **maps)
    assert (read_table(fixed, "events").data["theta_a_fb"] == 0.3).all()
    theta = read_table(drawn, "events").data["theta_a_fb"]
    assert -0.5 <= theta.min() < -0.3
    assert 0.3 < theta.max() <= 0.5


@pytest.mark.parametrize(
    ("choose", "message"),
    [
        (lambda four: four[:3], r"shards \[3\] of events.train did not come"),
        (lambda four: [*four, four[1]], "shard 1 came twice"),
        (lambda four: [], r"shards \[0, 1, 2, 3\]"),
    ],
)
def test_a_missing_or_doubled_shard_is_refused(four, tmp_path, choose, message):
    with pytest.raises(SchemaError, match=message):
        events.run(events_job(), code="c", shards=choose(four), out=tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_shard_of_other_events_is_refused(maps, four, tmp_path):
    (stranger,) = shards(events_job(label="test", n_events=26, n_shards=1), maps, tmp_path)
    with pytest.raises(SchemaError, match="not a shard of events"):
        events.run(events_job(), code="c", shards=[stranger, *four[1:]], out=tmp_path / "out")
    with pytest.raises(SchemaError, match="not a shard"):
        events.run(events_job(seed=7), code="c", shards=four, out=tmp_path / "out")


def test_shards_of_different_code_are_refused(maps, four, tmp_path):
    others = shards(events_job(), maps, tmp_path, code="newer")
    with pytest.raises(SchemaError, match="different code"):
        events.run(events_job(), code="c", shards=[*four[:3], others[3]], out=tmp_path / "out")


def test_another_processs_sampler_is_refused(maps, tmp_path):
    cut = {"kind": "asymmetry", "cuts": {"abs_cos_theta_mu": 0.5}}
    with pytest.raises(SchemaError, match="made for process"):
        events_shard.run(events_job(process=cut), code="c", shard=0, out=tmp_path / "out", **maps)
    with pytest.raises(SchemaError, match="made for label"):
        events_shard.run(events_job(sampler="other"), code="c", shard=0, out=tmp_path / "out", **maps)


def test_bad_jobs_are_refused(maps, tmp_path):
    with pytest.raises(StudyError, match="shard 4 came, expected one from 0 to 3"):
        events_shard.run(events_job(), code="c", shard=4, out=tmp_path / "out", **maps)
    with pytest.raises(StudyError, match=r"theta names \['b'\]"):
        events_shard.run(events_job(theta={"b": 1.0}), code="c", shard=0, out=tmp_path / "out", **maps)
    with pytest.raises(EventError, match="negative"):
        events_shard.run(events_job(theta={"a_fb": [1, 2]}), code="c", shard=0, out=tmp_path / "out", **maps)
    with pytest.raises(ValueError, match="low < high"):
        events_job(theta={"a_fb": [0.5, -0.5]})
    with pytest.raises(ValueError, match="no more than the 3 events"):
        events_job(n_events=3)
    assert not list(tmp_path.iterdir())


class Empty(Asymmetry):
    """The oracle with cuts that nothing passes."""

    def accepts(self, momenta):
        return momenta[0, 0] < 0


@pytest.mark.thorough
def test_a_parameter_that_is_not_quadratic_cannot_be_moved(tmp_path):
    """The cross section is known to second order about zero only; at zero, events are drawn."""
    process = {
        "kind": "drell_yan",
        "sqrt_s": "13 TeV",
        "parton_density": "NNPDF31_lo_as_0118",
        "factorisation_scale": "100 GeV",
        "cuts": {"m_ll": "60 GeV", "max_m_ll": "120 GeV"},
        "parameters": {"mixing": {"sin2_theta_w": 0.01}},
    }
    paths = {"grid": tmp_path / "grid.parquet", "integral": tmp_path / "integral.parquet"}
    sampler.run(sampler_job(process), code="c", **paths)
    for theta in (0.5, [-0.5, 0.5]):
        job = events_job(process=process, theta={"mixing": theta})
        with pytest.raises(StudyError, match=r"theta moves \['mixing'\].*no polynomial"):
            events_shard.run(job, code="c", shard=0, out=tmp_path / "out", **paths)
    events_shard.run(
        events_job(process=process, theta={"mixing": 0.0}), code="c", shard=0, out=tmp_path / "out", **paths
    )
    assert len(read_table(tmp_path / "out", "events").data) == 26


def test_an_empty_region_names_its_cuts(tmp_path, monkeypatch):
    process = Empty(45.6, 1.0, parameters=("a_fb",), quadratic=("a_fb",), channels=((11, -11, 13, -13),))
    monkeypatch.setattr(AsymmetrySpec, "build", lambda spec: process)
    with pytest.raises(EmptyRegionError, match=r"passes the cuts.*abs_cos_theta_mu"):
        sampler.run(sampler_job(), code="c", grid=tmp_path / "grid", integral=tmp_path / "integral")
    assert not list(tmp_path.iterdir())


def test_a_job_survives_its_json():
    job = events_job(theta={"a_fb": [-0.5, 0.5]})
    assert Job[EventsSection].model_validate(json.loads(job.model_dump_json())) == job
