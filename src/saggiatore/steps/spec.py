"""Freeze one section of a study into the file that its job reads."""

import json
from pathlib import Path

from saggiatore.files import atomic


def run(*, content: str, out: Path) -> None:
    """Write `content`, the job as JSON; Snakemake calls this when, and only when, the content has changed."""
    with atomic(out) as temporary:
        temporary.write_text(json.dumps(json.loads(content), indent=2, sort_keys=True) + "\n", encoding="utf-8")
