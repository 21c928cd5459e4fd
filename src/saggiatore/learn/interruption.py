"""A scheduler's signal, kept until there is a moment to stop at.

Slurm sends SIGTERM to every process of a job at its time limit, when it is cancelled, or some time before the limit
(`--signal=TERM@120`), and SIGKILL later. Without a handler a training would lose what it learned since its checkpoint.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SAVE_EVERY = 30.0  # seconds between two checkpoints: what a kill without warning costs
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)  # SIGUSR1: what many sites send as a warning


class Interruption:
    """The signal that came, if any."""

    def __init__(self) -> None:
        self.name = ""

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Remember the signal; the interpreter calls this between two of its instructions."""
        self.name = signal.Signals(number).name


@contextlib.contextmanager
def deferred_signals() -> Iterator[Interruption]:
    """Within the block the signals of a scheduler are remembered instead of ending the process.

    Only the main thread may handle signals: in another thread (a notebook, a test) they stay what they were.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before = {number: signal.signal(number, interruption.receive) for number in SIGNALS}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
