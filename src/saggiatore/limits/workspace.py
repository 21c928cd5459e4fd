"""The likelihood of one observable as a HistFactory workspace in JSON, schema 1.0.0, which pyhf reads."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from saggiatore.files import atomic
from saggiatore.limits.template import Template
from saggiatore.types import Float

STANDARD_MODEL = "standard_model"
_INSIDE = 0.99  # of the distance to where a bin expects nothing


def workspace(name: str, template: Template, ranges: Mapping[str, tuple[float, float]]) -> dict:
    """One channel with the expected data.

    HistFactory has no polynomials in a parameter: each monomial is a sample, with events for one unit of it and a
    normalisation of its own. The measurement `linear` keeps those of degree two at zero. For the exact likelihood they
    follow the parameters: in the measurement `quadratic` set `PARAMETER_squared` to PARAMETER^2 (and `ONE_OTHER` to
    their product) wherever the likelihood is evaluated.

    Args:
        name: of the channel.
        template: expectation, with its nuisance parameters.
        ranges: bounds of each parameter.
    """
    terms = monomial_names(tuple(ranges))
    coefficients, shifts = template.natural(), template.natural_shifts()
    samples = [
        _sample(term, coefficients[:, place], shifts[..., place], template)
        for place, term in enumerate((STANDARD_MODEL, *terms))
    ]
    first = next(iter(ranges))
    return {
        "version": "1.0.0",
        "channels": [{"name": name, "samples": samples}],
        "observations": [{"name": name, "data": coefficients[:, 0].tolist()}],
        "measurements": [
            {
                "name": "linear",
                "config": {"poi": first, "parameters": _parameters(_linear(coefficients, ranges), True)},
            },
            {"name": "quadratic", "config": {"poi": first, "parameters": _parameters(ranges, False)}},
        ],
    }


def _linear(
    coefficients: Float[np.ndarray, "bin monomial"], ranges: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """The part of the ranges in which every bin expects events without the terms of degree two."""
    found = {}
    for place, (name, (low, high)) in enumerate(ranges.items(), start=1):
        slopes = len(ranges) * coefficients[:, place] / coefficients[:, 0]
        lowest = -_INSIDE / slopes.max() if slopes.max() > 0 else low
        highest = -_INSIDE / slopes.min() if slopes.min() < 0 else high
        found[name] = (max(low, float(lowest)), min(high, float(highest)))
    return found


def monomial_names(parameters: tuple[str, ...]) -> list[str]:
    """Names of the monomials of degree one and two, in the order of `morphing.monomials`."""
    first, second = np.triu_indices(len(parameters))
    pairs = [(parameters[i], parameters[j]) for i, j in zip(first.tolist(), second.tolist(), strict=True)]
    return [*parameters, *(f"{one}_squared" if one == other else f"{one}_{other}" for one, other in pairs)]


def _sample(
    name: str, data: Float[np.ndarray, " bin"], shifts: Float[np.ndarray, "nuisance bin"], template: Template
) -> dict:
    modifiers: list[dict] = []
    if name == STANDARD_MODEL:
        modifiers.append({"name": "simulated_events", "type": "staterror", "data": np.sqrt(template.variance).tolist()})
    else:
        modifiers.append({"name": name, "type": "normfactor", "data": None})
    for nuisance, shift in zip(template.names, shifts, strict=True):
        varied = {"hi_data": (data + shift).tolist(), "lo_data": (data - shift).tolist()}
        modifiers.append({"name": nuisance, "type": "histosys", "data": varied})
    return {"name": name, "data": data.tolist(), "modifiers": modifiers}


def _parameters(ranges: Mapping[str, tuple[float, float]], is_fixed: bool) -> list[dict]:
    """Starting values and bounds; those of products follow."""
    names, bounds = monomial_names(tuple(ranges)), [*ranges.values()]
    first, second = np.triu_indices(len(bounds))
    for i, j in zip(first.tolist(), second.tolist(), strict=True):
        corners = [one * other for one in bounds[i] for other in bounds[j]]
        bounds.append((min(corners), max(corners)))
    return [
        {"name": name, "inits": [0.0], "bounds": [list(bound)], "fixed": is_fixed and place >= len(ranges)}
        for place, (name, bound) in enumerate(zip(names, bounds, strict=True))
    ]


def write_workspace(path: Path, content: dict) -> None:
    """Write as JSON, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
