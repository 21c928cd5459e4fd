"""Step `events-detector`: what a detector measures, beside what is true."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import kstest

from saggiatore.errors import SchemaError
from saggiatore.job import Job
from saggiatore.physics.resolution import Resolution
from saggiatore.steps import events_detector
from saggiatore.steps.events import DetectorEvents
from saggiatore.tables import Column, TableSchema, read_table, write_table

N = 4000
EVENTS = TableSchema(
    "events",
    1,
    (
        Column("weight", "pb", "weight"),
        Column("pt", "GeV", "momentum", "$p_T$"),
        Column("phi", "rad", "angle"),
        Column("joint_score_a", "1", "joint score"),
    ),
)


def measure(folder, response, label="seen"):
    rng = np.random.default_rng(0)
    columns = {"weight": np.full(N, 0.1), "pt": 30 + rng.exponential(50, N), "phi": rng.uniform(-np.pi, np.pi, N)}
    like, out = folder / "like.parquet", folder / f"{label}.parquet"
    write_table(like, EVENTS, columns | {"joint_score_a": rng.normal(size=N)}, {})
    section = DetectorEvents.model_validate({"source": "detector", "like": "true", "response": response})
    job = Job[DetectorEvents](study="s", stage="events", label=label, seed=1, section=section)
    events_detector.run(job, code="c", like=like, out=out)
    return read_table(like, "events"), read_table(out, "events")


def test_the_response_is_normal_and_as_wide_as_stated(tmp_path):
    """Kolmogorov-Smirnov, p > 1e-4, of 4000 pulls with a fixed seed."""
    true, found = measure(tmp_path, {"pt": {"noise": 2, "stochastic": 0.8, "constant": 0.05}})
    pt, seen = true.data["pt"], found.data["detector_pt"]
    width = np.sqrt(4 + 0.64 * pt + (0.05 * pt) ** 2)
    assert kstest((seen - pt) / width, "norm").pvalue > 1e-4
    column = found.column("detector_pt")
    assert (column.unit, column.label) == ("GeV", "$p_T$ (detector)")
    for name in EVENTS.names:
        assert (found.data[name] == true.data[name]).all()


def test_an_angle_stays_on_its_circle(tmp_path):
    true, found = measure(tmp_path, {"phi": {"noise": 0.5}})
    seen = found.data["detector_phi"]
    assert (np.abs(seen) <= np.pi).all()
    turned = np.angle(np.exp(1j * (seen - true.data["phi"])))
    assert np.std(turned) == pytest.approx(0.5, rel=0.05)
    assert (np.abs(seen - true.data["phi"]) > np.pi).any()


def test_every_observable_and_section_has_noise_of_its_own(tmp_path):
    response = {"pt": {"noise": 1}, "phi": {"noise": 0.001}}
    true, found = measure(tmp_path, response)
    _, other = measure(tmp_path, response, "other")
    noise = [found.data["detector_pt"] - true.data["pt"], (found.data["detector_phi"] - true.data["phi"]) / 0.001]
    noise += [other.data["detector_pt"] - true.data["pt"]]
    assert np.abs(np.corrcoef(noise) - np.eye(3)).max() < 5 / N**0.5


def test_what_cannot_be_measured_is_refused(tmp_path):
    with pytest.raises(SchemaError, match="no column 'eta'"):
        measure(tmp_path, {"eta": {"noise": 1}})
    assert not (tmp_path / "seen.parquet").exists()
    with pytest.raises(ValidationError, match="all parts of the resolution are 0"):
        Resolution()
