"""`apply`: a user's table in, the score and its standard deviation out."""

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import sympy

from saggiatore.distill.formula import Feature, Formula
from saggiatore.errors import EventError, SchemaError, StudyError
from saggiatore.models.flow_matching import FlowMatchingSpec
from saggiatore.models.mlp import MLPSpec
from saggiatore.models.store import save
from saggiatore.steps import apply
from saggiatore.tables import Column, TableSchema, read_table, write_table

N = apply.ROWS + 10  # two batches


@pytest.fixture
def table(tmp_path):
    """A file of nobody's making: other columns, another order, integers and single precision, no units."""
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"note": "x", "b": rng.integers(1, 9, N), "a": rng.uniform(0.5, 1, N).astype(np.float32)})
    data.to_parquet(tmp_path / "mine.parquet")
    return tmp_path / "mine.parquet"


def network(path, unit="1", **options):
    spec = MLPSpec(width=8, depth=2, **options)
    model = spec.build(("a", "b"), key=jax.random.key(0))
    columns = [{"name": "a", "unit": "1", "label": ""}, {"name": "b", "unit": unit, "label": ""}]
    header = {"kind": "mlp", "spec": spec.model_dump(mode="json"), "features": columns, "context": []}
    save(path, model, {**header, "parameters": ["c"], "provenance": {}})
    return model


def test_a_model_is_applied_row_by_row(tmp_path, table, caplog):
    model = network(tmp_path / "m.eqx")
    apply.run(events=table, out=tmp_path / "out.parquet", model=tmp_path / "m.eqx")
    found = read_table(tmp_path / "out.parquet", "applied")
    x = jnp.asarray(pd.read_parquet(table)[["a", "b"]].to_numpy(float))
    mean, variance = jax.jit(jax.vmap(lambda row: (model.score(row), model.noise(row))))(x)
    np.testing.assert_allclose(found.data["score_c"], mean, rtol=1e-10)
    np.testing.assert_allclose(found.data["score_c_std"], np.sqrt(variance), rtol=1e-10)
    assert "not an error" in found.column("score_c_std").meaning
    assert "states no units" in caplog.text


def test_a_formula_is_applied_with_the_error_of_its_constants(tmp_path, table):
    a, b, k = sympy.symbols("a b k")
    features = (Feature("a"), Feature("b", "GeV"))
    Formula("c", features, k * a * b, {"k": 2.0}, np.array([[0.25]])).write(tmp_path / "f.json")
    apply.run(events=table, out=tmp_path / "out.parquet", formula=tmp_path / "f.json")
    found, data = read_table(tmp_path / "out.parquet", "applied").data, pd.read_parquet(table)
    np.testing.assert_allclose(found["score_c"], 2.0 * data["a"] * data["b"], rtol=1e-12)
    np.testing.assert_allclose(found["score_c_std"], 0.5 * data["a"] * data["b"], rtol=1e-12)


def test_a_density_gives_its_score_alone(tmp_path, table, caplog):
    spec = FlowMatchingSpec(width=4, depth=1)
    columns = [{"name": name, "unit": "1", "label": ""} for name in "ab"]
    model = spec.build(("a", "b"), ("c", "d"), key=jax.random.key(0))
    header = {"kind": "flow_matching", "spec": spec.model_dump(mode="json"), "features": columns}
    context = [{"name": name, "unit": "1", "label": ""} for name in "cd"]
    save(tmp_path / "m.eqx", model, {**header, "context": context, "parameters": ["c", "d"], "provenance": {}})
    apply.run(events=table, out=tmp_path / "out.parquet", model=tmp_path / "m.eqx")
    found = read_table(tmp_path / "out.parquet", "applied")
    assert found.schema.names == ("score_c", "score_d")
    assert len(found.data) == N
    assert "no standard deviation" in caplog.text


def test_units_are_checked_where_they_are_stated(tmp_path):
    network(tmp_path / "m.eqx", unit="GeV")
    schema = TableSchema("mine", 1, (Column("a", "1", "a"), Column("b", "rad", "b")))
    write_table(tmp_path / "in.parquet", schema, {"a": [0.5], "b": [1.0]}, {})
    with pytest.raises(SchemaError, match="is in 'rad', expected 'GeV'"):
        apply.run(events=tmp_path / "in.parquet", out=tmp_path / "out.parquet", model=tmp_path / "m.eqx")


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"a": [0.5]}, SchemaError, "no columns \\['b'\\]"),
        ({"a": [0.5, np.nan], "b": [1.0, 1.0]}, SchemaError, "the first in row 1"),
        ({"a": [0.5], "b": ["x"]}, SchemaError, "must be numbers"),
        ({"a": [0.5, -0.5], "b": [1.0, 1.0]}, EventError, "row 1 .* no finite score"),
    ],
)
def test_bad_tables_leave_no_file(tmp_path, columns, error, message):
    network(tmp_path / "m.eqx", log=("a",))
    pd.DataFrame(columns).to_parquet(tmp_path / "in.parquet")
    with pytest.raises(error, match=message):
        apply.run(events=tmp_path / "in.parquet", out=tmp_path / "out.parquet", model=tmp_path / "m.eqx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet", "m.eqx"]


def test_one_source_is_asked_for(tmp_path):
    here = tmp_path / "x"
    for sources in ({}, {"model": here, "formula": here}, {"formula": here, "draws": here}):
        with pytest.raises(StudyError):
            apply.run(events=here, out=here, **sources)
