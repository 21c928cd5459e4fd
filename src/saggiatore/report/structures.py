"""The posterior over formulas, as the page shows it: the most probable structures, and how far apart formulas are."""

from collections.abc import Mapping
from typing import Any

from saggiatore.number import Number, quote
from saggiatore.report.formula import typeset

_N_SHOWN = 6  # structures; the table in the study's results has all
_WIDTHS = {
    "structure": "between structures",
    "constants": "by their constants",
    "network": "of the network's own posterior",
    "distance": "from the network to the formulas' mean",
}


def structures(label: str, rows: list[dict], found: Mapping[str, Number]) -> dict[str, Any]:
    """One section of the stage `structures`; `rows` are those of numbers.json, the most probable first."""
    stem = f"structures.{label}."
    constants = {name.removeprefix(f"{stem}constant."): found[name] for name in found if f"{stem}constant." in name}
    widths = [(text, found.get(f"{stem}band_{name}")) for name, text in _WIDTHS.items()]
    return {
        "label": label,
        "n_draws": sum(row["n_draws"] for row in rows),
        "rows": [_row(row) for row in rows[:_N_SHOWN]],
        "n_more": max(0, len(rows) - _N_SHOWN),
        "constants": [(name, quote(number.value, number.error)) for name, number in constants.items()],
        "widths": [(text, f"{number.value:.1%}") for text, number in widths if number],
    }


def _row(row: dict) -> dict[str, Any]:
    return {
        "math": typeset(row["latex"]),
        "is_formula": bool(row["is_formula"]),
        "width": f"{100 * min(1.0, row['probability_pooled'][0]):.3f}",
        "own": quote(*row["probability"]),
        "pooled": quote(*row["probability_pooled"]),
        "kept": quote(*row["information_select"]),
        "complexity": row["complexity"],
    }
