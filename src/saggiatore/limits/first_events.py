"""The events at the beginning of a table."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from saggiatore.tables import Column, iterate_table


def first_events(path: Path, n_events: int, require: Iterable[Column]) -> pd.DataFrame:
    """At most `n_events` of them, with all their columns; those behind are not read.

    Raises:
        SchemaError: if the table lacks one of the columns `require`.
    """
    parts, n_left = [], n_events
    for batch in iterate_table(path, "events", require=require):
        parts.append(batch.iloc[:n_left])
        n_left -= len(parts[-1])
        if n_left == 0:
            break
    return pd.concat(parts)
