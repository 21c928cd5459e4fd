"""The archive of a study: each file with its SHA-256, and the same bytes whenever it is rebuilt from the same files.

Layout of the zip: the files under the paths that they have in the repository, `README.txt`, `ro-crate-metadata.json`,
`.zenodo.json`, and `manifest.json` last. Files are stored uncompressed, since tables, models and figures are compressed
already and since compressors differ between machines. The zip's comment is a seal: the SHA-256 of every byte before it.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, TypedDict

from saggiatore.errors import BundleError
from saggiatore.files import atomic

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
README = "README.txt"
SEAL = b"sha256:"
_SEAL_LENGTH = len(SEAL) + 64
_CHUNK = 1 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest date that a zip can hold: there is no clock in an archive
_PERMISSIONS = 0o100644 << 16


class Entry(TypedDict):
    """What a manifest says of a file: SHA-256 in hexadecimal digits, size in bytes."""

    sha256: str
    size: int


def write_bundle(
    out: Path, files: Mapping[str, Path], texts: Mapping[str, str], absent: Mapping[str, Entry], header: Mapping
) -> dict:
    """Write the archive atomically and return its manifest.

    `files` and `texts` map names in the archive to contents; `absent` are the entries of files that it states without
    holding them; `header` is kept in the manifest.

    Raises:
        BundleError: if a file does not exist, or a name is given twice or leads out of the archive.
    """
    _check_names([*files, *texts, MANIFEST])
    contents: dict[str, Path | str] = {**files, **texts}
    with atomic(out) as temporary:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            entries = {name: _add(archive, name, contents[name]) for name in sorted(contents)}
            body = {"format": FORMAT_VERSION, **header, "files": entries, "not_included": dict(absent)}
            manifest = {**body, "digest": digest_of(body)}
            _add(archive, MANIFEST, serialise(manifest))
            archive.comment = SEAL + b"0" * 64
        with open(temporary, "r+b") as stream:
            seal = seal_of(stream)
            stream.seek(-64, os.SEEK_END)
            stream.write(seal)
    return manifest


def measure(content: Path | str) -> Entry:
    """The entry of a file, or of a text as UTF-8.

    Raises:
        BundleError: if there is no such file.
    """
    digest, size = hashlib.sha256(), 0
    for piece in _pieces(content):
        digest.update(piece)
        size += len(piece)
    return {"sha256": digest.hexdigest(), "size": size}


def serialise(manifest: Mapping) -> str:
    """The one way in which a manifest is written."""
    return json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def digest_of(body: Mapping) -> str:
    """SHA-256 of all of a manifest but its own digest."""
    return hashlib.sha256(serialise(body).encode()).hexdigest()


def seal_of(stream: IO[bytes]) -> bytes:
    """SHA-256, in hexadecimal digits, of all of a zip but its comment."""
    stream.seek(0, os.SEEK_END)
    left = stream.tell() - _SEAL_LENGTH
    stream.seek(0)
    digest = hashlib.sha256()
    while left > 0:
        piece = stream.read(min(_CHUNK, left))
        digest.update(piece)
        left -= len(piece)
    return digest.hexdigest().encode()


def pieces_of(stream: IO[bytes]) -> Iterator[bytes]:
    """What is left in a stream, a piece at a time."""
    yield from iter(partial(stream.read, _CHUNK), b"")


def is_inside(name: str) -> bool:
    """Whether a name is relative and stays below the folder that the archive is unpacked into, on every system."""
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and not {"..", "\0"} & {*parts, *name} and not {*"\\:"} & {*name}


def _check_names(names: list[str]) -> None:
    twice = len(names) - len(set(names))
    for name in names:
        if not is_inside(name) or (twice and names.count(name) > 1):
            raise BundleError(f"'{name}' cannot be a name in an archive: names are relative, below it, and unique.")


def _add(archive: zipfile.ZipFile, name: str, content: Path | str) -> Entry:
    information = zipfile.ZipInfo(name, _EPOCH)
    information.external_attr = _PERMISSIONS
    information.create_system = 3  # the same on every system
    digest, size = hashlib.sha256(), 0
    with archive.open(information, "w", force_zip64=False) as sink:
        for piece in _pieces(content):
            sink.write(piece)
            digest.update(piece)
            size += len(piece)
    return {"sha256": digest.hexdigest(), "size": size}


def _pieces(content: Path | str) -> Iterable[bytes]:
    if isinstance(content, str):
        yield content.encode()
        return
    try:
        with open(content, "rb") as stream:
            yield from pieces_of(stream)
    except FileNotFoundError:
        raise BundleError(
            f"{content}: no such file, but the archive is to state it. Run the rule that makes it."
        ) from None
