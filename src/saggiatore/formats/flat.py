"""Event tables as CSV and as ROOT trees, batch by batch."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import uproot

from saggiatore.files import atomic
from saggiatore.tables import TableSchema


def write_csv(path: Path, schema: TableSchema, batches: Iterable[pd.DataFrame]) -> None:
    """Write a header with the columns' names, then all rows with the digits of a double."""
    with atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        file.write(",".join(schema.names) + "\n")
        for batch in batches:
            batch.to_csv(file, columns=list(schema.names), index=False, header=False, float_format="%.17g")


def write_root(path: Path, schema: TableSchema, batches: Iterable[pd.DataFrame]) -> None:
    """Write the tree `events`, one branch a column; its title lists their units and meanings."""
    kinds = {column.name: np.int64 if column.kind == "int" else np.float64 for column in schema.columns}
    title = "; ".join(f"{column.name} [{column.unit}]: {column.meaning}" for column in schema.columns)
    with atomic(path) as temporary, uproot.recreate(temporary) as file:
        tree = file.mktree("events", kinds, title=title)
        for batch in batches:
            tree.extend({name: batch[name].to_numpy(kind) for name, kind in kinds.items()})
