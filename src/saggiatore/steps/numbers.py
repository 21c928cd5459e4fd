"""Every number of a study, with its error, unit and origin; and the captions that quote them."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from PIL import Image

from saggiatore.errors import SchemaError
from saggiatore.files import atomic
from saggiatore.number import Number, fill
from saggiatore.provenance import provenance
from saggiatore.table_numbers import Named, table_numbers
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
    integrals: list[Path],
    samples: list[Path],
    informations: list[Path],
    agreements: list[Path],
    score_posteriors: list[Path],
    formulas: list[Path],
    calibrations: list[Path],
    diagnostics: list[Path],
    histories: list[Path],
    structures: list[Path],
    constants: list[Path],
    bands: list[Path],
    limits: list[Path],
    coverages: list[Path],
    sensitivities: list[Path],
    ratios: list[Path],
    accuracies: list[Path],
    predictives: list[Path],
    amplifications: list[Path],
    figures: list[Path],
    out: Path,
) -> None:
    """Write numbers.json; any list may be empty."""
    root = out.parent
    tables = {"integral": integrals, "sample": samples, "calibration": calibrations, "diagnostics": diagnostics}
    tables |= {"history": histories, "structures": structures, "constants": constants, "band": bands, "limits": limits}
    tables |= {"coverage": coverages, "sensitivity": sensitivities, "ratios": ratios, "predictive": predictives}
    tables |= {"amplification": amplifications, "agreement": agreements, "score_posteriors": score_posteriors}
    tables |= {"accuracy": accuracies}
    scored, numbers = _all_numbers(informations, formulas, tables, root)
    document = {
        "numbers": {name: asdict(number) for name, number in numbers.items()},
        **_for_readers(formulas, structures, limits, root),
        "figures": _figures(figures, root, {**scored, **numbers}),
    }
    _write(out, study, code, document)


def _all_numbers(
    informations: list[Path], formulas: list[Path], tables: dict[str, list[Path]], root: Path
) -> tuple[dict[str, Number], dict[str, Number]]:
    """Those of scores by themselves; and all: those of scores, of formulas and of every table."""
    scored = dict(_each(informations, root, "information"))
    shown = _without_label(scored) if len(informations) == 1 else scored
    of_tables = {name: number for table, paths in tables.items() for name, number in _each(paths, root, table)}
    return scored, {**shown, **dict(_formulas(formulas, root)), **of_tables}


def _write(out: Path, study: str, code: str, document: dict) -> None:
    document = {"header": {"format": FORMAT_VERSION, "study": study, **provenance({"study": study}, code)}, **document}
    with atomic(out) as temporary:
        text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def _for_readers(formulas: list[Path], structures: list[Path], limits: list[Path], root: Path) -> dict[str, dict]:
    """What the page and the summary show beyond single numbers."""
    return {
        "formulas": {_label(path): _formula_entry(path, root) for path in formulas},
        "structures": {_label(path): _structures_entry(read_table(path, "structures")) for path in structures},
        "limits": {_label(path): _limits_entry(read_table(path, "limits")) for path in limits},
    }


def _label(path: Path) -> str:
    """The label in an artefact's file name."""
    return path.name.split(".")[0]


def _each(paths: list[Path], root: Path, name: str) -> Named:
    """Numbers of the table `name` of every label."""
    for path in paths:
        yield from table_numbers(name, _label(path), read_table(path, name), _relative(path, root))


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
