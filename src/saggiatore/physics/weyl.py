r"""Two-component spinors: wave functions of external legs, and the products that off-shell currents need.

A vector a is the matrix $A = a \cdot \bar\sigma$, with rows $(a^+, a_\perp^*)$ and $(a_\perp, a^-)$ for real a, where
$a^\pm = a^0 \pm a^3$ and $a_\perp = a^1 + i a^2$; $\mathrm{adj}\,A = a \cdot \sigma$, $\det A = a^2$. In the chiral
basis $\bar\psi = (\alpha, \beta)$, $\psi = (\xi, \zeta)^T$,
$\bar\psi \slashed a = (\beta\, \mathrm{adj} A,\ \alpha A)$ and
$\slashed a \psi = (A \zeta,\ \mathrm{adj} A\, \xi)^T$.
A massless line keeps one chirality: half of its components are absent (None), and cost nothing. Entries are arrays of
any shape that broadcast: helicities and assignments of legs are axes.
"""

from typing import NamedTuple

import jax.numpy as jnp

from saggiatore.physics.kinematics import light_cone
from saggiatore.types import Array, FourMomentum

Pair = tuple[Array, Array]
HELICITIES = (-1, 1)


class Vector(NamedTuple):
    """The matrix of a vector, [[a, b], [c, d]]."""

    a: Array
    b: Array
    c: Array
    d: Array


class Row(NamedTuple):
    """A Dirac row: components that meet right-handed (`alpha`) and left-handed columns; absent ones are None."""

    alpha: Pair | None
    beta: Pair | None


class Column(NamedTuple):
    """A Dirac column."""

    xi: Pair | None
    zeta: Pair | None


def add(first: Vector, second: Vector) -> Vector:
    """Sum of two vectors."""
    return Vector(*(x + y for x, y in zip(first, second, strict=True)))


def scale(factor: Array | float, vector: Vector) -> Vector:
    """A multiple of a vector."""
    return Vector(*(factor * x for x in vector))


def adjugate(vector: Vector) -> Vector:
    """The matrix of the same vector in the other representation."""
    return Vector(vector.d, -vector.b, -vector.c, vector.a)


def dot(first: Vector, second: Vector) -> Array:
    """Invariant product."""
    return (first.a * second.d + first.d * second.a - first.b * second.c - first.c * second.b) / 2


def square(momentum: Vector) -> Array:
    """Invariant square of a real momentum, GeV^2."""
    return momentum.a * momentum.d - (momentum.b.real**2 + momentum.b.imag**2)


def row_times(row: Pair, matrix: Vector) -> Pair:
    """Row vector times matrix."""
    return row[0] * matrix.a + row[1] * matrix.c, row[0] * matrix.b + row[1] * matrix.d


def times_column(matrix: Vector, column: Pair) -> Pair:
    """Matrix times column vector."""
    return matrix.a * column[0] + matrix.b * column[1], matrix.c * column[0] + matrix.d * column[1]


def row_slash(row: Row, vector: Vector) -> Row:
    """A row times a slashed vector."""
    return Row(
        None if row.beta is None else row_times(row.beta, adjugate(vector)),
        None if row.alpha is None else row_times(row.alpha, vector),
    )


def slash_column(vector: Vector, column: Column) -> Column:
    """A slashed vector times a column."""
    return Column(
        None if column.zeta is None else times_column(vector, column.zeta),
        None if column.xi is None else times_column(adjugate(vector), column.xi),
    )


def bilinear(row: Row, column: Column) -> Array:
    """Row times column."""
    terms = [a[0] * b[0] + a[1] * b[1] for a, b in zip(row, column, strict=True) if a is not None and b is not None]
    return sum(terms[1:], terms[0])


def current(row: Row, column: Column) -> Vector:
    r"""The vector $\bar\psi \gamma^\mu \psi$."""
    terms = []
    if row.beta is not None and column.xi is not None:
        terms.append(_outer(column.xi, row.beta))
    if row.alpha is not None and column.zeta is not None:
        terms.append(adjugate(_outer(column.zeta, row.alpha)))
    return scale(2.0, terms[0] if len(terms) == 1 else add(*terms))


def from_real(momentum: FourMomentum) -> Vector:
    """The matrix of a massive or summed momentum (E, px, py, pz)."""
    transverse = momentum[1] + 1j * momentum[2]
    return Vector(momentum[0] + momentum[3], transverse.conj(), transverse, momentum[0] - momentum[3])


def massless(momentum: FourMomentum) -> Vector:
    """The matrix of a massless momentum; the small light-cone component loses no digits."""
    plus, minus = light_cone(momentum)
    transverse = momentum[1] + 1j * momentum[2]
    return Vector(plus, transverse.conj(), transverse, minus)


def spinor(momentum: FourMomentum) -> Pair:
    r"""$\lambda$ of a massless momentum, $P = \lambda \lambda^\dagger$; its phase is regular along both beams."""
    plus, minus = light_cone(momentum)
    root = jnp.sqrt(jnp.maximum(plus, minus))
    transverse = (momentum[1] + 1j * momentum[2]) / root
    forward = plus >= minus
    return jnp.where(forward, root, transverse.conj()), jnp.where(forward, transverse, root)


def conjugate(pair: Pair) -> Pair:
    """Complex conjugate."""
    return pair[0].conj(), pair[1].conj()


def flipped(pair: Pair) -> Pair:
    r"""$\epsilon \lambda^*$, the spinor of the opposite helicity, orthogonal to $\lambda$."""
    return -pair[1].conj(), pair[0].conj()


def massless_row(momentum: FourMomentum, chirality: int) -> Row:
    """Outgoing quark (or incoming antiquark) whose line has the given chirality."""
    if chirality > 0:
        return Row(None, conjugate(spinor(momentum)))
    return Row(conjugate(flipped(spinor(momentum))), None)


def massless_column(momentum: FourMomentum, chirality: int) -> Column:
    """Outgoing antiquark (or incoming quark) whose line has the given chirality."""
    return Column(spinor(momentum), None) if chirality > 0 else Column(None, flipped(spinor(momentum)))


def gluon(momentum: FourMomentum) -> Vector:
    r"""Two transverse polarisations on a new first axis, $\epsilon \cdot \epsilon^* = -1$; no time component."""
    unit = [component * jnp.sqrt(jnp.sqrt(2.0) / (2 * momentum[0])) for component in spinor(momentum)]
    one = _outer((unit[0], unit[1]), conjugate(flipped((unit[0], unit[1]))))
    return Vector(*(jnp.stack([x, y]) for x, y in zip(one, _dagger(one), strict=True)))


def lepton_current(lepton: FourMomentum, antilepton: FourMomentum) -> Vector:
    r"""$\bar u(\ell) \gamma^\mu v(\bar\ell)$ for the left- and the right-handed lepton, on a new first axis."""
    currents = [current(massless_row(lepton, chi), massless_column(antilepton, chi)) for chi in HELICITIES]
    return Vector(*(jnp.stack([x, y]) for x, y in zip(*currents, strict=True)))


def massive_polarisations(momentum: FourMomentum, mass: float) -> Vector:
    """Three linear polarisations of a massive vector boson, on a new first axis."""
    energy, spatial = momentum[0], momentum[1:]
    # boosts of the unit vectors of the rest frame: regular for every direction
    along = spatial / mass
    space = jnp.eye(3).reshape(3, 3, *(1,) * (momentum.ndim - 1)) + along[:, None] * spatial / (energy + mass)
    polarisations = jnp.concatenate([along[None], space], axis=0)  # (component, polarisation, ...)
    return from_real(polarisations)


def massive_row(momentum: FourMomentum, mass: float) -> Row:
    r"""Outgoing fermion of either spin, on a new first axis: $\sum u \bar u = \slashed p + m$."""
    upper, lower = _massive_halves(momentum, mass)
    return Row(conjugate(lower), conjugate(upper))


def massive_column(momentum: FourMomentum, mass: float) -> Column:
    r"""Outgoing antifermion of either spin, on a new first axis: $\sum v \bar v = \slashed p - m$."""
    upper, lower = _massive_halves(momentum, mass)
    return Column(upper, (-lower[0], -lower[1]))


def _massive_halves(momentum: FourMomentum, mass: float) -> tuple[Pair, Pair]:
    r"""Columns of the Cholesky factor of P, and of m times the inverse of its adjoint."""
    # the larger of E +- pz divides, so that no digit is lost along either beam
    root = jnp.sqrt(momentum[0] + momentum[3]) + 0j
    transverse = (momentum[1] + 1j * momentum[2]) / root
    rest, zero = mass / root, jnp.zeros_like(root)
    upper = jnp.stack([root, zero]), jnp.stack([transverse, rest])
    lower = jnp.stack([rest, -transverse.conj()]), jnp.stack([zero, root])
    return upper, lower


def _outer(column: Pair, row: Pair) -> Vector:
    return Vector(column[0] * row[0], column[0] * row[1], column[1] * row[0], column[1] * row[1])


def _dagger(vector: Vector) -> Vector:
    return Vector(vector.a.conj(), vector.c.conj(), vector.b.conj(), vector.d.conj())
