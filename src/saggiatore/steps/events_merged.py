"""Mix events of several final states in proportion to their cross sections, select events, or reweight them.

At tree level, without matching to a shower, such a mixture of jet numbers is what its cuts make it: each final state
has its own leading-order cross section, with no Sudakov factors between them.
"""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from saggiatore.errors import StudyError
from saggiatore.job import Job
from saggiatore.provenance import provenance
from saggiatore.steps.events import MergedEvents
from saggiatore.tables import Column, Table, TableSchema, read_table, write_table
from saggiatore.tasks.columns import theta_column

log = logging.getLogger(__name__)
_WEIGHT = Column("weight", "pb", "share of the cross section of all that was merged")
_THETA = "theta_"
_MOST_SPREAD = 0.5  # of the weights over their mean: a few events above the maximum weight are no weighted sample
_DROPPED = ("leg", "weight", "joint_score_", "parton_score_", "flavour_variance_", "marginal_score_")


def run(job: Job[MergedEvents], *, code: str, sources: list[Path], out: Path) -> None:
    """Write the mixture: weight, theory parameters and observables.

    Momenta differ from final state to final state; scores know of one cross section alone, and are no scores of a
    mixture. Both are left out.

    Raises:
        StudyError: if there are too few events of a source, or they carry different weights, or theta differs, or a
            nuisance is called like a theory parameter.
        SchemaError: if a column of `where` is missing.
    """
    tables = [read_table(path, "events") for path in sources]
    chosen = [_chosen(job, table) for table in tables]
    cross_sections = np.array([rows["weight"].sum() for rows in chosen])
    rng = np.random.default_rng(job.stream("mixture"))
    numbers = rng.multinomial(job.section.n_events, cross_sections / cross_sections.sum())
    log.info("cross sections %s pb, events %s", cross_sections.tolist(), numbers.tolist())
    chosen = [rows.iloc[job.section.part :: job.section.n_parts] for rows in chosen]
    for label, rows, number in zip(job.section.of, chosen, numbers, strict=True):
        if len(rows) < number:
            raise StudyError(
                f"events.{job.label}: {len(rows)} events of '{label}' came, the mixture needs {number}; raise "
                f"n_events there, or lower it here to {int(job.section.n_events * 0.95 * len(rows) / number)}."
            )
    columns = _columns(job.label, tables, chosen)
    parts = [rows.iloc[:number] for rows, number in zip(chosen, numbers, strict=True)]
    mixed = pd.concat([part.assign(weight=part["weight"] / part["weight"].mean()) for part in parts])
    mixed = mixed.reindex(columns=[column.name for column in columns]).fillna(0.0)
    mixed = mixed.iloc[rng.permutation(len(mixed))]
    columns += _reweight(job, mixed)
    mixed["weight"] *= cross_sections.sum() / mixed["weight"].sum()
    about = {"shard": 0} | _generator(tables)
    made = provenance(job.model_dump(mode="json"), code) | about
    write_table(out, TableSchema("events", 1, columns), {c.name: mixed[c.name].to_numpy() for c in columns}, made)


def _reweight(job: Job[MergedEvents], mixed: pd.DataFrame) -> tuple[Column, ...]:
    """Draw the values of nuisances and multiply the weights; the columns that the values stand in.

    Each value of one nuisance weighs the same in total: its mean weight over the events is divided out.
    """
    columns = []
    for name, nuisance in job.section.nuisances.items():
        column, rng = theta_column(name), np.random.default_rng(job.stream("nuisance", name))
        if column.name in mixed or nuisance.observable not in mixed:
            raise StudyError(
                f"events.{job.label}.nuisances: {name} is a theory parameter, or the events have no "
                f"{nuisance.observable}. Choose another name or observable."
            )
        value = rng.uniform(*nuisance.bounds, len(mixed))
        square = ((mixed[nuisance.observable] - nuisance.origin) / nuisance.scale) ** 2
        mean = np.average(square, weights=mixed["weight"])
        mixed[column.name] = value
        mixed["weight"] *= (1 + value * square) / (1 + value * mean)
        columns.append(replace(column, meaning=f"value of the nuisance {name}, which the weight is a function of"))
    return tuple(columns)


def _chosen(job: Job[MergedEvents], table: Table) -> pd.DataFrame:
    """Events inside `where`."""
    weight = table.data["weight"]
    if weight.std() > _MOST_SPREAD * weight.mean():
        raise StudyError(f"events.{job.label}: a source has weighted events; mixtures are made of unweighted ones.")
    rows = table.data
    for name, (low, high) in job.section.where.items():
        values = rows[table.column(name).name]
        rows = rows[(values >= low) & (values <= high)]
    return rows


def _columns(label: str, tables: list[Table], chosen: list[pd.DataFrame]) -> tuple[Column, ...]:
    """Weight, theory parameters and all observables of any source; a name means the same in all of them."""
    found: dict[str, Column] = {}
    for table in tables:
        found |= {c.name: c for c in table.schema.columns if not c.name.startswith(_DROPPED)} | found
    for name in [name for name in found if name.startswith(_THETA)]:
        values = np.unique(np.concatenate([rows.get(name, pd.Series([np.nan])).to_numpy() for rows in chosen]))
        if len(values) > 1:
            raise StudyError(f"events.{label}: {name} differs among the events; merge events of one value.")
    return (_WEIGHT, *found.values())


def _generator(tables: list[Table]) -> dict:
    """The model that selected events come from; mixtures have none."""
    found = tables[0].provenance
    return {"generator": found["generator"]} if len(tables) == 1 and "generator" in found else {}
