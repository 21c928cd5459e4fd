r"""Colour of tree amplitudes, with explicit SU(3) matrices and no algebra by hand.

A current carries a tensor with one index for each coloured leg that it holds and one open index, last: of quark type
(3 values) or of gluon type (8). Tensors that arise at a vertex are expressed in the first linearly independent ones of
their current: a basis of Del Duca, Dixon, Maltoni type (hep-ph/9910563), found by elimination. Generators are
normalised to $\mathrm{tr}\, T^a T^b = \delta^{ab}/2$, commutators stand for $i f^{abc}$.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np

N_COLOURS, N_GLUONS = 3, 8
_NEGLIGIBLE = 1e-10  # of tensors whose entries are of order one


@cache
def generators() -> np.ndarray:
    """T^a of SU(3), shape (gluon, colour, colour): half the Gell-Mann matrices."""
    found = []
    for column in range(1, N_COLOURS):
        for row in range(column):
            for value in (1, -1j):
                matrix = np.zeros((N_COLOURS, N_COLOURS), dtype=complex)
                matrix[row, column], matrix[column, row] = value, np.conj(value)
                found.append(matrix / 2)
        diagonal = np.diag([1.0] * column + [-column] + [0.0] * (N_COLOURS - column - 1))
        found.append(diagonal / np.sqrt(2 * column * (column + 1)) + 0j)
    return np.stack(found)


@cache
def commutators() -> np.ndarray:
    """$[T^a, T^b]$ along $T^c$, that is $i f^{abc}$, shape (gluon, gluon, gluon)."""
    t = generators()
    return 2 * (np.einsum("aij,bjk,cki->abc", t, t, t) - np.einsum("bij,ajk,cki->abc", t, t, t))


class Tensor:
    """A colour tensor: `legs` name its indices in the order of `values`; the open index, if any, is the last."""

    def __init__(self, legs: tuple[int, ...], values: np.ndarray):
        order = np.argsort(legs, kind="stable").tolist()
        self.legs = tuple(legs[i] for i in order)
        self.values = values.transpose([*order, *range(len(legs), values.ndim)])


def unit(leg: int, size: int) -> Tensor:
    """The tensor of an external leg: its index is the open one."""
    return Tensor((leg,), np.eye(size, dtype=complex))


def singlet() -> Tensor:
    """The tensor of a leg without colour: no index at all."""
    return Tensor((), np.ones((), dtype=complex))


def gluon_on_quark(quark: Tensor, gluon: Tensor) -> Tensor:
    """A quark's row absorbs a gluon."""
    return _joined(quark, gluon, np.einsum("ijk->jik", generators()))


def gluon_on_antiquark(antiquark: Tensor, gluon: Tensor) -> Tensor:
    """An antiquark's column absorbs a gluon."""
    return _joined(antiquark, gluon, np.einsum("ijk->kij", generators()))


def pair_to_gluon(quark: Tensor, antiquark: Tensor) -> Tensor:
    """A quark's row and an antiquark's column meet in a gluon."""
    return _joined(quark, antiquark, np.einsum("ijk->jki", generators()))


def gluon_on_gluon(first: Tensor, second: Tensor) -> Tensor:
    """The commutator of two gluons."""
    return _joined(first, second, commutators())


def unchanged(coloured: Tensor, _: Tensor) -> Tensor:
    """A colour singlet was absorbed."""
    return coloured


def _joined(first: Tensor, second: Tensor, vertex: np.ndarray) -> Tensor:
    """Contract both open indices with `vertex` (first, second, open)."""
    half = np.tensordot(first.values, vertex, axes=(-1, 0))
    half = np.moveaxis(half, -2, 0)
    whole = np.tensordot(second.values, half, axes=(-1, 0))
    return Tensor((*second.legs, *first.legs), whole)


class Basis:
    """Linearly independent tensors of one current, in the order in which they came."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []

    def expand(self, tensor: Tensor) -> tuple[tuple[int, float], ...]:
        """Places and coefficients of `tensor`, which joins the basis if it is independent of it."""
        if self.tensors:
            matrix = np.stack([known.values.ravel() for known in self.tensors], axis=1)
            coefficients = np.linalg.lstsq(matrix, tensor.values.ravel(), rcond=None)[0]
            if np.abs(matrix @ coefficients - tensor.values.ravel()).max() < _NEGLIGIBLE:
                return _real(coefficients)
        self.tensors.append(tensor)
        return ((len(self.tensors) - 1, 1.0),)


def _real(coefficients: np.ndarray) -> tuple[tuple[int, float], ...]:
    """The coefficients that are not zero; all are small integers, or over three."""
    exact = np.round(6 * coefficients.real) / 6
    if np.abs(coefficients - exact).max() > _NEGLIGIBLE:
        raise ArithmeticError(f"colour coefficients {coefficients} are no multiples of 1/6")
    return tuple((place, float(value)) for place, value in enumerate(exact) if value)


def gram_matrix(first: Sequence[Tensor], second: Sequence[Tensor]) -> np.ndarray:
    """Sum over all colours of C_c* C'_d, real, shape (colour of the first, colour of the second)."""
    rows, columns = (np.stack([tensor.values.ravel() for tensor in each]) for each in (first, second))
    return (rows.conj() @ columns.T).real


def string(legs: tuple[int, ...]) -> Tensor:
    r"""$(T^{a_1} T^{a_2} \cdots)_{ij}$ of a quark, the gluons of its line in order, and an antiquark."""
    quark, *gluons, antiquark = legs
    matrix = np.eye(N_COLOURS, dtype=complex)
    for _ in gluons:
        matrix = np.einsum("...ij,ajk->...aik", matrix, generators())
    matrix = np.moveaxis(matrix, -2, 0)  # (quark, gluons ..., antiquark)
    return Tensor((quark, *gluons, antiquark), matrix)


def product(first: Tensor, second: Tensor) -> Tensor:
    """Both tensors side by side."""
    return Tensor((*first.legs, *second.legs), np.tensordot(first.values, second.values, axes=0))


def projection(tensors: Sequence[Tensor], flows: Sequence[Tensor]) -> np.ndarray:
    """How much of each of `flows` is in each of `tensors`, real, shape (flow, tensor); the flows must span them.

    Raises:
        ArithmeticError: if they do not.
    """
    matrix, wanted = (np.stack([tensor.values.ravel() for tensor in each], axis=1) for each in (flows, tensors))
    found = np.linalg.lstsq(matrix, wanted, rcond=None)[0]
    if np.abs(matrix @ found - wanted).max() > _NEGLIGIBLE or np.abs(found.imag).max() > _NEGLIGIBLE:
        raise ArithmeticError("the colour flows do not span the amplitude's tensors")
    return found.real


def closed(tensor: Tensor, leg: int) -> Tensor:
    """The open index becomes that of the external leg `leg`."""
    return Tensor((*tensor.legs, leg), tensor.values)


def relabelled(tensor: Tensor, names: Sequence[int]) -> Tensor:
    """A closed tensor whose index of leg i now is that of leg `names[i]`."""
    return Tensor(tuple(names[leg] for leg in tensor.legs), tensor.values)
