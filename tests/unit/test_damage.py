"""A damaged artefact is moved aside by the job that finds it, so that the next run makes it again; nothing else is."""

import errno
import json

import pytest

from saggiatore import tables
from saggiatore.__main__ import main
from saggiatore.errors import SchemaError, StudyError
from saggiatore.job import Job, read_job
from saggiatore.record import VARIABLE
from saggiatore.spec import Section
from saggiatore.tables import Column, TableSchema, read_table, write_table

HEPDATA = ["hepdata", "--study", "s", "--code", "c", "--out", "out.zip", "--numbers", "numbers.json"]
HEPDATA += ["--formulas", "--figures", "--drawn", "--tables"]


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A damaged table of a study, as a job of the workflow sees it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "1")
    path = tmp_path / "results" / "s" / "tables" / "main.limits.parquet"
    write_table(path, TableSchema("limits", 1, (Column("x", "1", "a number"),)), {"x": [1.0, 2.0]}, {})
    path.write_bytes(path.read_bytes()[:-20])
    return path.relative_to(tmp_path)


def test_a_job_moves_a_damaged_input_aside(table, capsys):
    content = table.read_bytes()
    assert main([*HEPDATA, str(table)]) == 1
    said = capsys.readouterr().err
    assert f"It was moved to {table}.damaged: the next run makes it again." in said
    assert not table.exists()
    assert table.with_name(f"{table.name}.damaged").read_bytes() == content


def test_what_is_typed_by_hand_moves_nothing(table, capsys, monkeypatch):
    monkeypatch.delenv(VARIABLE)
    assert main([*HEPDATA, str(table)]) == 1
    assert "Move it away, and its rule makes it again." in capsys.readouterr().err
    assert table.exists()


@pytest.mark.parametrize(
    "place", ["mine.limits.parquet", "results/../mine.limits.parquet", "results/link.limits.parquet"]
)
def test_files_that_no_rule_makes_are_left_alone(table, tmp_path, capsys, place):
    own = tmp_path / "mine.limits.parquet"
    own.write_bytes(table.read_bytes())
    (tmp_path / "results" / "link.limits.parquet").symlink_to(own)
    assert main([*HEPDATA, place]) == 1
    assert "damaged" in capsys.readouterr().err
    assert own.exists()
    assert (tmp_path / place).exists()


def test_a_flipped_byte_changes_no_number_unnoticed(table):
    schema = TableSchema("limits", 1, (Column("x", "1", "a number"), Column("s", "1", "a word", kind="str")))
    write_table(table, schema, {"x": [1.0, 2.0], "s": ["a", "b"]}, {})
    content, expected, refused = table.read_bytes(), read_table(table, "limits").data, 0
    for place in range(0, len(content), 2):
        table.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            assert read_table(table, "limits").data.equals(expected)
        except SchemaError:
            refused += 1
    assert refused > len(content) / 4


def test_a_disk_that_fails_damages_nothing(table, monkeypatch):
    write_table(table, TableSchema("limits", 1, (Column("x", "1", "a number"),)), {"x": [1.0, 2.0]}, {})

    def fail(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(tables.pq.ParquetFile, "read", fail)
    with pytest.raises(OSError, match="Input/output error"):
        read_table(table, "limits")


def test_json_that_was_cut_short_is_damaged_and_json_of_another_kind_is_not(table, tmp_path, capsys):
    spec = tmp_path / "results" / "s" / "spec" / "sampler.map.json"
    spec.parent.mkdir()
    spec.write_text(json.dumps({"section": {}}))
    with pytest.raises(StudyError) as caught:
        read_job(Job[Section], spec)
    assert caught.value.damaged is None
    spec.write_text('{"section"')
    assert main(["sampler", "--spec", str(spec)]) == 1
    assert not spec.exists()
    assert "It was moved to" in capsys.readouterr().err
