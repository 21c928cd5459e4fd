"""Quantiles of toys, the error of samples, and what the table makes of them."""

import numpy as np
import pytest
from test_predictive import write_events

from saggiatore.errors import StudyError
from saggiatore.infer.truth import exact_quantiles, toy
from saggiatore.job import Job
from saggiatore.registry import load
from saggiatore.steps import amplification
from saggiatore.tables import read_table

SECTION = {
    "events": "train",
    "feature": "x",
    "n_train": 100,
    "n_sets": 2,
    "model": {"kind": "spline_flow", "n_blocks": 2, "n_bins": 4, "width": 4, "depth": 1},
    "training": {"n_epochs": 2, "batch_size": 50},
    "sizes": [50, 2000],
}


def test_quantiles_of_the_ramp_are_roots():
    process = toy(load("process", "ramp")().build())
    np.testing.assert_allclose(exact_quantiles(process, "x", 4), np.sqrt([0, 0.25, 0.5, 0.75, 1]), atol=1e-6)
    np.testing.assert_allclose(exact_quantiles(process, "y", 4), [0, 0.25, 0.5, 0.75, 1], atol=1e-6)


def test_true_events_have_the_expected_error():
    """2000 samples of 100 events: the mean within 5 standard errors of (1/q)(1 - 1/q)/n, and a worth of one."""
    random, quantiles = np.random.default_rng(0), np.linspace(0, 1, 11)
    samples = random.uniform(size=(2000, 100, 2))
    errors = [amplification._error(amplification._fractions(each, "x", quantiles)) for each in samples]
    section = amplification.AmplificationSection.model_validate(SECTION)
    found = amplification._columns({("training", 100): errors}, section)
    assert found["expected"] == pytest.approx([0.09 / 100])
    assert abs(found["error"][0] - found["expected"][0]) < 5 * found["error_error"][0]
    assert abs(found["worth"][0] - 1) < 5 * found["worth_error"][0]


def amplify(folder, process="ramp", **changes):
    section = amplification.AmplificationSection.model_validate(SECTION | changes)
    about = {"study": "s", "stage": "amplification", "label": "a", "seed": 1, "process": {"kind": process}}
    job = Job[amplification.AmplificationSection](**about, section=section)
    out = folder / "out.parquet"
    amplification.run(job, code="c", events=write_events(folder / "events.parquet"), out=out)
    return read_table(out, "amplification").data


@pytest.mark.thorough
def test_every_sample_has_a_row(tmp_path):
    rows = amplify(tmp_path)
    assert list(zip(rows["kind"], rows["n_events"], strict=True)) == [
        *(("training", 100), ("generated", 50), ("generated", 2000), ("density", 0))
    ]
    assert (rows["error"] > 0).all()
    with pytest.raises(StudyError, match="the model is a mlp, expected a density"):
        amplify(tmp_path, model={"kind": "mlp", "width": 4, "depth": 1})


def test_what_cannot_be_amplified_is_refused(tmp_path):
    with pytest.raises(StudyError, match="Asymmetry is not known in closed form"):
        amplify(tmp_path, "asymmetry")
    with pytest.raises(StudyError, match="300 events, 4 trainings need 400"):
        amplify(tmp_path, n_sets=4)
