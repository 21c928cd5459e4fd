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

from collections.abc import Callable, Sequence
from typing import Any

from saggiatore.physics import weyl
from saggiatore.physics.recursion_plan import Key, Leg, Plan
from saggiatore.physics.weyl import Column, Row, Vector
from saggiatore.types import Array

Wave = Row | Column | Vector


def amplitudes(steps: Plan, waves: Sequence[Wave], momenta: Sequence[Vector]) -> list[Array]:
    """Amplitude of each colour tensor of the plan, without couplings.

    `waves` and `momenta` (outgoing: those of incoming legs are negative) belong to the legs of the plan, in its order;
    their entries are arrays that broadcast against each other.
    """
    root = len(steps.legs) - 1
    found: dict[Key, Any] = {(1 << leg, 0): waves[leg] for leg in range(root)}
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


def _quark_absorbs(operands: tuple[Key, ...], found: dict[Key, Any], _: dict[int, Vector]) -> Row:
    quark, vector = (found[key] for key in operands)
    return _scaled(-1.0, weyl.row_slash(quark, vector))


def _antiquark_absorbs(operands: tuple[Key, ...], found: dict[Key, Any], _: dict[int, Vector]) -> Column:
    antiquark, vector = (found[key] for key in operands)
    return weyl.slash_column(vector, antiquark)


def _pair(operands: tuple[Key, ...], found: dict[Key, Any], _: dict[int, Vector]) -> Vector:
    return weyl.current(*(found[key] for key in operands))


def _three_gluons(operands: tuple[Key, ...], found: dict[Key, Any], total: dict[int, Vector]) -> Vector:
    (mask_1, _), (mask_2, _) = operands
    a_1, a_2 = (found[key] for key in operands)
    k_1, k_2 = total[mask_1], total[mask_2]
    factors = 2 * weyl.dot(a_1, k_2), -2 * weyl.dot(a_2, k_1), weyl.dot(a_1, a_2)
    return Vector(
        *(factors[0] * y + factors[1] * x + factors[2] * (p - q) for x, y, p, q in zip(a_1, a_2, k_1, k_2, strict=True))
    )


def _four_gluons(operands: tuple[Key, ...], found: dict[Key, Any], _: dict[int, Vector]) -> Vector:
    a_1, a_2, a_3 = (found[key] for key in operands)
    one_two, one_three = weyl.dot(a_1, a_2), weyl.dot(a_1, a_3)
    return Vector(*(one_three * y - one_two * z for y, z in zip(a_2, a_3, strict=True)))


_VERTICES: dict[str, Callable[[tuple[Key, ...], dict[Key, Any], dict[int, Vector]], Any]] = {
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
