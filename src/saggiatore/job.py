"""What one job sees: who it is, the root seed of its study and its own section, nothing else."""

import hashlib
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from saggiatore.errors import StudyError
from saggiatore.registry import complaints, load
from saggiatore.spec import Spec

Section = TypeVar("Section", bound=Spec)


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
