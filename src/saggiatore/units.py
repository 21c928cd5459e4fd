"""Units. Inside: GeV, pb, radians; a quantity in a study carries its unit and is converted once, here."""

import operator
import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated

from pydantic import BeforeValidator, Field

GEV2_PB = 0.3893793721e9  # (hbar c)^2 in GeV^2 pb, CODATA 2018
PB_FB = 1e3  # fb in a pb

_SCALES = {
    "GeV": {"eV": 1e-9, "keV": 1e-6, "MeV": 1e-3, "GeV": 1.0, "TeV": 1e3},
    "TeV^-2": {"TeV^-2": 1.0, "GeV^-2": 1e6},
    "fb^-1": {"pb^-1": 1e-3, "fb^-1": 1.0, "ab^-1": 1e3},
    "GB": {"MB": 1e-3, "GB": 1.0, "TB": 1e3},
    "h": {"s": 1 / 3600, "min": 1 / 60, "h": 1.0, "d": 24.0},
}
UNITS = (
    "1",
    "GeV",
    "GeV^2",
    "pb",
    "rad",
    "TeV^-2",
    "TeV^2",
    "GeV^-1",
    "GeV^-2",
    "GeV^-4",
    "GeV^-6",
    "GeV^-8",
    "s",
    "s^-1",
)  # what a column may be measured in

# power of an energy that a unit is, where hbar = c = 1
_ENERGY_POWERS = {"pb": -2, "s": -1, "s^-1": 1}
_ENERGY_UNIT = re.compile(r"^[GT]eV(?:\^(-?\d+))?$")

_INVERSES = {"1": "1", "GeV": "GeV^-1", "TeV^-2": "TeV^2"}

_UNSIGNED = r"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_NUMBER = rf"[-+]?{_UNSIGNED}"
_POSITIVE = rf"(?=[\d.]*[1-9]){_UNSIGNED}"
_ALWAYS_POSITIVE = ("fb^-1", "GB", "h")  # Slurm takes a request for no memory as one for all that a node has


def inverse(unit: str) -> str:
    """Unit of one over a quantity in `unit`, such as that of a score."""
    return _INVERSES[unit]


def energy_power(unit: str) -> int:
    """Power of an energy that `unit` has where hbar = c = 1: 1 for GeV, -2 for pb, 0 for radians."""
    match = _ENERGY_UNIT.match(unit)
    return int(match.group(1) or 1) if match else _ENERGY_POWERS.get(unit, 0)


def quantity_pattern(unit: str) -> str:
    """Regular expression of a quantity that can be converted to `unit`, for the JSON Schema."""
    names = "|".join(re.escape(name) for name in _SCALES[unit])
    number = _POSITIVE if unit in _ALWAYS_POSITIVE else _NUMBER
    return rf"^{number}\s*({names})$"


def parse_quantity(unit: str, text: object) -> float:
    """Value of a quantity such as ``20 GeV`` in `unit`.

    A plain number is accepted only as the already converted value of a frozen spec (an int or a float).

    Raises:
        ValueError: if the text is no number with a unit, the unit does not convert to `unit`, or there is a minus sign
            where none can be.
    """
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        return float(text)
    known = _SCALES[unit]
    match = re.match(rf"^({_NUMBER})\s*(\S+)$", str(text).strip())
    if match is None:
        raise ValueError(f"got {text!r}, expected a number with a unit, such as '20 {unit}'.")
    value, name = match.groups()
    if name not in known:
        raise ValueError(f"got {text!r}: the unit '{name}' does not convert to {unit}; use one of {', '.join(known)}.")
    if unit in _ALWAYS_POSITIVE and float(value) <= 0:
        raise ValueError(f"got {text!r}, expected a quantity above zero.")
    return float(value) * known[name]


# what a field may ask of a quantity: the names of pydantic, and how to say them
LIMITS = {
    "gt": (operator.gt, "above"),
    "ge": (operator.ge, "at least"),
    "lt": (operator.lt, "below"),
    "le": (operator.le, "at most"),
}


def outside(unit: str, text: str, limits: Mapping[str, float]) -> str | None:
    """Which of `limits`, in `unit`, a quantity misses, in words; None if it keeps them all."""
    value = parse_quantity(unit, text)
    missed = [f"{LIMITS[key][1]} {limit:g} {unit}" for key, limit in limits.items() if not LIMITS[key][0](value, limit)]
    return " and ".join(missed) or None


def _schema(unit: str) -> dict:
    return {"type": "string", "pattern": quantity_pattern(unit), "examples": [f"20 {unit}"], "x-unit": unit}


Energy = Annotated[
    float,
    BeforeValidator(partial(parse_quantity, "GeV"), json_schema_input_type=str),
    Field(json_schema_extra=_schema("GeV")),
]
InverseTeV2 = Annotated[
    float,
    BeforeValidator(partial(parse_quantity, "TeV^-2"), json_schema_input_type=str),
    Field(json_schema_extra=_schema("TeV^-2")),
]
Luminosity = Annotated[
    float,
    BeforeValidator(partial(parse_quantity, "fb^-1"), json_schema_input_type=str),
    Field(json_schema_extra=_schema("fb^-1")),
]
Memory = Annotated[
    float,
    BeforeValidator(partial(parse_quantity, "GB"), json_schema_input_type=str),
    Field(json_schema_extra=_schema("GB")),
]
Duration = Annotated[
    float,
    BeforeValidator(partial(parse_quantity, "h"), json_schema_input_type=str),
    Field(json_schema_extra=_schema("h")),
]
