"""Locks that a power cut left behind."""

import socket

import pytest

from saggiatore.runs import join


@pytest.fixture
def lock(tmp_path):
    path = tmp_path / ".snakemake" / "locks" / "0.input.lock"
    path.parent.mkdir(parents=True)
    return path


def test_the_lock_of_a_dead_run_is_released(tmp_path, lock, caplog):
    join(tmp_path).close()
    lock.touch()
    with join(tmp_path):
        assert not lock.exists()
    assert "no run lives, so the lock is released" in caplog.text


def test_the_lock_of_a_living_run_stays(tmp_path, lock):
    with join(tmp_path), join(tmp_path):
        lock.touch()
        join(tmp_path).close()
        assert lock.exists()


def test_a_run_that_outlives_another_keeps_its_lock(tmp_path, lock):
    first, second = join(tmp_path), join(tmp_path)
    lock.touch()
    first.close()
    join(tmp_path).close()
    assert lock.exists()
    second.close()
    join(tmp_path).close()
    assert not lock.exists()


@pytest.mark.parametrize("machines", ["elsewhere\n", f"elsewhere\n{socket.gethostname()}\n"])
def test_the_lock_stays_where_its_run_may_live_on_another_machine(tmp_path, lock, machines):
    (tmp_path / ".snakemake" / "runs").write_text(machines)
    lock.touch()
    for _ in range(2):
        join(tmp_path).close()
        assert lock.exists()
    lock.unlink()  # by its run, or by --unlock
    join(tmp_path).close()
    lock.touch()
    join(tmp_path).close()
    assert not lock.exists()


def test_the_lock_of_a_run_that_did_not_join_stays_once(tmp_path, lock):
    """One that began before the workflow counted its runs."""
    lock.touch()
    join(tmp_path).close()
    assert lock.exists()


def test_a_folder_without_snakemake_counts_no_runs(tmp_path):
    assert join(tmp_path) is None
