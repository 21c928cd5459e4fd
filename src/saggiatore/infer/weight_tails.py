"""Where in phase space the weights of generated events are far from one: bin by bin of every observable.

The tails of a classifier's weights tell which region a generator misses (arXiv:2305.16774): w far above one where it
makes too few events, far below where it makes too many.
"""

import numpy as np

from saggiatore.tables import Column, TableSchema
from saggiatore.types import Float

TAILS = TableSchema(
    "tails",
    1,
    (
        Column("name", "1", "name of the entry", kind="str"),
        Column("feature", "1", "feature", kind="str"),
        Column("unit", "1", "unit of the feature, and of the edges", kind="str"),
        Column("low", "1", "lower edge of a bin that holds as many true events as the others; the outer two are open"),
        Column("high", "1", "upper edge"),
        Column("n_events", "1", "generated events in the bin", kind="int"),
        Column("weight", "1", "mean of their w", r"$\langle w \rangle$"),
        Column("weight_error", "1", "its standard error; of a single event, w itself"),
        Column(
            "above", "1", "share of them in the upper tail of w, over the tail's share of all: 1 where it is spread"
        ),
        Column("below", "1", "share of them in the lower tail of w, over the tail's share of all"),
    ),
)


def tails(
    feature: Column,
    true: Float[np.ndarray, " event"],
    other: Float[np.ndarray, " event"],
    log_weight: Float[np.ndarray, " event"],
    n_bins: int,
    fraction: float,
) -> list[dict[str, object]]:
    """Rows of the table, without the entry's name, of one feature; each tail holds `fraction` of the events."""
    edges = np.quantile(true, np.linspace(0, 1, n_bins + 1))
    place = np.searchsorted(edges[1:-1], other, side="right")
    low, high = np.quantile(log_weight, [fraction, 1 - fraction])
    w, is_above, is_below = np.exp(log_weight), log_weight >= high, log_weight <= low
    rows: list[dict[str, object]] = []
    for number in range(n_bins):
        inside = place == number
        n = int(inside.sum())
        if n == 0:  # an observable with few values fills few bins
            continue
        rows.append(
            {
                "feature": feature.name,
                "unit": feature.unit,
                "low": edges[number],
                "high": edges[number + 1],
                "n_events": n,
                "weight": w[inside].mean(),
                "weight_error": w[inside].std(ddof=1) / n**0.5 if n > 1 else w[inside][0],
                "above": is_above[inside].mean() / is_above.mean(),
                "below": is_below[inside].mean() / is_below.mean(),
            }
        )
    return rows
