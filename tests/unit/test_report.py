"""The page of a study: all that it promises is there, it is one file, and a browser asks nobody for anything."""

import html
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.figure
import pytest
from test_crate import CITATION, record

import chromium
from saggiatore.errors import SchemaError
from saggiatore.figures.base import save
from saggiatore.report.graph import draw, duration, nodes
from saggiatore.report.page import render
from saggiatore.steps.report import run

needs_chromium = pytest.mark.skipif(
    chromium.PROGRAM is None, reason="no Chromium on the PATH; on Debian: apt-get install chromium"
)
TITLE = 'A <toy> study & its "formula"'
STUDY = f"""\
title: {json.dumps(TITLE)}
seed: 1
process: {{kind: asymmetry, cuts: {{abs_cos_theta_mu: 1}}}}
events: {{train: {{sampler: map, n_events: 1000}}}}
figures: {{score: {{figure: {{kind: score, scores: main}}}}}}
"""
INFORMATION = {
    "information.formula": {"value": 0.954, "error": 0.003, "unit": "1", "artefact": "tables/main.information.parquet"},
    "information.network": {
        "value": 0.999999,
        "error": 4e-9,
        "unit": "1",
        "artefact": "tables/main.information.parquet",
    },
}
NUMBERS = {name: {**entry, "meaning": "share of E[t^2]"} for name, entry in INFORMATION.items()}
FORMULA = {
    "parameter": "a_fb",
    "engine": {"name": "operon", "version": "1"},
    "constants": {"a": [2.667, 0.011]},
    "artefact": "formulas/formula.formula.json",
    "text": "a*cos_theta_mu",
    "latex": r"\frac{2.667(11)\,\cos\theta_\mu}{1 + x^{2}}",
    "complexity": 3,
}
STRUCTURES = [
    {
        **{"text": "k*x", "form": "a*x", "latex": latex, "complexity": 3, "n_free": 1, "n_draws": n_draws},
        **{"probability": [own, 0.2], "probability_pooled": [pooled, 0.2], "information_select": [0.94, 0.005]},
        "is_formula": is_formula,
    }
    for latex, n_draws, own, pooled, is_formula in (
        (r"2.0(1)\,x", 3, 0.75, 0.7, 0),
        (r"1.0(1)\,x^{2}", 1, 0.25, 0.3, 1),
    )
]
INTERVALS = [
    {
        **{"name": name, "kind": kind, "parameter": "a_fb", "with_rate": 0, "level": level, "low": -high, "high": high},
        **{"is_bounded": is_bounded, "is_linear": is_bounded},
    }
    for name, kind, high, is_bounded in (("rate", "rate", 9.0, 0), ("network", "model", 0.125, 1))
    for level, high in ((0.68, high / 2), (0.95, high))
]
NUMBERS |= {
    "structures.main.constant.a": {**INFORMATION["information.formula"], "meaning": "constant a"},
    "structures.main.band_structure": {**INFORMATION["information.formula"], "value": 0.03, "meaning": "width"},
    "limits_coverage.one.network.shape.95": {**INFORMATION["information.formula"], "meaning": "coverage"},
}


@pytest.fixture
def page(tmp_path, monkeypatch):
    """The page of a toy study, in a folder as a job sees it."""
    monkeypatch.chdir(tmp_path)
    folder = Path("results/toy")
    figure = matplotlib.figure.Figure(figsize=(4, 3))
    figure.subplots().plot([0, 1], [0, 1])
    (folder / "figures").mkdir(parents=True)
    save(figure, folder / "figures/score.pdf", folder / "figures/score.png", title="t", caption="c", provenance={})
    drawn = {"files": {"figures/score.pdf": "0", "figures/score.png": "0"}, "caption": "The score, 0.954 ± 0.003."}
    header = {"commit": "0" * 40, "code": "0123", "versions": {"saggiatore": "0.1.0", "jax": "0.10.2"}}
    document = {"header": header, "numbers": NUMBERS, "formulas": {"formula": FORMULA}, "figures": {"score": drawn}}
    document["on_request"] = [{"what": "generators", "target": "results/toy/tables/main.generator_comparison.tex"}]
    document["structures"] = {"main": STRUCTURES}
    document["limits"] = {"one": {"luminosity": 300.0, "efficiency": 0.0023, "intervals": INTERVALS}}
    (folder / "numbers.json").write_text(json.dumps(document))
    table, png = f"{folder}/tables/main.information.parquet", f"{folder}/figures/score.png"
    jobs = {
        "events.train.shard-0": record("events-shard", [], [f"{folder}/events/train/shard-0.parquet"], 0),
        "events.train.shard-1": record("events-shard", [], [f"{folder}/events/train/shard-1.parquet"], 1),
        "events.train": record(
            "events",
            [f"{folder}/events/train/shard-{n}.parquet" for n in (0, 1)],
            [f"{folder}/events/train.parquet"],
            3,
        ),
        "information.main": record("information", [f"{folder}/events/train.parquet"], [table], 5),
        "figures.score": record("figures", [f"{folder}/spec/figures.score.json", table], [png], 7),
        "numbers": record("numbers", [table, png], [f"{folder}/numbers.json"], 9),
    }
    (folder / "logs").mkdir()
    for name, each in jobs.items():
        (folder / "logs" / f"{name}.log").write_text("record: " + json.dumps(vars(each)))
    Path("toy.yaml").write_text(STUDY)
    Path("CITATION.cff").write_text(CITATION)
    return build(folder / "report.html")


def build(out):
    folder = out.parent
    run(
        study=Path("toy.yaml"),
        citation=Path("CITATION.cff"),
        code="4567",
        numbers=folder / "numbers.json",
        figures=[folder / "figures/score.png"],
        logs=folder / "logs",
        out=out,
    )
    return out


class Outline(HTMLParser):
    """Tags, identifiers and addresses of a page; every tag that opens is closed."""

    VOID = ("meta", "link", "img", "br")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.ids, self.addresses = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.addresses += [(tag, attributes[name]) for name in ("src", "href") if name in attributes]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_has_what_it_promises(page):
    text = page.read_text()
    outline = Outline(text)
    assert outline.open == []
    assert {"math", "mfrac", "svg", "figure", "img", "table"} <= set(outline.tags)
    assert "A &lt;toy&gt; study &amp; its" in text
    for part in ("2.667 ± 0.011", "0.954 ± 0.003", "cuts.abs_cos_theta_mu", "make STUDY=toy", "reproduce toy.zip"):
        assert part in text
    assert "Drawn from <code>tables/main.information.parquet</code>" in text
    assert "<code>snakemake --cores 2 results/toy/tables/main.generator_comparison.tex</code>" in text
    assert "all jobs together took 9.0 s" in text
    assert "0" * 40 in text
    assert "jax" in text


def part(text, name):
    """The section of a page below a heading, as it reads without its tags."""
    found = re.search(rf'<h2 id="{name}">(.*?)<h2 ', text, re.DOTALL)[1]
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", found))


def test_the_posterior_over_formulas_is_shown(page):
    text = part(page.read_text(), "structures")
    assert "Each of 4 draws" in text
    assert "0.70 ± 0.20 0.75 ± 0.20 0.940 ± 0.005 3" in text
    assert text.count("the structure of the formula above") == 1
    assert "between structures 3.0%" in text


def test_limits_are_shown_the_narrowest_first(page):
    text = part(page.read_text(), "limits")
    assert "300 fb −1 and an efficiency of 0.0023" in text
    assert "network (model) −0.0625 to 0.0625 −0.125 to 0.125 0.9540 ± 0.0030 rate" in text
    assert "−9.0 to 9.0†‡" in text
    assert "† An end is that of the range" in text


def test_a_study_without_limits_and_structures_has_no_such_sections(page):
    numbers = page.parent / "numbers.json"
    numbers.write_text(json.dumps(json.loads(numbers.read_text()) | {"structures": {}, "limits": {}}))
    outline = Outline(build(page).read_text())
    assert not {"structures", "limits", "#structures", "#limits"} & {*outline.ids, *(at for _, at in outline.addresses)}


def test_every_link_inside_leads_somewhere_and_none_loads_anything(page):
    outline = Outline(page.read_text())
    assert len(outline.ids) == len(set(outline.ids))
    for tag, address in outline.addresses:
        if address.startswith("#"):
            assert address[1:] in outline.ids
        else:
            assert address.startswith("data:") or tag == "a"
    assert "script" not in outline.tags


def test_the_same_records_give_the_same_bytes(page):
    first = page.read_bytes()
    assert build(page).read_bytes() == first
    (page.parent / "logs" / "numbers.log").unlink()
    assert build(page).read_bytes() != first


def test_without_records_the_page_says_so(page):
    shutil.rmtree(page.parent / "logs")
    assert "The logs hold no records of the jobs" in build(page).read_text()


def test_numbers_that_cannot_be_read_are_refused(page):
    (page.parent / "numbers.json").write_text("{}")
    with pytest.raises(SchemaError, match=r"no readable numbers.json"):
        build(page)


def test_shards_are_one_box_and_only_the_nearest_are_joined():
    jobs = {
        "a.x.shard-0": record("a-shard", [], ["s0"], 0),
        "a.x.shard-1": record("a-shard", [], ["s1"], 2),
        "a.x": record("a", ["s0", "s1"], ["x"], 4),
        "b.y": record("b", ["x"], ["y"], 6),
        "numbers": record("numbers", ["x", "y"], ["n"], 8),
        "spec.a.x": record("spec", [], ["x.json"], 0),
    }
    graph = {node.name: node for node in nodes(jobs)}
    assert list(graph) == ["a.x.shards", "a.x", "b.y", "numbers"]
    assert (graph["a.x.shards"].n_jobs, graph["a.x.shards"].seconds) == (2, 3.0)
    assert graph["numbers"].above == ("a.x", "b.y")
    assert [node.level for node in graph.values()] == [0, 1, 2, 3]
    assert draw(list(graph.values())).count('class="edge"') == 3


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.44, "2.4 s"), (59.94, "59.9 s"), (200, "3 min 20 s"), (3900, "1 h 05 min")]
)
def test_durations_are_read_at_a_glance(seconds, text):
    assert duration(seconds) == text


def test_a_page_that_lacks_something_is_not_rendered():
    with pytest.raises(Exception, match="is undefined"):
        render({"title": "half"})


@needs_chromium
@pytest.mark.thorough
def test_a_browser_shows_it_and_asks_nobody(page, tmp_path):
    """No request, no message on the console; and both are noticed where a page has them."""
    assert chromium.complaints(page, tmp_path / "1") == []
    assert chromium.requests(page, tmp_path / "2", tmp_path / "net.json") == set()
    bad = tmp_path / "bad.html"
    bad.write_text("<img src='http://saggiatore.invalid/x.png'><script>console.log('complaint')</script>")
    assert chromium.complaints(bad, tmp_path / "3")
    assert chromium.requests(bad, tmp_path / "4", tmp_path / "bad.json") == {"http://saggiatore.invalid/x.png"}


@needs_chromium
@pytest.mark.thorough
@pytest.mark.parametrize("width", [1280, 390, 320])
def test_nothing_is_wider_than_the_window_and_every_figure_is_seen(page, tmp_path, width):
    """Measured in the browser from the frame around it: Chromium's own windows are never as narrow as a phone."""
    shown = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    probe = (
        "addEventListener('load', () => { const d = frames[0].document;"
        "const seen = [...d.images].every(i => i.complete && i.naturalWidth > 0 && i.clientWidth > 100);"
        "document.title = JSON.stringify([d.documentElement.scrollWidth, frames[0].innerWidth, seen,"
        "d.querySelector('math').getBoundingClientRect().height]) })"
    )
    framed = tmp_path / "framed.html"
    framed.write_text(
        f"<meta charset=utf-8><title></title><script>{probe}</script>"
        f'<iframe style="width: {width}px; height: 1000px; border: 0" srcdoc="{html.escape(shown)}"></iframe>'
    )
    dom, _ = chromium.run(framed, tmp_path / "profile", "--dump-dom", width=width + 100)
    content, window, is_seen, height = json.loads(re.search(r"<title>(.*?)</title>", dom)[1])
    assert window == width
    assert content <= window
    assert is_seen
    assert height > 30, "the fraction is set as a fraction"
