"""What a search that a scheduler ended needs to go on: JSON files in the engine's own folder. Imports no jax."""

import contextlib
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saggiatore.errors import InterruptionError
from saggiatore.files import atomic
from saggiatore.learn.interruption import SAVE_EVERY, Interruption, deferred_signals

log = logging.getLogger(__name__)


@dataclass
class Checkpoint:
    """Parts of one search by name, each with the identity of the search; and the signal that may have come.

    Without a folder nothing is kept, and signals do what they always do.
    """

    folder: Path | None
    identity: str
    interruption: Interruption = field(default_factory=Interruption)
    _saved: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def deferring(self) -> Iterator[None]:
        """Within the block a scheduler's signal waits until somebody asks for it."""
        if self.folder is None:
            yield
            return
        with deferred_signals() as self.interruption:
            yield

    @property
    def is_told(self) -> bool:
        """Whether a signal came."""
        return bool(self.interruption.name)

    def is_due(self, name: str) -> bool:
        """Whether a part should be saved now: a signal came, or the last time was a while ago."""
        since = time.monotonic() - self._saved.setdefault(name, time.monotonic())
        return self.folder is not None and (self.is_told or since > SAVE_EVERY)

    def save(self, name: str, content: Any) -> None:
        """Keep a part; `content` is of what JSON has."""
        if self.folder is not None:
            with atomic(self._path(name)) as temporary:
                temporary.write_text(json.dumps({"identity": self.identity, "content": content}), encoding="utf-8")
            self._saved[name] = time.monotonic()

    def load(self, name: str) -> Any:
        """A part of this very search, or None; parts of another one, or damaged ones, are noted in the log."""
        if self.folder is None or not self._path(name).exists():
            return None
        try:
            found = json.loads(self._path(name).read_text(encoding="utf-8"))
            if found["identity"] == self.identity:
                return found["content"]
            reason = "belongs to a search with other data, spec or code"
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = f"cannot be read ({error})"
        log.warning("starting anew: %s %s.", self._path(name), reason)
        return None

    def clear(self) -> None:
        """Remove all parts, and the folder if nothing else is in it."""
        if self.folder is not None and self.folder.is_dir():
            for path in self.folder.glob("*.checkpoint"):
                path.unlink()
            with contextlib.suppress(OSError):
                self.folder.rmdir()

    def interrupted(self, where: str, *, is_exact: bool = True) -> InterruptionError:
        """The error that says where the search stopped and how it goes on; `is_exact` if a seed gives one result."""
        promise = ", to the formulas of an uninterrupted search" if is_exact else ""
        return InterruptionError(
            f"the search received {self.interruption.name} and stopped {where}. Its state is in {self.folder}; run the "
            f"same command again and it goes on from there{promise}."
        )

    def _path(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{name}.checkpoint"
