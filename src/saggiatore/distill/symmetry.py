"""Does a formula have a symmetry? Read off its values at events, so that it does not matter how it is written."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.distill.expression import evaluate
from saggiatore.distill.parametric import Parametric
from saggiatore.spec import ObservableName, Spec
from saggiatore.units import energy_power

Columns = Mapping[str, np.ndarray]
EXACT = 1e-9  # largest violation that is rounding, in units of the formula's own size
_NONE: Mapping[str, str] = MappingProxyType({})
_ENERGY = 2.0  # by which the unit of energy changes; powers of two round nothing


class SymmetrySpec(Spec):
    """Symmetries that every formula of a search has by construction."""

    odd_in: tuple[ObservableName, ...] = Field(
        (), description="features whose joint change of sign changes the formula's sign"
    )
    periodic: tuple[ObservableName, ...] = Field((), description="angles whose full turn leaves the formula as it is")
    is_dimensionless: bool = Field(
        False, description="whether features with a dimension enter by ratios that no unit of energy changes"
    )

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            "odd_in or periodic or is_dimensionless",
            "symmetry demands nothing; name odd_in, periodic or is_dimensionless, or leave it out.",
        ),
    )


def violation(
    form: Parametric,
    columns: Columns,
    odd_in: Sequence[str] = (),
    periodic: Sequence[str] = (),
    units: Mapping[str, str] = _NONE,
) -> float:
    r"""How far a form is from the demanded symmetries on the events `columns`, in units of its root mean square.

    Args:
        form: a form with values of its constants.
        columns: features by name, each of shape (event,).
        odd_in: features whose joint change of sign must change the form's sign.
        periodic: angles (rad), by whose full turns, each on its own, the form must not change.
        units: units of features, by whose change to another unit of energy the form must not change.

    Returns:
        The largest difference over events and symmetries: 0 to rounding for a form that has them all.
    """
    here = _values(form, columns)
    size = float(np.sqrt(np.mean(here**2))) or 1.0
    reflected = {name: -column if name in odd_in else column for name, column in columns.items()}
    gaps = [_values(form, reflected) + here] if odd_in else []
    for name in periodic:
        turned = {**columns, name: columns[name] - 2 * np.pi * np.sign(columns[name])}  # stays within a turn of zero
        gaps.append(_values(form, turned) - here)
    if units:
        scaled = {name: column * _ENERGY ** energy_power(units.get(name, "1")) for name, column in columns.items()}
        gaps.append(_values(form, scaled) - here)
    return max((float(np.max(np.where(np.isfinite(gap), np.abs(gap), np.inf))) / size for gap in gaps), default=0.0)


def _values(form: Parametric, columns: Columns) -> np.ndarray:
    n_events = len(next(iter(columns.values())))
    with np.errstate(all="ignore"):  # a reflected root or logarithm has no value, and counts as a violation
        found = evaluate(form.expression, {**columns, **form.values}, np)
    return np.broadcast_to(np.asarray(found, dtype=float), n_events)
