"""Write the JSON Schema of studies from the spec classes."""

from pathlib import Path

from saggiatore.study import write_schema


def run(*, out: Path = Path("config/schema/study.schema.json")) -> None:
    """Write the schema; a test fails when it is not in step with the classes."""
    write_schema(out)
