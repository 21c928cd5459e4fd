"""What simulated events, and events from files, have to tell."""

from saggiatore.table_numbers.entry import Named, entry, measured
from saggiatore.tables import Table


def integral(label: str, table: Table, artefact: str) -> Named:
    row = table.data.iloc[0]
    for name in measured(table):
        yield f"{name}.{label}", entry(table, row, name, artefact)


def sample(label: str, table: Table, artefact: str) -> Named:
    for name in table.schema.names:
        yield f"sample.{label}.{name}", entry(table, table.data.iloc[0], name, artefact)
