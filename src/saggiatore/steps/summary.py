"""What a study found, in a few lines for the terminal."""

import json
import textwrap
from collections.abc import Iterable
from pathlib import Path

from saggiatore.chosen import expanded, read_mapping
from saggiatore.errors import SchemaError, StudyError
from saggiatore.number import Number, quote, rounded

_CONFIG = Path("config/config.yaml")
_N_STRUCTURES = 3  # that are printed; numbers.json has all


def run(*, numbers: Path | None = None, study: str = "") -> None:
    """Print the formulas with their error bars, what they are worth, and where figures and archive lie.

    Of the study whose numbers.json is given, or of each `study`: names of studies or groups, with commas between them.

    Raises:
        SchemaError: if a numbers.json cannot be read.
        StudyError: if neither is given.
    """
    names = expanded(study.split(","), read_mapping(_CONFIG)) if study else []
    paths = [numbers] if numbers else [Path("results") / name / "numbers.json" for name in names]
    if not paths:
        raise StudyError("summary: name a --study, or the --numbers of one.")
    for path in paths:
        if len(paths) > 1:
            print(f"{path.parent.name:=^100}\n")
        print("\n".join(_summary(path)).strip("\n"))


def _summary(path: Path) -> list[str]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        found = {name: Number(**entry) for name, entry in document["numbers"].items()}
        study = document["header"]["study"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SchemaError(f"{path}: no readable numbers.json ({error!r}). Run the study that makes it.") from None
    lines = [line for label, entry in document["formulas"].items() for line in _formula(label, entry)]
    lines += [line for label, rows in document["structures"].items() for line in _structures(label, rows, found)]
    lines += ["", *_cross_sections(found), *_information(found), *_limits(found), *_calibration(found)]
    lines += [*_generators(found), *_ratios(found), *_accuracy(found), *_densities(found), ""]
    return [*lines, *_on_request(document), *_places(study, path.parent, document)]


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


def _cross_sections(found: dict[str, Number]) -> list[str]:
    rows = [(name, number) for name, number in found.items() if name.startswith("cross_section.")]
    return [*(f"Cross section '{_tail(name)}': {_quoted(number)} {number.unit}" for name, number in rows), ""]


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
        if stem == "pull_width" and "." not in label:
            at_68 = found.get(f"coverage.{label}.68")
            covered = f", coverage of 68 % intervals {quote(at_68.value, at_68.error)}" if at_68 else ""
            lines.append(
                f"Errors of '{label}' on held-out events: pull width {quote(number.value, number.error)}{covered}"
            )
    return lines


def _generators(found: dict[str, Number]) -> list[str]:
    """How close each generator comes; events of the process itself, where there are any, show the limit."""
    titles = {
        "auc": "AUC",
        "chi2": "chi2 a bin",
        "chi2_2d": "of pairs",
        "wasserstein": "Wasserstein",
        "weight_std": "width of w",
        "weight_mean": "mean of w",
        "chi2_reweighted": "chi2 reweighted",
        "wasserstein_reweighted": "Wasserstein reweighted",
    }
    head = "Generators of '{}' against the truth (AUC 0.5, chi2 1: nothing tells them apart):"
    return _tables(head, "control", found, titles)


def _ratios(found: dict[str, Number]) -> list[str]:
    """Each learned ratio at each value of the parameter."""
    keys = [name.split(".") for name in found if name.startswith("mse_log_ratio.")]
    titles = {at: f"at {at.replace('_', '.')}" for at in dict.fromkeys(at for *_, at in keys)}
    return _tables("Mean squared error of the logarithm of likelihood ratios '{}':", "mse_log_ratio", found, titles)


def _accuracy(found: dict[str, Number]) -> list[str]:
    titles = {"delta_50": "half within", "delta_95": "95 % within", "pull_68": "width of pulls"}
    moved = {f"accuracy.{at}.{name}": found[f"{name}.{at}"] for at, name in _at(found, titles)}
    return _tables("Relative accuracy of the amplitudes '{}':", "accuracy", moved, titles)


def _at(found: dict[str, Number], names: Iterable[str]) -> list[tuple[str, str]]:
    """LABEL.NAME and which of `names` the numbers ``NAME.LABEL.NAME`` are."""
    split = [name.split(".") for name in found]
    return [(".".join(rest), first) for first, *rest in split if first in names and len(rest) == 2]


def _densities(found: dict[str, Number]) -> list[str]:
    """Posteriors over densities in well-populated bins; and what generated events are worth."""
    lines = []
    for name, number in found.items():
        stem, _, label = name.partition(".")
        if stem == "pull_rms":
            lines.append(
                f"Density '{label}' in {found[f'n_populated.{label}'].value:g} well-populated bins: pulls have a root "
                f"mean square of {_quoted(number)}, the median error is {found[f'relative_std.{label}'].value:.1%}"
            )
        if stem == "worth" and label.endswith(".density"):
            lines.append(f"Density '{label.split('.')[0]}' is worth {_quoted(number)} times the events of its training")
    return ["", *lines] if lines else []


def _tables(head: str, stem: str, found: dict[str, Number], titles: dict[str, str]) -> list[str]:
    """A table for each label of the numbers ``STEM.LABEL.NAME.QUANTITY``, one row a name, one column a title;
    the least in the first column comes first."""
    rows: dict[str, dict[str, dict[str, Number]]] = {}
    for key, number in found.items():
        first, *rest = key.split(".")
        if first == stem and len(rest) == 3 and rest[2] in titles:
            rows.setdefault(rest[0], {}).setdefault(rest[1], {})[rest[2]] = number
    lines: list[str] = []
    for label, entries in rows.items():
        shown = [name for name in titles if any(name in entry for entry in entries.values())]
        cells = [["", *(titles[name] for name in shown)]]
        for name, entry in sorted(entries.items(), key=lambda item: item[1][shown[0]].value):
            cells.append([name, *(_quoted(entry[each]) if each in entry else "" for each in shown)])
        lines += ["", head.format(label), *_aligned(cells)]
    return lines


def _aligned(cells: list[list[str]]) -> list[str]:
    """Rows of a table: the first column from the left, all others from the right."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "    "
        + "  ".join(
            [row[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in cells
    ]


def _quoted(number: Number) -> str:
    return quote(number.value, number.error)


def _tail(name: str) -> str:
    return name.partition(".")[2]


def _on_request(document: dict) -> list[str]:
    """Tables with measured times, which are in no archive."""
    asked = [(each["what"], f"snakemake --cores 2 {each['target']}") for each in document["on_request"]]
    head = ["Made on request, since times differ from run to run:"]
    return [*head, *(f"    {line}" for pair in asked for line in pair), ""] if asked else []


def _places(study: str, folder: Path, document: dict) -> list[str]:
    return [
        f"Figures  {folder / 'figures'} ({len(document['figures'])})",
        f"Numbers  {folder / 'numbers.json'} ({len(document['numbers'])})",
        f"HEPData  {folder / 'hepdata.zip'}",
        f"Archive  {folder.parent / 'bundles' / f'{study}.zip'}",
    ]
