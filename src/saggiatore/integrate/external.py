"""Events of another generator as this process sees them: legs in its order, momenta checked, cuts and observables."""

from collections.abc import Iterator, Mapping
from itertools import permutations
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from saggiatore.compilation import fill
from saggiatore.errors import EventError
from saggiatore.integrate.base import over_events
from saggiatore.integrate.events import ROWS
from saggiatore.physics.process import AbstractProcess, measure
from saggiatore.types import Array, Float, Int, Momenta

TOLERANCE = 1e-5  # of energy sums, and of squares of masses over squared energies: files have six digits or more
OBSERVABLE_TOLERANCE = 1e-3  # of a file's own column of an observable; it catches another definition or unit
_SHOWN = 12  # channels that an error lists


class Block(NamedTuple):
    """Some events of a file, with their numbers there, counted from 1; GeV and the file's unit of weights."""

    number: Int[np.ndarray, " event"]
    weight: Float[np.ndarray, " event"]
    pdg: Int[np.ndarray, "event leg"]  # incoming first
    momenta: Float[np.ndarray, "event leg 4"]
    mass: Float[np.ndarray, "event leg"] | None  # GeV, as the file states it, if it does
    extra: Float[np.ndarray, "event column"]  # further weights or columns that were asked for

    def rows(self, chosen: np.ndarray) -> "Block":
        """The events that a mask or an order chooses."""
        mass = None if self.mass is None else self.mass[chosen]
        return Block(
            self.number[chosen], self.weight[chosen], self.pdg[chosen], self.momenta[chosen], mass, self.extra[chosen]
        )


class Sample(NamedTuple):
    """Events of a file, and how their weights are normalised: to a cross section, or as shares of all in the file."""

    blocks: Iterator[Block]
    columns: tuple[str, ...]  # what `Block.extra` holds
    cross_section: float | None = None  # pb, before cuts
    n_shared: int | None = None  # events in the file, whose weights together are the cross section
    energy: float | None = None  # GeV, of both beams together


def require_physical(block: Block) -> None:
    """Check momenta: finite, positive energies, on shell, conserved, partons along the beam.

    Raises:
        EventError: naming the first event and leg that fail.
    """
    p = block.momenta
    total = p[:, :2, 0].sum(axis=1)[:, None]
    squares = p[..., 0] ** 2 - (p[..., 1:] ** 2).sum(axis=2)
    _refuse(block, ~np.isfinite(p).all(axis=2), "is not finite")
    _refuse(block, p[..., 0] <= 0, "has no positive energy")
    if block.mass is None:
        _refuse(block, squares < -TOLERANCE * p[..., 0] ** 2, "is off shell: E^2 is below p^2")
    else:
        off_shell = np.abs(squares - block.mass**2) > TOLERANCE * p[..., 0] ** 2
        _refuse(block, off_shell, "is off shell: E^2 - p^2 is not the square of the mass that the file states")
    is_skew = (np.abs(p[:, :2, 1:3]) > TOLERANCE * total[..., None]).any(axis=2)
    _refuse(block, is_skew | (p[:, :2, 3].prod(axis=1) >= 0)[:, None], "does not come along the z axis, one each way")
    missing = p[:, :2].sum(axis=1) - p[:, 2:].sum(axis=1)
    lost = (np.abs(missing) > TOLERANCE * total).any(axis=1)
    if lost.any():
        row = int(np.argmax(lost))
        raise EventError(
            f"event {block.number[row]}: momentum is not conserved, incoming minus outgoing (E, px, py, pz) is "
            f"({_listed(missing[row])}) GeV. Expected two incoming and all outgoing particles, in GeV; check the file."
        )


def _refuse(block: Block, bad: np.ndarray, fault: str) -> None:
    if bad.any():
        row, leg = np.argwhere(bad)[0]
        raise EventError(
            f"event {block.number[row]}: particle {leg + 1} (PDG {block.pdg[row, leg]}) {fault}; its (E, px, py, pz) "
            f"is ({_listed(block.momenta[row, leg])}) GeV. Expected physical momenta in GeV; check the file."
        )


def _listed(values: np.ndarray) -> str:
    return ", ".join(f"{value:.8g}" for value in values)


def arrange(process: AbstractProcess, block: Block) -> Block:
    """The block with its legs in the order of a channel of `process`: the parton along +z first.

    Of several orders that are channels, as for identical particles, the one nearest to the file's is taken.

    Raises:
        EventError: naming the first event whose particles are no channel of the process.
    """
    order = np.tile(np.arange(block.pdg.shape[1]), (len(block.pdg), 1))
    is_turned = block.momenta[:, 0, 3] < 0
    order[is_turned, :2] = [1, 0]
    pdg = np.take_along_axis(block.pdg, order, axis=1)
    kinds, places = np.unique(pdg, axis=0, return_inverse=True)
    channels = set(process.channels)
    found = [_order(channels, tuple(kind)) for kind in kinds.tolist()]
    for row, place in enumerate(places.ravel().tolist()):
        if found[place] is None:
            raise unknown_particles(process, int(block.number[row]), block.pdg[row].tolist())
    order = np.take_along_axis(order, np.array(found)[places.ravel()], axis=1)
    return block._replace(
        pdg=np.take_along_axis(block.pdg, order, axis=1),
        momenta=np.take_along_axis(block.momenta, order[..., None], axis=1),
        mass=None if block.mass is None else np.take_along_axis(block.mass, order, axis=1),
    )


def _order(channels: set[tuple[int, ...]], pdg: tuple[int, ...]) -> tuple[int, ...] | None:
    """How the legs `pdg`, incoming first, are put into the order of a channel."""
    for outgoing in permutations(range(2, len(pdg))):
        order = (0, 1, *outgoing)
        if tuple(pdg[place] for place in order) in channels:
            return order
    return None


def unknown_particles(process: AbstractProcess, number: int, pdg: list[int]) -> EventError:
    """The error of an event with other particles than the process."""
    channels = sorted({(*channel[:2], *sorted(channel[2:])) for channel in process.channels})
    listed = "; ".join(_reaction(channel) for channel in channels[:_SHOWN])
    more = f" and {len(channels) - _SHOWN} more" if len(channels) > _SHOWN else ""
    return EventError(
        f"event {number} is {_reaction(pdg)} (PDG numbers), no channel of the process, which has {len(process.legs)} "
        f"legs ({', '.join(process.legs)}): {listed}{more}. Generate the process of the study, or write the study for "
        "this process."
    )


def _reaction(pdg: tuple[int, ...] | list[int]) -> str:
    return f"{' '.join(map(str, pdg[:2]))} > {' '.join(map(str, pdg[2:]))}"


def observe(process: AbstractProcess, block: Block) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
    """Whether each event passes the cuts, and its observables; legs in the order of the process."""
    inside, values = _observe(process, jnp.asarray(fill(block.momenta, ROWS)))
    n_events = len(block.momenta)
    return np.asarray(inside)[:n_events], {name: np.asarray(column)[:n_events] for name, column in values.items()}


@eqx.filter_jit
def _observe(process: AbstractProcess, momenta: Float[Array, "event leg 4"]) -> tuple[Array, dict[str, Array]]:
    def one(momenta: Momenta) -> tuple[Array, dict[str, Array]]:
        return process.accepts(momenta), measure(process, momenta)

    return over_events(one, momenta)


def require_same_observables(
    process: AbstractProcess, block: Block, names: tuple[str, ...], found: Mapping[str, np.ndarray]
) -> None:
    """Hold the file's own columns of observables, where it has them, against those of its momenta.

    Raises:
        EventError: naming the first observable and event that differ: the file means something else by that name.
    """
    for place, name in enumerate(names):
        if name not in found:
            continue
        stated, computed = block.extra[:, place], found[name]
        gap = stated - computed
        if process.observables[name].unit == "rad":
            gap = (gap + np.pi) % (2 * np.pi) - np.pi
        # written this way round, a NaN is a difference
        differs = ~(np.abs(gap) <= OBSERVABLE_TOLERANCE * np.maximum(1, np.abs(computed)))
        if differs.any():
            row = int(np.argmax(differs))
            raise EventError(
                f"event {block.number[row]}: the file's column '{name}' holds {stated[row]:.8g}, its momenta give "
                f"{computed[row]:.8g} {process.observables[name].unit}: the file means something else by that name. "
                "Rename or remove the column; observables are computed from the momenta."
            )
