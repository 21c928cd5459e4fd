"""GPUs of a machine without a scheduler: each job sees as many as it asked for, and no two jobs see the same.

Snakemake counts GPUs and numbers none. A job therefore locks a file for each GPU that it takes; the kernel releases the
lock when the job's process ends, however it ends. More jobs than GPUs wait for one another.
"""

import contextlib
import fcntl
import logging
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from saggiatore.errors import MachineError

VISIBLE = "CUDA_VISIBLE_DEVICES"
_PLATFORMS = "JAX_PLATFORMS"
_SCHEDULERS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "SGE_TASK_ID", "FLUX_JOB_ID", "_CONDOR_SLOT")
_PAUSE = 0.5  # seconds between two looks for a GPU that is free
log = logging.getLogger(__name__)


@contextlib.contextmanager
def claimed(n_gpus: int) -> Iterator[None]:
    """Show `n_gpus` of the machine's GPUs to jax, or all if there are fewer, and keep them for the block; 0: the CPU.

    GPUs that a scheduler gave to the job are left as they are. To be entered before jax is imported; the variables that
    say it stay as they were set.

    Raises:
        MachineError: if the folder of the locks is another user's.
    """
    scheduler = next((os.environ[name] for name in _SCHEDULERS if name in os.environ), "")
    if n_gpus == 0 and not scheduler:
        os.environ[VISIBLE] = ""
        os.environ.setdefault(_PLATFORMS, "cpu")
    ids = _ids() if n_gpus else []
    if not ids or (scheduler and len(ids) <= n_gpus):
        yield
        return
    with contextlib.ExitStack() as stack:
        taken = _take(ids, min(n_gpus, len(ids)), _folder(scheduler), stack)
        os.environ[VISIBLE] = ",".join(taken)
        log.info("computes on GPU %s", ", ".join(taken))
        yield


def _ids() -> list[str]:
    """The GPUs that may be used: those of CUDA_VISIBLE_DEVICES if it is set, else all that the driver lists."""
    if VISIBLE in os.environ:
        return _stated(os.environ[VISIBLE])
    if shutil.which("nvidia-smi") is None:
        return []
    found = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    return _listed(found.stdout) if found.returncode == 0 else []


def _stated(text: str) -> list[str]:
    """CUDA's own reading: numbers or UUIDs, up to the first that is negative."""
    names = [name.strip() for name in text.split(",")]
    end = next((place for place, name in enumerate(names) if name.startswith("-")), len(names))
    return [name for name in names[:end] if name]


def _listed(text: str) -> list[str]:
    """UUIDs in the answer of ``nvidia-smi -L``; of a GPU that is divided (MIG), its parts alone."""
    ids: list[str] = []
    for uuid in re.findall(r"\(UUID: ([\w-]+)\)", text):
        if uuid.startswith("MIG") and ids and ids[-1].startswith("GPU"):
            ids.pop()
        ids.append(uuid)
    return ids


def _folder(scheduler: str) -> Path:
    """Where the locks lie: shared by all of a user's jobs on this machine, or in this allocation."""
    folder = Path(tempfile.gettempdir()) / f"saggiatore-gpu-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise MachineError(f"{folder}: is not this user's folder, but locks on GPUs lie there. Set TMPDIR to another.")
    folder = folder / re.sub(r"\W", "_", scheduler)
    folder.mkdir(exist_ok=True)
    return folder


def _take(ids: list[str], n_gpus: int, folder: Path, stack: contextlib.ExitStack) -> list[str]:
    """Lock `n_gpus` of the GPUs, and wait for those that are not free.

    Only one job at a time looks for free ones: it keeps what it got and is next, so that no job waits for ever and no
    two wait for each other.
    """
    taken: list[str] = []
    with open(folder / "queue", "w") as queue:
        fcntl.flock(queue, fcntl.LOCK_EX)
        while True:
            for name in ids:
                if name not in taken and len(taken) < n_gpus and _lock(folder / re.sub(r"\W", "_", name), stack):
                    taken.append(name)
            if len(taken) == n_gpus:
                return sorted(taken, key=ids.index)
            time.sleep(_PAUSE)


def _lock(path: Path, stack: contextlib.ExitStack) -> bool:
    """Lock a file until the stack is unwound, or the process ends; False if another process has it."""
    stream = open(path, "w")  # noqa: SIM115
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        return False
    stack.enter_context(stream)
    return True
