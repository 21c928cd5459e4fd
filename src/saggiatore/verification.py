"""The means to check an archive from a stranger. Nothing is written but by `unpack`, and there only what was stated.

An archive is an input like any other: its names may climb out of a folder, its links point anywhere, its members expand
without end. None of these is followed, and of no member are more bytes read than the manifest states.
"""

import hashlib
import json
import re
import stat
import zipfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from saggiatore.bundle import (
    FORMAT_VERSION,
    MANIFEST,
    SEAL,
    Entry,
    digest_of,
    is_inside,
    measure,
    pieces_of,
    seal_of,
    serialise,
)
from saggiatore.errors import BundleError
from saggiatore.files import atomic

_LARGEST_MANIFEST = 1 << 26  # bytes; a study of ten thousand files states 2 MB
_LARGEST_RATIO = 100  # of stated to stored bytes: what is in an archive hardly compresses
_DAMAGE = (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError)  # what zipfile raises at a broken member

Opener = Callable[[], AbstractContextManager[IO[bytes]]]


@dataclass(frozen=True)
class Verdict:
    """What `verify` found; an archive is whole if nothing is missing, changed, extra or unsafe."""

    manifest: dict
    missing: tuple[str, ...]
    changed: tuple[str, ...]
    extra: tuple[str, ...]
    unsafe: tuple[str, ...]  # links, and names that climb out of the archive
    is_sealed: bool | None  # None for a folder, and for a zip that was packed anew

    @property
    def is_whole(self) -> bool:
        return not self.faults

    @property
    def faults(self) -> list[str]:
        """One line a fault."""
        kinds = {"missing": self.missing, "changed": self.changed, "extra": self.extra, "unsafe": self.unsafe}
        found = [f"{kind}: {name}" for kind, names in kinds.items() for name in names]
        return found + ["changed: the zip itself (its seal is broken)"] * (self.is_sealed is False)


def verify(path: Path) -> Verdict:
    """Hold an archive, or the folder into which it was extracted, against its manifest.

    Raises:
        BundleError: if it cannot be read at all: no such file, a truncated zip, no manifest, a decompression bomb.
    """
    path = Path(path)
    if path.is_dir():
        found = {each.relative_to(path).as_posix(): each for each in path.rglob("*")}
        links = {name for name, each in found.items() if each.is_symlink() or not (each.is_file() or each.is_dir())}
        files = {name: _reader(each) for name, each in found.items() if each.is_file()}
        return _verdict(path, {name: files[name] for name in files.keys() - links}, links, None)
    with _open_zip(path) as archive:
        return _verify_zip(path, archive)


def verify_absent(verdict: Verdict, results: Path) -> tuple[list[str], list[str]]:
    """The files that the archive only names, looked for under `results`: (missing, changed)."""
    missing, changed = [], []
    for name, entry in verdict.manifest["not_included"].items():
        path = Path(results).joinpath(*PurePosixPath(name).parts[1:])  # names start with results/
        if not path.is_file():
            missing.append(name)
        elif measure(path) != entry:
            changed.append(name)
    return missing, changed


def unpack(path: Path, folder: Path) -> dict:
    """Write the files of an archive that is whole into `folder`, and return its manifest.

    Raises:
        BundleError: if the archive is not whole, or `folder` exists and is not empty.
    """
    verdict = verify(path)
    if not verdict.is_whole:
        listed = "\n  ".join(verdict.faults)
        raise BundleError(f"{path}: not whole, so that nothing is unpacked.\n  {listed}\nGet the archive anew.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BundleError(f"{folder}: not an empty folder; give one that does not exist yet.")
    if path.is_dir():
        for name in (MANIFEST, *verdict.manifest["files"]):
            _write(folder / name, _reader(path / name))
    else:
        with _open_zip(path) as archive:
            for name in (MANIFEST, *verdict.manifest["files"]):
                _write(folder / name, partial(archive.open, name))
    return verdict.manifest


def _reader(path: Path) -> Opener:
    return lambda: open(path, "rb")


def _verify_zip(path: Path, archive: zipfile.ZipFile) -> Verdict:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BundleError(f"{path}: holds {', '.join(twice)} more than once. Get the archive anew.")
    unsafe = {entry.orig_filename for entry in entries if not is_inside(entry.orig_filename) or _is_link(entry)}
    openers = {
        entry.filename: partial(archive.open, entry)
        for entry in entries
        if not entry.is_dir() and entry.orig_filename not in unsafe
    }
    return _verdict(path, openers, unsafe, _is_sealed(path, archive.comment))


def _is_link(entry: zipfile.ZipInfo) -> bool:
    mode = entry.external_attr >> 16
    return bool(stat.S_IFMT(mode)) and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _is_sealed(path: Path, comment: bytes) -> bool | None:
    if not re.fullmatch(re.escape(SEAL) + rb"[0-9a-f]{64}", comment):
        return None if not comment else False
    with open(path, "rb") as stream:
        return seal_of(stream) == comment.removeprefix(SEAL)


def _open_zip(path: Path) -> zipfile.ZipFile:
    if not path.is_file():
        raise BundleError(f"{path}: no such file or folder; expected the zip of a study, or the folder it unpacks to.")
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        size = path.stat().st_size
        raise BundleError(
            f"{path}: not a readable zip ({error}). It has {size} bytes and no directory at its end: it was truncated, "
            "or its end was damaged. Get it anew."
        ) from None


def _verdict(path: Path, openers: Mapping[str, Opener], unsafe: set[str], is_sealed: bool | None) -> Verdict:
    if MANIFEST not in openers:
        raise BundleError(f"{path}: has no {MANIFEST}; expected the archive of a study. Get it anew.")
    content = _content(openers[MANIFEST], _LARGEST_MANIFEST)
    manifest = _read_manifest(path, content)
    body = {key: value for key, value in manifest.items() if key != "digest"}
    stated = manifest["files"]
    _refuse_bomb(path, stated)
    is_manifest_changed = manifest.get("digest") != digest_of(body) or content != serialise(manifest).encode()
    changed = [MANIFEST] if is_manifest_changed else []
    changed += [name for name in sorted(set(stated) & set(openers)) if not _is_as_stated(openers[name], stated[name])]
    missing, extra = set(stated) - set(openers) - unsafe, set(openers) - set(stated) - {MANIFEST}
    unsafe = unsafe | {name for name in stated if not is_inside(name)}
    return Verdict(
        manifest, tuple(sorted(missing)), tuple(changed), tuple(sorted(extra)), tuple(sorted(unsafe)), is_sealed
    )


def _refuse_bomb(path: Path, stated: Mapping[str, Entry]) -> None:
    if path.is_dir():
        return
    size, total = path.stat().st_size, sum(entry["size"] for entry in stated.values())
    if total > _LARGEST_RATIO * size:
        raise BundleError(
            f"{path}: a decompression bomb: {size} bytes that would expand to {total}. Nothing was unpacked; delete it."
        )


def _content(opener: Opener, limit: int) -> bytes | None:
    """The first `limit` bytes of a member; None where the zip itself says that they were damaged."""
    try:
        with opener() as stream:
            return stream.read(limit)
    except _DAMAGE:
        return None


def _is_as_stated(opener: Opener, entry: Entry) -> bool:
    """Whether a member has the SHA-256 stated, read piece by piece and no further than the size stated."""
    digest, size = hashlib.sha256(), 0
    try:
        with opener() as stream:
            for piece in pieces_of(stream):
                size += len(piece)
                if size > entry["size"]:
                    return False
                digest.update(piece)
    except _DAMAGE:
        return False
    return digest.hexdigest() == entry["sha256"]


def _write(path: Path, opener: Opener) -> None:
    with atomic(path) as temporary, opener() as source, open(temporary, "wb") as sink:
        for piece in pieces_of(source):
            sink.write(piece)


def _read_manifest(path: Path, content: bytes | None) -> dict:
    try:
        manifest = json.loads(content or b"")
        version = manifest["format"]
        for entry in [*manifest["files"].values(), *manifest["not_included"].values()]:
            if not isinstance(entry["sha256"], str) or not isinstance(entry["size"], int) or entry["size"] < 0:
                raise ValueError(f"an entry is {entry!r}")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise BundleError(
            f"{path}: changed: {MANIFEST}, which cannot be read any more. Get the archive anew."
        ) from None
    if version != FORMAT_VERSION:
        raise BundleError(f"{path}: written in format {version}, this version reads {FORMAT_VERSION}.")
    return manifest
