"""The record of a job: its command, files, times and kind of host, written as the last line of its log.

Snakemake's own records have no host and no versions, and on a cluster their times are those at which results came back.
A record is written by the job itself, wherever it runs. The end is the start plus what a monotonic clock counted, so
that a system clock that jumps makes no job end before it began.
"""

import contextlib
import json
import os
import platform
import re
import resource
import shlex
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from saggiatore.errors import StudyError
from saggiatore.provenance import git_commit, package_versions

VARIABLE = "SAGGIATORE_RECORD"  # set where jobs are the workflow's; a command typed by hand prints no record
_MARK = "record: "
_LONGEST = 1 << 18  # characters of the last line of a log: a job may have read hundreds of shards
_LINE = re.compile(re.escape(_MARK) + r"(\{.*\})\s*\Z")


@dataclass(frozen=True)
class Record:
    """What one job did. Paths are as its command has them; times are UTC in ISO 8601."""

    command: str
    code: str  # fingerprint
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    start: str
    end: str
    seconds: float
    memory: float  # largest resident set, MB
    host: dict[str, str | int]
    environment: dict[str, str]  # package -> version
    commit: str = ""  # of the checkout; records of earlier versions have none

    @property
    def step(self) -> str:
        """Name of the rule's step, such as events_shard."""
        return shlex.split(self.command)[3].replace("-", "_")

    @property
    def machine(self) -> str:
        """The accelerator, or the number of cores, that the job could use."""
        return str(self.host.get("accelerator", f"{self.host['cores']} cores"))


@contextlib.contextmanager
def recorded(arguments: Sequence[str], paths: Iterable[Path], code: str) -> Iterator[None]:
    """Run the block and print its record; nothing is printed when the block raises.

    Of `paths`, those that the block left alone are its inputs, and those that it wrote are its outputs.
    """
    before = {path.as_posix(): _state(path) for path in paths}
    start, clock = datetime.now(UTC), time.monotonic()
    yield
    seconds = round(time.monotonic() - clock, 3)
    after = {name: _state(Path(name)) for name in before}
    record = Record(
        command=shlex.join(["python", "-m", "saggiatore", *arguments]),
        code=code,
        inputs=tuple(name for name, state in after.items() if state and state == before[name]),
        outputs=tuple(name for name, state in after.items() if state and state != before[name]),
        start=start.isoformat(timespec="milliseconds"),
        end=(start + timedelta(seconds=seconds)).isoformat(timespec="milliseconds"),
        seconds=seconds,
        memory=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        host=_host(),
        environment={"python": platform.python_version(), **package_versions()},
        commit=git_commit(),
    )
    sys.stderr.flush()
    print(_MARK + json.dumps(asdict(record), sort_keys=True), flush=True)


def read_records(folder: Path) -> dict[str, Record]:
    """Records of the jobs whose logs lie in `folder`, by the names of the logs: ``events.train.shard-0``.

    A job that failed, or ran before there were records, has none.
    """
    records: dict[str, Record] = {}
    for path in sorted(Path(folder).glob("*.log")):
        if record := read_record(path):
            records[path.stem] = record
    return records


def read_record(path: Path) -> Record | None:
    """The record in one log; a job that failed, or was no job of the workflow, has none."""
    if found := _LINE.search(path.read_text(encoding="utf-8", errors="replace")[-_LONGEST:]):
        with contextlib.suppress(ValueError, TypeError, KeyError):
            return _parsed(json.loads(found[1]))
    return None


def training_record(log: Path) -> Record:
    """The record of a training.

    Raises:
        StudyError: if the log has none.
    """
    record = read_record(log)
    if record is None:
        raise StudyError(f"{log}: no record of the training's time; train again with the workflow, which writes it.")
    return record


def lineage(records: Mapping[str, Record], files: Iterable[str]) -> dict[str, Record]:
    """Those records that tell how `files` were made, and how what they were made from was, by their start."""
    makers = {output: name for name, record in _by_start(records) for output in record.outputs}
    found: set[str] = set()
    todo = [makers[path] for path in files if path in makers]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [makers[path] for path in records[name].inputs if path in makers]
    return {name: record for name, record in _by_start(records) if name in found}


def _by_start(records: Mapping[str, Record]) -> list[tuple[str, Record]]:
    return sorted(records.items(), key=lambda item: (item[1].start, item[0]))


def _parsed(content: dict) -> Record:
    return Record(**{**content, "inputs": tuple(content["inputs"]), "outputs": tuple(content["outputs"])})


def _state(path: Path) -> tuple[int, int, int] | None:
    if not path.is_file():
        return None
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _host() -> dict[str, str | int]:
    """The kind of machine; its name is nobody's business. An accelerator counts where jax used it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    host: dict[str, str | int] = {"system": platform.system(), "architecture": platform.machine(), "cores": cores}
    if "jax" in sys.modules:
        device = sys.modules["jax"].devices()[0]
        if device.platform != "cpu":
            host["accelerator"] = str(device.device_kind)
    return host
