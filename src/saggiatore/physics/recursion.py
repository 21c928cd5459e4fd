r"""Tree amplitudes of QCD with at most one vector boson, by recursion over off-shell currents.

The current of a set of legs is the field that they radiate: the classical solution in powers of the external waves
(Berends and Giele, Nucl. Phys. B306 (1988) 759; in the form of a perturbiner, hep-th/9905228), all momenta outgoing,
$D = \partial - i g A$, Lorenz gauge, with the coupling g taken out:
$A_\nu K^2 = j_\nu + \sum [T_1, T_2] \left(2 A_1{\cdot}K_2\, A_2 - 2 A_2{\cdot}K_1\, A_1
 + A_1{\cdot}A_2\, (K_1 - K_2)\right)_\nu
 - \sum [T_1, [T_2, T_3]] \left(A_1{\cdot}A_2\, A_3 - A_1{\cdot}A_3\, A_2\right)_\nu$,
$\bar\psi = -\bar\psi' \slashed A (\slashed K + m)/(K^2 - m^2)$,
$\psi = (\slashed K - m) \slashed A \psi' / (K^2 - m^2)$.
Every tree diagram is in it: gluon exchange, three- and four-gluon vertices, and the boson on one chosen quark line.
No quark loops, no electroweak exchange between quark lines.

What the steps are is worked out once for each list of legs (`plan`), with colour as numbers (`colour`); `amplitudes`
follows the steps and computes one current for each set of legs and independent colour tensor.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from saggiatore.physics import colour, weyl
from saggiatore.physics.weyl import Column, Row, Vector
from saggiatore.types import Array

Wave = Row | Column | Vector
_Key = tuple[int, int]  # set of legs as bits, place in its colour basis


class Leg(NamedTuple):
    """An outgoing leg; quark and antiquark of a line share its number."""

    kind: str  # quark, antiquark, gluon or boson
    line: int = 0
    mass: float = 0.0  # of a quark, GeV
    width: float = 0.0  # in the propagators of its line, GeV


class Step(NamedTuple):
    """One product of currents, and the colours to which it contributes."""

    vertex: str
    operands: tuple[_Key, ...]
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


def amplitudes(steps: Plan, waves: Sequence[Wave], momenta: Sequence[Vector]) -> list[Array]:
    """Amplitude of each colour tensor of the plan, without couplings.

    `waves` and `momenta` (outgoing: those of incoming legs are negative) belong to the legs of the plan, in its order;
    their entries are arrays that broadcast against each other.
    """
    root = len(steps.legs) - 1
    found: dict[_Key, Any] = {(1 << leg, 0): waves[leg] for leg in range(root)}
    total = {1 << leg: momenta[leg] for leg in range(root)}
    for mask, field, parts in steps.currents:
        lowest = mask & -mask
        if mask not in total:
            total[mask] = weyl.add(total[lowest], _momentum(total, mask ^ lowest))
        numerators: dict[int, Any] = {}
        for part in parts:
            term = _VERTICES[part.vertex](part.operands, found, total)
            for place, coefficient in part.targets:
                numerators[place] = _accumulate(numerators.get(place), coefficient, term)
        if mask == (1 << root) - 1:
            return [_close(numerators[place], waves[root]) for place in sorted(numerators)]
        for place, numerator in numerators.items():
            found[mask, place] = _propagate(field, numerator, total[mask])
    raise AssertionError("a plan ends with the current of all legs but the root")


def _momentum(total: dict[int, Vector], mask: int) -> Vector:
    if mask not in total:
        lowest = mask & -mask
        total[mask] = weyl.add(total[lowest], _momentum(total, mask ^ lowest))
    return total[mask]


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
        if all(part in bases and _field(legs, part, emitter) == Leg("gluon") for part in parts):
            steps += _four_gluon_steps(parts, bases, basis)
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
        return *_ABSORPTIONS[kinds], swap
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


def _four_gluon_steps(
    parts: tuple[int, int, int], bases: dict[int, list[colour.Tensor]], basis: colour.Basis
) -> Iterator[Step]:
    for outer in range(3):
        x, y, z = parts[outer], *(part for part in parts if part != parts[outer])
        for i, tensor_x in enumerate(bases[x]):
            for j, tensor_y in enumerate(bases[y]):
                for k, tensor_z in enumerate(bases[z]):
                    tensor = colour.gluon_on_gluon(tensor_x, colour.gluon_on_gluon(tensor_y, tensor_z))
                    yield Step("four_gluons", ((x, i), (y, j), (z, k)), basis.expand(tensor))


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


def _quark_absorbs(operands: tuple[_Key, ...], found: dict[_Key, Any], _: dict[int, Vector]) -> Row:
    quark, vector = (found[key] for key in operands)
    return _scaled(-1.0, weyl.row_slash(quark, vector))


def _antiquark_absorbs(operands: tuple[_Key, ...], found: dict[_Key, Any], _: dict[int, Vector]) -> Column:
    antiquark, vector = (found[key] for key in operands)
    return weyl.slash_column(vector, antiquark)


def _pair(operands: tuple[_Key, ...], found: dict[_Key, Any], _: dict[int, Vector]) -> Vector:
    return weyl.current(*(found[key] for key in operands))


def _three_gluons(operands: tuple[_Key, ...], found: dict[_Key, Any], total: dict[int, Vector]) -> Vector:
    (mask_1, _), (mask_2, _) = operands
    a_1, a_2 = (found[key] for key in operands)
    k_1, k_2 = total[mask_1], total[mask_2]
    factors = 2 * weyl.dot(a_1, k_2), -2 * weyl.dot(a_2, k_1), weyl.dot(a_1, a_2)
    return Vector(
        *(
            factors[0] * y + factors[1] * x + factors[2] * (p - q)
            for x, y, p, q in zip(a_1, a_2, k_1, k_2, strict=True)
        )
    )


def _four_gluons(operands: tuple[_Key, ...], found: dict[_Key, Any], _: dict[int, Vector]) -> Vector:
    a_1, a_2, a_3 = (found[key] for key in operands)
    one_two, one_three = weyl.dot(a_1, a_2), weyl.dot(a_1, a_3)
    return Vector(*(one_three * y - one_two * z for y, z in zip(a_2, a_3, strict=True)))


_VERTICES: dict[str, Callable[[tuple[_Key, ...], dict[_Key, Any], dict[int, Vector]], Any]] = {
    "quark": _quark_absorbs,
    "antiquark": _antiquark_absorbs,
    "pair": _pair,
    "three_gluons": _three_gluons,
    "four_gluons": _four_gluons,
}


def _propagate(field: Leg, numerator: Any, momentum: Vector) -> Any:
    virtuality = weyl.square(momentum) - field.mass**2
    inverse = 1 / (virtuality + 1j * field.mass * field.width if field.width else virtuality)
    if field.kind == "gluon":
        return weyl.scale(inverse, numerator)
    slash = weyl.scale(inverse, momentum)
    if field.kind == "quark":
        moved: Any = weyl.row_slash(numerator, slash)
        sign = 1.0
    else:
        moved = weyl.slash_column(slash, numerator)
        sign = -1.0
    return _accumulate(moved, sign * field.mass * inverse, numerator) if field.mass else moved


def _close(numerator: Any, root: Wave) -> Array:
    if isinstance(root, Vector):
        return weyl.dot(numerator, root)
    assert isinstance(root, Column)
    return weyl.bilinear(numerator, root)


def _accumulate(total: Any, coefficient: Any, term: Any) -> Any:
    """total + coefficient x term, where absent halves stay absent."""
    scaled = term if isinstance(coefficient, float) and coefficient == 1.0 else _scaled(coefficient, term)
    if total is None:
        return scaled
    return type(total)(*(_sum(x, y) for x, y in zip(total, scaled, strict=True)))


def _sum(x: Any, y: Any) -> Any:
    if x is None or y is None:
        return y if x is None else x
    return (x[0] + y[0], x[1] + y[1]) if isinstance(x, tuple) else x + y


def _scaled(factor: Any, term: Any) -> Any:
    def times(entry: Any) -> Any:
        if entry is None:
            return None
        return (factor * entry[0], factor * entry[1]) if isinstance(entry, tuple) else factor * entry

    return type(term)(*(times(entry) for entry in term))

