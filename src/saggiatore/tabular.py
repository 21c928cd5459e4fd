"""Tables for a paper."""

from collections.abc import Iterable, Sequence


def tabular(columns: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A LaTeX table with `columns` such as ``rlr``; cells are LaTeX."""
    lines = [rf"\begin{{tabular}}{{{columns}}}", " & ".join(header) + r" \\", r"\hline"]
    lines += [" & ".join(row) + r" \\" for row in rows]
    return "\n".join([*lines, r"\end{tabular}", ""])


def two_digits(value: float) -> str:
    """A time or a rate as a cell: it swings from run to run."""
    return f"{float(f'{value:.2g}'):g}" if value < 1e5 else f"${value / 1e6:.2g} \\cdot 10^6$"
