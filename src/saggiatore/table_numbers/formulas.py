"""What formulas and the posterior over them have to tell."""

from saggiatore.number import Number
from saggiatore.table_numbers.entry import Named, entry
from saggiatore.tables import Table


def refits(label: str, table: Table, artefact: str) -> Named:
    """Of the member that became the formula, on the events that chose it."""
    for _, row in table.data[table.data["is_chosen"] == 1].iterrows():
        for name in ("mse_select", "information_select"):
            yield f"formula.{label}.{name}", entry(table, row, name, artefact)


def structures(label: str, table: Table, artefact: str) -> Named:
    """Of the most probable structure, and of that of the formula of the posterior's mean, if any draw finds it."""
    stem = f"structures.{label}"
    yield f"{stem}.n_structures", Number(len(table.data), None, "1", artefact, "structures that are stated")
    for name in ("probability", "probability_pooled", "complexity", "information_select"):
        meaning = f"most probable structure, {table.data['text'].iloc[0]}: {table.column(name).meaning}"
        yield f"{stem}.{name}", entry(table, table.data.iloc[0], name, artefact, meaning)
    for _, row in table.data[table.data["is_formula"] == 1].iterrows():
        for name in ("probability", "probability_pooled"):
            meaning = f"structure of the formula, {row['text']}: {table.column(name).meaning}"
            yield f"{stem}.formula_{name}", entry(table, row, name, artefact, meaning)


def constants(label: str, table: Table, artefact: str) -> Named:
    for _, row in table.data[table.data["structure"] == 0].iterrows():
        meaning = f"constant {row['name']} of the most probable structure: posterior mean, error of posterior and fit"
        yield f"structures.{label}.constant.{row['name']}", Number(row["value"], row["error"], "1", artefact, meaning)


def band(label: str, table: Table, artefact: str) -> Named:
    """Root mean squares over the teacher's rows, in units of the score's."""
    rows = table.data
    size = float((rows["score"] ** 2).mean()) ** 0.5
    squares = {
        "band_structure": (rows["var_structure"], "standard deviation of the formulas' value between structures"),
        "band_constants": (rows["var_draws"] + rows["var_refit"], "the same, by their constants"),
        "band_network": (rows["var_stat"], "standard deviation of the network's score over its posterior"),
        "band_distance": ((rows["mean"] - rows["score"]) ** 2, "distance of the formulas' mean from the network"),
    }
    for name, (square, meaning) in squares.items():
        stated = f"{meaning}, root mean square over that of the score"
        yield f"structures.{label}.{name}", Number(float(square.mean()) ** 0.5 / size, None, "1", artefact, stated)
