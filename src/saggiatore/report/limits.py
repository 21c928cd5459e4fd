"""Expected limits on the page: a table for each parameter and kind of data, the narrowest interval first."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from saggiatore.number import Number, data_name, level_name, quote, rounded

_DATA = {0: "the distribution alone", 1: "distribution and number of events"}
_LONGEST = 4  # bars, in units of the shortest one
_OPEN, _NONLINEAR = "†", "‡"


def limits(label: str, entry: dict, found: Mapping[str, Number]) -> dict[str, Any]:
    """One section of the stage `limits`, from its entry in numbers.json."""
    intervals = sorted(entry["intervals"], key=_group)
    return {
        "label": label,
        "luminosity": f"{entry['luminosity']:g}",
        "efficiency": f"{entry['efficiency']:g}",
        "is_open": any(not each["is_bounded"] for each in intervals),
        "is_nonlinear": any(not each["is_linear"] for each in intervals),
        "tables": [_table(label, *key, list(rows), found) for key, rows in groupby(intervals, _group)],
    }


def _group(interval: dict) -> tuple[str, int]:
    return interval["parameter"], interval["with_rate"]


def _table(
    label: str, parameter: str, with_rate: int, intervals: list[dict], found: Mapping[str, Number]
) -> dict[str, Any]:
    """Bars are the intervals of the largest level that is at most 95 %; the longest ones are cut."""
    levels = sorted({each["level"] for each in intervals})
    drawn = max((level for level in levels if level <= 0.95), default=levels[0])
    chosen = [each for each in intervals if each["level"] == drawn]
    ends = [max(abs(each["low"]), abs(each["high"])) for each in chosen]
    reach = min(max(ends), _LONGEST * min(ends))
    rows = []
    for each in sorted(chosen, key=lambda each: each["high"] - each["low"]):
        same = {other["level"]: other for other in intervals if other["name"] == each["name"]}
        covered = found.get(f"limits_coverage.{label}.{each['name']}.{data_name(bool(with_rate))}.{level_name(drawn)}")
        rows.append(
            {
                "name": each["name"].replace("_", " "),
                "kind": each["kind"],
                "bar": _bar(each["low"], each["high"], reach),
                "intervals": [_text(same[level]) for level in levels],
                "coverage": quote(covered.value, covered.error) if covered else "",
            }
        )
    return {
        "parameter": parameter,
        "data": _DATA[with_rate],
        "drawn": f"{100 * drawn:g} %",
        "levels": [f"{100 * level:g} %" for level in levels],
        "rows": rows,
        "has_coverage": any(row["coverage"] for row in rows),
    }


def _bar(low: float, high: float, reach: float) -> dict[str, str]:
    """Left end and width in percent of the column, whose middle is zero and whose half is `reach`."""
    left, right = (50 * (1 + min(1.0, max(-1.0, end / reach))) for end in (low, high))
    return {"left": f"{left:.3f}", "width": f"{right - left:.3f}"}


def _text(interval: dict) -> str:
    marks = _OPEN * (not interval["is_bounded"]) + _NONLINEAR * (not interval["is_linear"])
    low, high = (rounded(interval[end], (interval["high"] - interval["low"]) / 50)[0] for end in ("low", "high"))
    return f"{low} to {high}{marks}".replace("-", "\N{MINUS SIGN}")
