"""What learned densities, ratios and amplitudes have to tell, held against the truth."""

from saggiatore.number import Number
from saggiatore.table_numbers.entry import Named, entry, measured
from saggiatore.tables import Table


def ratios(label: str, table: Table, artefact: str) -> Named:
    """Of each learned ratio at each parameter; of a posterior also its spread and how wide its pulls are."""
    parameter = table.provenance["spec"]["section"]["parameter"]
    for _, row in table.data.iterrows():
        of_draws = ("spread", "pull") if row["kind"] == "posterior" else ()
        for name in ("mse", *(name for name in ("bias", *of_draws) if name in row)):
            meaning = f"{row['task']} {row['name']} at {parameter} = {row['theta']:g}: {table.column(name).meaning}"
            at = f"{row['theta']:g}".replace(".", "_")
            yield f"{name}_log_ratio.{label}.{row['name']}.{at}", entry(table, row, name, artefact, meaning)


def accuracy(label: str, table: Table, artefact: str) -> Named:
    """Of all events together in full, of regions of the amplitude how far off it is."""
    for _, row in table.data.iterrows():
        is_all = row["region"] == "all"
        for name in measured(table) if is_all else ("delta_50", "delta_95"):
            if name == "n_events" or (row["method"] == "none" and "stat" in name):
                continue
            meaning = f"{row['kind']} {row['name']}, {row['n_train']} events: {table.column(name).meaning}"
            meaning += "" if is_all else f", quantiles {row['region'].replace('_', ' ')} % of the amplitude"
            yield (
                f"{name}.{label}.{row['name']}" + ("" if is_all else f".{row['region']}"),
                entry(table, row, name, artefact, meaning),
            )


def control(label: str, table: Table, artefact: str) -> Named:
    """Of each generator: distances from the truth, what a classifier tells apart, and the weights it gives."""
    for _, row in table.data.iterrows():
        for name in measured(table):
            meaning = f"{row['kind']} {row['name']}: {table.column(name).meaning}"
            yield f"control.{label}.{row['name']}.{name}", entry(table, row, name, artefact, meaning)


def marginals(label: str, table: Table, artefact: str) -> Named:
    for _, row in table.data.iterrows():
        for name in measured(table):
            meaning = f"{row['name']}, {row['feature']}: {table.column(name).meaning}"
            yield f"control.{label}.{row['name']}.{row['feature']}.{name}", entry(table, row, name, artefact, meaning)


def reliability(label: str, table: Table, artefact: str) -> Named:
    """How far what classifiers state lies from what is found, over all bins of D."""
    for name, rows in table.data.groupby("name", sort=False):
        chi2 = float((((rows["found"] - rows["stated"]) / rows["found_error"]) ** 2).mean())
        meaning = f"{name}: chi2 a bin of the fraction of true events about the classifier's D, {len(rows)} bins"
        yield f"control.{label}.{name}.reliability", Number(chi2, None, "1", artefact, meaning)


def clusters(label: str, table: Table, artefact: str) -> Named:
    """Of the largest cluster of either tail of the weights: which shares of the events lie in its box."""
    largest = table.data[table.data["cluster"] == 1].drop_duplicates(["name", "tail"])
    for _, row in largest.iterrows():
        for name in ("weight", "share", "generated", "reweighted", "true"):
            meaning = f"{row['name']}, largest cluster {row['tail']} w = 1: {table.column(name).meaning}"
            yield f"control.{label}.{row['name']}.{row['tail']}.{name}", entry(table, row, name, artefact, meaning)


def predictive(label: str, table: Table, artefact: str) -> Named:
    """Of well-populated bins: how wide their pulls are, and how uncertain they are."""
    rows = table.data[table.data["is_populated"] == 1]
    kept = f"well-populated bins ({len(rows)} of {len(table.data)})"
    yield f"n_populated.{label}", Number(len(rows), None, "1", artefact, f"{kept}, of which pulls are stated")
    if len(rows) == 0:
        return
    width, middle = float((rows["pull"] ** 2).mean()) ** 0.5, float(rows["relative_std"].median())
    yield f"pull_rms.{label}", Number(width, None, "1", artefact, f"root mean square of the pulls of {kept}")
    yield f"relative_std.{label}", Number(middle, None, "1", artefact, f"median of std over probability of {kept}")


def amplification(label: str, table: Table, artefact: str) -> Named:
    """Of the events of the training, of generated ones by their number, and of the density itself."""
    for _, row in table.data.iterrows():
        at = f"{label}.{row['kind']}" + (f".{row['n_events']}" if row["kind"] == "generated" else "")
        yield f"quantile_error.{at}", entry(table, row, "error", artefact)
        yield f"worth.{at}", entry(table, row, "worth", artefact)
