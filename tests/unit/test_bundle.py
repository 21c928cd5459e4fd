"""The archive: the same bytes when rebuilt, and no damage that `verify` does not name."""

import contextlib
import json
import os
import random
import shutil
import zipfile

import pytest
from synthetic import FORMULA

from saggiatore.__main__ import main
from saggiatore.bundle import MANIFEST, README, serialise, verify, verify_absent, write_bundle
from saggiatore.errors import BundleError
from saggiatore.steps.bundle import run

FILES = {
    "LICENSE": b"MIT\n",
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
    run(study="toy", code="0123", files=files, not_included=[root / EVENTS], root=root, out=out)
    return out


@pytest.fixture
def folder(bundle, tmp_path):
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(tmp_path / "unpacked")
    return tmp_path / "unpacked"


def faults(path):
    verdict = verify(path)
    return {"missing": list(verdict.missing), "changed": list(verdict.changed), "extra": list(verdict.extra)}


WHOLE = {"missing": [], "changed": [], "extra": []}
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
    assert faults(folder) == {"missing": ["LICENSE"], "changed": [NAME], "extra": ["results/toy/more.txt"]}


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
    assert "whole. Study 'toy', 9 files" in capsys.readouterr().out
    (folder / "LICENSE").write_bytes(b"GPL\n")
    assert main(["verify", str(folder)]) == 1
    assert "changed: LICENSE" in capsys.readouterr().err
    assert main(["verify", str(tmp_path / "no.zip")]) == 1
    assert "no such file or folder" in capsys.readouterr().err


def test_a_file_that_is_not_there_leaves_no_archive(root):
    out = root / "results" / "bundles" / "toy.zip"
    shutil.rmtree(root / "config")
    with pytest.raises(BundleError, match=r"toy.yaml: no such file"):
        build(root, out)
    assert not list(out.parent.iterdir())


def test_names_stay_inside_the_archive(root, tmp_path):
    with pytest.raises(BundleError, match="lies outside"):
        run(study="toy", code="0", files=[tmp_path / "x"], not_included=[], root=root, out=tmp_path / "x.zip")
    for name in ("../x", "/x", "a/../../x"):
        with pytest.raises(BundleError, match="cannot be a name"):
            write_bundle(tmp_path / "x.zip", {name: root / "LICENSE"}, {}, {}, {})
