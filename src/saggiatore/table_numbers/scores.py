"""What scores, their posteriors and their calibration have to tell."""

from saggiatore.number import Number, level_name
from saggiatore.table_numbers.entry import Named, entry
from saggiatore.tables import Table


def information(label: str, table: Table, artefact: str) -> Named:
    for _, row in table.data.iterrows():
        for name in (name for name in ("information", "mse", "behind") if name in row):
            meaning = f"{row['kind']} {row['name']}: {table.column(name).meaning}"
            yield f"{name}.{label}.{row['name']}", entry(table, row, name, artefact, meaning)
    yield f"e_t2.{label}", entry(table, table.data.iloc[0], "e_t2", artefact)
    if "singular" in table.schema.names:
        meaning = "formulas that are without a value somewhere among the test events, as at a pole"
        yield f"n_singular.{label}", Number(int((table.data["singular"] != "").sum()), None, "1", artefact, meaning)


def agreement(label: str, table: Table, artefact: str) -> Named:
    """Of references that are scores; the correlation with the joint score is the root of the information."""
    for _, row in table.data[table.data["reference"] != "joint_score"].iterrows():
        for name in ("correlation", "slope"):
            meaning = f"{row['name']} against {row['reference']}: {table.column(name).meaning}"
            yield f"{name}.{label}.{row['name']}.{row['reference']}", entry(table, row, name, artefact, meaning)


def score_posteriors(label: str, table: Table, artefact: str) -> Named:
    """The error of what one draw is worth is its standard deviation over draws."""
    for _, row in table.data.iterrows():
        is_joint = row["reference"] == "joint_score"
        stem = f"draws.{label}.{row['name']}" + ("" if is_joint else f".{row['reference']}")
        for name in ("information", "correlation", "slope") if is_joint else ("correlation", "slope"):
            meaning = f"{table.column(name).meaning}: {row['reference']}"
            yield f"{stem}.{name}", Number(float(row[name]), float(row[f"{name}_std"]), "1", artefact, meaning)
        for name in (name for name in ("spread", "error", "within_1", "within_2") if is_joint and name in row):
            yield f"{stem}.{name}", Number(float(row[name]), None, "1", artefact, table.column(name).meaning)


def calibration(label: str, table: Table, artefact: str) -> Named:
    for _, row in table.data.iterrows():
        for name in ("coverage", "coverage_normal"):
            meaning = f"{table.column(name).meaning}, at a stated level of {100 * row['level']:g} %"
            yield f"{name}.{label}.{level_name(row['level'])}", entry(table, row, name, artefact, meaning)
    once = ("pull_mean", "pull_width", "temperature", "pull_width_tempered", "sharpness_stat", "sharpness_noise")
    exact = ("score_error", "pull_stat_width")  # where the events carry the exact score
    for name in (*once, *(name for name in exact if name in table.schema.names)):
        yield f"{name}.{label}", entry(table, table.data.iloc[0], name, artefact)
    if "coverage_stat" in table.schema.names:
        for _, row in table.data.iterrows():
            yield f"coverage_stat.{label}.{level_name(row['level'])}", entry(table, row, "coverage_stat", artefact)
