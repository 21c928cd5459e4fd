"""Compiled programs are kept: what one job compiled, every later job of this user on such a machine loads.

Shards of one process run the same program, and so does the same study tomorrow. JAX finds a program by what it
computes, its options and its own version, so that a kept one gives the bytes of a fresh one. A folder is of one kind of
processor: on a cluster's shared file system a program of a newer one would be illegal instructions to an older.
"""

import hashlib
import itertools
import os
import platform
from pathlib import Path


def keep_programs() -> None:
    """Tell JAX, before it is imported, where programs are kept, unless JAX_COMPILATION_CACHE_DIR already does."""
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(user_cache() / "saggiatore" / f"programs-{_processor()}"))
    for limit in ("MIN_COMPILE_TIME_SECS", "MIN_ENTRY_SIZE_BYTES"):  # small ones too: they are many
        os.environ.setdefault(f"JAX_PERSISTENT_CACHE_{limit}", "0")


def user_cache() -> Path:
    """Where programs keep what they can make again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))


def _processor() -> str:
    """A short name of the processor's kind and of the instructions that it has."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            lines = list(itertools.takewhile(str.strip, file))  # the first core stands for all
    except OSError:
        lines = []
    kind = sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))})
    return hashlib.sha256("\n".join(kind or [platform.machine(), platform.processor()]).encode()).hexdigest()[:12]
