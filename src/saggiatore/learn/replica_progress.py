"""Where repeated trainings are, and a file of it: those that a scheduler ends go on from there."""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from saggiatore.errors import InterruptionError
from saggiatore.learn.checkpoint import load_checkpoint, save_checkpoint
from saggiatore.learn.interruption import SAVE_EVERY, Interruption, deferred_signals
from saggiatore.learn.loop import HISTORY, History
from saggiatore.learn.vector import State
from saggiatore.types import Float


class Progress(NamedTuple):
    """All replicas after the epochs that each has behind it, in arrays of NumPy that are filled in place."""

    state: State  # a leading axis for the replicas
    losses: Float[np.ndarray, "replica epoch"]  # of the validation; nan where there was no such epoch, or none yet

    def n_done(self) -> int:
        """Epochs of all replicas together."""
        return int(np.isfinite(self.losses).sum())

    def history(self, replica: int) -> History:
        """What `learn.loop` asks of the epochs of one replica; their losses in training are not kept."""
        losses = self.losses[replica][np.isfinite(self.losses[replica])].tolist()
        blank: History = {name: [math.nan] * len(losses) for name in HISTORY.names}
        return blank | {"validation_loss": losses}

    def keep(self, rows: int | slice, state: State) -> None:
        """Put the state of one replica, or of all, in its place."""
        for kept, each in zip(jax.tree.leaves(self.state), jax.tree.leaves(state), strict=True):
            kept[rows] = each


class Keeper:
    """Writes the progress of trainings, and knows whether they are to stop."""

    def __init__(self, progress: Progress, save: Callable[[Progress], None], interruption: Interruption) -> None:
        self.progress = progress
        self.lock = threading.Lock()  # held while a replica's row changes, or all are written
        self.has_failed = False  # one of the trainings, and with it all
        self._save, self._interruption, self._saved = save, interruption, time.monotonic()

    @property
    def told(self) -> str:
        """The signal that came, if any."""
        return self._interruption.name

    @property
    def is_due(self) -> bool:
        """Whether so much was learned since the last writing that it were a pity to lose it."""
        return bool(self.told) or time.monotonic() - self._saved > SAVE_EVERY

    def save(self) -> None:
        """Write what is done."""
        with self.lock:
            self._save(self.progress)
        self._saved = time.monotonic()


@contextlib.contextmanager
def kept(progress: Progress, checkpoint: Path | None, identity: str) -> Iterator[Keeper]:
    """Progress of trainings that go on from `checkpoint`, where that is of the same `identity`, and are written there.

    They are written at the end as well: what follows them may be ended, too. Who calls removes the file. Without one
    nothing is written, and a signal ends the process.

    Raises:
        InterruptionError: if a scheduler ended them (SIGTERM, SIGUSR1) and `checkpoint` was written.
    """
    if checkpoint is None:
        yield Keeper(progress, lambda _: None, Interruption())
        return
    found, _ = load_checkpoint(checkpoint, progress, identity) or (progress, {})
    with deferred_signals() as interruption:
        keeper = Keeper(found, lambda now: save_checkpoint(checkpoint, now, identity, {}), interruption)
        yield keeper
        keeper.save()
    if keeper.told:
        raise InterruptionError(
            f"{len(found.losses)} trainings received {keeper.told} and stopped after {found.n_done()} epochs in all. "
            f"Their state is in {checkpoint}; run the same command again and they go on from there, to the result of "
            "uninterrupted ones."
        )
