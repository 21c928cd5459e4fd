r"""Tree amplitudes of QCD with at most one vector boson, by recursion over off-shell currents.

The current of a set of legs is the field that they radiate: the classical solution in powers of the external waves
(Berends and Giele, Nucl. Phys. B306 (1988) 759; in the form of a perturbiner, hep-th/9905228), all momenta outgoing,
$D = \partial - i g A$, Lorenz gauge, with the coupling g taken out:
$A_\nu K^2 = j_\nu + \sum [T_1, T_2] \left(2 A_1{\cdot}K_2\, A_2 - 2 A_2{\cdot}K_1\, A_1
 + A_1{\cdot}A_2\, (K_1 - K_2)\right)_\nu
 - \sum [T_1, [T_2, T_3]] \left(A_1{\cdot}A_2\, A_3 - A_1{\cdot}A_3\, A_2\right)_\nu$,
$\bar\psi = -\bar\psi' \slashed A (\slashed K + m)/(K^2 - m^2)$,
$\psi = (\slashed K - m) \slashed A \psi' / (K^2 - m^2)$.
A chromomagnetic moment $\kappa\, g\, \bar\psi \sigma^{\mu\nu} G_{\mu\nu} \psi$ of one quark turns its $\slashed A$
into $\slashed A + \kappa\, \sigma^{\mu\nu} G_{\mu\nu}$, with $\sigma^{\mu\nu} = \frac i2 [\gamma^\mu, \gamma^\nu]$.
Every tree diagram is in it: gluon exchange, three- and four-gluon vertices, and the boson on one chosen quark line.
No quark loops, no electroweak exchange between quark lines.

What the steps are is worked out once for each list of legs (`plan`), with colour as numbers (`colour`); `amplitudes`
follows the steps and computes one current for each set of legs and independent colour tensor.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from saggiatore.physics import weyl
from saggiatore.physics.recursion_plan import Key, Leg, Plan
from saggiatore.physics.weyl import Column, Row, Vector
from saggiatore.types import Array

Wave = Row | Column | Vector


class _State(NamedTuple):
    """What is known while the steps are followed."""

    found: dict[Key, Any]
    momentum: dict[int, Vector]
    dipole: Array | float

    def waves(self, operands: tuple[Key, ...]) -> list[Any]:
        return [self.found[key] for key in operands]


def amplitudes(
    steps: Plan, waves: Sequence[Wave], momenta: Sequence[Vector], dipole: Array | float = 0.0
) -> list[Array]:
    """Amplitude of each colour tensor of the plan, without couplings.

    `waves` and `momenta` (outgoing: those of incoming legs are negative) belong to the legs of the plan, in its order;
    their entries are arrays that broadcast against each other. `dipole` is kappa of the quark that has one, 1/GeV.
    """
    root = len(steps.legs) - 1
    state = _State(
        {(1 << leg, 0): waves[leg] for leg in range(root)}, {1 << leg: momenta[leg] for leg in range(root)}, dipole
    )
    for mask, field, parts in steps.currents:
        _add_momentum(state.momentum, mask)
        numerators: dict[int, Any] = {}
        for part in parts:
            term = _VERTICES[part.vertex](part.operands, state)
            for place, coefficient in part.targets:
                numerators[place] = _accumulate(numerators.get(place), coefficient, term)
        if mask == (1 << root) - 1:
            return [_close(numerators[place], waves[root]) for place in sorted(numerators)]
        for place, numerator in numerators.items():
            state.found[mask, place] = _propagate(field, numerator, state.momentum[mask])
    raise AssertionError("a plan ends with the current of all legs but the root")


def _add_momentum(momentum: dict[int, Vector], mask: int) -> None:
    if mask not in momentum:
        lowest = mask & -mask
        _add_momentum(momentum, mask ^ lowest)
        momentum[mask] = weyl.add(momentum[lowest], momentum[mask ^ lowest])


def _quark_absorbs(operands: tuple[Key, ...], state: _State) -> Row:
    quark, vector = state.waves(operands)
    return _scaled(-1.0, weyl.row_slash(quark, vector))


def _dipole_absorbs(operands: tuple[Key, ...], state: _State) -> Row:
    r"""$-\bar\psi (\slashed A - \kappa [\slashed K, \slashed A])$; in Lorenz gauge the two anticommute."""
    quark, vector = state.waves(operands)
    magnetic = weyl.row_slash(weyl.row_slash(quark, state.momentum[operands[1][0]]), vector)
    return _accumulate(_quark_absorbs(operands, state), 2 * state.dipole, magnetic)


def _dipole_absorbs_two(operands: tuple[Key, ...], state: _State) -> Row:
    r"""$-\kappa \bar\psi [\slashed A_1, \slashed A_2]$."""
    quark, one, two = state.waves(operands)
    orders = [weyl.row_slash(weyl.row_slash(quark, a), b) for a, b in ((one, two), (two, one))]
    return _scaled(-state.dipole, _accumulate(orders[0], -1.0, orders[1]))


def _antiquark_absorbs(operands: tuple[Key, ...], state: _State) -> Column:
    antiquark, vector = state.waves(operands)
    return weyl.slash_column(vector, antiquark)


def _pair(operands: tuple[Key, ...], state: _State) -> Vector:
    return weyl.current(*state.waves(operands))


def _three_gluons(operands: tuple[Key, ...], state: _State) -> Vector:
    a_1, a_2 = state.waves(operands)
    k_1, k_2 = (state.momentum[mask] for mask, _ in operands)
    factors = 2 * weyl.dot(a_1, k_2), -2 * weyl.dot(a_2, k_1), weyl.dot(a_1, a_2)
    return Vector(
        *(factors[0] * y + factors[1] * x + factors[2] * (p - q) for x, y, p, q in zip(a_1, a_2, k_1, k_2, strict=True))
    )


def _four_gluons(operands: tuple[Key, ...], state: _State) -> Vector:
    a_1, a_2, a_3 = state.waves(operands)
    one_two, one_three = weyl.dot(a_1, a_2), weyl.dot(a_1, a_3)
    return Vector(*(one_three * y - one_two * z for y, z in zip(a_2, a_3, strict=True)))


_VERTICES: dict[str, Callable[[tuple[Key, ...], _State], Any]] = {
    "quark": _quark_absorbs,
    "dipole": _dipole_absorbs,
    "two_gluons": _dipole_absorbs_two,
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
