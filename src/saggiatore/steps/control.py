"""Hold generated events against true ones: distances, classifiers and their weights, one row a generator."""

from itertools import combinations
from pathlib import Path

import numpy as np
from pydantic import Field

from saggiatore.errors import SchemaError
from saggiatore.files import atomic
from saggiatore.infer import distances
from saggiatore.infer.control_tables import CONTROL, MARGINALS, RELIABILITY, WEIGHTS
from saggiatore.infer.weight_clusters import CLUSTERS, Events
from saggiatore.infer.weight_clusters import clusters as clusters_of
from saggiatore.infer.weight_tails import TAILS
from saggiatore.infer.weight_tails import tails as tails_of
from saggiatore.job import Job
from saggiatore.models.base import AbstractRegression
from saggiatore.number import rounded
from saggiatore.provenance import provenance
from saggiatore.spec import EventsLabel, Label, ModelLabel, Section, Spec
from saggiatore.tables import Table, read_table, write_table
from saggiatore.tabular import tabular
from saggiatore.tasks.classifier import logits as logits_of
from saggiatore.tasks.classifier import require_classifier

_TABLES = {schema.name: schema for schema in (CONTROL, MARGINALS, WEIGHTS, RELIABILITY, TAILS, CLUSTERS)}
_MOST_APART = 0.05  # what unweighting leaves above the maximum weight: every event counts as one here
_SHOWN = (
    *("wasserstein", "wasserstein_reweighted", "kolmogorov_smirnov", "chi2", "chi2_reweighted", "chi2_2d"),
    *("auc", "weight_std", "weight_max", "kept"),
)
_EDGES = np.linspace(-1.5, 1.5, 151)  # of log10 w


class Entry(Spec):
    """Events that are held against the true ones."""

    name: Label
    events: EventsLabel = Field(description="events that neither the classifier nor the generator was trained on")
    classifier: ModelLabel = Field(description="classifier of true against such events")


class ControlSection(Section):
    """A comparison of generators. An entry with events of the process itself shows the statistical limit."""

    truth: EventsLabel = Field(description="true events that no network was trained on")
    entries: tuple[Entry, ...] = Field(min_length=1)
    n_bins: int = Field(50, ge=2, le=10_000, description="bins of a feature, equally filled")
    n_bins_2d: int = Field(15, ge=2, le=1000, description="bins along each of two features")
    n_bins_tails: int = Field(10, ge=2, le=1000, description="bins of a feature in which the tails of w are looked for")
    tail: float = Field(0.01, gt=0, lt=0.5, description="fraction of the generated events in either tail of w")
    n_clusters: int = Field(3, ge=1, le=100, description="clusters in phase space that each tail of w is divided into")
    n_bins_reliability: int = Field(8, ge=2, le=10_000, description="bins of the classifier's D, equally filled")


def run(
    job: Job[ControlSection],
    *,
    code: str,
    truth: Path,
    events: list[Path],
    classifiers: list[Path],
    control: Path,
    marginals: Path,
    weights: Path,
    reliability: Path,
    tails: Path,
    clusters: Path,
    latex: Path,
) -> None:
    """Write the six tables, and the first of them for a paper.

    Raises:
        StudyError: if a model is no classifier.
        SchemaError: if events carry different weights.
    """
    section, true = job.section, _unweighted(truth)
    rows: dict[str, list[dict]] = {name: [] for name in _TABLES}
    for entry, path, model in zip(section.entries, events, classifiers, strict=True):
        seed = job.stream(entry.name)
        for name, found in _compare(section, true, _unweighted(path), *require_classifier(model), seed).items():
            rows[name] += [{"name": entry.name, **row} for row in found]
    made = provenance(job.model_dump(mode="json"), code)
    paths = (control, marginals, weights, reliability, tails, clusters)
    for schema, path in zip(_TABLES.values(), paths, strict=True):
        columns = {name: [row[name] for row in rows[schema.name]] for name in schema.names}
        write_table(path, schema, columns, made)
    with atomic(latex) as temporary:
        temporary.write_text(_latex(rows["control"]), encoding="utf-8")


def _compare(
    section: ControlSection, true: Table, other: Table, classifier: AbstractRegression, names: list[str], seed: int
) -> dict[str, list[dict]]:
    """Rows of every table for one entry, without its name."""
    x_true, x_other = true.array(names), other.array(names)
    logits = logits_of(classifier, x_true), logits_of(classifier, x_other)
    found = _marginals(names, x_true, x_other, section.n_bins)
    pairs = [
        distances.chi2_per_bin(x_true[:, pair], x_other[:, pair], section.n_bins_2d)
        for pair in map(list, combinations(range(len(names)), 2))
    ]
    generator = other.provenance.get("generator", {"kind": "truth", "n_parameters": 0})
    curve = distances.reliability(logits[0], logits[1], section.n_bins_reliability)
    return {
        "control": [
            {**generator, **_summary(found, pairs, *logits), **_reweighted(section, x_true, x_other, logits[1])}
        ],
        "marginals": found,
        "weights": _weight_bins(*logits),
        "tails": _tails(section, true, other, names, logits[1]),
        "clusters": clusters_of(
            [true.column(name) for name in names],
            x_true,
            Events(x_other, logits[1]),
            section.n_clusters,
            section.tail,
            seed=seed,
        ),
        "reliability": [dict(zip(curve, values, strict=True)) for values in zip(*curve.values(), strict=True)],
    }


def _tails(section: ControlSection, true: Table, other: Table, names: list[str], log_weight: np.ndarray) -> list[dict]:
    found: list[dict] = []
    for name in names:
        values = (true.data[name].to_numpy(dtype=float), other.data[name].to_numpy(dtype=float))
        found += tails_of(true.column(name), *values, log_weight, section.n_bins_tails, section.tail)
    return found


def _unweighted(path: Path) -> Table:
    table = read_table(path, "events")
    weight = table.data["weight"].to_numpy()
    apart = np.abs(weight - np.median(weight)).sum() / weight.sum()
    if apart > _MOST_APART:
        raise SchemaError(
            f"{path}: the events carry different weights; a comparison of samples needs unweighted ones. {apart:.3g} "
            f"of the rate lies in differences from the median weight, at most {_MOST_APART} can be left out of account."
        )
    return table


def _marginals(names: list[str], true: np.ndarray, other: np.ndarray, n_bins: int) -> list[dict]:
    return [
        {
            "feature": name,
            "wasserstein": distances.wasserstein(true[:, i], other[:, i]),
            "kolmogorov_smirnov": distances.kolmogorov_smirnov(true[:, i], other[:, i]),
            "chi2": distances.chi2_per_bin(true[:, [i]], other[:, [i]], n_bins),
        }
        for i, name in enumerate(names)
    ]


def _summary(marginals: list[dict], pairs: list[float], true: np.ndarray, other: np.ndarray) -> dict:
    area, w = distances.area_under_curve(true, other), np.exp(other)
    return {
        "n_events": len(other),
        "wasserstein": np.mean([row["wasserstein"] for row in marginals]),
        "kolmogorov_smirnov": max(row["kolmogorov_smirnov"] for row in marginals),
        "chi2": np.mean([row["chi2"] for row in marginals]),
        "chi2_2d": np.mean(pairs) if pairs else marginals[0]["chi2"],
        "auc": area.value,
        "auc_error": area.error,
        "weight_mean": w.mean(),
        "weight_std": w.std(),
        "weight_max": w.max(),
        "kept": w.sum() ** 2 / (len(w) * (w**2).sum()),
    }


def _reweighted(section: ControlSection, true: np.ndarray, other: np.ndarray, log_weight: np.ndarray) -> dict:
    """Distances of the generated events that carry w: what is left is what the classifier does not see."""
    w = np.exp(log_weight)
    columns = list(zip(true.T, other.T, strict=True))
    chi2 = [distances.chi2_per_bin(a[:, None], b[:, None], section.n_bins, w) for a, b in columns]
    return {
        "wasserstein_reweighted": np.mean([distances.wasserstein(a, b, w) for a, b in columns]),
        "chi2_reweighted": np.mean(chi2),
    }


def _weight_bins(true: np.ndarray, other: np.ndarray) -> list[dict]:
    """Fractions of both samples in bins of log10 w; what lies beyond the outermost edges counts in the last bins."""
    counts = [np.histogram(np.clip(values / np.log(10), _EDGES[0], _EDGES[-1]), _EDGES)[0] for values in (other, true)]
    fractions = [count / count.sum() for count in counts]
    errors = [np.sqrt(count) / count.sum() for count in counts]
    names = ("low", "high", "generated", "generated_error", "true", "true_error")
    columns = (_EDGES[:-1], _EDGES[1:], fractions[0], errors[0], fractions[1], errors[1])
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _latex(rows: list[dict]) -> str:
    """A tabular, one row an entry."""
    labels = {column.name: column.label for column in CONTROL.columns}
    cells = []
    for row in rows:
        value, error = rounded(row["auc"], row["auc_error"])
        shown = {name: f"{row[name]:.3g}" for name in _SHOWN} | {"auc": rf"${value} \pm {error}$"}
        names = [str(row[name]).replace("_", r"\_") for name in ("name", "kind")]
        cells.append([*names, str(row["n_parameters"]), *shown.values()])
    header = ["", labels["kind"], labels["n_parameters"], *(labels[name] for name in _SHOWN)]
    return tabular("ll" + "r" * (1 + len(_SHOWN)), header, cells)
