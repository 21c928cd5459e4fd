"""How accurate networks of an amplitude are over phase space, and whether they know it."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from saggiatore.constraint import Constraint
from saggiatore.errors import StudyError
from saggiatore.infer import accuracy as measured
from saggiatore.infer.base import AbstractPosteriorScore, PointRegression, posterior_score, regression
from saggiatore.infer.batches import Batch, learned_column, model_features, target_batches
from saggiatore.infer.calibrate import Evaluated, evaluate
from saggiatore.job import Job
from saggiatore.models.store import load_model
from saggiatore.provenance import provenance
from saggiatore.spec import DrawsLabel, EventsLabel, Label, ModelLabel, Section, Spec
from saggiatore.tables import Column, TableSchema, read_table, write_table
from saggiatore.tasks.columns import LOG_AMPLITUDE

_ROWS = 4096
_POINT = "none"  # the method of a network without draws
_SIZE = r"$|\Delta|$"
ACCURACY = TableSchema(
    "accuracy",
    1,
    (
        Column("name", "1", "name of the network or of its posterior", kind="str"),
        Column("kind", "1", "kind of the network", kind="str"),
        Column("method", "1", "method of the posterior; none: a network without draws", kind="str"),
        Column("n_train", "1", "events of the training and its validation", "training events", "int"),
        Column("region", "1", "all events, or those between quantiles of the amplitude, in percent", kind="str"),
        Column("n_events", "1", "effective number of events in the region"),
        *(
            column
            for level in (50, 68, 95, 99)
            for column in (
                Column(f"delta_{level}", "1", f"{level} % of the events have |Delta| below this", _SIZE),
                Column(f"delta_{level}_error", "1", "its standard error"),
            )
        ),
        Column("bias", "1", "mean of Delta", r"mean of $\Delta$"),
        Column("bias_error", "1", "its standard error"),
        Column("pull_mean", "1", "mean of the pulls with the whole error"),
        Column("pull_mean_error", "1", "its standard error"),
        *(
            column
            for name, what in (("", "the whole"), ("_syst", "the systematic"), ("_stat", "the statistical"))
            for column in (
                Column(
                    f"pull{name}_68", "1", f"half width that holds 68 % of the pulls with {what} error, over a normal's"
                ),
                Column(f"pull{name}_68_error", "1", "its standard error"),
            )
        ),
        Column("pull_width", "1", "standard deviation of the pulls with the whole error"),
        Column("pull_width_error", "1", "its standard error"),
        Column("sigma_syst", "1", "median of the systematic error of log A", r"$\sigma_{\rm syst}$"),
        Column("sigma_syst_error", "1", "its standard error"),
        Column("sigma_stat", "1", "median of the statistical error of log A; 0 without draws", r"$\sigma_{\rm stat}$"),
        Column("sigma_stat_error", "1", "its standard error"),
    ),
)


class AccuracyEntry(Spec):
    """A network that is measured, as it is or with a posterior of its weights."""

    name: Label
    model: ModelLabel
    draws: DrawsLabel | None = Field(
        None, description="posterior of the model; without it no statistical error is known"
    )


class AccuracySection(Section):
    """Networks of an amplitude on events that none was trained on."""

    test: EventsLabel = Field(description="events with the amplitude")
    entries: tuple[AccuracyEntry, ...] = Field(min_length=1)
    n_events: int = Field(100_000, ge=100, description="events that are compared, at most")

    constraints: ClassVar[tuple[Constraint, ...]] = (
        Constraint(
            "len(set(entry.name for entry in entries)) == len(entries)",
            "two entries have one name, expected each once.",
        ),
    )


def run(
    job: Job[AccuracySection],
    *,
    code: str,
    test: Path,
    models: list[Path],
    draws: list[Path],
    accuracy: Path,
    deltas: Path,
) -> None:
    """Write the accuracy of each entry by region, and Delta and the pulls of every event.

    Raises:
        StudyError: if a model learned something else.
        ConvergenceError: if a stated variance is not positive.
    """
    rows: list[dict] = []
    columns: dict[str, np.ndarray] = {}
    left = iter(draws)
    for entry, path in zip(job.section.entries, models, strict=True):
        header, posterior, method = _opened(entry, path, left)
        events = evaluate(posterior, _batches(test, header, job.section.n_events))
        columns |= {"weight": events.weight, LOG_AMPLITUDE.name: events.joint_score} | _of_events(entry.name, events)
        about = {"name": entry.name, "kind": header["kind"], "method": method, "n_train": header["n_events"]}
        for region in measured.REGIONS:
            chosen = measured.part(events, measured.inside(events, region))
            rows.append(about | {"region": region.name} | measured.summary(chosen))
    made = provenance(job.model_dump(mode="json"), code)
    write_table(accuracy, ACCURACY, {name: [row[name] for row in rows] for name in ACCURACY.names}, made)
    write_table(deltas, deltas_schema([entry.name for entry in job.section.entries]), columns, made)


def deltas_schema(names: list[str]) -> TableSchema:
    """Amplitude of each event, and by each network the deviation from it and the pulls."""
    columns = [Column("weight", "pb", "Monte Carlo weight"), LOG_AMPLITUDE]
    for name in names:
        columns += [
            Column(f"delta_{name}", "1", f"(A - A_net) / A of {name}", r"$\Delta$"),
            Column(f"pull_{name}", "1", f"(log A - mean) over the whole error of {name}", "pull"),
            Column(f"pull_syst_{name}", "1", "the same over its systematic error", r"pull with $\sigma_{\rm syst}$"),
            Column(f"pull_stat_{name}", "1", "the same over its statistical error", r"pull with $\sigma_{\rm stat}$"),
        ]
    return TableSchema("deltas", 1, tuple(columns))


def _opened(entry: AccuracyEntry, path: Path, draws: Iterator[Path]) -> tuple[dict, AbstractPosteriorScore, str]:
    """Header of the entry's model, what it says about an event, and by which method."""
    model, header = load_model(path)
    learned = learned_column(header)
    if learned.name != LOG_AMPLITUDE.name:
        raise StudyError(f"accuracy, entry '{entry.name}': {path} learned {learned.name}, expected an amplitude.")
    if entry.draws is None:
        return header, PointRegression(regression(model)), _POINT
    table = read_table(next(draws), "draws")
    return header, posterior_score(model, table), str(table.provenance["method"]["kind"])


def _batches(path: Path, header: dict, n_events: int) -> Iterator[Batch]:
    """The first events, in whole batches."""
    return islice(target_batches(path, model_features(header), LOG_AMPLITUDE, _ROWS), -(-n_events // _ROWS))


def _of_events(name: str, events: Evaluated) -> dict[str, np.ndarray]:
    return {
        f"delta_{name}": measured.delta(events),
        f"pull_{name}": events.pull,
        f"pull_syst_{name}": measured.pull_syst(events),
        f"pull_stat_{name}": measured.pull_stat(events),
    }
