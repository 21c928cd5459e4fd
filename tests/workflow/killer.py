"""Kills one job of every step behind the first file that it publishes: half of what it makes may be there."""

import os
import shutil
import signal
import sys
from pathlib import Path

GRAVES = Path(__file__).parents[1] / "graves"
rename = Path.replace


def publish(temporary, target):
    found = rename(temporary, target)
    if sys.argv[0].endswith("saggiatore/__main__.py") and temporary.name.startswith(f".{Path(target).name}."):
        grave = GRAVES / sys.argv[1]
        try:
            grave.mkdir()
        except FileExistsError:
            return found
        shutil.copy(target, grave / "content")
        (grave / "target").write_text(str(target))
        os.kill(os.getpid(), signal.SIGKILL)
    return found


Path.replace = publish
