"""What one job sees: who it is, the root seed of its study and its own section, nothing else."""

import hashlib
import json
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from saggiatore.errors import StudyError
from saggiatore.registry import complaints, load
from saggiatore.spec import Spec

Section = TypeVar("Section", bound=Spec)
ReadJob = TypeVar("ReadJob", bound=Spec)


def read_spec(path: Path) -> dict:
    """The JSON of one job, not yet checked.

    Raises:
        StudyError: if it cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        damaged = path if isinstance(error, ValueError) else None
        raise StudyError(
            f"{path}: no readable spec ({error}); expected the JSON of one job.", damaged=damaged
        ) from None


def read_job(job_class: type[ReadJob], path: Path) -> ReadJob:
    """The job at `path`, checked.

    Raises:
        StudyError: if it cannot be read, or is not one of this class.
    """
    try:
        return job_class.model_validate(read_spec(path))
    except ValidationError as error:
        raise StudyError(f"{path}: {complaints(error)}") from None


class Job(Spec, Generic[Section]):
    """The content of ``results/{study}/spec/{stage}.{label}.json``."""

    study: str
    stage: str
    label: str
    seed: int
    section: Section
    process: dict[str, Any] | None = None  # as the study has it; only for the stages that simulate

    def process_spec(self) -> Any:
        """The spec of the study's process; read here and not at birth, so that joining tables imports no physics.

        Raises:
            StudyError: if the job has no process, or not a valid one.
        """
        if self.process is None or "kind" not in self.process:
            raise StudyError(f"{self.stage}.{self.label}: the job has no process with a 'kind'; expected the study's.")
        try:
            return load("process", self.process["kind"]).model_validate(self.process)
        except ValidationError as error:
            raise StudyError(f"process: {complaints(error)}") from None

    def stream(self, *path: object) -> int:
        """Seed of this job's random stream, or of the sub-stream named by `path` (a shard, a replica)."""
        return stream_seed(self.seed, self.stage, self.label, *path)


def stream_seed(seed: int, *path: object) -> int:
    """Fold a path such as ``events/train/3`` into a root seed: 32 bits, so that any generator takes it.

    No stream depends on another: adding a section or a shard changes no other stream.
    """
    text = "/".join(str(part) for part in (seed, *path))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
