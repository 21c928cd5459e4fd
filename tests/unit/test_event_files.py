"""`export`: event tables become files that pylhe, Pythia, uproot and pandas read, and nothing is lost on the way."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pylhe
import pytest
import pythia8mc
import uproot
from external import file_job, sample_of

from saggiatore.errors import SchemaError, StudyError
from saggiatore.integrate.events import Draw, events_schema, generate
from saggiatore.integrate.integral import CrossSection
from saggiatore.integrate.vegas import VegasSpec
from saggiatore.physics.wbf_higgs import WbfHiggsSpec
from saggiatore.steps import events_file
from saggiatore.steps.export import parameter_points, run
from saggiatore.tables import write_batches

N_EVENTS = 300
SIGMA = 2.0  # pb, whatever: weights are shares of it
PROCESS = {
    "kind": "wbf_higgs",
    "sqrt_s": "14 TeV",
    "parton_density": "NNPDF31_lo_as_0118",
    "factorisation_scale": "80.4 GeV",
    "cuts": {"pt_j": "20 GeV", "abs_eta_j": 5, "delta_eta_jj": 2, "m_jj": "400 GeV"},
    "parameters": {"c_wwt": {"c_wwt": "1 TeV^-2"}},
}


INTEGRATION = 0.3  # relative error of the cross section that the events are normalised to


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Weighted events of weak-boson fusion, from a sampler that knows nothing."""
    path = tmp_path_factory.mktemp("events") / "events.parquet"
    process = WbfHiggsSpec.model_validate(PROCESS).build()
    curve = CrossSection(jnp.array(SIGMA), jnp.zeros(1), jnp.zeros((1, 1)))
    zero = jnp.zeros(1)
    draw = Draw(process, VegasSpec().build(process.dim), curve, zero, zero, jnp.ones(()), jnp.ones(())).weighted(0.5)
    blocks = generate(draw, N_EVENTS, N_EVENTS, key=jax.random.key(1))
    spec = WbfHiggsSpec.model_validate(PROCESS).model_dump(mode="json")
    origin = {
        "spec": {"process": spec, "study": "test", "label": "events"},
        "code": "0" * 16,
        "integration": INTEGRATION,
    }
    write_batches(path, events_schema(process), blocks, origin)
    return path


def momenta(data: pd.DataFrame) -> np.ndarray:
    """Shape (event, leg, 4)."""
    return data[[f"leg{i}_{part}" for i in range(5) for part in ("e", "px", "py", "pz")]].to_numpy().reshape(-1, 5, 4)


@pytest.mark.parametrize("name", ["events.lhe", "events.lhe.gz"])
def test_a_les_houches_file_holds_the_table(table, tmp_path, name):
    """All digits of momenta and weights; those at theta = 1 and -1 lie on a parabola with the joint score as slope."""
    run(events=table, out=tmp_path / name, points="c_wwt=1; c_wwt=-1")
    data, file = pd.read_parquet(table), pylhe.LHEFile.fromfile(tmp_path / name)
    found = list(file.events)
    assert len(found) == N_EVENTS
    parts = [[[p.e, p.px, p.py, p.pz] for p in event.particles] for event in found]
    np.testing.assert_array_equal(np.array(parts), momenta(data))
    pdg = [[p.id for p in event.particles] for event in found]
    np.testing.assert_array_equal(pdg, data[[f"leg{i}_pdg" for i in range(5)]])
    assert {event.eventinfo.scale for event in found} == {80.4}
    weights = np.array([event.eventinfo.weight for event in found])
    np.testing.assert_allclose(weights, data["weight"] * N_EVENTS, rtol=1e-15)
    assert file.init.procInfo[0].xSection == pytest.approx(data["weight"].sum(), rel=1e-7)
    scatter = N_EVENTS**0.5 * data["weight"].std(ddof=0)
    expected = np.hypot(INTEGRATION * data["weight"].sum(), scatter)  # independent: of the integral, and of the sum
    assert file.init.procInfo[0].error == pytest.approx(expected, rel=1e-9)
    up, down = (np.array([event.weights[point] for event in found]) for point in ("point_1", "point_2"))
    np.testing.assert_allclose((up - down) / (2 * weights), data["joint_score_c_wwt"], rtol=1e-8, atol=1e-10)


def test_a_les_houches_file_comes_back(table, tmp_path):
    """Weak-boson fusion, all flavour channels: joint scores by morphing are the amplitudes' own, up to their mean."""
    run(events=table, out=tmp_path / "events.lhe.gz", points="c_wwt=1; c_wwt=-1")
    points = {"point_1": {"c_wwt": 1}, "point_2": {"c_wwt": -1}}
    job = file_job(PROCESS, source="lhe", path="events.lhe.gz", benchmarks=points)
    events_file.run(
        job,
        code="c",
        file=tmp_path / "events.lhe.gz",
        out=tmp_path / "back.parquet",
        sample=sample_of(tmp_path / "back.parquet"),
    )
    data, found = pd.read_parquet(table), pd.read_parquet(tmp_path / "back.parquet")
    for name in data.columns:
        if "score" not in name and "variance" not in name:
            np.testing.assert_allclose(found[name], data[name], rtol=1e-12, err_msg=name)
    direct = data["joint_score_c_wwt"] - np.average(data["joint_score_c_wwt"], weights=data["weight"])
    np.testing.assert_allclose(found["joint_score_c_wwt"], direct, rtol=1e-9, atol=1e-8)


def test_colours_are_conserved(table, tmp_path):
    """Every line has two ends, and no leg has the colour that its PDG number forbids."""
    run(events=table, out=tmp_path / "events.lhe")
    for event in pylhe.LHEFile.fromfile(tmp_path / "events.lhe").events:
        ends: dict[int, float] = {}
        for particle in event.particles:
            is_quark, is_coloured = particle.id > 0, abs(particle.id) < 7
            assert (particle.color1 > 0) == (is_coloured and is_quark)
            assert (particle.color2 > 0) == (is_coloured and not is_quark)
            for number, sign in ((particle.color1, 1), (particle.color2, -1)):
                if number:
                    ends[number] = ends.get(number, 0) + sign * particle.status
        assert set(ends.values()) == {0}


def test_pythia_showers_the_events(table, tmp_path):
    """Every event is read, with its weight, and hadronised without an error."""
    run(events=table, out=tmp_path / "events.lhe")
    generator = pythia8mc.Pythia("", False)
    for setting in ("Beams:frameType = 4", f"Beams:LHEF = {tmp_path / 'events.lhe'}", "Print:quiet = on"):
        generator.readString(setting)
    assert generator.init()
    n_read = 0
    while generator.next():
        n_read += 1
        assert any(particle.id() == 25 for particle in generator.process)
    assert n_read == N_EVENTS
    expected = pd.read_parquet(table)["weight"].sum()
    assert generator.infoPython().sigmaGen() * 1e9 == pytest.approx(expected, rel=1e-6)


def test_root_and_csv_hold_the_table(table, tmp_path):
    data = pd.read_parquet(table)
    run(events=table, out=tmp_path / "events.csv")
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "events.csv", float_precision="round_trip"), data, check_dtype=False
    )
    run(events=table, out=tmp_path / "events.root")
    with uproot.open(tmp_path / "events.root") as file:
        tree = file["events"]
        assert tree.num_entries == N_EVENTS
        assert "weight [pb]" in tree.title
        for name in data.columns:
            np.testing.assert_array_equal(tree[name].array(library="np"), data[name])


def test_the_same_table_gives_the_same_bytes(table, tmp_path):
    for name in ("a.lhe.gz", "b.lhe.gz"):
        run(events=table, out=tmp_path / name)
    assert (tmp_path / "a.lhe.gz").read_bytes() == (tmp_path / "b.lhe.gz").read_bytes()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("c_ww=1", "no parameter is called 'c_ww'; there are c_wwt"),
        ("c_wwt", "not name=number"),
        ("c_wwt=inf", "finite"),
    ],
)
def test_bad_points_are_refused(text, message):
    with pytest.raises(StudyError, match=message):
        parameter_points(text, ("c_wwt",))


def test_bad_requests_leave_no_file(table, tmp_path):
    for name, points, error in (
        ("events.hepmc", "", StudyError),
        ("events.csv", "c_wwt=1", StudyError),
        ("events.lhe", "x=1", StudyError),
    ):
        with pytest.raises(error):
            run(events=table, out=tmp_path / name, points=points)
    (tmp_path / "no.parquet").write_bytes(b"PAR1")
    with pytest.raises(SchemaError):
        run(events=tmp_path / "no.parquet", out=tmp_path / "events.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["no.parquet"]
