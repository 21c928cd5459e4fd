"""Events carry weights at other scales: they sum to the cross section there, and leave with the events."""

import pandas as pd
import pylhe
import pytest

from saggiatore.errors import StudyError
from saggiatore.job import Job
from saggiatore.steps import events_shard, export, sampler
from saggiatore.steps.events import EventsSection
from saggiatore.steps.sampler import SamplerSection
from saggiatore.tables import read_table

pytestmark = pytest.mark.thorough

SCALE = 100.0  # GeV
PROCESS = {
    "kind": "drell_yan",
    "sqrt_s": "13 TeV",
    "parton_density": "NNPDF31_lo_as_0118",
    "factorisation_scale": f"{SCALE} GeV",
    "cuts": {"m_ll": "60 GeV", "max_m_ll": "120 GeV"},
    "parameters": {"z_prime": {"z_prime_strength": 0.01}},
    "z_prime": {"mass": "1 TeV", "width": "30 GeV", "coupling": 0},
}
VEGAS = {"kind": "vegas", "n_bins": 16, "n_iterations": 3, "n_points": 16384, "n_cube_points": 16384, "max_cubes": 81}
WEIGHTS = {"weight": 1, "weight_muf0p5": 0.5, "weight_muf2": 2}


def job_of(stage, section, process):
    content = {"study": "toy", "stage": stage, "label": "map", "seed": 1, "section": section, "process": process}
    return Job[SamplerSection if stage == "sampler" else EventsSection].model_validate(content)


def cross_section(folder, process):
    """Cross section (pb) and its error, as the sampler's step measures them."""
    section = {"sampler": VEGAS, "n_integral": 300_000}
    paths = {"grid": folder / "grid.parquet", "integral": folder / "integral.parquet"}
    sampler.run(job_of("sampler", section, process), code="c", **paths)
    row = read_table(paths["integral"], "integral").data.iloc[0]
    return row["cross_section"], row["cross_section_error"], paths


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    folder = tmp_path_factory.mktemp("varied")
    *_, paths = cross_section(folder, PROCESS)
    section = {"sampler": "map", "n_events": 20_000, "variations": {"scales": True}}
    events_shard.run(job_of("events", section, PROCESS), code="c", shard=0, out=folder / "events.parquet", **paths)
    return folder / "events.parquet"


@pytest.mark.parametrize("factor", [0.5, 2])
def test_varied_weights_sum_to_the_cross_section_there(events, tmp_path, factor):
    """n = 20,000 events against an integral at the other scale; five standard errors, 6e-7 a failure, two tests."""
    data = pd.read_parquet(events)
    expected, error, _ = cross_section(tmp_path, PROCESS | {"factorisation_scale": f"{factor * SCALE} GeV"})
    name = next(name for name, each in WEIGHTS.items() if each == factor)
    ratio, central = data[name] / data["weight"], data["weight"].sum()
    uncertainty = ((central * ratio.std() / len(ratio) ** 0.5) ** 2 + error**2 + (1e-3 * central) ** 2) ** 0.5
    assert abs(data[name].sum() - expected) < 5 * uncertainty
    assert abs(expected / central - 1) > 0.05  # the variation is far from one: the test can fail


def test_they_leave_with_the_events(events, tmp_path):
    export.run(events=events, out=tmp_path / "events.lhe")
    data, file = pd.read_parquet(events), pylhe.LHEFile.fromfile(tmp_path / "events.lhe")
    for row, event in zip(data[:50].itertuples(), file.events, strict=False):
        for name in list(WEIGHTS)[1:]:
            assert event.weights[name] == pytest.approx(getattr(row, name) * len(data), rel=1e-12)


def test_what_has_no_scales_has_no_variations(tmp_path):
    process, paths = {"kind": "asymmetry"}, {name: tmp_path / name for name in ("grid", "integral")}
    job = job_of("events", {"sampler": "map", "n_events": 10, "variations": {"scales": True}}, process)
    with pytest.raises(StudyError, match="neither scales nor parton densities"):
        events_shard.run(job, code="c", shard=0, out=tmp_path / "out.parquet", **paths)
    assert not (tmp_path / "out.parquet").exists()
