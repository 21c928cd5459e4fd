"""What the jobs of a study are doing, from their logs: the same on this machine and on a cluster's shared folder.

A job writes its progress bar to ``results/{study}/logs/{job}.log`` and, when it is done, Snakemake writes
``results/{study}/benchmarks/{job}.tsv``. A log that is newer than that is of a job that runs, or of one that failed.
"""

import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table

_BAR = re.compile(
    r"(?P<what>[^\r\n]*): +\d+%\|[^|]*\| *(?P<done>[\d.]+)/(?P<total>[\d.]+) "
    r"\[[\d:]+<(?P<left>[\d:?]+), [^,\]]*?(?P<unit>[a-z]+)?(?:/s)?(?:, (?P<values>[^\]]*))?\]"
)
_FAILED = re.compile(r"^(?:error: |Traceback |\w+Error\b)", re.MULTILINE)
_TAIL = 8192  # bytes at the end of a log that are read: many states of a progress bar
_UNBENCHED = ("spec.", "bundle")  # jobs of a second, which have no benchmark file

State = Literal["running", "failed", "finished"]


class Progress(NamedTuple):
    """What one job was last seen doing."""

    study: str
    job: str
    state: State
    silent: float  # seconds since its last word
    what: str = ""
    done: float = 0.0
    total: float = 0.0  # 0 where the job does not know
    unit: str = ""
    left: str = ""  # as long as the rest will take
    values: str = ""  # such as losses


def survey(results: Path, studies: Iterable[str], now: float) -> Iterator[Progress]:
    """Every job that has a log, study by study, in the order of their beginnings as far as names tell."""
    for study in studies:
        for log in sorted((results / study / "logs").glob("*.log")):
            if not log.name.startswith(_UNBENCHED):
                yield _progress(study, log, results / study / "benchmarks" / f"{log.stem}.tsv", now)


def studies_of(results: Path) -> list[str]:
    """Studies that have logs."""
    return sorted(path.parent.name for path in results.glob("*/logs"))


def view(jobs: Iterable[Progress]) -> Table:
    """Running and failed jobs as a table for a terminal, with the number of those that are finished."""
    jobs = list(jobs)
    n_finished = sum(job.state == "finished" for job in jobs)
    table = Table(caption=f"finished: {n_finished}, at {time.strftime('%H:%M:%S')}")
    for name in ("job", "doing", "progress", "left", "values"):
        table.add_column(name, overflow="fold")
    for job in jobs:
        if job.state != "finished":
            table.add_row(f"{job.study} {job.job}", *_cells(job), style="red" if job.state == "failed" else "")
    return table


def _cells(job: Progress) -> tuple[RenderableType, ...]:
    if job.state == "failed":
        return "failed", "", "", f"see results/{job.study}/logs/{job.job}.log"
    silent = f"silent for {job.silent / 60:.0f} min" if job.silent > 120 else ""
    if not job.total:
        return job.what or "running", "", "", silent
    count = f"{job.done:g}/{job.total:g} {job.unit}".strip()
    bar = ProgressBar(total=job.total, completed=job.done, width=16)
    return f"{job.what}, {count}", bar, job.left, ", ".join(filter(None, (job.values, silent)))


def _progress(study: str, log: Path, benchmark: Path, now: float) -> Progress:
    job, written = log.stem, log.stat().st_mtime
    if benchmark.is_file() and benchmark.stat().st_mtime >= written:
        return Progress(study, job, "finished", now - written)
    text = _tail(log)
    if _FAILED.search(text):
        return Progress(study, job, "failed", now - written)
    states = list(_BAR.finditer(text))
    if not states:
        return Progress(study, job, "running", now - written)
    last = states[-1].groupdict(default="")
    numbers = float(last["done"]), float(last["total"])
    return Progress(
        study, job, "running", now - written, last["what"].strip(), *numbers, last["unit"], last["left"], last["values"]
    )


def _tail(path: Path) -> str:
    with path.open("rb") as stream:
        stream.seek(0, 2)
        stream.seek(max(0, stream.tell() - _TAIL))
        return stream.read().decode("utf-8", errors="replace").replace("\r", "\n")
