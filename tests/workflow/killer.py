"""Kills one job of every step behind the first file that it publishes: half of what it makes may be there.

The same job, when it is tried again, first notes whether the file that the killed one published is there.
"""

import os
import shutil
import signal
import sys
from pathlib import Path

GRAVES = Path(__file__).parents[1] / "graves"
COMMAND = sys.orig_argv[1:]
rename = Path.replace


def grave():
    return GRAVES / COMMAND[2]


def publish(temporary, target):
    found = rename(temporary, target)
    if temporary.name.startswith(f".{Path(target).name}."):
        try:
            grave().mkdir()
        except FileExistsError:
            return found
        shutil.copy(target, grave() / "content")
        (grave() / "target").write_text(str(target))
        (grave() / "command").write_text("\n".join(COMMAND))
        os.kill(os.getpid(), signal.SIGKILL)
    return found


def note():
    command, left = grave() / "command", grave() / "left"
    if command.exists() and command.read_text() == "\n".join(COMMAND) and not left.exists():
        left.write_text(str(Path((grave() / "target").read_text()).exists()))


if COMMAND[:2] == ["-m", "saggiatore"]:
    note()
    Path.replace = publish
