"""What limits have to tell."""

import pandas as pd

from saggiatore.number import Number, data_name, level_name
from saggiatore.table_numbers.entry import Named, entry
from saggiatore.tables import Table


def limits(label: str, table: Table, artefact: str) -> Named:
    """Ends of the intervals by each method, for which data they hold, and how many the linear approximation misses."""
    rows, asked = table.data, table.provenance["spec"]["section"]
    meaning = "integrated luminosity that the limits hold for"
    yield f"limits.{label}.luminosity", Number(asked["luminosity"], None, "fb^-1", artefact, meaning)
    meaning = "fraction of the fiducial events that is seen"
    yield f"limits.{label}.efficiency", Number(asked["efficiency"], None, "1", artefact, meaning)
    for _, row in rows.iterrows():
        yield from _ends(label, table, row, artefact)
    linear = rows[rows["method"] == "fisher"]
    missed = int((linear["is_linear"] == 0).sum())
    meaning = "intervals whose linear approximation lies further from the exact one than the study allows"
    yield f"limits.{label}.n_nonlinear", Number(missed, None, "1", artefact, meaning)
    yield f"limits.{label}.n_intervals", Number(len(linear), None, "1", artefact, "intervals that were compared")


_METHODS = {
    "expected": "",  # the one that is quoted: its name is short
    "fisher": " in the linear approximation",
    "profiled": ", nuisance parameters free",
    "experiments": ", median of pseudo-experiments",
}


def _ends(label: str, table: Table, row: pd.Series, artefact: str) -> Named:
    """Both ends of one interval; those of the exact likelihood of the expected data are called `limits` alone."""
    stem = "limits" if row["method"] == "expected" else f"limits_{row['method']}"
    where = f"{label}.{row['name']}.{row['parameter']}.{data_name(row['with_rate'])}.{level_name(row['level'])}"
    what = f"{row['kind']} {row['name']}, {'with' if row['with_rate'] else 'without'} the rate{_METHODS[row['method']]}"
    open_end = "" if row["is_bounded"] else "; an end is that of the range that was searched"
    for end in ("low", "high"):
        stated = f"{end} end of the expected {100 * row['level']:g} % interval of {row['parameter']}"
        yield f"{stem}.{where}.{end}", entry(table, row, end, artefact, f"{stated}, {what}{open_end}")


def coverage(label: str, table: Table, artefact: str) -> Named:
    for _, row in table.data.iterrows():
        key = f"{label}.{row['name']}.{data_name(row['with_rate'])}.{level_name(row['level'])}"
        meaning = f"{table.column('coverage').meaning}, at a stated level of {100 * row['level']:g} %"
        yield f"limits_coverage.{key}", entry(table, row, "coverage", artefact, meaning)


def sensitivity(label: str, table: Table, artefact: str) -> Named:
    for _, row in table.data.iterrows():
        key = f"{label}.{row['name']}.{data_name(row['with_rate'])}"
        for name in ("information", "binning_loss"):
            meaning = f"{row['kind']} {row['name']} in {row['n_bins']} bins: {table.column(name).meaning}"
            yield f"sensitivity.{key}.{name}", entry(table, row, name, artefact, meaning)
