"""What fingerprints need of source files, kept in the user's cache by their content.

Snakemake reads the workflow at every start, and once more in each cluster job; to parse all files each time would take
a second or two. A file that is not known, in whichever clone, is described and added.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from saggiatore.files import atomic

_KEPT = 3000  # descriptions, the latest ones: of several clones and a few hundred edits


class Source(NamedTuple):
    """Absolute names of what a file imports, and the hash of its name and code."""

    imports: tuple[str, ...]
    code: str


def described(paths: Iterable[Path], root: Path, describe: Callable[[Path], Source], store: Path) -> dict[Path, Source]:
    """Each of `paths` described: from `store`, or by `describe`, whose results are kept in `store`.

    A description is of the file's name, from `root`, and its content. A store that cannot be written is done without.
    """
    keys = {path: _key(path, root) for path in paths}
    known = _read(store)
    new = {key: describe(path) for path, key in keys.items() if key not in known}
    if new:
        latest = dict(list({**known, **new}.items())[-_KEPT:])
        with contextlib.suppress(OSError), atomic(store) as temporary:
            temporary.write_text(json.dumps(latest), encoding="utf-8")
    return {path: known[key] if key in known else new[key] for path, key in keys.items()}


def _key(path: Path, root: Path) -> str:
    return hashlib.sha256(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes()).hexdigest()


def _read(store: Path) -> dict[str, Source]:
    """What was kept; nothing where there is no such file, or something else in it."""
    try:
        content = json.loads(store.read_text(encoding="utf-8"))
        return {key: Source(tuple(imports), code) for key, (imports, code) in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
