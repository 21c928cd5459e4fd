"""Weights and joint scores of events that another generator made: by morphing, or as a table states them.

Such a file says nothing about the other flavours of an event. Its parton score is then the joint score itself, with a
flavour variance of zero: every expectation up to the second moment is the same, with the noise of the drawn flavour.
The amplitudes of the study's process may average over flavours, where a study asks for it: see `averaged`.
"""

import abc
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from saggiatore.errors import EventError
from saggiatore.integrate.external import Block
from saggiatore.integrate.morphing import Morphing, morphing
from saggiatore.integrate.tally import Tally
from saggiatore.tables import TableSchema
from saggiatore.types import Float

Columns = dict[str, np.ndarray]


class AbstractScores(abc.ABC):
    """Where weights and joint scores come from."""

    @property
    @abc.abstractmethod
    def needed(self) -> tuple[str, ...]:
        """Weights or columns that the file must have."""

    @property
    @abc.abstractmethod
    def optional(self) -> tuple[str, ...]:
        """Columns that are used where the file has them."""

    @abc.abstractmethod
    def columns(self, block: Block, names: tuple[str, ...], tally: Tally) -> Columns:
        """Columns weight, theta and scores of events inside the cuts, not normalised; `names` are those of `extra`.

        Raises:
            EventError: if an event has no joint score.
        """

    @abc.abstractmethod
    def shift(self, tally: Tally) -> Float[np.ndarray, " theta"]:
        """What is subtracted from joint scores once all events are known."""

    @abc.abstractmethod
    def require_sound(self, tally: Tally) -> None:
        """Refuse a sample for which the joint scores do not hold."""

    @abc.abstractmethod
    def schema(self, schema: TableSchema) -> TableSchema:
        """`schema` with the meanings that the columns have here."""

    @abc.abstractmethod
    def report(self) -> dict[str, float]:
        """Numbers for the log and the header."""


@dataclass(frozen=True)
class MorphedScores(AbstractScores):
    """By morphing: t = d log w(z|theta) - d log sigma(theta), both from weights (arXiv:1907.10621, sec. 3.2)."""

    morph: Morphing
    benchmarks: tuple[str, ...]  # beside the events' own weight
    wanted: Float[np.ndarray, " theta"]
    is_own: bool  # the own weights hold at `wanted`
    is_averaged: bool  # over flavours, later

    @property
    def needed(self) -> tuple[str, ...]:
        """The weights at benchmarks."""
        return self.benchmarks

    @property
    def optional(self) -> tuple[str, ...]:
        """None."""
        return ()

    @classmethod
    def make(
        cls,
        parameters: tuple[str, ...],
        points: Mapping[str, Mapping[str, float]],
        theta: Mapping[str, float],
        at: Mapping[str, float] | None,
        is_averaged: bool,
    ) -> "MorphedScores":
        """From all `points`, that of the own weight (at `theta`) first; scores at `at`, at `theta` if None.

        Raises:
            StudyError: if the points do not determine the weights.
        """
        both = (theta, theta if at is None else at)
        own, wanted = (np.array([point.get(name, 0.0) for name in parameters]) for point in both)
        return cls(morphing(parameters, points), tuple(points)[1:], wanted, bool((own == wanted).all()), is_averaged)

    def columns(self, block: Block, names: tuple[str, ...], tally: Tally) -> Columns:
        """See `AbstractScores.columns`."""
        weights = np.concatenate([block.weight[:, None], block.extra[:, : len(self.needed)]], axis=1)
        coefficients = self.morph.coefficients(weights)
        tally.add_residual(weights, self.morph.fitted(coefficients))
        morphed = self.morph.weight(coefficients, self.wanted)
        score = self.morph.gradient(coefficients, self.wanted) / np.where(morphed == 0, np.nan, morphed)[:, None]
        if not np.isfinite(score).all():
            row = int(np.argmax(~np.isfinite(score).all(axis=1)))
            raise EventError(
                f"event {block.number[row]} has the weight {morphed[row]:g} where joint scores are wanted: its joint "
                "score is not finite. Remove such events knowingly, or choose another `at`."
            )
        weight = block.weight if self.is_own else morphed
        tally.add_passed(weight, weight[:, None] * score)
        found: Columns = {"weight": weight}
        for place, name in enumerate(self.morph.parameters):
            found[f"theta_{name}"] = np.full(len(weight), self.wanted[place])
            found |= _unaveraged(name, score[:, place])
        return found

    def shift(self, tally: Tally) -> Float[np.ndarray, " theta"]:
        """The sample's d log sigma: the weighted mean of d log w."""
        return tally.log_gradient

    def require_sound(self, tally: Tally) -> None:
        """Nothing beyond the tally."""

    def schema(self, schema: TableSchema) -> TableSchema:
        """Without averages over flavours, unless the process makes them."""
        return schema if self.is_averaged else _meaning_unaveraged(schema, self.morph.parameters)

    def report(self) -> dict[str, float]:
        """How well the benchmarks determine the weights."""
        return {
            "n_spare_benchmarks": self.morph.n_spare,
            "condition": self.morph.condition,
            "amplification": self.morph.amplification(self.wanted),
        }


@dataclass(frozen=True)
class StatedScores(AbstractScores):
    """As the columns of a table state them, already normalised; averages over flavours where it has them."""

    parameters: tuple[str, ...]

    @property
    def needed(self) -> tuple[str, ...]:
        """Parameters and joint scores."""
        return tuple(f"{what}_{name}" for what in ("theta", "joint_score") for name in self.parameters)

    @property
    def optional(self) -> tuple[str, ...]:
        """Averages over flavours."""
        return tuple(f"{what}_{name}" for what in ("parton_score", "flavour_variance") for name in self.parameters)

    def columns(self, block: Block, names: tuple[str, ...], tally: Tally) -> Columns:
        """See `AbstractScores.columns`."""
        have = dict(zip(names, block.extra.T, strict=True))
        score = np.stack([have[f"joint_score_{name}"] for name in self.parameters], axis=1)
        tally.add_passed(block.weight, block.weight[:, None] * score)
        found: Columns = {"weight": block.weight}
        for name in self.parameters:
            found[f"theta_{name}"] = have[f"theta_{name}"]
            averages = {key: have[key] for key in (f"parton_score_{name}", f"flavour_variance_{name}") if key in have}
            stated = {f"joint_score_{name}": have[f"joint_score_{name}"], **averages}
            found |= stated if len(averages) == 2 else _unaveraged(name, have[f"joint_score_{name}"])
        return found

    def shift(self, tally: Tally) -> Float[np.ndarray, " theta"]:
        """Zero: the scores contain the cross section's part."""
        return np.zeros(len(self.parameters))

    def require_sound(self, tally: Tally) -> None:
        """Every event must pass the cuts: the scores are normalised to the file's own region.

        Raises:
            EventError: if some do not.
        """
        if tally.n_passed < tally.n_read:
            raise EventError(
                f"{tally.n_read - tally.n_passed} of {tally.n_read} events fail the cuts of the process, but the "
                "file's joint scores are normalised to the region that it was made for. Use its cuts, or read a file "
                "with weights at benchmarks, from which joint scores in any region follow."
            )

    def schema(self, schema: TableSchema) -> TableSchema:
        """As it is: what the columns are, the file knows."""
        return schema

    def report(self) -> dict[str, float]:
        """Nothing more."""
        return {}


def _unaveraged(name: str, score: Float[np.ndarray, " event"]) -> Columns:
    return {
        f"joint_score_{name}": score,
        f"parton_score_{name}": score,
        f"flavour_variance_{name}": np.zeros(len(score)),
    }


def _meaning_unaveraged(schema: TableSchema, parameters: tuple[str, ...]) -> TableSchema:
    meanings = {
        **{f"parton_score_{name}": "the joint score itself: other flavours are not known" for name in parameters},
        **{f"flavour_variance_{name}": "zero: other flavours are not known" for name in parameters},
    }
    columns = (replace(column, meaning=meanings.get(column.name, column.meaning)) for column in schema.columns)
    return replace(schema, columns=tuple(columns))
