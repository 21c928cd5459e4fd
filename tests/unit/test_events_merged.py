"""Mixtures of events: in proportion to the cross sections, zero where there is nothing, parts that share no event."""

import numpy as np
import pytest
from pydantic import ValidationError

from saggiatore.errors import StudyError
from saggiatore.job import Job
from saggiatore.steps import events_merged
from saggiatore.steps.events import MergedEvents
from saggiatore.tables import Column, TableSchema, read_table, write_table

GENERATOR = {"kind": "transformer", "n_parameters": 3}


def source(folder, name, sigma, n, jets, theta=0.0, spread=0.0):
    """n events of a cross section, each with a serial number in `pt_j1`."""
    columns = {"weight": np.full(n, sigma / n) * (1 + spread * np.arange(n)), "theta_a": np.full(n, theta)}
    columns |= {"joint_score_a": np.ones(n), "leg0_e": np.ones(n), "n_jets": np.full(n, jets)}
    columns |= {f"pt_j{i + 1}": 10000.0 * jets + np.arange(n) for i in range(jets)}
    columns = {key: values.astype(float) for key, values in columns.items()}
    schema = TableSchema("events", 1, tuple(Column(key, "pb" if key == "weight" else "1", key) for key in columns))
    path = folder / f"{name}.parquet"
    write_table(path, schema, columns, {"generator": GENERATOR} if jets == 1 else {})
    return path


def merge(folder, sources, **options):
    labels = [path.stem for path in sources]
    section = MergedEvents.model_validate({"source": "merged", "of": labels, "n_events": 500} | options)
    job = Job[MergedEvents](study="s", stage="events", label="mixed", seed=1, section=section)
    events_merged.run(job, code="c", sources=sources, out=folder / "out.parquet")
    return read_table(folder / "out.parquet", "events")


@pytest.fixture
def sources(tmp_path):
    """One jet with 30 pb and two with 10 pb."""
    return [source(tmp_path, "one", 30.0, 2000, 1), source(tmp_path, "two", 10.0, 900, 2)]


def test_a_mixture_follows_the_cross_sections(tmp_path, sources):
    """A quarter with two jets within five standard errors; observables alone, zero where a jet is missing."""
    table = merge(tmp_path, sources)
    assert table.schema.names == ("weight", "theta_a", "n_jets", "pt_j1", "pt_j2")
    assert "generator" not in table.provenance
    found = table.data
    assert len(found) == 500
    assert found["weight"].sum() == pytest.approx(40.0)
    assert abs((found["n_jets"] == 2).mean() - 0.25) < 5 * (0.25 * 0.75 / 500) ** 0.5
    assert ((found["pt_j2"] == 0) == (found["n_jets"] == 1)).all()
    assert (found["pt_j1"] // 10000 == found["n_jets"]).all()
    assert found["pt_j1"].is_unique
    assert found["n_jets"].iloc[:100].nunique() == 2  # the first events are a mixture too


def test_parts_share_no_event(tmp_path, sources):
    parts = [set(merge(tmp_path, sources, n_parts=3, part=part).data["pt_j1"]) for part in range(3)]
    assert len(set.union(*parts)) == 1500
    with pytest.raises(ValidationError, match="expected one from 0 to n_parts - 1, and n_parts is 3"):
        merge(tmp_path, sources, n_parts=3, part=3)


def test_a_selection_keeps_its_share_of_the_cross_section_and_its_generator(tmp_path, sources):
    found = merge(tmp_path, sources[:1], where={"pt_j1": [10000, 10499]})
    assert found.data["weight"].sum() == pytest.approx(7.5)
    assert sorted(found.data["pt_j1"]) == list(range(10000, 10500))
    assert found.provenance["generator"] == GENERATOR


def test_what_cannot_be_mixed_is_refused(tmp_path, sources):
    with pytest.raises(StudyError, match=r"900 events of 'two' came, the mixture needs 1\d\d\d"):
        merge(tmp_path, [source(tmp_path, "one", 10.0, 9000, 1), sources[1]], n_events=3000)
    with pytest.raises(StudyError, match="theta_a differs"):
        merge(tmp_path, [sources[0], source(tmp_path, "moved", 10.0, 900, 2, theta=0.5)])
    with pytest.raises(StudyError, match="weighted events"):
        merge(tmp_path, [source(tmp_path, "weighted", 10.0, 900, 2, spread=1.0)])


def test_a_nuisance_reweights_a_shape(tmp_path, sources):
    """Each value weighs the same; at one value the weights are those of the formula, over their mean."""
    nuisance = {"observable": "pt_j1", "origin": 9000, "scale": 1000, "value": [0, 30]}
    found = merge(tmp_path, sources, nuisances={"a_pt": nuisance})
    data = found.data
    assert data["weight"].sum() == pytest.approx(40.0)
    assert data["theta_a_pt"].between(0, 30).all()
    assert data["theta_a_pt"].nunique() == 500
    square = ((data["pt_j1"] - 9000) / 1000) ** 2
    expected = (1 + data["theta_a_pt"] * square) / (1 + data["theta_a_pt"] * square.mean())
    np.testing.assert_allclose(data["weight"] / data["weight"].mean(), expected / expected.mean())
    fixed = merge(tmp_path, sources, nuisances={"a_pt": nuisance | {"value": 2}}).data
    np.testing.assert_allclose(fixed["weight"] / (1 + 2 * square), fixed["weight"].sum() / (1 + 2 * square).sum())
    for wrong, message in (({"observable": "m_jj"}, "have no m_jj"), ({"value": [2, 1]}, "low <= high")):
        with pytest.raises((StudyError, ValidationError), match=message):
            merge(tmp_path, sources, nuisances={"a_pt": nuisance | wrong})
    with pytest.raises(StudyError, match="a is a theory parameter"):
        merge(tmp_path, sources, nuisances={"a": nuisance})
