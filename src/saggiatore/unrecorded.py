"""Results without Snakemake's record of them, as after `results/` was copied and the hidden folder beside it was not.

Snakemake then goes by times alone and keeps what a changed study would make anew. A spec file tells of it: it holds
what its section said when the results were made.
"""

import base64
import json
import os
from collections.abc import Collection
from pathlib import Path

from saggiatore.workflow import Plan


def complaint(folder: Path, plan: Plan, command: Collection[str] = ()) -> str:
    """What is to be done about specs of the plan's studies that have changed without a record; empty if none has.

    Args:
        folder: where the workflow runs.
        plan: the studies as they are now.
        command: words of the command line; a spec among them is made again in any case (``--forcerun``).
    """
    if {"-F", "--forceall"} & set(command) or (folder / ".snakemake" / "metadata.db").exists():
        return ""  # all is made again; or records are kept by another of Snakemake's backends
    found = [path for study in plan.names for path in _changed(folder, plan, study) if path not in command]
    if not found:
        return ""
    return (
        f"error: {', '.join(found)}: the study says something else by now, and Snakemake has no record of how "
        f"{'they were' if len(found) > 1 else 'it was'} made (.snakemake/ did not come along with results/): it would "
        "keep what has to be made anew. Move the results of this study away; or run once with "
        f"--forcerun {' '.join(found)}"
    )


def _changed(folder: Path, plan: Plan, study: str) -> list[str]:
    unrecorded = [path for path in plan.specs(study) if (folder / path).is_file() and not _is_recorded(folder, path)]
    return [path for path in unrecorded if _content(folder / path) != json.loads(_now(plan, study, path))]


def _now(plan: Plan, study: str, path: str) -> str:
    stage, label, _ = Path(path).name.split(".")
    return plan.job(study, stage, label)


def _content(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # of a job that will complain itself
        return None


def _is_recorded(folder: Path, path: str) -> bool:
    """Whether Snakemake knows how it made `path`: a file whose name is the path in base 64, cut into folders."""
    name = base64.urlsafe_b64encode(path.encode()).decode()
    longest = os.pathconf(folder, "PC_NAME_MAX") - 1
    parts = [name[at : at + longest] for at in range(0, len(name), longest)]
    return Path(folder, ".snakemake", "metadata", *(f"@{part}" for part in parts[:-1]), parts[-1]).is_file()
