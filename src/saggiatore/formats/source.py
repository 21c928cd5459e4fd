"""How a study names events that somebody else made: a file, which part of it, and what its weights mean."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.spec import ParameterName, Section

OWN_WEIGHT = "the event's own weight"  # its name among the benchmarks
_PATH = "the file, absolute or from the folder that Snakemake runs in: "

Point = dict[ParameterName, float]


class AbstractFileEvents(Section):
    """Events of a file; they keep their weights.

    Each event's own weight holds at `theta`, the named weights at their benchmarks: together they must determine a
    polynomial of degree two in the process's parameters.
    """

    n_shards: ClassVar[int] = 1

    skip: int = Field(0, ge=0, description="events at the beginning of the file that are left to other sections")
    n_events: int | None = Field(
        None, ge=1, description="events that are read after those, before the cuts; all if absent"
    )
    theta: Point = Field({}, description="where the events' own weights hold: the parameters that are not zero")
    at: Point | None = Field(
        None, description="where weights and joint scores are wanted, by morphing; where the own weights hold if absent"
    )
    max_residual: float = Field(
        1e-3,
        gt=0,
        description="greatest relative distance (root mean square) of the weights from a polynomial, which more "
        "benchmarks than needed reveal",
    )
    average_flavours: bool = Field(
        False,
        description="mean and variance of the joint score over flavours by the process's own amplitudes, which must "
        "give the file's joint scores; else those of the event's own flavours stand for them",
    )

    def points(self, benchmarks: Mapping[str, Mapping[str, float]]) -> dict[str, Mapping[str, float]]:
        """The events' own weight and the `benchmarks`, with the parameters that are not zero there."""
        return {OWN_WEIGHT: self.theta, **benchmarks}


class LheEvents(AbstractFileEvents):
    """Events of a Les Houches file, gzipped or not, with weights at benchmarks in <rwgt> or <weights>."""

    source: Literal["lhe"]
    path: str = Field(pattern=r"\.lhe(\.gz)?$", description=_PATH + ".lhe or .lhe.gz")
    benchmarks: dict[str, Point] = Field(
        min_length=1, description="name (id) of each weight: the parameters that are not zero there"
    )


class FlatEvents(AbstractFileEvents):
    """Events of a ROOT tree `events` or a CSV file with the columns that `export` writes.

    Without benchmarks the file's own joint scores are taken; with them, joint scores follow by morphing.
    """

    source: Literal["flat"]
    path: str = Field(pattern=r"\.(root|csv|csv\.gz)$", description=_PATH + ".root, .csv or .csv.gz")
    benchmarks: dict[str, Point] = Field(
        {}, description="column (pb) of each further weight: the parameters that are not zero there"
    )

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            "benchmarks or not theta and at is None and not average_flavours",
            "theta, at and average_flavours belong to weights that are morphed: they need benchmarks. Without, the "
            "columns theta_*, joint_score_*, ... of the file are taken; remove them.",
        ),
    )
