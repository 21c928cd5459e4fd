"""The page of a study: what was asked for, found and done, in one file that opens anywhere."""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup
from PIL import Image

from saggiatore.attribution import read_attribution
from saggiatore.errors import SchemaError
from saggiatore.files import atomic
from saggiatore.number import Number, quote
from saggiatore.record import Record, lineage, read_records
from saggiatore.report.formula import typeset
from saggiatore.report.graph import Node, draw, duration, nodes
from saggiatore.report.limits import limits
from saggiatore.report.page import render
from saggiatore.report.structures import structures

_META = ("title", "authors", "licence", "doi", "seed", "process")  # keys of a study that are no stages
_INFORMATION = "information."
_SECTIONS = {
    "studied": "Studied",
    "formulas": "Formulas",
    "structures": "Posterior over formulas",
    "information": "Information",
    "limits": "Limits",
    "figures": "Figures",
    "numbers": "Numbers",
    "jobs": "Jobs",
    "provenance": "Provenance",
    "reproduce": "Reproduce",
}


def run(*, study: Path, citation: Path, code: str, numbers: Path, figures: list[Path], logs: Path, out: Path) -> None:
    """Write the page from the study's file, its numbers and its figures (PNG); times are those of the jobs' records.

    Raises:
        SchemaError: if numbers.json cannot be read or lacks what the page shows.
    """
    document = _document(numbers)
    content = {**_head(study, citation, document), **_results(document)}
    folder = numbers.parent.as_posix()
    made = [f"{folder}/{each['artefact']}" for each in document["numbers"].values()]
    records = lineage(read_records(logs), [numbers.as_posix(), *made, *(path.as_posix() for path in figures)])
    content["figures"] = [_figure(path, document["figures"], records, folder) for path in sorted(figures)]
    content |= _jobs(records)
    content["provenance"] = list(_provenance(document["header"], records, code))
    content["sections"] = [(name, heading) for name, heading in _SECTIONS.items() if content.get(name, True)]
    with atomic(out) as temporary:
        temporary.write_text(render(content), encoding="utf-8")


def _document(path: Path) -> dict:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {
            key: document[key]
            for key in ("header", "numbers", "formulas", "structures", "limits", "figures", "on_request")
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        damaged = path if isinstance(error, ValueError) else None
        message = f"{path}: no readable numbers.json ({error!r}). Run the study that makes it."
        raise SchemaError(message, damaged=damaged) from None


def _head(study: Path, citation: Path, document: dict) -> dict[str, Any]:
    attribution = read_attribution(study, citation)
    source = study.read_text(encoding="utf-8")
    said = yaml.safe_load(source)
    stages = {key: sections for key, sections in said.items() if key not in _META}
    return {
        "title": attribution.title,
        "authors": "; ".join(_signed(author.name, author.affiliation) for author in attribution.authors),
        "licence": attribution.licence,
        "doi": attribution.doi,
        "references": attribution.references,
        "study": study.stem,
        "version": document["header"]["versions"]["saggiatore"],
        "process": [(".".join(path), _inline(value)) for path, value in _leaves(said["process"])],
        "stages": [
            (stage, label, _inline(section))
            for stage, sections in stages.items()
            for label, section in sections.items()
        ],
        "source": source,
    }


def _signed(name: str, affiliation: str) -> str:
    return f"{name} ({affiliation})" if affiliation else name


def _leaves(value: dict, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, item in value.items():
        if isinstance(item, dict) and item:
            yield from _leaves(item, (*path, str(key)))
        else:
            yield (*path, str(key)), item


def _inline(value: object) -> str:
    """A value as one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, width=1 << 20, allow_unicode=True, sort_keys=False)
    return text.removesuffix("...\n").strip().removeprefix("{").removesuffix("}")


def _results(document: dict) -> dict[str, Any]:
    found = {name: Number(**entry) for name, entry in document["numbers"].items()}
    return {
        "formulas": [_formula(label, entry, found) for label, entry in sorted(document["formulas"].items())],
        "structures": [structures(label, rows, found) for label, rows in sorted(document["structures"].items())],
        "information": list(_information(found)),
        "on_request": document["on_request"],
        "limits": [limits(label, entry, found) for label, entry in sorted(document["limits"].items())],
        "numbers": [
            {
                **vars(number),
                "name": name,
                "value": quote(number.value, number.error),
                "unit": "" if number.unit == "1" else number.unit,
            }
            for name, number in sorted(found.items())
        ],
    }


def _formula(label: str, entry: dict, found: Mapping[str, Number]) -> dict[str, Any]:
    kept = next((found[name] for name in found if name.startswith(_INFORMATION) and name.endswith(f".{label}")), None)
    worth = f"Keeps {quote(kept.value, kept.error)} of the joint Fisher information." if kept else ""
    return {
        "label": label,
        "parameter": entry["parameter"],
        "math": typeset(entry["latex"]),
        "latex": entry["latex"],
        "text": entry["text"],
        "complexity": entry["complexity"],
        "engine": " ".join(filter(None, (entry["engine"].get("name"), entry["engine"].get("version")))) or "no engine",
        "worth": worth,
        "constants": [(name, quote(*constant)) for name, constant in entry["constants"].items()],
    }


def _information(found: Mapping[str, Number]) -> Iterator[dict[str, str]]:
    """Best first. Bars are in percent of the column."""
    kept = {name: number for name, number in found.items() if name.startswith(_INFORMATION)}
    for name in sorted(kept, key=lambda each: -kept[each].value):
        number = kept[name]
        error = number.error or 0.0
        yield {
            "name": name.removeprefix(_INFORMATION).replace("_", " "),
            "value": quote(number.value, number.error),
            "width": f"{100 * min(1.0, max(0.0, number.value)):.3f}",
            "low": f"{100 * max(0.0, number.value - error):.3f}",
            "span": f"{200 * error:.3f}",
        }


def _figure(path: Path, known: Mapping[str, dict], records: Mapping[str, Record], folder: str) -> dict[str, Any]:
    label = path.name.split(".")[0]
    with Image.open(path) as picture:
        width, height = picture.size
    maker = next((record for record in records.values() if path.as_posix() in record.outputs), None)
    inputs = [name for name in maker.inputs if "/spec/" not in name] if maker else []
    return {
        "label": label,
        "title": label.replace("_", " ").capitalize(),
        "data": "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode(),
        "width": width,
        "height": height,
        "caption": known[label].get("caption", ""),
        "inputs": [name.removeprefix(f"{folder}/") for name in inputs],
        "files": sorted(known[label]["files"]),
    }


def _jobs(records: Mapping[str, Record]) -> dict[str, Any]:
    graph = nodes(records)
    if not graph:
        return {"jobs": [], "graph": "", "span": ""}
    first, last = min(record.start for record in records.values()), max(record.end for record in records.values())
    total = duration(sum(node.seconds for node in graph))
    span = f"From {_clock(first)} to {_clock(last)} (UTC); all jobs together took {total}."
    return {"jobs": [_job(node) for node in graph], "graph": Markup(draw(graph)), "span": span}


def _job(node: Node) -> dict[str, str]:
    return {
        "name": node.name if node.n_jobs == 1 else f"{node.name} ({node.n_jobs} jobs)",
        "start": _clock(node.start),
        "time": duration(node.seconds),
        "memory": f"{node.memory:.0f} MB",
        "above": ", ".join(node.above),
    }


def _clock(time: str) -> str:
    return time[:19].replace("T", " ")


def _provenance(header: dict, records: Mapping[str, Record], code: str) -> Iterator[tuple[str, str]]:
    yield "commit", header["commit"]
    yield "code of the numbers", header["code"]
    yield "code of this page", code
    for host in sorted(
        {", ".join(f"{key} {value}" for key, value in record.host.items()) for record in records.values()}
    ):
        yield "kind of host", host
    yield from (
        (name, version)
        for name, version in {
            **header["versions"],
            **{key: value for record in records.values() for key, value in record.environment.items()},
        }.items()
    )
