"""Figures: the same bytes every time, units on the axes, provenance inside, and errors that say what is wrong."""

import subprocess
import sys
from dataclasses import replace

import hist
import numpy as np
import pytest
from matplotlib.legend import Legend
from PIL import Image
from synthetic import write_study

from saggiatore.errors import SchemaError, StudyError
from saggiatore.figures.base import Inputs, central_range, profile, score_range
from saggiatore.figures.distributions import envelope
from saggiatore.figures.style import axis_label, style
from saggiatore.job import Job
from saggiatore.registry import REGISTRY
from saggiatore.steps.figures import FiguresSection, open_inputs, run, upstream
from saggiatore.tables import Column

FIGURES = {
    "accuracy": {
        "accuracy": "main",
        "deltas": "main",
        "shown": ["mlp"],
        "pulls": ["dsi"],
        "sizes": {"dsi": ["mlp", "dsi"]},
    },
    "amplification": {"amplification": "generated"},
    "clusters": {"clusters": "main", "shown": ["spline_flow", "flow_matching"]},
    "contours": {"scan": "one"},
    "control": {"control": "main", "weights": "main", "reliability": "main"},
    "distributions": {"events": "train", "features": ["pt_v", "delta_r_jj"], "log": ["pt_v"]},
    "data_score": {"teacher": "network", "formula": "formula", "exact": "-0.5*x_p1*sin(delta_phi)"},
    "density_pulls": {"predictive": ["density", "density"]},
    "formula": {"scores": "main", "network": "network", "formula": "formula"},
    "front": {"refits": "formula", "information": "main", "network": "network"},
    "hall_of_fame": {"hall_of_fame": "formula", "refits": "formula", "formula": "formula"},
    "history": {"history": "network"},
    "information": {"information": "main"},
    "limits": {"limits": "one", "parameter": "f_w"},
    "observables": {"scores": "main", "of": ["network", "formula"]},
    "posteriors": {"pulls": ["network", "network"], "calibrations": ["network", "network"], "feature": "m_jj"},
    "predictive": {"predictive": ["density"]},
    "pulls": {"pulls": "network", "calibration": "network"},
    "ratio": {"ratios": "main", "log_ratios": "main"},
    "scaling": {"calibrations": ["network", "network"]},
    "score": {"scores": "main", "of": "network"},
    "score_posteriors": {"scores": "main", "of": ["network"], "reference": "formula"},
    "structures": {"structures": "formula", "constants": "formula", "band": "formula"},
}


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"))


def job_of(kind, **fields):
    figure = {"kind": kind, **FIGURES[kind], **fields}
    content = {"study": "toy", "stage": "figures", "label": kind, "seed": 1, "section": {"figure": figure}}
    return Job[FiguresSection].model_validate(content)


def draw(kind, paths, folder, **fields):
    job = job_of(kind, **fields)
    tables = [paths[artefact] for _, artefact in upstream(job.section.figure)]
    run(job, code="0123", tables=tables, pdf=folder / f"{kind}.pdf", png=folder / f"{kind}.png")
    return folder / f"{kind}.pdf", folder / f"{kind}.png"


def test_every_registered_figure_is_tested():
    assert set(FIGURES) == set(REGISTRY["figure"])


QUICK = ("formula", "limits", "structures")  # with mathematics, bars and lines; the others among the thorough tests


@pytest.mark.parametrize("kind", [pytest.param(k, marks=[] if k in QUICK else pytest.mark.thorough) for k in FIGURES])
def test_a_figure_is_the_same_bytes_twice_and_carries_its_origin(kind, paths, tmp_path):
    first, second = draw(kind, paths, tmp_path / "a"), draw(kind, paths, tmp_path / "b")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    pdf, png = first
    content = pdf.read_bytes()
    assert b"CreationDate" not in content
    assert b"ModDate" not in content
    assert b'"code": "0123"' in content.replace(b"\\", b"")
    with Image.open(png) as picture:
        assert '"code": "0123"' in picture.info["Source"]
        assert picture.info["Description"].endswith(".")
        assert min(picture.size) > 400
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 20  # something was drawn


ONE = {"features": ["m_jj"]}
SHOWN = {"shown": [-3, 3]}
FREE = {"profiled": True}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [*((kind, {}) for kind in FIGURES), ("observables", ONE), ("formula", ONE), ("limits", SHOWN), ("contours", FREE)],
)
def test_no_text_overlaps_another_or_leaves_the_page(kind, fields, paths):
    spec = job_of(kind, **fields).section.figure
    with style():
        figure = spec.build().draw(open_inputs(spec, [paths[artefact] for _, artefact in upstream(spec)]))
        figure.draw_without_rendering()
        boxes = [box for axes in figure.get_axes() for box in label_boxes(axes)]
        boxes += [("legend", legend.get_window_extent()) for legend in figure.findobj(Legend)]
    assert boxes
    for text, box in boxes:
        page = figure.bbox.padded(1)
        assert page.contains(*box.min), f"'{text}' leaves the page"
        assert page.contains(*box.max), f"'{text}' leaves the page"
    for place, (text, box) in enumerate(boxes):
        for other, another in boxes[place + 1 :]:
            assert not touch(box, another), f"'{text}' overlaps '{other}'"


def label_boxes(axes):
    """Window boxes of axis labels and visible tick labels, a pixel smaller than they are."""
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        slack = 1e-9 * (high - low)
        ticks = [
            *zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=False),
            *zip(axis.get_minorticklocs(), axis.get_minorticklabels(), strict=False),
        ]
        texts = [text for at, text in ticks if low - slack <= at <= high + slack]
        for text in [axis.label, *texts]:
            if axes.axison and text.get_visible() and text.get_text():
                yield text.get_text(), text.get_window_extent().padded(-1)


def touch(one, other):
    return one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1


def test_axes_carry_the_units_of_the_tables(paths):
    spec = job_of("observables").section.figure
    with style():
        figure = spec.build().draw(open_inputs(spec, [paths["scores"]]))
    labels = {axes.get_xlabel() for axes in figure.get_axes()}
    assert {"$x_{p,1}$", "$m_{jj}$ [GeV]", r"$\Delta\phi_{jj}$ [rad]"} <= labels
    assert "$p(x)$ [GeV$^{-1}$]" in {axes.get_ylabel() for axes in figure.get_axes()}


def test_a_figure_shows_the_features_that_it_is_asked_for(paths):
    spec = job_of("observables", features=["m_jj"]).section.figure
    with style():
        figure = spec.build().draw(open_inputs(spec, [paths["scores"]]))
    assert [axes.get_xlabel() for axes in figure.get_axes()] == ["", "$m_{jj}$ [GeV]"]


def test_what_nuisance_parameters_add_to_contours_is_filled(paths):
    """A band for each level that closes inside the scan, between the lines with them and the thinner ones without."""
    spec = job_of("contours", profiled=True, of=["network"], levels=[0.68, 0.95]).section.figure
    with style():
        left, _ = spec.build().draw(open_inputs(spec, [paths["scan"]])).get_axes()
    assert len(left.patches) == 2
    for band in left.patches:
        outer, inner = (np.abs(part).max() for part in band.get_path().to_polygons())
        assert inner < outer


def test_scaling_starts_its_lines_at_the_fewest_events(paths):
    spec = job_of("scaling").section.figure
    few = open_inputs(spec, [paths["calibration"]] * 2).tables["calibrations.0"]
    many = replace(few, data=few.data.assign(n_train=4000.0, sharpness_stat=0.007))
    with style():
        (axes,) = spec.build().draw(Inputs({"calibrations.0": many, "calibrations.1": few}, {})).get_axes()
    lines = {line.get_label(): line for line in axes.get_lines()}
    np.testing.assert_allclose(lines[r"$1/\sqrt{N}$"].get_xydata(), [(1000, 0.01), (4000, 0.005)])
    np.testing.assert_allclose(lines[r"$\sigma_{\rm stat}$, the statistical part"].get_ydata(), [0.01, 0.007])
    assert set(lines["constant"].get_ydata()) == {0.7}


def test_the_band_of_scales_leaves_members_out_and_momenta_are_not_read(paths):
    inputs = open_inputs(job_of("distributions").section.figure, [paths["events"]])
    table = inputs.tables["events"]
    assert [name for name in table.schema.names if name.startswith("leg")] == []
    axis = hist.axis.Regular(5, 0, 400)
    low, high = envelope(table, axis=axis, column=table.column("pt_v"))
    central = np.histogram(table.data["pt_v"], axis.edges, weights=table.data["weight"])[0]
    np.testing.assert_allclose(low, 0.8 * central)
    np.testing.assert_allclose(high, 1.3 * central)


def test_a_label_has_no_unit_where_there_is_none():
    assert axis_label(Column("x_p1", "1", "", "$x$")) == "$x$"
    assert axis_label(Column("c_w", "TeV^-2", "")) == "c w [TeV$^{-2}$]"


def test_inputs_are_paired_with_fields_by_order():
    fields = list(upstream(job_of("hall_of_fame").section.figure))
    assert fields == [("hall_of_fame", "hall_of_fame"), ("refits", "refits"), ("formula", "formula")]
    assert list(upstream(job_of("formula").section.figure)) == [("scores", "scores")]  # the others name columns


def test_wrong_files_are_refused_with_advice(paths, tmp_path):
    spec = job_of("pulls").section.figure
    with pytest.raises(StudyError, match=r"got 1 files.*expected 2: pulls \(pulls\), calibration"):
        open_inputs(spec, [paths["pulls"]])
    with pytest.raises(SchemaError, match="holds a table 'calibration', expected 'pulls'"):
        open_inputs(spec, [paths["calibration"], paths["pulls"]])
    with pytest.raises(SchemaError, match="no column 'score_flow'; it has x_p1"):
        draw("score", paths, tmp_path, of="flow")
    with pytest.raises(SchemaError, match="no score is called 'flow'; the table has network, formula"):
        draw("front", paths, tmp_path, network="flow")
    with pytest.raises(SchemaError, match=r"has a, which are no features of the teacher, x_p1, delta_phi"):
        draw("data_score", paths, tmp_path, exact="a*x_p1")
    assert not list(tmp_path.iterdir())


def test_a_profile_finds_mean_spread_and_error():
    import hist

    rng = np.random.default_rng(3)
    n = 40_000
    values = rng.uniform(0, 2, n)
    found = profile(values, values + rng.normal(0, 0.5, n), np.full(n, 0.1), hist.axis.Regular(20, 0, 2))
    pull = (found.mean - found.centre) / found.error  # n = 40000 in 20 bins: each mean within 5 of its errors
    assert np.all(np.abs(pull) < 5)
    assert np.std(pull) > 0.4  # the errors are not too large either
    assert np.allclose(found.spread, np.hypot(0.5, 0.1 / 12**0.5), rtol=0.1)


def test_a_range_cuts_long_tails_only():
    rng = np.random.default_rng(4)
    flat = rng.uniform(-np.pi, np.pi, 10_000)
    assert central_range(flat, np.ones(10_000)) == (flat.min(), flat.max())
    tailed = rng.standard_t(2, 10_000)
    low, high = central_range(tailed, np.ones(10_000))
    inside = np.mean((tailed > low) & (tailed < high))
    assert 0.985 < inside < 0.995
    assert central_range(np.ones(5), np.ones(5)) == (0.5, 1.5)


def test_a_range_follows_the_weights():
    """Half of the points carry next to no weight: they move no axis."""
    rng = np.random.default_rng(5)
    bulk, far = rng.normal(size=5000), rng.normal(50, 10, size=5000)
    values, weights = np.concatenate([bulk, far]), np.repeat([1.0, 1e-6], 5000)
    assert central_range(values, weights)[1] < 4
    assert score_range(values, weights)[1] < 4


def test_figures_need_no_jax():
    names = [entry.split(":")[0] for entry in REGISTRY["figure"].values()]
    code = f"import sys, saggiatore.steps.figures, {', '.join(names)}; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
