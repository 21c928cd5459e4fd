"""Tables: what is written is read back, and a wrong file is refused with advice."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from saggiatore.errors import SchemaError
from saggiatore.tables import Column, TableSchema, iterate_table, read_table, write_batches, write_table

SCHEMA = TableSchema(
    "toy", 2, (Column("pt", "GeV", "transverse momentum", r"$p_T$"), Column("n", "1", "number of jets", kind="int"))
)


def write(path, pt, n=None, schema=SCHEMA):
    write_table(path, schema, {"pt": pt, "n": np.arange(len(pt)) if n is None else n}, {"seed": 1})


@settings(max_examples=30, deadline=None)
@given(values=arrays(float, st.integers(0, 40), elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_round_trip_is_the_identity(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("tables") / "toy.parquet"
    write(path, values)
    table = read_table(path, "toy", SCHEMA.columns, version=2)
    np.testing.assert_array_equal(table.data["pt"].to_numpy(), values)
    assert table.schema == SCHEMA
    assert table.provenance == {"seed": 1}


def test_batches_are_joined_in_order(tmp_path):
    path = tmp_path / "toy.parquet"
    write_batches(path, SCHEMA, ({"pt": [float(i)], "n": [i]} for i in range(5)), {})
    assert read_table(path, "toy").data["n"].tolist() == [0, 1, 2, 3, 4]
    assert sum(len(batch) for batch in iterate_table(path, "toy", rows=2)) == 5


def test_the_same_content_gives_the_same_bytes(tmp_path):
    write(tmp_path / "a", np.ones(3))
    write(tmp_path / "b", np.ones(3))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_wrong_unit_is_refused(tmp_path):
    write(tmp_path / "toy.parquet", np.ones(3))
    with pytest.raises(SchemaError, match=r"'pt' is in 'GeV', expected 'pb'\. Re-run"):
        read_table(tmp_path / "toy.parquet", "toy", [Column("pt", "pb", "")])


def test_a_missing_column_is_refused(tmp_path):
    write(tmp_path / "toy.parquet", np.ones(3))
    with pytest.raises(SchemaError, match=r"no column 'eta'.*it has pt, n"):
        read_table(tmp_path / "toy.parquet", "toy", [Column("eta", "1", "")])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_nan_is_refused_by_the_writer_and_leaves_nothing(tmp_path, bad):
    with pytest.raises(SchemaError, match="1 of 3 values that are NaN or infinite, the first in row 1"):
        write(tmp_path / "toy.parquet", np.array([1.0, bad, 2.0]))
    assert list(tmp_path.iterdir()) == []


def test_a_nan_is_refused_by_the_reader(tmp_path):
    path = tmp_path / "toy.parquet"
    write(path, np.ones(3))
    table = pq.read_table(path)
    broken = table.set_column(0, "pt", pa.array([1.0, float("nan"), 1.0]))
    pq.write_table(broken.replace_schema_metadata(table.schema.metadata), path)
    with pytest.raises(SchemaError, match="column 'pt' has 1 of 3 values"):
        read_table(path, "toy")


def test_another_schema_version_is_refused(tmp_path):
    write(tmp_path / "toy.parquet", np.ones(3))
    with pytest.raises(SchemaError, match="schema version 2, expected 3"):
        read_table(tmp_path / "toy.parquet", "toy", version=3)


def test_another_table_is_refused(tmp_path):
    write(tmp_path / "toy.parquet", np.ones(3))
    with pytest.raises(SchemaError, match="holds a table 'toy', expected 'events'"):
        read_table(tmp_path / "toy.parquet", "events")


def test_a_missing_a_damaged_and_a_foreign_file_are_told_apart(tmp_path):
    with pytest.raises(SchemaError, match="no such file"):
        read_table(tmp_path / "none.parquet", "toy")
    (tmp_path / "text.parquet").write_text("not parquet")
    with pytest.raises(SchemaError, match="damaged"):
        read_table(tmp_path / "text.parquet", "toy")
    pq.write_table(pa.table({"pt": [1.0]}), tmp_path / "foreign.parquet")
    with pytest.raises(SchemaError, match="no saggiatore metadata"):
        read_table(tmp_path / "foreign.parquet", "toy")


def test_columns_must_be_those_of_the_schema(tmp_path):
    with pytest.raises(SchemaError, match=r"lacks columns \['n'\] and has unknown ones \['m'\]"):
        write_table(tmp_path / "toy.parquet", SCHEMA, {"pt": [1.0], "m": [1]}, {})


def test_an_unknown_unit_is_refused():
    with pytest.raises(SchemaError, match="unit 'furlong' is unknown"):
        Column("d", "furlong", "distance")


def test_a_flipped_bit_is_refused(tmp_path):
    path = tmp_path / "toy.parquet"
    write(path, np.random.default_rng(1).normal(size=2000))
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 1
    path.write_bytes(content)
    with pytest.raises(SchemaError, match=r"damaged .*Move it away"):
        read_table(path, "toy")
    with pytest.raises(SchemaError, match=r"damaged .*Move it away"):
        list(iterate_table(path, "toy"))
