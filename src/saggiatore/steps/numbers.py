"""Every number of a study, with its error, unit and origin; and the captions that quote them."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from PIL import Image

from saggiatore.errors import SchemaError
from saggiatore.files import atomic
from saggiatore.number import Number, fill
from saggiatore.provenance import provenance
from saggiatore.tables import Table, read_table

FORMAT_VERSION = 1
Named = Iterator[tuple[str, Number]]


def run(
    *,
    study: str,
    code: str,
    integrals: list[Path],
    samples: list[Path],
    informations: list[Path],
    formulas: list[Path],
    calibrations: list[Path],
    diagnostics: list[Path],
    histories: list[Path],
    limits: list[Path],
    coverages: list[Path],
    sensitivities: list[Path],
    figures: list[Path],
    out: Path,
) -> None:
    """Write numbers.json; any list may be empty."""
    root = out.parent
    scored = dict(_each(informations, root, "information", _information))
    numbers = {
        **dict(_each(integrals, root, "integral", _integral)),
        **dict(_each(samples, root, "sample", _sample)),
        **(_without_label(scored) if len(informations) == 1 else scored),
        **dict(_formulas(formulas, root)),
        **dict(_each(calibrations, root, "calibration", _calibration)),
        **dict(_each(diagnostics, root, "diagnostics", _diagnostics)),
        **dict(_each(histories, root, "history", _history)),
        **dict(_each(limits, root, "limits", _limits)),
        **dict(_each(coverages, root, "coverage", _coverage)),
        **dict(_each(sensitivities, root, "sensitivity", _sensitivity)),
    }
    content = {name: asdict(number) for name, number in numbers.items()}
    drawn = _figures(figures, root, {**scored, **numbers})
    entries = {_label(path): _formula_entry(path, root) for path in formulas}
    header = {"format": FORMAT_VERSION, "study": study, **provenance({"study": study}, code)}
    document = {"header": header, "numbers": content, "formulas": entries, "figures": drawn}
    with atomic(out) as temporary:
        text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def _label(path: Path) -> str:
    """The label in an artefact's file name."""
    return path.name.split(".")[0]


def _each(paths: list[Path], root: Path, name: str, numbers: Callable[[str, Table, str], Named]) -> Named:
    """Numbers of the table `name` of every label."""
    for path in paths:
        yield from numbers(_label(path), read_table(path, name), _relative(path, root))


def _relative(path: Path, root: Path) -> str:
    return path.resolve().relative_to(root.resolve()).as_posix()


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


def _without_label(scored: dict[str, Number]) -> dict[str, Number]:
    """``information.main.network`` as ``information.network``: there is only one section that it can come from."""
    return {(name if name.count(".") == 1 else ".".join(name.split(".")[::2])): scored[name] for name in scored}


def _calibration(label: str, table: Table, artefact: str) -> Named:
    for _, row in table.data.iterrows():
        percent = f"{100 * row['level']:g}".replace(".", "_")
        for name in ("coverage", "coverage_normal"):
            meaning = f"{table.column(name).meaning}, at a stated level of {percent.replace('_', '.')} %"
            yield f"{name}.{label}.{percent}", _entry(table, row, name, artefact, meaning)
    for name in ("pull_mean", "pull_width"):
        yield f"{name}.{label}", _entry(table, table.data.iloc[0], name, artefact)


def _diagnostics(label: str, table: Table, artefact: str) -> Named:
    rows = table.data
    worst = {
        "rhat": (rows["rhat"].max(), "largest rank-normalised split R-hat of the posterior's quantities"),
        "ess": (rows["ess"].min(), "smallest bulk effective sample size of the posterior's quantities"),
        "n_divergent": (rows["n_divergent"].max(), "divergent transitions after warm-up, all chains"),
    }
    for name, (value, meaning) in worst.items():
        yield f"{name}.{label}", Number(float(value), None, "1", artefact, meaning)


def _history(label: str, table: Table, artefact: str) -> Named:
    row = table.data.iloc[int(table.data["validation_loss"].to_numpy().argmin())]
    yield (
        f"validation_loss.{label}",
        _entry(table, row, "validation_loss", artefact, "smallest loss on validation events"),
    )
    yield f"best_epoch.{label}", _entry(table, row, "epoch", artefact, "epoch whose weights are used")


def _limits(label: str, table: Table, artefact: str) -> Named:
    """Ends of the intervals of the exact likelihood, and how many the linear approximation misses."""
    rows = table.data
    exact, linear = rows[rows["method"] == "expected"], rows[rows["method"] == "fisher"]
    for _, row in exact.iterrows():
        percent = f"{100 * row['level']:g}".replace(".", "_")
        what = f"{row['kind']} {row['name']}, {'with' if row['with_rate'] else 'without'} the rate"
        key = f"limits.{label}.{row['name']}.{row['parameter']}.{'rate' if row['with_rate'] else 'shape'}.{percent}"
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
        percent = f"{100 * row['level']:g}"
        key = f"{label}.{row['name']}.{'rate' if row['with_rate'] else 'shape'}.{percent.replace('.', '_')}"
        meaning = f"{table.column('coverage').meaning}, at a stated level of {percent} %"
        yield f"limits_coverage.{key}", _entry(table, row, "coverage", artefact, meaning)


def _sensitivity(label: str, table: Table, artefact: str) -> Named:
    for _, row in table.data.iterrows():
        key = f"{label}.{row['name']}.{'rate' if row['with_rate'] else 'shape'}"
        for name in ("information", "binning_loss"):
            meaning = f"{row['kind']} {row['name']} in {row['n_bins']} bins: {table.column(name).meaning}"
            yield f"sensitivity.{key}.{name}", _entry(table, row, name, artefact, meaning)


def _formulas(paths: list[Path], root: Path) -> Named:
    for path in paths:
        label, artefact, entry = _label(path), _relative(path, root), _formula_entry(path, root)
        yield f"formula.{label}.complexity", Number(entry["complexity"], None, "1", artefact, "nodes of the formula")
        for name, (value, error) in entry["constants"].items():
            meaning = f"constant {name} of {entry['text']}"
            yield f"formula.{label}.{name}", Number(value, error, "1", artefact, meaning)


def _formula_entry(path: Path, root: Path) -> dict:
    """A formula for readers: text, LaTeX, complexity, and each constant with its error."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        shown = found["shown"]
        constants = {name: (value, shown["errors"][name]) for name, value in found["constants"].items()}
        kept = {name: shown[name] for name in ("text", "latex", "complexity")}
        parameter, engine = found["name"], found["engine"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SchemaError(
            f"{path}: not a formula of this version ({error!r}). Re-run the rule that makes it."
        ) from None
    entry = {"parameter": parameter, "engine": engine, "constants": constants, "artefact": _relative(path, root)}
    return {**kept, **entry}


def _figures(paths: list[Path], root: Path, numbers: dict[str, Number]) -> dict[str, dict]:
    """Files of each figure with their SHA-256, and its caption, taken from its PNG, with its numbers filled in."""
    figures: dict[str, dict] = {}
    for path in sorted(paths):
        entry = figures.setdefault(_label(path), {"files": {}})
        entry["files"][_relative(path, root)] = hashlib.sha256(path.read_bytes()).hexdigest()
        if path.suffix == ".png":
            with Image.open(path) as picture:
                entry["caption"] = fill(picture.info["Description"], numbers)
    return figures
