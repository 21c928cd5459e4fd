"""Atomic files: whole or not at all, whatever stops the writer."""

import os
import resource
import signal
import subprocess
import sys

import pytest

from saggiatore.files import atomic, workplace


def test_a_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    with atomic(path) as temporary:
        temporary.write_text("first")

    def write_half():
        with atomic(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]


def test_the_file_is_readable_by_others(tmp_path):
    with atomic(tmp_path / "file") as temporary:
        temporary.write_text("x")
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_killed_writer_leaves_no_artefact_and_the_next_one_tidies_up(tmp_path):
    code = (
        "import sys, time, pathlib; from saggiatore.files import atomic\n"
        "with atomic(pathlib.Path(sys.argv[1])) as t:\n"
        "    t.write_text('half'); print('ready', flush=True); time.sleep(60)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, tmp_path / "file"], stdout=subprocess.PIPE)
    assert writer.stdout.readline() == b"ready\n"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert not (tmp_path / "file").exists()
    assert len(list(tmp_path.iterdir())) == 1
    (tmp_path / ".file.json.abcdefgh.tmp").touch()  # of another file
    with atomic(tmp_path / "file") as temporary:
        temporary.write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {"file", ".file.json.abcdefgh.tmp"}


def test_a_workplace_is_gone_with_all_that_killed_jobs_left_in_theirs(tmp_path):
    left = tmp_path / ".file.abcdefgh.parts"
    left.mkdir()
    (left / "half").touch()
    with workplace(tmp_path / "file") as folder:
        with atomic(tmp_path / "file") as temporary:
            temporary.write_text("whole")
        assert {path.name for path in tmp_path.iterdir()} == {"file", folder.name}
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_a_clear_error_and_leaves_nothing(tmp_path):
    """A limit on file size stands in for the disk: the write fails in the middle, as it does on a full disk."""
    command = [sys.executable, "-m", "saggiatore", "schema", "--out", tmp_path / "schema.json"]

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    found = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True)
    assert found.returncode == 1
    assert "cannot write" in found.stderr
    assert "Traceback" not in found.stderr
    assert list(tmp_path.iterdir()) == []
