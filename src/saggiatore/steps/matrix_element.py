"""Evaluate |M|^2 and its score at given momenta: a way to hold a process against another generator."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.compilation import fill
from saggiatore.errors import EventError, StudyError
from saggiatore.physics.kinematics import COMPONENTS
from saggiatore.physics.matrix_element import MatrixElement, require_physical
from saggiatore.physics.point import parse_point
from saggiatore.provenance import provenance
from saggiatore.registry import REGISTRY, load
from saggiatore.tables import Column, TableSchema, iterate_columns, write_batches
from saggiatore.units import inverse

ROWS = 4096  # evaluated at once


def run(*, process: str, pdg: str, coefficients: str = "", events: Path, out: Path, widths: bool = False) -> None:
    """Write `me2` and the scores of |M|^2 at the momenta of `events`, columns leg{i}_{e,px,py,pz} in GeV.

    `pdg` are the PDG numbers of the legs, incoming first; `coefficients` is text such as f_wwt=5,f_ww=1, in the units
    that the process states (TeV^-2 for Wilson coefficients); those not named are zero. By default widths act in
    s-channel propagators only; `widths` keeps them in all.

    Raises:
        EventError: if the process does not have these legs, or momenta are unphysical.
        SchemaError: if a column is missing or no number.
        StudyError: if a process or a coefficient is unknown.
    """
    offered = getattr(load("process", process), "matrix_element", None)
    if offered is None:
        others = [name for name in sorted(REGISTRY["process"]) if hasattr(load("process", name), "matrix_element")]
        raise StudyError(f"process '{process}' has no amplitudes to compare; these have: {', '.join(others)}.")
    found: MatrixElement = offered(pdg, widths)
    point = _point(coefficients, tuple(found.coefficients))
    spec = {"process": process, "pdg": pdg, "coefficients": coefficients, "widths": widths}
    write_batches(out, _schema(found), _evaluate(events, found, point), provenance(spec, code=""))


def _point(text: str, known: tuple[str, ...]) -> np.ndarray:
    """Values of the known coefficients; those not named are zero."""
    items = [item for item in text.split(",") if item]
    return parse_point(",".join(items), known, "--coefficients", "coefficient") if items else np.zeros(len(known))


def _leg_columns(found: MatrixElement) -> tuple[Column, ...]:
    legs = range(len(found.masses))
    return tuple(
        Column(f"leg{leg}_{part}", "GeV", f"{part} of leg {leg}, as given") for leg in legs for part in COMPONENTS
    )


def _schema(found: MatrixElement) -> TableSchema:
    meaning = "|M|^2 averaged over initial, summed over final spins and colours, over n! of identical legs"
    scores = [
        Column(f"score_{name}", inverse(unit), f"d log|M|^2 / d {name}") for name, unit in found.coefficients.items()
    ]
    power = 8 - 2 * len(found.masses)
    me2 = Column("me2", f"GeV^{power}" if power else "1", meaning)
    return TableSchema("matrix_element", 1, (*_leg_columns(found), me2, *scores))


def _evaluate(events: Path, found: MatrixElement, point: np.ndarray) -> Iterator[Mapping[str, np.ndarray]]:
    legs = _leg_columns(found)
    evaluate = _compiled(found)
    first_row = 0
    for columns in iterate_columns(events, legs, ROWS):
        momenta = columns[[leg.name for leg in legs]].to_numpy(dtype=float).reshape(len(columns), len(found.masses), 4)
        require_physical(momenta, found.masses, first_row)
        padded = fill(momenta, ROWS)
        me2, score = (np.asarray(result)[: len(momenta)] for result in evaluate(padded, point))
        scores = {f"score_{name}": score[:, i] for i, name in enumerate(found.coefficients)}
        yield {**{leg.name: columns[leg.name].to_numpy() for leg in legs}, "me2": me2, **scores}
        first_row += len(momenta)
    if first_row == 0:
        raise EventError(f"{events}: no rows; expected events.")


def _compiled(found: MatrixElement) -> Callable:
    def both(momenta: jax.Array, point: jax.Array) -> tuple[jax.Array, jax.Array]:
        def log_square(at: jax.Array) -> tuple[jax.Array, jax.Array]:
            square = found.function(momenta, at)
            return jnp.log(square), square

        score, square = jax.jacfwd(log_square, has_aux=True)(point)
        return square, score

    return jax.jit(jax.vmap(both, in_axes=(0, None)))
