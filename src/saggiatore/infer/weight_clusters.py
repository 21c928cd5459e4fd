r"""Where in phase space the tails of a classifier's weights lie, all observables at once: clusters, and a cut for each.

Following arXiv:2305.16774, which looks for the events of largest and smallest w in histograms. Each observable is
standardised by the true events, $z = \Phi^{-1}(\text{fraction of true events below})$, so that edges and long tails
count as much as the bulk; the tail events fall into clusters by k-means. The box about a cluster's inner events is a
cut that a reader can apply: it is found on half of the generated events, and shares inside it are counted on the rest,
since a box drawn about events holds too many of just these.
"""

from typing import NamedTuple

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.special import ndtri

from saggiatore.tables import Column, TableSchema
from saggiatore.types import Float, Int

CLUSTERS = TableSchema(
    "clusters",
    1,
    (
        Column("name", "1", "name of the entry", kind="str"),
        Column("tail", "1", "above or below: the tail of large or of small w", kind="str"),
        Column("cluster", "1", "number of the cluster in its tail, from 1, the largest", kind="int"),
        Column("n_events", "1", "events of the tail in the cluster, half of the generated ones searched", kind="int"),
        Column("share", "1", "their share of the tail"),
        Column("weight", "1", "mean of their w", r"$\langle w \rangle$"),
        Column("generated", "1", "share inside the box of the other half of the generated events"),
        Column("generated_error", "1", "its standard error"),
        Column("reweighted", "1", "the same, each event weighted by w"),
        Column("reweighted_error", "1", "its standard error"),
        Column("true", "1", "share of the true events inside the box"),
        Column("true_error", "1", "its standard error"),
        Column("feature", "1", "feature; all columns before are the same in every row of a cluster", kind="str"),
        Column("label", "1", "how the feature is written in figures", kind="str"),
        Column("unit", "1", "unit of the feature, the centre and the edges", kind="str"),
        Column("centre", "1", "median of the cluster's events"),
        Column("low", "1", "lower edge of the box"),
        Column("high", "1", "upper edge of the box"),
        Column("z", "1", "the centre, standardised: a standard normal number of true events", "standardised position"),
        Column("z_low", "1", "the lower edge, standardised"),
        Column("z_high", "1", "the upper edge, standardised"),
    ),
)
_CORE = 0.75  # of a cluster's events, those next to its centre: the box goes about these
_LEAST = 10  # events of a tail for each cluster
_STARTS = 10  # of k-means, whose best is kept
_ITERATIONS = 50

Features = Float[np.ndarray, "event feature"]
Values = Float[np.ndarray, " event"]


class Events(NamedTuple):
    """Generated events with the logarithms of their weights."""

    features: Features
    log_weight: Values


class Cluster(NamedTuple):
    """Rows of `features` that belong together, and the box about those next to their centre."""

    rows: Int[np.ndarray, " row"]
    low: Float[np.ndarray, " feature"]
    high: Float[np.ndarray, " feature"]

    def share(self, features: Features, weight: Values) -> tuple[float, float]:
        """Share of the summed weights inside the box, with the binomial error of weighted events."""
        inside = ((features >= self.low) & (features <= self.high)).all(axis=1)
        share = weight[inside].sum() / weight.sum()
        spread = weight**2 * np.where(inside, 1 - share, -share) ** 2
        return float(share), float(np.sqrt(spread.sum()) / weight.sum())


def clusters(
    columns: list[Column], true: Features, other: Events, n_clusters: int, fraction: float, *, seed: int
) -> list[dict[str, object]]:
    """Rows of the table, without the entry's name: both tails of w, each `fraction` of the generated events.

    A tail of few events has fewer than `n_clusters`.
    """
    half = len(other.log_weight) // 2
    searched, counted = (Events(other.features[part], other.log_weight[part]) for part in np.s_[:half, half:])
    z = standardised(true, searched.features)
    order = np.argsort(searched.log_weight, kind="stable")
    n_tail = max(1, round(fraction * half))
    rows: list[dict[str, object]] = []
    for tail, members in (("above", order[-n_tail:]), ("below", order[:n_tail])):
        for number, cluster in enumerate(_clusters(searched.features, z, members, n_clusters, seed), 1):
            weight = np.exp(searched.log_weight[cluster.rows]).mean()
            about = {"tail": tail, "cluster": number, "n_events": len(cluster.rows), "weight": weight}
            about |= {"share": len(cluster.rows) / n_tail, **_shares(cluster, true, counted)}
            rows += [about | row for row in _edges(columns, true, searched.features, cluster)]
    return rows


def standardised(true: Features, values: Features) -> Features:
    """Each observable as a number that true events have a standard normal distribution of; ties are in the middle."""
    z = np.empty_like(values)
    for i, column in enumerate(true.T):
        ordered = np.sort(column)
        below, up_to = (np.searchsorted(ordered, values[:, i], side=side) for side in ("left", "right"))
        z[:, i] = ndtri((0.5 * (below + up_to) + 0.5) / (len(ordered) + 1))
    return z


def _clusters(features: Features, z: Features, members: np.ndarray, n_clusters: int, seed: int) -> list[Cluster]:
    """The clusters among `members`, the largest first."""
    points, random = z[members], np.random.default_rng(seed)
    n = max(1, min(n_clusters, len(members) // _LEAST, len(np.unique(points, axis=0))))
    starts = [kmeans2(points, n, iter=_ITERATIONS, minit="++", rng=random) for _ in range(_STARTS)]
    centres, label = min(starts, key=lambda start: float(((points - start[0][start[1]]) ** 2).sum()))
    numbers = [number for number in np.argsort(-np.bincount(label, minlength=n), kind="stable") if number in label]
    found = []
    for number in numbers:
        rows = members[label == number]
        distance = ((z[rows] - centres[number]) ** 2).sum(axis=1)
        core = features[rows[np.argsort(distance, kind="stable")[: int(np.ceil(_CORE * len(rows)))]]]
        found.append(Cluster(rows, core.min(axis=0), core.max(axis=0)))
    return found


def _shares(cluster: Cluster, true: Features, counted: Events) -> dict[str, float]:
    shares = {
        "generated": cluster.share(counted.features, np.ones(len(counted.features))),
        "reweighted": cluster.share(counted.features, np.exp(counted.log_weight)),
        "true": cluster.share(true, np.ones(len(true))),
    }
    return {name: value for name, (value, _) in shares.items()} | {
        f"{name}_error": error for name, (_, error) in shares.items()
    }


def _edges(columns: list[Column], true: Features, features: Features, cluster: Cluster) -> list[dict[str, object]]:
    """One row a feature."""
    edges = np.stack([np.median(features[cluster.rows], axis=0), cluster.low, cluster.high])
    z = standardised(true, edges)
    names = ("centre", "low", "high", "z", "z_low", "z_high")
    return [
        {"feature": column.name, "label": column.label or column.name, "unit": column.unit}
        | dict(zip(names, values, strict=True))
        for column, values in zip(columns, np.concatenate([edges, z]).T, strict=True)
    ]
