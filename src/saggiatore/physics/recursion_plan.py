"""The steps of the recursion in `recursion`: which currents there are, what they are made of, and their colour."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

from saggiatore.physics import colour

Key = tuple[int, int]  # set of legs as bits, place in its colour basis


class Leg(NamedTuple):
    """An outgoing leg; quark and antiquark of a line share its number."""

    kind: str  # quark, antiquark, gluon or boson
    line: int = 0
    mass: float = 0.0  # of a quark, GeV
    width: float = 0.0  # in the propagators of its line, GeV
    dipole: bool = False  # whether a quark has a chromomagnetic moment; the root is then of its line


class Step(NamedTuple):
    """One product of currents, and the colours to which it contributes."""

    vertex: str
    operands: tuple[Key, ...]
    targets: tuple[tuple[int, float], ...]  # place in the colour basis, coefficient


class Plan(NamedTuple):
    """All steps towards the amplitude; the last leg is the root, which closes the last current."""

    legs: tuple[Leg, ...]
    currents: tuple[tuple[int, Leg, tuple[Step, ...]], ...]  # set of legs, what it radiates, steps
    tensors: tuple[colour.Tensor, ...]  # colour basis of the amplitude


@cache
def plan(legs: tuple[Leg, ...], emitter: int = 0) -> Plan:
    """Steps for outgoing `legs`; a boson couples to the quark line `emitter`.

    The root, the last leg, is an antiquark, or a gluon if there are no quarks.
    """
    n_free = len(legs) - 1
    bases: dict[int, list[colour.Tensor]] = {}
    currents = []
    for mask in sorted(range(1, 1 << n_free), key=lambda m: (m.bit_count(), m)):
        field = _field(legs, mask, emitter)
        if field is None:
            continue
        if mask.bit_count() == 1:
            bases[mask] = [_external(field, mask.bit_length() - 1)]
            continue
        steps, basis = _steps(legs, mask, emitter, bases)
        if steps:
            bases[mask] = basis.tensors
            currents.append((mask, field, steps))
    final = bases[(1 << n_free) - 1]
    return Plan(legs, tuple(currents), tuple(colour.closed(tensor, n_free) for tensor in final))


def _field(legs: tuple[Leg, ...], mask: int, emitter: int) -> Leg | None:
    """What a set of legs radiates; None if no single field has these quantum numbers."""
    inside = [leg for place, leg in enumerate(legs) if mask >> place & 1]
    ends = [leg for leg in inside if leg.kind in ("quark", "antiquark")]
    unpaired = [leg for leg in ends if sum(leg.line == other.line for other in ends) == 1]
    if any(leg.kind == "boson" for leg in inside):
        if len(inside) == 1:
            return inside[0]
        if all(leg.line != emitter for leg in ends):
            return None
    if len(unpaired) > 1:
        return None
    return unpaired[0] if unpaired else Leg("gluon")


def _external(leg: Leg, place: int) -> colour.Tensor:
    if leg.kind == "boson":
        return colour.singlet()
    return colour.unit(place, colour.N_GLUONS if leg.kind == "gluon" else colour.N_COLOURS)


def _steps(
    legs: tuple[Leg, ...], mask: int, emitter: int, bases: dict[int, list[colour.Tensor]]
) -> tuple[tuple[Step, ...], colour.Basis]:
    """Every way to make the current of `mask` from smaller ones."""
    basis, steps = colour.Basis(), []
    for first, second in _splits(mask):
        if first not in bases or second not in bases:
            continue
        fields = {part: _field(legs, part, emitter) for part in (first, second)}
        named = _vertex(fields[first], fields[second], emitter)
        if named is None:
            continue
        vertex, product, swap = named
        one, two = (second, first) if swap else (first, second)
        for i, left in enumerate(bases[one]):
            for j, right in enumerate(bases[two]):
                steps.append(Step(vertex, ((one, i), (two, j)), basis.expand(product(left, right))))
    for parts in _triple_splits(mask):
        if all(part in bases for part in parts):
            steps += _triple_steps(parts, [_field(legs, part, emitter) for part in parts], bases, basis)
    return tuple(steps), basis


_Product = Callable[[colour.Tensor, colour.Tensor], colour.Tensor]


def _vertex(first: Leg | None, second: Leg | None, emitter: int) -> tuple[str, _Product, bool] | None:
    """Name and colour of the vertex of two fields, and whether they come in the other order."""
    assert first is not None
    assert second is not None
    kinds = (first.kind, second.kind)
    if kinds in _ABSORPTIONS:
        swap = kinds[0] not in ("quark", "antiquark")
        quark = second if swap else first
        if "boson" in kinds and quark.line != emitter:
            return None
        name, product = _ABSORPTIONS[kinds]
        return "dipole" if quark.dipole else name, product, swap
    if set(kinds) == {"quark", "antiquark"} and first.line == second.line:
        return "pair", colour.pair_to_gluon, kinds[0] == "antiquark"
    if kinds == ("gluon", "gluon"):
        return "three_gluons", colour.gluon_on_gluon, False
    return None


def _both_orders(
    table: dict[tuple[str, str], tuple[str, _Product]],
) -> dict[tuple[str, str], tuple[str, _Product]]:
    return table | {(second, first): entry for (first, second), entry in table.items()}


_ABSORPTIONS = _both_orders(
    {
        ("quark", "gluon"): ("quark", colour.gluon_on_quark),
        ("antiquark", "gluon"): ("antiquark", colour.gluon_on_antiquark),
        ("quark", "boson"): ("quark", colour.unchanged),
        ("antiquark", "boson"): ("antiquark", colour.unchanged),
    }
)


def _triple_steps(
    parts: tuple[int, int, int],
    fields: list[Leg | None],
    bases: dict[int, list[colour.Tensor]],
    basis: colour.Basis,
) -> Iterator[Step]:
    """Four-gluon vertices, and the emission of two gluons by a dipole."""
    gluons = [part for part, field in zip(parts, fields, strict=True) if field == Leg("gluon")]
    quarks = [part for part, field in zip(parts, fields, strict=True) if field and field.dipole]
    if len(gluons) == 3:
        for outer in range(3):
            yield from _commutators("four_gluons", colour.gluon_on_gluon, parts[outer:] + parts[:outer], bases, basis)
    elif len(gluons) == 2 and quarks:
        yield from _commutators("two_gluons", colour.gluon_on_quark, (quarks[0], *gluons), bases, basis)


def _commutators(
    vertex: str, product: _Product, parts: tuple[int, ...], bases: dict[int, list[colour.Tensor]], basis: colour.Basis
) -> Iterator[Step]:
    """Vertices of the first part with the commutator of the two others."""
    x, y, z = parts
    for i, tensor_x in enumerate(bases[x]):
        for j, tensor_y in enumerate(bases[y]):
            for k, tensor_z in enumerate(bases[z]):
                tensor = product(tensor_x, colour.gluon_on_gluon(tensor_y, tensor_z))
                yield Step(vertex, ((x, i), (y, j), (z, k)), basis.expand(tensor))


def _splits(mask: int) -> Iterator[tuple[int, int]]:
    """Unordered pairs of sets that make up `mask`; the lowest leg is in the first."""
    lowest = mask & -mask
    rest = mask ^ lowest
    part = rest
    while part:
        yield mask ^ part, part
        part = (part - 1) & rest


def _triple_splits(mask: int) -> Iterator[tuple[int, int, int]]:
    for first, others in _splits(mask):
        for second, third in _splits(others):
            yield first, second, third
