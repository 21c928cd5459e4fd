"""What a process offers to those who hold its amplitudes against another generator, and the checks of their events."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from saggiatore.errors import EventError
from saggiatore.types import Momenta, Scalar, Theta

REFERENCE_ALPHA_S = 0.118  # of tables and commands that state |M|^2 of QCD; it goes as a power of the coupling
TOLERANCE = 1e-6  # relative, of the sum of the energies: what files with few digits still satisfy
_COMPONENTS = ("E", "px", "py", "pz")


class MatrixElement(NamedTuple):
    """|M|^2 of one flavour channel, averaged over initial and summed over final spins and colours."""

    masses: tuple[float, ...]  # of the legs, two incoming first, GeV
    coefficients: Mapping[str, str]  # that the function takes, and their units
    function: Callable[[Momenta, Theta], Scalar]  # of momenta (GeV, any frame), in GeV^(8 - 2 legs)


def parse_pdg(pdg: str, covered: str) -> tuple[int, ...]:
    """PDG numbers of the legs of ``--pdg``; `covered` says what a process offers.

    Raises:
        EventError: if these are no numbers with commas between them.
    """
    try:
        return tuple(int(part) for part in pdg.split(","))
    except ValueError:
        raise EventError(f"--pdg {pdg}: expected PDG numbers with commas between them. Covered: {covered}.") from None


def require_physical(momenta: np.ndarray, masses: tuple[float, ...], first_row: int) -> None:
    """Check events, shape (row, leg, 4): finite, positive energies, on shell, momentum conserved.

    Raises:
        EventError: naming the first row (counted from `first_row`) and leg that fail.
    """
    _refuse(~np.isfinite(momenta).all(axis=2), "is not finite", momenta, first_row)
    _refuse(momenta[:, :, 0] <= 0, "has no positive energy", momenta, first_row)
    scale = momenta[:, :, 0].sum(axis=1)[:, None]
    squares = momenta[:, :, 0] ** 2 - (momenta[:, :, 1:] ** 2).sum(axis=2)
    off_shell = np.abs(squares - np.square(masses)) > TOLERANCE * scale**2
    _refuse(off_shell, f"is off shell: its mass must be one of {masses} GeV by leg", momenta, first_row)
    missing = momenta[:, :2].sum(axis=1) - momenta[:, 2:].sum(axis=1)
    lost = np.abs(missing) > TOLERANCE * scale
    if lost.any():
        row, component = np.argwhere(lost)[0]
        raise EventError(
            f"row {first_row + row}: {_COMPONENTS[component]} is not conserved, incoming minus outgoing is "
            f"{missing[row, component]:g} GeV. Legs 0 and 1 are incoming, with physical momenta; check their order."
        )


def _refuse(bad: np.ndarray, fault: str, momenta: np.ndarray, first_row: int) -> None:
    if bad.any():
        row, leg = np.argwhere(bad)[0]
        found = ", ".join(f"{value:g}" for value in momenta[row, leg])
        raise EventError(
            f"row {first_row + row}: leg {leg} {fault}; its (E, px, py, pz) is ({found}) GeV. "
            "Check the columns, their unit (GeV) and the order of the legs."
        )
