"""Every number of a study, with its error, unit and origin; and the captions that quote them."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from saggiatore.errors import SchemaError
from saggiatore.files import atomic
from saggiatore.number import Number, fill
from saggiatore.provenance import provenance
from saggiatore.table_numbers.entry import Named
from saggiatore.table_numbers.told import table_numbers
from saggiatore.tables import Table, read_table

FORMAT_VERSION = 1
_QUALITY = {
    "chi2": "mean of (formula - teacher)^2 / (var_stat + var_floor) over the teacher's rows",
    "frequency": "fraction of resamplings of the held-out events in which the rule chooses this formula",
}


def run(
    *,
    study: str,
    code: str,
    tables: list[Path],
    formulas: list[Path],
    figures: list[Path],
    out: Path,
) -> None:
    """Write numbers.json, of tables that are named LABEL.TABLE by their files; any list may be empty."""
    root = out.parent
    opened = [_Opened.read(path, root) for path in tables]
    scored, numbers = _all_numbers(opened, formulas, root)
    document = {
        "numbers": {name: asdict(number) for name, number in numbers.items()},
        **_for_readers(opened, formulas, root),
        "on_request": [{"what": what, "target": f"results/{study}/{file}"} for what, file in _on_request(opened)],
        "figures": _figures(figures, root, {**scored, **numbers}),
    }
    _write(out, study, code, document)


class _Opened(NamedTuple):
    """A table with the label of its section, its name, and where it lies under the study's results."""

    label: str
    name: str
    artefact: str
    table: Table

    @staticmethod
    def read(path: Path, root: Path) -> "_Opened":
        label, name = path.stem.split(".")
        return _Opened(label, name, _relative(path, root), read_table(path, name))

    def numbers(self) -> Named:
        return table_numbers(self.name, self.label, self.table, self.artefact)


def _all_numbers(
    opened: list[_Opened], formulas: list[Path], root: Path
) -> tuple[dict[str, Number], dict[str, Number]]:
    """Those of scores by themselves; and all: those of scores, of formulas and of every table."""
    scores = [each for each in opened if each.name == "information"]
    scored = dict(number for each in scores for number in each.numbers())
    shown = _without_label(scored) if len(scores) == 1 else scored
    of_tables = dict(number for each in opened if each.name != "information" for number in each.numbers())
    return scored, {**shown, **dict(_formulas(formulas, root)), **of_tables}


def _write(out: Path, study: str, code: str, document: dict) -> None:
    document = {"header": {"format": FORMAT_VERSION, "study": study, **provenance({"study": study}, code)}, **document}
    with atomic(out) as temporary:
        text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def _for_readers(opened: list[_Opened], formulas: list[Path], root: Path) -> dict[str, dict]:
    """What the page and the summary show beyond single numbers."""
    return {
        "formulas": {_label(path): _formula_entry(path, root) for path in formulas},
        "structures": {each.label: _structures_entry(each.table) for each in opened if each.name == "structures"},
        "limits": {each.label: _limits_entry(each.table) for each in opened if each.name == "limits"},
    }


def _on_request(opened: list[_Opened]) -> Iterator[tuple[str, str]]:
    """Tables that hold a clock and are for that reason in no archive: what they compare, and their files."""
    for each in opened:
        kinds = each.table.data["kind"].tolist() if "kind" in each.table.schema.names else []
        if each.name == "control" and any(kind != "truth" for kind in kinds):
            what = f"generators of '{each.label}': distances, AUC, time of the training, events a second, parameters"
            yield what, f"tables/{each.label}.generator_comparison.tex"
        if each.name == "information" and sum(kind == "model" for kind in kinds) > 1:
            what = f"scores of '{each.label}': information, correlation, slope, time of the training, scores a second"
            yield what, f"tables/{each.label}.score_comparison.tex"
    if sum(each.name == "integral" for each in opened) > 1:
        yield "samplers: integral, efficiencies, time of the adaptation", "tables/integrator_comparison.tex"


def _label(path: Path) -> str:
    """The label in an artefact's file name."""
    return path.name.split(".")[0]


def _relative(path: Path, root: Path) -> str:
    return path.resolve().relative_to(root.resolve()).as_posix()


def _without_label(scored: dict[str, Number]) -> dict[str, Number]:
    """``information.main.network`` as ``information.network``: there is only one section that it can come from."""
    return {(name if name.count(".") == 1 else ".".join(name.split(".")[::2])): scored[name] for name in scored}


def _formulas(paths: list[Path], root: Path) -> Named:
    for path in paths:
        label, artefact, entry = _label(path), _relative(path, root), _formula_entry(path, root)
        yield f"formula.{label}.complexity", Number(entry["complexity"], None, "1", artefact, "nodes of the formula")
        for name, (value, error) in entry["constants"].items():
            meaning = f"constant {name} of {entry['text']}"
            yield f"formula.{label}.{name}", Number(value, error, "1", artefact, meaning)
        for name in [name for name in _QUALITY if name in entry["quality"]]:
            yield f"formula.{label}.{name}", Number(entry["quality"][name], None, "1", artefact, _QUALITY[name])


def _structures_entry(table: Table) -> list[dict]:
    """The structures for readers, the most probable first."""
    names = ("text", "form", "latex", "complexity", "n_free", "n_draws", "is_formula")
    pairs = ("probability", "probability_pooled", "information_select")
    rows = table.data.to_dict("records")
    return [
        {name: row[name] for name in names} | {name: [row[name], row[f"{name}_error"]] for name in pairs}
        for row in rows
    ]


def _limits_entry(table: Table) -> dict:
    """The intervals of the exact likelihood of the expected data, and whether the linear approximation is near."""
    asked, rows = table.provenance["spec"]["section"], table.data
    which = ["name", "parameter", "with_rate", "level"]
    far = {tuple(row) for row in rows[rows["is_linear"] == 0][which].itertuples(index=False)}
    exact = rows[rows["method"] == "expected"][[*which, "kind", "low", "high", "is_bounded"]].to_dict("records")
    return {
        "luminosity": asked["luminosity"],
        "efficiency": asked["efficiency"],
        "intervals": [{**row, "is_linear": int(tuple(row[name] for name in which) not in far)} for row in exact],
    }


def _formula_entry(path: Path, root: Path) -> dict:
    """A formula for readers: text, LaTeX, complexity, and each constant with its error."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        shown = found["shown"]
        constants = {name: (value, shown["errors"][name]) for name, value in found["constants"].items()}
        kept = {name: shown[name] for name in ("text", "latex", "complexity")}
        parameter, engine, quality = found["name"], found["engine"], found["quality"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SchemaError(
            f"{path}: not a formula of this version ({error!r}). Re-run the rule that makes it.",
            damaged=path if isinstance(error, ValueError) else None,
        ) from None
    entry = {"parameter": parameter, "engine": engine, "constants": constants, "quality": quality}
    entry |= {"artefact": _relative(path, root)}
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
