"""Which runs of Snakemake live in a folder, so that what a dead one locked does not stop the next.

Snakemake locks by writing files, which a power cut leaves behind. Each run of this workflow therefore holds a lock of
the kernel's as well, which ends with its process, however it ends: a run that finds itself alone removes those files.
"""

import fcntl
import logging
import socket
from pathlib import Path
from typing import TextIO

log = logging.getLogger(__name__)


def join(folder: Path) -> TextIO | None:
    """Count this process among the runs in `folder` until the stream that is returned is closed.

    Files of locks are left alone as long as another run lives, and where one on another machine may: not all network
    file systems tell one machine of the other's locks. None is returned where files cannot be locked.
    """
    try:
        stream = (folder / ".snakemake" / "runs").open("a+", encoding="utf-8")
    except OSError:  # a folder that is read-only, or in which Snakemake never ran
        return None
    try:
        _release(stream, folder / ".snakemake" / "locks")
        fcntl.flock(stream, fcntl.LOCK_SH)
    except OSError:  # a file system without locks
        stream.close()
        return None
    return stream


def _release(stream: TextIO, locks: Path) -> None:
    """Remove the locks of dead runs if no other run lives, and note this machine's name."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    stream.seek(0)
    machines, here = set(stream.read().split()), socket.gethostname()
    left = sorted(locks.glob("*.lock"))
    if left and machines == {here}:
        for path in left:
            path.unlink()
        log.warning("A run in this folder ended without removing its lock; no run lives, so the lock is released.")
    kept = machines | {here} if left else {here}
    stream.truncate(0)
    stream.write("\n".join(sorted(kept)) + "\n")
    stream.flush()
