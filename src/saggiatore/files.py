"""Files that exist whole or not at all."""

import contextlib
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it when the block ends well, remove it when it does not.

    A killed job leaves at most a hidden ``.tmp`` file, never something that a rerun takes for finished; who writes the
    same file next removes it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _tidy(path, ".tmp")
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def workplace(path: Path) -> Iterator[Path]:
    """Yield a hidden folder beside `path` and remove it in the end.

    What a killed job leaves in it is removed by who makes the same file next.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _tidy(path, ".parts")
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", suffix=".parts", dir=path.parent) as folder:
        yield Path(folder)


def _tidy(path: Path, suffix: str) -> None:
    """Remove the temporary files and folders of killed jobs that were to become `path`."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.{8 * '?'}{suffix}"):  # tempfile adds eight characters
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
