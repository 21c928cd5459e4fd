"""Numbers as they are archived and as they are read: a value with its error, rounded like the Particle Data Group's."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from saggiatore.errors import StudyError


@dataclass(frozen=True)
class Number:
    """One entry of numbers.json; `artefact` is the file it was taken from, relative to the study's results."""

    value: float
    error: float | None
    unit: str
    artefact: str
    meaning: str


def level_name(level: float) -> str:
    """A stated level as part of a number's name, which a point would end: 99_7."""
    return f"{100 * level:g}".replace(".", "_")


def data_name(with_rate: bool) -> str:
    """What a likelihood sees, as part of a number's name: the number of events as well, or their distribution alone."""
    return "rate" if with_rate else "shape"


def decimals(error: float) -> int:
    """Decimal places that an error deserves: two digits up to 354, one up to 949, 950 becomes 1000 (PDG, 5.3)."""
    exponent = math.floor(math.log10(error))
    return 1 - exponent if round(error / 10.0**exponent * 100) <= 354 else -exponent


def rounded(value: float, error: float | None = None) -> tuple[str, str | None]:
    """Value and error as text with as many decimals as the error deserves; four digits where there is no error."""
    if error is None or not error > 0:
        return f"{value:.4g}", None
    places = decimals(error)
    digits = max(places, 0)
    return f"{round(value, places):.{digits}f}", f"{round(error, places):.{digits}f}"


def quote(value: float, error: float | None = None) -> str:
    """``0.954 ± 0.003`` in plain text."""
    shown, uncertainty = rounded(value, error)
    return shown if uncertainty is None else f"{shown} ± {uncertainty}"


def fill(template: str, numbers: Mapping[str, Number]) -> str:
    """Put numbers in the place of their names: ``keeps {information.network}`` -> ``keeps 0.954 ± 0.003``.

    Raises:
        StudyError: if a name is not among the numbers.
    """

    def quoted(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in numbers:
            raise StudyError(f"a caption quotes '{name}', which the study does not measure: {template!r}.")
        number = numbers[name]
        return " ".join([quote(number.value, number.error), *([number.unit] if number.unit != "1" else [])])

    return re.sub(r"\{([a-z][\w.]*)\}", quoted, template)
