"""Tables of events as they are published: what figures show of them, in bins. A million rows help no reader."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pandas as pd

from saggiatore.tables import Column, Table, TableSchema

_WEIGHT = "weight"
_N_PULLS, _REACH = 50, 5.0
_N_DELTAS = 40
_N_RATIOS = 24
_N_SCORES = 20
_TAIL = 0.005  # of the events beyond either end of an axis

_QUANTITY = Column("quantity", "1", "column of the events", kind="str")
_BIN = (Column("low", "1", "lower edge of a bin"), Column("high", "1", "upper edge"))
_DENSITY = (
    *(_QUANTITY, *_BIN),
    Column("density", "1", "share of the weight in the bin over its width"),
    Column("density_error", "1", "its standard error"),
)
_RESIDUAL = (
    *(_QUANTITY, *_BIN),
    Column("mean", "1", "mean of learned minus exact log r in the bin of exact log r"),
    Column("mean_error", "1", "its standard error"),
    Column("spread", "1", "its standard deviation in the bin"),
)
_BAND = (
    *_BIN,
    Column(
        "distance", "1", "root mean square of the formulas' mean minus the network's score, bin of the score's size"
    ),
    Column("network", "1", "the same of the network's posterior"),
    Column("between", "1", "the same of the spread between structures"),
    Column("draws", "1", "the same of the spread by constants, over the posterior"),
    Column("refit", "1", "the same of the spread by constants, at fixed score"),
)
Row = tuple[str | float, ...]


def published(table: Table) -> Table:
    """The table itself, or what is published of one that has a row for each event."""
    if table.schema.name not in _TABLES:
        return table
    columns, rows = _TABLES[table.schema.name]
    data = pd.DataFrame(list(rows(table)), columns=[column.name for column in columns])
    return Table(TableSchema(table.schema.name, table.schema.version, columns), data, table.provenance)


def _pulls(table: Table) -> Iterator[Row]:
    edges = np.linspace(-_REACH, _REACH, _N_PULLS + 1)
    for name in _called(table, "pull"):
        yield from _density(name, table.data[name].to_numpy(), table.data[_WEIGHT].to_numpy(), edges)


def _deltas(table: Table) -> Iterator[Row]:
    weight = table.data[_WEIGHT].to_numpy()
    for name in _called(table, "delta_"):
        size = np.log10(np.abs(table.data[name].to_numpy()))
        low, high = np.quantile(size, (_TAIL, 1 - _TAIL / 10))
        yield from _density(f"log10|{name}|", size, weight, np.linspace(low, high, _N_DELTAS + 1))
    yield from _pulls(table)


def _log_ratios(table: Table) -> Iterator[Row]:
    """Only bins that hold two events or more; negative weights may leave a bin without a variance."""
    exact, weight = (table.data[name].to_numpy() for name in ("log_ratio_exact", _WEIGHT))
    first, last = np.quantile(exact, (_TAIL, 1 - _TAIL))
    edges = np.linspace(first, last, _N_RATIOS + 1)
    for name in _called(table, "log_ratio_"):
        residual = table.data[name].to_numpy() - exact
        for low, high in pairwise(edges) if name != "log_ratio_exact" else ():
            chosen = (exact >= low) & (exact < high)
            if chosen.sum() < 2:
                continue
            share = weight[chosen] / weight[chosen].sum()
            mean = share @ residual[chosen]
            variance = share @ (residual[chosen] - mean) ** 2
            if variance >= 0:
                yield name, low, high, mean, np.sqrt(variance * (share @ share)), np.sqrt(variance)


def _band(table: Table) -> Iterator[Row]:
    """Bins in the size of the score, equally filled."""
    rows = table.data
    size = rows["score"].abs().to_numpy()
    squares = [(rows["mean"] - rows["score"]) ** 2, *(rows[f"var_{part}"] for part in _PARTS)]
    for some in np.array_split(np.argsort(size), min(_N_SCORES, len(size))):
        yield size[some[0]], size[some[-1]], *(float(square.iloc[some].mean()) ** 0.5 for square in squares)


_PARTS = ("stat", "structure", "draws", "refit")
_TABLES: dict[str, tuple[tuple[Column, ...], Callable[[Table], Iterator[Row]]]] = {
    "pulls": (_DENSITY, _pulls),
    "deltas": (_DENSITY, _deltas),
    "log_ratios": (_RESIDUAL, _log_ratios),
    "band": (_BAND, _band),
}


def _called(table: Table, stem: str) -> list[str]:
    return [name for name in table.schema.names if name.startswith(stem)]


def _density(
    name: str,
    values: np.ndarray,
    weight: np.ndarray,
    edges: np.ndarray,
) -> Iterator[Row]:
    """Shares are of all events, those beyond the edges too."""
    sums, squares = (np.histogram(values, edges, weights=w)[0] for w in (weight, weight**2))
    scale = 1 / (weight.sum() * np.diff(edges))
    for row in zip(edges[:-1], edges[1:], sums * scale, np.sqrt(squares) * scale, strict=True):
        yield name, *row
