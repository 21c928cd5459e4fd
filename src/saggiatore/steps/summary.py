"""What a study found, in a few lines for the terminal."""

import json
import textwrap
from pathlib import Path

from saggiatore.errors import SchemaError
from saggiatore.number import Number, quote, rounded

_N_STRUCTURES = 3  # that are printed; numbers.json has all


def run(*, numbers: Path) -> None:
    """Print the formulas with their error bars, what they are worth, and where figures and archive lie."""
    try:
        document = json.loads(numbers.read_text(encoding="utf-8"))
        found = {name: Number(**entry) for name, entry in document["numbers"].items()}
        study = document["header"]["study"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SchemaError(f"{numbers}: no readable numbers.json ({error!r}). Run the study that makes it.") from None
    lines = [line for label, entry in document["formulas"].items() for line in _formula(label, entry)]
    lines += [line for label, rows in document["structures"].items() for line in _structures(label, rows, found)]
    lines += ["", *_information(found), *_limits(found), *_calibration(found), ""]
    lines += _places(study, numbers.parent, document)
    print("\n".join(lines).strip("\n"))


def _formula(label: str, entry: dict) -> list[str]:
    head = f"Formula '{label}' for the score of {entry['parameter']} (complexity {entry['complexity']}):"
    text = textwrap.wrap(entry["text"], 100, initial_indent="    ", subsequent_indent="      ")
    constants = [f"    {name} = {quote(*constant)}" for name, constant in entry["constants"].items()]
    return [head, *text, *constants]


def _structures(label: str, rows: list[dict], found: dict[str, Number]) -> list[str]:
    """The most probable structures; how far apart formulas are in what they predict, and how well each is known."""
    lines = ["", f"Posterior over formulas '{label}' (own search of each draw; pooled, on resampled events):"]
    for row in rows[:_N_STRUCTURES]:
        own, pooled = (quote(*row[name]) for name in ("probability", "probability_pooled"))
        mark = "  (the formula above)" if row["is_formula"] else ""
        lines.append(f"    {own:>13}  {pooled:>13}{mark}")
        lines += textwrap.wrap(row["form"], 100, initial_indent="        ", subsequent_indent="          ")
    stem = f"structures.{label}"
    constants = {name.removeprefix(f"{stem}.constant."): found[name] for name in found if f"{stem}.constant." in name}
    width = {name: found[f"{stem}.band_{name}"].value for name in ("structure", "constants", "network")}
    shown = ", ".join(f"{name} = {quote(number.value, number.error)}" for name, number in constants.items())
    lines.append(f"    of the first: {shown}")
    lines.append(
        f"    predictions differ by {width['structure']:.1%} between structures, {width['constants']:.1%} by "
        f"constants; the network's posterior is {width['network']:.1%} wide"
    )
    return lines


def _information(found: dict[str, Number]) -> list[str]:
    """Information kept, best first; a histogram is what one would have done without it all."""
    kept = {name: number for name, number in found.items() if name.startswith("information.")}
    order = sorted(kept, key=lambda name: -kept[name].value)
    width = max((len(name) for name in kept), default=0) - len("information.")
    rows = [
        f"    {name.removeprefix('information.'):<{width}}  {quote(kept[name].value, kept[name].error)}"
        for name in order
    ]
    return ["Fraction of the joint Fisher information kept on test events:", *rows] if rows else []


def _limits(found: dict[str, Number]) -> list[str]:
    """Expected intervals of 95 %, from the distribution alone; in each section the narrowest first."""
    ends = {name: number for name, number in found.items() if name.startswith("limits.") and ".shape.95." in name}
    lines: list[str] = []
    for label in sorted({name.split(".")[1] for name in ends}):
        luminosity, efficiency = (found[f"limits.{label}.{name}"].value for name in ("luminosity", "efficiency"))
        lines += ["", f"Expected limits '{label}', 95 %, from the distribution alone, for {luminosity:g} fb^-1"]
        lines[-1] += f" and an efficiency of {efficiency:g}:" if efficiency != 1 else ":"
        stems = {name.rpartition(".")[0] for name in ends if name.split(".")[1] == label}
        for stem in sorted(stems, key=lambda stem: ends[f"{stem}.high"].value):
            _, _, name, parameter, *_ = stem.split(".")
            low, high = (rounded(ends[f"{stem}.{end}"].value)[0] for end in ("low", "high"))
            lines.append(f"    {name:<20} {parameter} from {low} to {high}")
    return [*lines, ""] if lines else []


def _calibration(found: dict[str, Number]) -> list[str]:
    lines = []
    for name, number in found.items():
        stem, _, label = name.partition(".")
        if stem == "pull_width":
            at_68 = found.get(f"coverage.{label}.68")
            covered = f", coverage of 68 % intervals {quote(at_68.value, at_68.error)}" if at_68 else ""
            lines.append(
                f"Errors of '{label}' on held-out events: pull width {quote(number.value, number.error)}{covered}"
            )
    return lines


def _places(study: str, folder: Path, document: dict) -> list[str]:
    return [
        f"Figures  {folder / 'figures'} ({len(document['figures'])})",
        f"Numbers  {folder / 'numbers.json'} ({len(document['numbers'])})",
        f"Archive  {folder.parent / 'bundles' / f'{study}.zip'}",
    ]
