r"""Bins of an observable in one or two dimensions.

A histogram knows the mean score in each bin, so that it loses the spread of the score within bins: of the information
E[t^2] it keeps the part E[E[t|bin]^2]. For an observable that is a score itself the best edges are therefore those of
least variance within the bins, which lie half-way between the bins' means (Lloyd, IEEE Trans. Inf. Theory 28 (1982)
129); equally filled bins spend most of their edges where the score is small.

In two dimensions the bins of the second component are placed inside each bin of the first.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from saggiatore.errors import LikelihoodError
from saggiatore.types import Float, Int

Edges = Float[np.ndarray, " edge"]
Method = Literal["lloyd", "asinh", "quantile"]
MIN_EFFECTIVE = 10.0  # events' worth of weight that place a bin: its edges are no accident of single events
_ROUNDS = 500


@dataclass(frozen=True)
class Binning:
    """Inner edges: of the first component, and of the second inside each bin of the first. The outer bins are open."""

    first: Edges
    second: tuple[Edges, ...] = ()

    @property
    def dimension(self) -> int:
        """Components of a value."""
        return 2 if self.second else 1

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return sum(len(edges) + 1 for edges in self.second) if self.second else len(self.first) + 1

    def index(self, values: Float[np.ndarray, "event component"]) -> Int[np.ndarray, " event"]:
        """The bin of each event."""
        outer = np.digitize(values[:, 0], self.first)
        if not self.second:
            return outer
        found, offset = np.zeros(len(values), dtype=int), 0
        for place, edges in enumerate(self.second):
            inside = outer == place
            found[inside] = offset + np.digitize(values[inside, 1], edges)
            offset += len(edges) + 1
        return found

    def bounds(self) -> Float[np.ndarray, "bin component 2"]:
        """Lower and upper edge of each bin in each component; infinite where it is open."""
        outer = _closed(self.first)
        if not self.second:
            return outer[:, None]
        rows = [(outer[place], inner) for place, edges in enumerate(self.second) for inner in _closed(edges)]
        return np.array(rows)


def _closed(edges: Edges) -> Float[np.ndarray, "bin 2"]:
    full = np.concatenate([[-np.inf], edges, [np.inf]])
    return np.stack([full[:-1], full[1:]], axis=1)


def binning(
    values: Float[np.ndarray, "event component"],
    weights: Float[np.ndarray, " event"],
    n_bins: tuple[int, ...],
    method: Method,
) -> Binning:
    """Bins that follow the given events, at most `n_bins` along each of the one or two components.

    Bins with fewer than `MIN_EFFECTIVE` events' worth of weight are merged with a neighbour.

    Raises:
        LikelihoodError: if a value is not finite.
    """
    if not np.isfinite(values).all():
        raise LikelihoodError(f"{int((~np.isfinite(values)).sum())} values of an observable are not finite: no bins.")
    sizes = np.abs(weights)  # where events lie, whatever their sign
    first = _edges(values[:, 0], sizes, n_bins[0], method)
    if values.shape[1] == 1:
        return Binning(first)
    outer = np.digitize(values[:, 0], first)
    inside = [outer == place for place in range(len(first) + 1)]
    return Binning(first, tuple(_edges(values[rows, 1], sizes[rows], n_bins[1], method) for rows in inside))


def _edges(values: Float[np.ndarray, " event"], weights: Float[np.ndarray, " event"], n: int, method: Method) -> Edges:
    order = np.argsort(values, kind="stable")
    values, weights = values[order], weights[order]
    found = np.unique(METHODS[method](values, weights, n))
    return _merged(found[(found > values[0]) & (found <= values[-1])], values, weights)


def _quantile(values: np.ndarray, weights: np.ndarray, n_bins: int) -> Edges:
    """Equally filled."""
    levels = np.arange(1, n_bins) / n_bins
    return np.quantile(values, levels, weights=weights, method="inverted_cdf")


def _asinh(values: np.ndarray, weights: np.ndarray, n_bins: int) -> Edges:
    """Uniform in asinh of the distance from the median, in units of its median, between the outermost edges."""
    low, high = _outermost(values, weights)
    (centre,) = np.quantile(values, [0.5], weights=weights, method="inverted_cdf")
    distance = np.abs(values - centre)
    (scale,) = np.quantile(distance, [0.5], weights=weights, method="inverted_cdf")
    if not (scale > 0 and low < high):
        return np.array([centre])
    first, last = np.arcsinh((np.array([low, high]) - centre) / scale).tolist()
    return centre + scale * np.sinh(np.linspace(first, last, n_bins - 1))


def _lloyd(values: np.ndarray, weights: np.ndarray, n_bins: int) -> Edges:
    """Of least variance within the bins, between the outermost edges; starts from edges that are spaced in asinh."""
    low, high = _outermost(values, weights)
    edges = np.unique(_asinh(values, weights, n_bins))
    size = np.concatenate([[0.0], np.cumsum(weights)])
    total = np.concatenate([[0.0], np.cumsum(weights * values)])
    for _ in range(_ROUNDS):
        ends = np.concatenate([[0], np.searchsorted(values, edges), [len(values)]])
        in_bin = np.diff(size[ends])
        means = np.diff(total[ends])[in_bin > 0] / in_bin[in_bin > 0]
        moved = np.unique(np.clip((means[1:] + means[:-1]) / 2, low, high))
        if len(moved) == len(edges) and np.allclose(moved, edges, rtol=1e-9, atol=0):
            break
        edges = moved
    return edges


def _outermost(values: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Between these, both open bins hold `MIN_EFFECTIVE` events' worth of weight."""

    def place(ordered: np.ndarray) -> int:
        effective = np.cumsum(ordered) ** 2 / np.cumsum(ordered**2)
        return int(np.searchsorted(np.maximum.accumulate(effective), MIN_EFFECTIVE))

    last = len(values) - 1
    return float(values[min(place(weights) + 1, last)]), float(values[max(last - place(weights[::-1]), 0)])


METHODS: Mapping[Method, Callable[[np.ndarray, np.ndarray, int], Edges]] = MappingProxyType(
    {"quantile": _quantile, "asinh": _asinh, "lloyd": _lloyd}
)


def _merged(edges: Edges, values: np.ndarray, weights: np.ndarray) -> Edges:
    """Without the edges that leave a bin with too few events' worth of weight."""
    size = np.concatenate([[0.0], np.cumsum(weights)])
    square = np.concatenate([[0.0], np.cumsum(weights**2)])
    while len(edges):
        ends = np.concatenate([[0], np.searchsorted(values, edges), [len(values)]])
        squares = np.diff(square[ends])
        effective = np.diff(size[ends]) ** 2 / np.where(squares > 0, squares, 1.0)
        poorest = int(np.argmin(effective))
        if effective[poorest] >= MIN_EFFECTIVE:
            break
        is_left_poorer = poorest > 0 and (poorest == len(edges) or effective[poorest - 1] <= effective[poorest + 1])
        edges = np.delete(edges, poorest - 1 if is_left_poorer else poorest)
    return edges
