"""The numbers that each table of results has to tell: name, value, error, unit and meaning."""

from collections.abc import Callable, Iterator

import pandas as pd

from saggiatore.number import Number, data_name, level_name
from saggiatore.tables import Table

Named = Iterator[tuple[str, Number]]


def table_numbers(name: str, label: str, table: Table, artefact: str) -> Named:
    """Numbers of the table `name` of the section `label`, which the file `artefact` holds.

    Example:
        dict(table_numbers("information", "main", table, "tables/main.information.parquet"))
    """
    yield from _TABLES[name](label, table, artefact)


def _entry(table: Table, row: pd.Series, name: str, artefact: str, meaning: str = "") -> Number:
    """A cell as a number; its error is the cell of the column `{name}_error`, where there is one."""
    column = table.column(name)
    error = float(row[f"{name}_error"]) if f"{name}_error" in row else None
    return Number(float(row[name]), error, column.unit, artefact, meaning or column.meaning)


def _integral(label: str, table: Table, artefact: str) -> Named:
    row = table.data.iloc[0]
    for name in ("cross_section", "unweighting_efficiency", "cut_efficiency", "overweight_rate"):
        yield f"{name}.{label}", _entry(table, row, name, artefact)


def _sample(label: str, table: Table, artefact: str) -> Named:
    for name in table.schema.names:
        yield f"sample.{label}.{name}", _entry(table, table.data.iloc[0], name, artefact)


def _information(label: str, table: Table, artefact: str) -> Named:
    for _, row in table.data.iterrows():
        for name in ("information", "mse"):
            meaning = f"{row['kind']} {row['name']}: {table.column(name).meaning}"
            yield f"{name}.{label}.{row['name']}", _entry(table, row, name, artefact, meaning)
    yield f"e_t2.{label}", _entry(table, table.data.iloc[0], "e_t2", artefact)


def _agreement(label: str, table: Table, artefact: str) -> Named:
    """Of references that are scores; the correlation with the joint score is the root of the information."""
    for _, row in table.data[table.data["reference"] != "joint_score"].iterrows():
        for name in ("correlation", "slope"):
            meaning = f"{row['name']} against {row['reference']}: {table.column(name).meaning}"
            yield f"{name}.{label}.{row['name']}.{row['reference']}", _entry(table, row, name, artefact, meaning)


def _score_posteriors(label: str, table: Table, artefact: str) -> Named:
    """The error of what one draw is worth is its standard deviation over draws."""
    for _, row in table.data.iterrows():
        is_joint = row["reference"] == "joint_score"
        stem = f"draws.{label}.{row['name']}" + ("" if is_joint else f".{row['reference']}")
        for name in ("information", "correlation", "slope") if is_joint else ("correlation", "slope"):
            meaning = f"{table.column(name).meaning}: {row['reference']}"
            yield f"{stem}.{name}", Number(float(row[name]), float(row[f"{name}_std"]), "1", artefact, meaning)
        for name in (name for name in ("spread", "error", "within_1", "within_2") if is_joint and name in row):
            yield f"{stem}.{name}", Number(float(row[name]), None, "1", artefact, table.column(name).meaning)


def _calibration(label: str, table: Table, artefact: str) -> Named:
    for _, row in table.data.iterrows():
        for name in ("coverage", "coverage_normal"):
            meaning = f"{table.column(name).meaning}, at a stated level of {100 * row['level']:g} %"
            yield f"{name}.{label}.{level_name(row['level'])}", _entry(table, row, name, artefact, meaning)
    once = ("pull_mean", "pull_width", "temperature", "pull_width_tempered", "sharpness_stat", "sharpness_noise")
    exact = ("score_error", "pull_stat_width")  # where the events carry the exact score
    for name in (*once, *(name for name in exact if name in table.schema.names)):
        yield f"{name}.{label}", _entry(table, table.data.iloc[0], name, artefact)
    if "coverage_stat" in table.schema.names:
        for _, row in table.data.iterrows():
            yield f"coverage_stat.{label}.{level_name(row['level'])}", _entry(table, row, "coverage_stat", artefact)


def _diagnostics(label: str, table: Table, artefact: str) -> Named:
    rows = table.data
    worst = {
        "rhat": (rows["rhat"].max(), "largest rank-normalised split R-hat of the posterior's quantities"),
        "ess": (rows["ess"].min(), "smallest bulk effective sample size of the posterior's quantities"),
        "n_divergent": (rows["n_divergent"].max(), "divergent transitions after warm-up, all chains"),
    }
    for name, (value, meaning) in worst.items():
        yield f"{name}.{label}", Number(float(value), None, "1", artefact, meaning)


def kept_row(history: Table) -> int:
    """Row of the epoch whose weights a training kept: the best, unless its spec asked for the last."""
    training = history.provenance["spec"]["section"].get("training", {})
    if training.get("keep") == "last":
        return len(history.data) - 1
    return int(history.data["validation_loss"].to_numpy().argmin())


def _history(label: str, table: Table, artefact: str) -> Named:
    row = table.data.iloc[kept_row(table)]
    meaning = "loss on validation events of the weights that are used"
    yield f"validation_loss.{label}", _entry(table, row, "validation_loss", artefact, meaning)
    yield f"best_epoch.{label}", _entry(table, row, "epoch", artefact, "epoch whose weights are used")


def _structures(label: str, table: Table, artefact: str) -> Named:
    """Of the most probable structure, and of that of the formula of the posterior's mean, if any draw finds it."""
    stem = f"structures.{label}"
    yield f"{stem}.n_structures", Number(len(table.data), None, "1", artefact, "structures that are stated")
    for name in ("probability", "probability_pooled", "complexity", "information_select"):
        meaning = f"most probable structure, {table.data['text'].iloc[0]}: {table.column(name).meaning}"
        yield f"{stem}.{name}", _entry(table, table.data.iloc[0], name, artefact, meaning)
    for _, row in table.data[table.data["is_formula"] == 1].iterrows():
        for name in ("probability", "probability_pooled"):
            meaning = f"structure of the formula, {row['text']}: {table.column(name).meaning}"
            yield f"{stem}.formula_{name}", _entry(table, row, name, artefact, meaning)


def _constants(label: str, table: Table, artefact: str) -> Named:
    for _, row in table.data[table.data["structure"] == 0].iterrows():
        meaning = f"constant {row['name']} of the most probable structure: posterior mean, error of posterior and fit"
        yield f"structures.{label}.constant.{row['name']}", Number(row["value"], row["error"], "1", artefact, meaning)


def _band(label: str, table: Table, artefact: str) -> Named:
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


def _limits(label: str, table: Table, artefact: str) -> Named:
    """Ends of the intervals of the exact likelihood, for which data they hold, and how many the linear approximation
    misses."""
    rows, asked = table.data, table.provenance["spec"]["section"]
    meaning = "integrated luminosity that the limits hold for"
    yield f"limits.{label}.luminosity", Number(asked["luminosity"], None, "fb^-1", artefact, meaning)
    meaning = "fraction of the fiducial events that is seen"
    yield f"limits.{label}.efficiency", Number(asked["efficiency"], None, "1", artefact, meaning)
    exact, linear = rows[rows["method"] == "expected"], rows[rows["method"] == "fisher"]
    for _, row in exact.iterrows():
        what = f"{row['kind']} {row['name']}, {'with' if row['with_rate'] else 'without'} the rate"
        key = (
            f"limits.{label}.{row['name']}.{row['parameter']}.{data_name(row['with_rate'])}.{level_name(row['level'])}"
        )
        open_end = "" if row["is_bounded"] else "; an end is that of the range that was searched"
        for end in ("low", "high"):
            meaning = (
                f"{end} end of the expected {100 * row['level']:g} % interval of {row['parameter']}, {what}{open_end}"
            )
            yield f"{key}.{end}", _entry(table, row, end, artefact, meaning)
    missed = int((linear["is_linear"] == 0).sum())
    meaning = "intervals whose linear approximation lies further from the exact one than the study allows"
    yield f"limits.{label}.n_nonlinear", Number(missed, None, "1", artefact, meaning)
    yield f"limits.{label}.n_intervals", Number(len(linear), None, "1", artefact, "intervals that were compared")


def _coverage(label: str, table: Table, artefact: str) -> Named:
    for _, row in table.data.iterrows():
        key = f"{label}.{row['name']}.{data_name(row['with_rate'])}.{level_name(row['level'])}"
        meaning = f"{table.column('coverage').meaning}, at a stated level of {100 * row['level']:g} %"
        yield f"limits_coverage.{key}", _entry(table, row, "coverage", artefact, meaning)


def _sensitivity(label: str, table: Table, artefact: str) -> Named:
    for _, row in table.data.iterrows():
        key = f"{label}.{row['name']}.{data_name(row['with_rate'])}"
        for name in ("information", "binning_loss"):
            meaning = f"{row['kind']} {row['name']} in {row['n_bins']} bins: {table.column(name).meaning}"
            yield f"sensitivity.{key}.{name}", _entry(table, row, name, artefact, meaning)


def _ratios(label: str, table: Table, artefact: str) -> Named:
    for _, row in table.data.iterrows():
        parameter = table.provenance["spec"]["section"]["parameter"]
        meaning = f"{row['task']} {row['name']} at {parameter} = {row['theta']:g}: {table.column('mse').meaning}"
        at = f"{row['theta']:g}".replace(".", "_")
        yield f"mse_log_ratio.{label}.{row['name']}.{at}", _entry(table, row, "mse", artefact, meaning)


def _accuracy(label: str, table: Table, artefact: str) -> Named:
    """Of all events together."""
    for _, row in table.data[table.data["region"] == "all"].iterrows():
        for name in ("delta_50", "delta_95", "pull_68", "pull_syst_68", "pull_stat_68", "sigma_syst", "sigma_stat"):
            if row["method"] == "none" and "stat" in name:
                continue
            meaning = f"{row['kind']} {row['name']}, {row['n_train']} events: {table.column(name).meaning}"
            yield f"{name}.{label}.{row['name']}", _entry(table, row, name, artefact, meaning)


def _predictive(label: str, table: Table, artefact: str) -> Named:
    """Of well-populated bins: how wide their pulls are, and how uncertain they are."""
    rows = table.data[table.data["is_populated"] == 1]
    kept = f"well-populated bins ({len(rows)} of {len(table.data)})"
    if len(rows) == 0:
        return
    width, middle = float((rows["pull"] ** 2).mean()) ** 0.5, float(rows["relative_std"].median())
    yield f"pull_rms.{label}", Number(width, None, "1", artefact, f"root mean square of the pulls of {kept}")
    yield f"relative_std.{label}", Number(middle, None, "1", artefact, f"median of std over probability of {kept}")


def _amplification(label: str, table: Table, artefact: str) -> Named:
    for _, row in table.data[table.data["kind"] == "density"].iterrows():
        yield f"worth.{label}.density", _entry(table, row, "worth", artefact)


_TABLES: dict[str, Callable[[str, Table, str], Named]] = {
    "integral": _integral,
    "sample": _sample,
    "information": _information,
    "agreement": _agreement,
    "score_posteriors": _score_posteriors,
    "calibration": _calibration,
    "diagnostics": _diagnostics,
    "history": _history,
    "structures": _structures,
    "constants": _constants,
    "band": _band,
    "limits": _limits,
    "coverage": _coverage,
    "sensitivity": _sensitivity,
    "ratios": _ratios,
    "accuracy": _accuracy,
    "predictive": _predictive,
    "amplification": _amplification,
}
