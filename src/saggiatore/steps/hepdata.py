"""Write the published tables of a study as a submission to HEPData."""

from pathlib import Path

from saggiatore.errors import SchemaError
from saggiatore.formats.hepdata import write_submission
from saggiatore.provenance import git_commit
from saggiatore.tables import read_table


def run(*, study: str, code: str, tables: list[Path], out: Path) -> None:
    """Write one archive of YAML files; tables are named LABEL.TABLE by their files.

    Raises:
        SchemaError: if there is nothing to publish, or a file is no table of its name.
    """
    if not tables:
        raise SchemaError(f"study '{study}' has no tables to publish. Add a section of information or limits.")
    opened = {path.stem: read_table(path, path.stem.split(".")[1]) for path in sorted(tables)}
    comment = f"Expected results of the study '{study}', made with Saggiatore (commit {git_commit()}, code {code})."
    write_submission(out, opened, comment)
