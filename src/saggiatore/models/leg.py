"""Legs of an event as a network reads them: columns by name, which legs are of one type, power sums of invariants."""

from collections.abc import Iterator
from typing import Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from saggiatore.errors import StudyError, TrainingError
from saggiatore.models.base import AbstractFixed
from saggiatore.physics.kinematics import COMPONENTS
from saggiatore.types import Array, Features, Float

_CONSTANT = 1e-5  # spread of a logarithm that rounding alone may give
Invariants = Float[Array, "leg leg"]  # standardised logarithms, symmetric; zero on the diagonal


def pairs(n_legs: int) -> Iterator[tuple[int, int]]:
    """All pairs of legs (i, j), i < j, in the order of `physics.kinematics.invariants`."""
    return ((i, j) for i in range(n_legs) for j in range(i + 1, n_legs))


def invariant_name(i: int, j: int) -> str:
    """Column of the invariant 2 p_i p_j."""
    return f"s_{min(i, j)}{max(i, j)}"


def momentum_name(leg: int, part: str) -> str:
    """Column of a component of a leg's momentum."""
    return f"leg{leg}_{part}"


def places(features: tuple[str, ...], n_legs: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where the invariants of all pairs stand among the features, and the momenta of all legs, or none of them.

    Raises:
        StudyError: if a feature is missing, or is something else.
    """
    of_pairs = [invariant_name(i, j) for i, j in pairs(n_legs)]
    of_legs = [momentum_name(leg, part) for leg in range(n_legs) for part in COMPONENTS]
    missing = [name for name in of_pairs if name not in features]
    has_momenta = any(name in features for name in of_legs)
    if has_momenta:
        missing += [name for name in of_legs if name not in features]
    others = [name for name in features if name not in (*of_pairs, *of_legs)]
    if missing or others:
        raise StudyError(
            f"a network of {n_legs} legs reads the invariants of all pairs, {', '.join(of_pairs)}, and all momenta or "
            f"none; missing are {', '.join(missing) or 'none'}, and it does not read {', '.join(others) or 'others'}."
        )
    return tuple(map(features.index, of_pairs)), tuple(map(features.index, of_legs if has_momenta else ()))


class Legs(eqx.Module):
    """Which legs there are, and where a row of features has their invariants and momenta."""

    kinds: tuple[int, ...] = eqx.field(static=True)  # of each leg, counted from zero
    invariants: tuple[int, ...] = eqx.field(static=True)
    momenta: tuple[int, ...] = eqx.field(static=True)  # four a leg, or none

    @classmethod
    def of(cls, types: tuple[str, ...], features: tuple[str, ...]) -> Self:
        """The legs with these types.

        Raises:
            StudyError: if the features are not theirs.
        """
        order = list(dict.fromkeys(types))
        return cls(tuple(map(order.index, types)), *places(features, len(types)))

    @property
    def one_hot(self) -> np.ndarray:
        """Type of each leg, shape (leg, type)."""
        return np.eye(max(self.kinds) + 1)[list(self.kinds)]

    @property
    def pair_kinds(self) -> np.ndarray:
        """Number of the two types of each pair of legs, shape (leg, leg), whatever their order."""
        kinds, n_kinds = np.array(self.kinds), max(self.kinds) + 1
        low, high = np.minimum.outer(kinds, kinds), np.maximum.outer(kinds, kinds)
        return np.unique(low * n_kinds + high, return_inverse=True)[1].reshape(low.shape)

    def logarithms(self, features: Features) -> Invariants:
        """Logarithms of the invariants."""
        one, other = np.array(list(pairs(len(self.kinds)))).T
        found = jnp.log(features[np.array(self.invariants)])
        empty = jnp.zeros((len(self.kinds), len(self.kinds)), features.dtype)
        return empty.at[one, other].set(found).at[other, one].set(found)

    def of_each(self, invariants: Invariants) -> Float[Array, "leg value"]:
        """Type of each leg, and power sums of its invariants with the legs of each type."""
        of_kind = self.one_hot
        powers = [
            invariants**k @ of_kind[:, [kind]]
            for kind, number in enumerate(of_kind.sum(axis=0).astype(int))
            for k in range(1, number + 1)
        ]
        return jnp.concatenate([jnp.asarray(of_kind, invariants.dtype), *powers], axis=1)

    def of_all(self, invariants: Invariants) -> Float[Array, " value"]:
        """Power sums of the invariants of each pair of types."""
        upper = np.triu(np.ones((len(self.kinds),) * 2, bool), 1)
        chosen = [upper & (self.pair_kinds == kind) for kind in range(self.pair_kinds.max() + 1)]
        return jnp.stack(
            [jnp.sum(invariants**k, where=mask) for mask in chosen for k in range(1, min(int(mask.sum()), 3) + 1)]
        )

    def own(self, features: Features) -> Float[Array, "leg 4"]:
        """Momenta of the legs, GeV; none at all where they are not read."""
        n_values = 4 if self.momenta else 0
        return features[np.array(self.momenta, int)].reshape(len(self.kinds), n_values)


class PairAffine(AbstractFixed):
    """Standardisation of invariants: one shift and scale for each pair of types."""

    shift: Float[Array, "leg leg"]
    scale: Float[Array, "leg leg"]

    def __call__(self, logarithms: Float[Array, "leg leg"]) -> Invariants:
        return (logarithms - self.shift) / self.scale

    @classmethod
    def fit(cls, legs: Legs, logarithms: Float[np.ndarray, "event leg leg"]) -> Self:
        """Mean and spread over all events and all pairs of the same types; the diagonal, no pair, stays zero.

        Raises:
            TrainingError: if an invariant is not finite: a feature is not positive.
        """
        if not np.isfinite(logarithms).all():
            raise TrainingError(
                "logarithms of invariants are not finite; expected 2 p_i p_j > 0 of every pair of legs."
            )
        off = ~np.eye(len(legs.kinds), dtype=bool)
        shift, scale = np.zeros(off.shape), np.ones(off.shape)
        for kind in np.unique(legs.pair_kinds[off]):
            mask = off & (legs.pair_kinds == kind)
            shift[mask], scale[mask] = logarithms[:, mask].mean(dtype=float), spread(logarithms[:, mask].ravel())
        return cls(jnp.asarray(shift), jnp.asarray(scale))


def spread(values: np.ndarray) -> np.ndarray:
    """Standard deviation over the first axis; one where nothing varies, such as the energy of colliding leptons."""
    found = np.std(values, axis=0, dtype=float)
    return np.where(found > _CONSTANT, found, 1.0)
