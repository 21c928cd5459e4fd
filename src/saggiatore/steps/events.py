"""Join the shards of a section's events into one table."""

from collections.abc import Iterator
from pathlib import Path

from saggiatore.errors import SchemaError
from saggiatore.job import Job
from saggiatore.provenance import provenance
from saggiatore.steps.events_shard import EventsSection
from saggiatore.tables import TableSchema, iterate_table, read_header, write_batches


def run(job: Job[EventsSection], *, code: str, shards: list[Path], out: Path) -> None:
    """Write the events of all `shards`, ordered by their number, however the files are ordered or named.

    Raises:
        SchemaError: if a shard is missing, doubled, of another study or section, or has other columns.
    """
    ordered, schema = _order(job, shards)
    write_batches(out, schema, _rows(ordered), provenance(job.model_dump(mode="json"), code))


def _order(job: Job[EventsSection], shards: list[Path]) -> tuple[list[Path], TableSchema]:
    mine = job.model_dump(mode="json")
    found: dict[int, Path] = {}
    schemas: set[TableSchema] = set()
    codes: set[str] = set()
    for path in shards:
        schema, header = read_header(path, "events", version=1)
        if header["spec"] != mine or "shard" not in header:
            raise SchemaError(f"{path}: not a shard of events.{job.label} of study '{job.study}'. Re-run events-shard.")
        if header["shard"] in found:
            raise SchemaError(f"{path}: shard {header['shard']} came twice, first as {found[header['shard']]}.")
        found[header["shard"]] = path
        schemas.add(schema)
        codes.add(header["code"])
    missing = sorted(set(range(job.section.n_shards)) - set(found))
    if missing:
        raise SchemaError(f"shards {missing} of events.{job.label} did not come. Run events-shard for them.")
    if len(schemas) > 1 or len(codes) > 1:
        raise SchemaError(f"the shards of events.{job.label} come from different code. Re-run events-shard for all.")
    return [found[number] for number in sorted(found)], schemas.pop()


def _rows(shards: list[Path]) -> Iterator[dict]:
    for path in shards:
        for data in iterate_table(path, "events"):
            yield {name: data[name].to_numpy() for name in data.columns}
