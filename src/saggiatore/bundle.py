"""The archive of a study: each file with its SHA-256, the same bytes whenever it is rebuilt, and the means to check it.

Layout of the zip: the files under the paths that they have in the repository, `README.txt`, and `manifest.json` last.
(`ro-crate-metadata.json` at the top is reserved for RO-Crate metadata.) Files are stored uncompressed, since tables,
models and figures are compressed already and since compressors differ between machines. The zip's comment is a seal:
the SHA-256 of every byte before it.
"""

import hashlib
import json
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from saggiatore.errors import BundleError
from saggiatore.files import atomic

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
README = "README.txt"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest date that a zip can hold: there is no clock in an archive
_PERMISSIONS = 0o100644 << 16
_SEAL = b"sha256:"
_SEAL_LENGTH = len(_SEAL) + 64
_CHUNK = 1 << 20
_DAMAGE = (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError)  # what zipfile raises at a broken member

Opener = Callable[[str], AbstractContextManager[IO[bytes]]]


@dataclass(frozen=True)
class Verdict:
    """What `verify` found; an archive is whole if nothing is missing, changed or extra."""

    manifest: dict
    missing: tuple[str, ...]
    changed: tuple[str, ...]
    extra: tuple[str, ...]
    is_sealed: bool | None  # None for a folder, and for a zip that was packed anew

    @property
    def is_whole(self) -> bool:
        return not (self.missing or self.changed or self.extra) and self.is_sealed is not False


def write_bundle(
    out: Path, files: Mapping[str, Path], texts: Mapping[str, str], absent: Mapping[str, Path], header: Mapping
) -> dict:
    """Write the archive atomically and return its manifest.

    `files` and `texts` map names in the archive to contents; `absent` names files that are too large for it and of
    which it states only size and SHA-256; `header` is kept in the manifest.

    Raises:
        BundleError: if a file does not exist, or a name is given twice or leads out of the archive.
    """
    _check_names([*files, *texts, MANIFEST])
    contents: dict[str, Path | str] = {**files, **texts}
    with atomic(out) as temporary:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            entries = {name: _add(archive, name, contents[name]) for name in sorted(contents)}
            manifest = _manifest(header, entries, {name: _measure(absent[name]) for name in sorted(absent)})
            _add(archive, MANIFEST, serialise(manifest))
            archive.comment = _SEAL + b"0" * 64
        with open(temporary, "r+b") as stream:
            seal = _seal_of(stream)
            stream.seek(-64, os.SEEK_END)
            stream.write(seal)
    return manifest


def serialise(manifest: Mapping) -> str:
    """The one way in which a manifest is written."""
    return json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def verify(path: Path) -> Verdict:
    """Hold an archive, or the folder into which it was extracted, against its manifest.

    Raises:
        BundleError: if it cannot be read at all: no such file, a truncated zip, no manifest.
    """
    path = Path(path)
    if path.is_dir():
        found = (each for each in path.rglob("*") if not each.is_dir())
        return _verdict(path, {each.relative_to(path).as_posix(): each.open for each in found}, None)
    with _open_zip(path) as archive:
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise BundleError(f"{path}: holds {', '.join(twice)} more than once. Get the archive anew.")
        return _verdict(path, {name: _opener(archive, name) for name in names}, _is_sealed(path, archive.comment))


def verify_absent(verdict: Verdict, results: Path) -> tuple[list[str], list[str]]:
    """The files that the archive only names, looked for under `results`: (missing, changed)."""
    missing, changed = [], []
    for name, entry in verdict.manifest["not_included"].items():
        path = Path(results).joinpath(*PurePosixPath(name).parts[1:])  # names start with results/
        if not path.is_file():
            missing.append(name)
        elif _measure(path) != entry:
            changed.append(name)
    return missing, changed


def _manifest(header: Mapping, entries: Mapping, absent: Mapping) -> dict:
    body = {"format": FORMAT_VERSION, **header, "files": dict(entries), "not_included": dict(absent)}
    return {**body, "digest": _digest(body)}


def _digest(body: Mapping) -> str:
    return hashlib.sha256(serialise(body).encode()).hexdigest()


def _check_names(names: list[str]) -> None:
    for name in names:
        if name.startswith("/") or ".." in PurePosixPath(name).parts or "\\" in name or names.count(name) > 1:
            raise BundleError(f"'{name}' cannot be a name in an archive: names are relative, below it, and unique.")


def _add(archive: zipfile.ZipFile, name: str, content: Path | str) -> dict:
    information = zipfile.ZipInfo(name, _EPOCH)
    information.external_attr = _PERMISSIONS
    information.create_system = 3  # the same on every system
    digest, size = hashlib.sha256(), 0
    with archive.open(information, "w", force_zip64=False) as sink:
        for chunk in [content.encode()] if isinstance(content, str) else _chunks(content):
            sink.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    return {"sha256": digest.hexdigest(), "size": size}


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with open(path, "rb") as stream:
            yield from iter(partial(stream.read, _CHUNK), b"")
    except FileNotFoundError:
        raise BundleError(
            f"{path}: no such file, but the archive is to state it. Run the rule that makes it."
        ) from None


def _measure(path: Path) -> dict:
    digest, size = hashlib.sha256(), 0
    for chunk in _chunks(path):
        digest.update(chunk)
        size += len(chunk)
    return {"sha256": digest.hexdigest(), "size": size}


def _seal_of(stream: IO[bytes]) -> bytes:
    stream.seek(0, os.SEEK_END)
    left = stream.tell() - _SEAL_LENGTH
    stream.seek(0)
    digest = hashlib.sha256()
    while left > 0:
        chunk = stream.read(min(_CHUNK, left))
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest().encode()


def _is_sealed(path: Path, comment: bytes) -> bool | None:
    if not re.fullmatch(rb"sha256:[0-9a-f]{64}", comment):
        return None if not comment else False
    with open(path, "rb") as stream:
        return _seal_of(stream) == comment.removeprefix(_SEAL)


def _open_zip(path: Path) -> zipfile.ZipFile:
    if not path.is_file():
        raise BundleError(f"{path}: no such file or folder; expected the zip of a study, or the folder it unpacks to.")
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        size = path.stat().st_size
        raise BundleError(
            f"{path}: not a readable zip ({error}). It has {size} bytes and no directory at its end: it was truncated, "
            "or its end was damaged. Get it anew."
        ) from None


def _opener(archive: zipfile.ZipFile, name: str) -> Opener:
    def opened(mode: str) -> AbstractContextManager[IO[bytes]]:
        return archive.open(name)

    return opened


def _verdict(path: Path, openers: Mapping[str, Opener], is_sealed: bool | None) -> Verdict:
    if MANIFEST not in openers:
        raise BundleError(f"{path}: has no {MANIFEST}; expected the archive of a study. Get it anew.")
    content = _content(openers[MANIFEST])
    manifest = _read_manifest(path, content)
    body = {key: value for key, value in manifest.items() if key != "digest"}
    changed = []
    if manifest.get("digest") != _digest(body) or content != serialise(manifest).encode():
        changed.append(MANIFEST)
    stated = manifest["files"]
    for name in sorted(set(stated) & set(openers)):
        if _hash(openers[name]) != stated[name]["sha256"]:
            changed.append(name)
    missing, extra = set(stated) - set(openers), set(openers) - set(stated) - {MANIFEST}
    return Verdict(manifest, tuple(sorted(missing)), tuple(changed), tuple(sorted(extra)), is_sealed)


def _content(opener: Opener) -> bytes | None:
    """A member's bytes; None where the zip itself says that they were damaged."""
    try:
        with opener("rb") as stream:
            return stream.read()
    except _DAMAGE:
        return None


def _hash(opener: Opener) -> str | None:
    """SHA-256 of a member, read piece by piece; None where the zip itself says that it was damaged."""
    digest = hashlib.sha256()
    try:
        with opener("rb") as stream:
            for chunk in iter(partial(stream.read, _CHUNK), b""):
                digest.update(chunk)
    except _DAMAGE:
        return None
    return digest.hexdigest()


def _read_manifest(path: Path, content: bytes | None) -> dict:
    try:
        manifest = json.loads(content or b"")
        version = manifest["format"]
        for entry in [*manifest["files"].values(), *manifest["not_included"].values()]:
            str(entry["sha256"]), int(entry["size"])
    except (ValueError, KeyError, AttributeError, TypeError):
        raise BundleError(
            f"{path}: changed: {MANIFEST}, which cannot be read any more. Get the archive anew."
        ) from None
    if version != FORMAT_VERSION:
        raise BundleError(f"{path}: written in format {version}, this version reads {FORMAT_VERSION}.")
    return manifest
