"""The archive: the same bytes when rebuilt, and no damage that `verify` does not name."""

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import zipfile

import pytest
from synthetic import FORMULA

from saggiatore.__main__ import main
from saggiatore.bundle import MANIFEST, README, serialise, write_bundle
from saggiatore.errors import BundleError
from saggiatore.steps.bundle import run
from saggiatore.verification import _is_as_stated, unpack, verify, verify_absent

CITATION = b"title: Saggiatore\nlicense: MIT\nauthors: [{name: The authors}]\n"
FILES = {
    "CITATION.cff": CITATION,
    "LICENSE": b"MIT\n",
    "Snakefile": b"rule all:\n",
    "config/studies/toy.yaml": b"title: toy\n",
    "results/toy/tables/main.scores.parquet": bytes(range(256)) * 40,
    "results/toy/figures/score.png": b"\x89PNG" + bytes(2000),
    "results/toy/formulas/formula.formula.json": json.dumps(FORMULA).encode(),
}
EVENTS = "results/toy/events/train.parquet"


@pytest.fixture
def root(tmp_path):
    for name, content in {**FILES, EVENTS: b"events" * 1000}.items():
        path = tmp_path / "clone" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "clone"


@pytest.fixture
def bundle(root):
    return build(root, root / "results" / "bundles" / "toy.zip")


def build(root, out):
    files = [root / name for name in FILES]
    run(study="toy", code="0123", files=files, not_included=[root / EVENTS], logs=root / "logs", root=root, out=out)
    return out


@pytest.fixture
def folder(bundle, tmp_path):
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(tmp_path / "unpacked")
    return tmp_path / "unpacked"


def faults(path):
    verdict = verify(path)
    return {kind: list(getattr(verdict, kind)) for kind in WHOLE}


WHOLE = {"missing": [], "changed": [], "extra": [], "unsafe": []}
NAME = "results/toy/tables/main.scores.parquet"


def repack(bundle, out, change):
    """The archive packed anew, each member through `change(name, content)`; None leaves it out."""
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = change(name, old.read(name))
            if content is not None:
                new.writestr(name, content)
    return out


def test_the_archive_is_whole_and_the_same_bytes_when_rebuilt(root, bundle, tmp_path):
    os.utime(root / "LICENSE", (1, 1))
    os.chmod(root / "LICENSE", 0o600)
    assert build(root, tmp_path / "again.zip").read_bytes() == bundle.read_bytes()
    verdict = verify(bundle)
    assert verdict.is_whole
    assert verdict.is_sealed
    with zipfile.ZipFile(bundle) as archive:
        assert archive.testzip() is None
        assert archive.namelist()[-1] == MANIFEST
        assert archive.namelist()[:-1] == sorted(archive.namelist()[:-1])
        assert set(FILES) < set(archive.namelist())
        assert archive.read("results/toy/formulas/formula.tformula.txt") == b"[0]*x[0]*sin(x[2])\n"
        assert EVENTS in archive.read(README).decode()
    assert set(verdict.manifest["not_included"]) == {EVENTS}
    assert verdict.manifest["files"][NAME]["size"] == 256 * 40


def test_the_unpacked_and_the_repacked_archive_are_whole(bundle, folder, tmp_path):
    assert faults(folder) == WHOLE
    verdict = verify(repack(bundle, tmp_path / "new.zip", lambda name, content: content))
    assert verdict.is_whole
    assert verdict.is_sealed is None


def test_any_flipped_byte_is_noticed(bundle):
    """100 of the bytes, the zip's own structure included: each flip is a fault or an archive that cannot be read."""
    content = bytearray(bundle.read_bytes())
    rng = random.Random(5)
    places = {rng.randrange(len(content)) for _ in range(90)} | set(range(5)) | {len(content) - k for k in range(1, 6)}
    for place in places:
        content[place] ^= 0x10
        bundle.write_bytes(content)
        content[place] ^= 0x10
        with contextlib.suppress(BundleError):
            assert not verify(bundle).is_whole, f"byte {place}"
    bundle.write_bytes(content)
    assert verify(bundle).is_whole


def test_a_damaged_member_is_named(bundle):
    content = bytearray(bundle.read_bytes())
    content[content.index(bytes(range(256))) + 7] ^= 1
    bundle.write_bytes(content)
    assert faults(bundle) == {**WHOLE, "changed": [NAME]}


def test_files_that_are_missing_changed_or_extra_are_named(folder):
    (folder / "LICENSE").unlink()
    (folder / NAME).write_bytes(b"other")
    (folder / "results" / "toy" / "more.txt").write_text("more")
    found = {"missing": ["LICENSE"], "changed": [NAME], "extra": ["results/toy/more.txt"]}
    assert faults(folder) == {**WHOLE, **found}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda name, content: None if name == "LICENSE" else content, {"missing": ["LICENSE"]}),
        (lambda name, content: content + b"!" if name == NAME else content, {"changed": [NAME]}),
    ],
)
def test_a_repacked_archive_hides_nothing(bundle, tmp_path, change, fault):
    assert faults(repack(bundle, tmp_path / "new.zip", change)) == {**WHOLE, **fault}


def test_an_added_member_is_named(bundle):
    with zipfile.ZipFile(bundle, "a") as archive:
        archive.writestr("results/toy/added.txt", "added")
    assert faults(bundle) == {**WHOLE, "extra": ["results/toy/added.txt"]}


def test_a_manifest_that_was_adapted_to_a_changed_file_is_noticed(folder):
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / NAME).write_bytes(b"other")
    manifest["files"][NAME] = {"sha256": "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa", "size": 5}
    (folder / MANIFEST).write_text(serialise(manifest))
    assert faults(folder) == {**WHOLE, "changed": [MANIFEST]}


def test_a_manifest_that_says_other_things_is_noticed(folder):
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace('"code": "0123"', '"code": "4567"'))
    assert faults(folder) == {**WHOLE, "changed": [MANIFEST]}
    (folder / MANIFEST).write_text(text + "\n")
    assert faults(folder) == {**WHOLE, "changed": [MANIFEST]}
    (folder / MANIFEST).write_text(text[:-20])
    with pytest.raises(BundleError, match=r"changed: manifest.json, which cannot be read"):
        verify(folder)
    (folder / MANIFEST).unlink()
    with pytest.raises(BundleError, match=r"has no manifest.json"):
        verify(folder)


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
def test_a_truncated_archive_says_so(bundle, kept):
    content = bundle.read_bytes()
    bundle.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    with pytest.raises(BundleError, match="truncated"):
        verify(bundle)


def test_what_is_not_included_can_be_checked_too(root, bundle):
    verdict = verify(bundle)
    assert verify_absent(verdict, root / "results") == ([], [])
    (root / EVENTS).write_bytes(b"events" * 999)
    assert verify_absent(verdict, root / "results") == ([], [EVENTS])
    (root / EVENTS).unlink()
    assert verify_absent(verdict, root / "results") == ([EVENTS], [])


def test_the_command_tells_by_its_status(bundle, folder, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["verify", str(bundle)]) == 0
    assert "whole. Study 'toy', 13 files" in capsys.readouterr().out
    (folder / "LICENSE").write_bytes(b"GPL\n")
    assert main(["verify", str(folder)]) == 1
    assert "changed: LICENSE" in capsys.readouterr().err
    assert main(["verify", str(tmp_path / "no.zip")]) == 1
    assert "no such file or folder" in capsys.readouterr().err


def test_a_file_that_is_not_there_leaves_no_archive(root):
    out = root / "results" / "bundles" / "toy.zip"
    (root / "LICENSE").unlink()
    with pytest.raises(BundleError, match=r"LICENSE: no such file"):
        build(root, out)
    assert not list(root.rglob("*toy.zip*"))


def test_names_stay_inside_the_archive(root, tmp_path):
    with pytest.raises(BundleError, match="lies outside"):
        run(
            study="toy", code="0", files=[tmp_path / "x"], not_included=[], logs=root, root=root, out=tmp_path / "x.zip"
        )
    for name in ("../x", "/x", "a/../../x", "a\\b", "C:/x", ""):
        with pytest.raises(BundleError, match="cannot be a name"):
            write_bundle(tmp_path / "x.zip", {name: root / "LICENSE"}, {}, {}, {})


def planted(bundle, out, *members):
    """The archive with members added as a stranger's program may write them: (name, content, mode, compression)."""
    shutil.copy(bundle, out)
    with zipfile.ZipFile(out, "a") as archive:
        for name, content, mode in members:
            information = zipfile.ZipInfo(name)
            information.external_attr = mode << 16
            archive.writestr(information, content)
        archive.comment = b""
    return out


@pytest.mark.parametrize("name", ["../climbs.txt", "/tmp/climbs.txt", "results/../../climbs.txt", "..\\climbs.txt"])
def test_a_path_that_climbs_out_is_unsafe(bundle, tmp_path, name):
    out = planted(bundle, tmp_path / "planted.zip", (name, b"outside", 0o100644))
    assert faults(out) == {**WHOLE, "unsafe": [name]}
    with pytest.raises(BundleError, match=r"not whole, so that nothing is unpacked"):
        unpack(out, tmp_path / "nested" / "target")
    assert not (tmp_path / "nested").exists()
    assert not list(tmp_path.rglob("climbs.txt"))


def test_a_path_that_climbs_out_of_a_manifest_is_unsafe(folder, tmp_path):
    (tmp_path / "outside.txt").write_bytes(b"outside")
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"]["../outside.txt"] = {"sha256": "0" * 64, "size": 7}
    (folder / MANIFEST).write_text(serialise(manifest))
    assert verify(folder).unsafe == ("../outside.txt",)


def test_a_symbolic_link_is_unsafe_and_not_followed(bundle, folder, tmp_path):
    out = planted(bundle, tmp_path / "planted.zip", ("results/toy/link", b"/etc/passwd", 0o120777))
    assert faults(out) == {**WHOLE, "unsafe": ["results/toy/link"]}
    (folder / NAME).rename(tmp_path / "same.parquet")
    (folder / NAME).symlink_to(tmp_path / "same.parquet")
    assert faults(folder) == {**WHOLE, "unsafe": [NAME]}
    (folder / "results" / "toy" / "loop").symlink_to(folder, target_is_directory=True)
    os.mkfifo(folder / "pipe")
    assert faults(folder) == {**WHOLE, "unsafe": ["pipe", "results/toy/loop", NAME]}


def bomb(bundle, out, is_stated):
    """A member of 30 MB in as many kB, which the manifest states if `is_stated`."""
    size = 30_000_000
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == MANIFEST and is_stated:
                manifest = json.loads(content)
                manifest["files"]["bomb"] = {"sha256": "0" * 64, "size": size}
                content = serialise(manifest).encode()
            new.writestr(name, content)
        with new.open("bomb", "w", force_zip64=True) as sink:
            for _ in range(size // 1_000_000):
                sink.write(bytes(1_000_000))
    return out


def test_a_decompression_bomb_is_refused_unread(bundle, tmp_path):
    with pytest.raises(BundleError, match="decompression bomb"):
        verify(bomb(bundle, tmp_path / "stated.zip", is_stated=True))
    assert faults(bomb(bundle, tmp_path / "added.zip", is_stated=False)) == {**WHOLE, "extra": ["bomb"]}


def test_a_member_is_read_no_further_than_stated(bundle, tmp_path):
    """Zeroes in the place of the licence: were they read to their end, sixteen times more would be read than stated."""
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(tmp_path / "swap.zip", "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, bytes(16 << 20) if name == "LICENSE" else old.read(name))
    assert faults(tmp_path / "swap.zip") == {**WHOLE, "changed": ["LICENSE"]}
    with zipfile.ZipFile(tmp_path / "swap.zip") as archive, archive.open("LICENSE") as stream:
        assert not _is_as_stated(lambda: contextlib.nullcontext(stream), {"sha256": "0" * 64, "size": 4})
        assert stream.tell() == 1 << 20


def test_unpacking_gives_back_what_was_packed(root, bundle, tmp_path):
    manifest = unpack(bundle, tmp_path / "clean")
    for name, content in FILES.items():
        assert (tmp_path / "clean" / name).read_bytes() == content
    assert verify(tmp_path / "clean").manifest == manifest
    unpack(tmp_path / "clean", tmp_path / "copy")
    assert verify(tmp_path / "copy").is_whole
    with pytest.raises(BundleError, match="not an empty folder"):
        unpack(bundle, tmp_path / "clean")


SPY = """
import sys
from pathlib import Path
from saggiatore.verification import verify
from saggiatore.errors import BundleError

def spy(event, arguments):
    is_written = event == "open" and (set(str(arguments[1])) & set("wax+") or arguments[2] & 0o3)
    if is_written or event in ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.chmod"):
        raise SystemExit(f"verify did {event} {arguments}")

sys.addaudithook(spy)
for path in map(Path, sys.argv[1:]):
    try:
        verify(path)
    except BundleError:
        pass
print("wrote nothing")
"""


def test_verify_writes_nothing_at_all(bundle, folder, tmp_path):
    """Python reports every file that it opens, links, moves or removes to an audit hook, which allows only reading."""
    members = [("../climbs.txt", b"outside", 0o100644), ("link", b"/etc/passwd", 0o120777)]
    archives = [bundle, folder, planted(bundle, tmp_path / "planted.zip", *members)]
    archives.append(bomb(bundle, tmp_path / "bomb.zip", is_stated=True))
    truncated = tmp_path / "truncated.zip"
    truncated.write_bytes(bundle.read_bytes()[:-100])
    command = [sys.executable, "-B", "-c", SPY, *map(str, [*archives, truncated])]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.stdout == "wrote nothing\n", found.stderr
