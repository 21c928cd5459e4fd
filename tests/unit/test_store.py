"""Models on disk: what is written is what is read, and a damaged file is refused."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.errors import ModelError
from saggiatore.models.flow_matching import FlowMatchingSpec
from saggiatore.models.mlp import MLPSpec
from saggiatore.models.store import load_model, save

FEATURES, CONTEXT = ("a", "b"), ("theta",)
SPECS = {
    "mlp": (MLPSpec(width=4, odd_in=("b",)), ()),
    "flow_matching": (FlowMatchingSpec(width=4, periodic=("b",)), CONTEXT),
}


def write(path, name, **changes):
    spec, context = SPECS[name]
    model = spec.build(FEATURES, context, key=jax.random.key(3))
    columns = {
        field: [{"name": n, "unit": "1", "label": n} for n in names]
        for field, names in (("features", FEATURES), ("context", context))
    }
    save(path, model, {"kind": name, "spec": spec.model_dump(mode="json"), **columns, **changes})
    return model


@pytest.mark.parametrize("kind", SPECS)
def test_save_and_load_is_the_identity(tmp_path, kind):
    model = write(tmp_path / "m.eqx", kind, note="kept")
    loaded, header = load_model(tmp_path / "m.eqx")
    assert eqx.tree_equal(model, loaded)
    assert header["note"] == "kept"


def test_same_model_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write(tmp_path / name, "mlp")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_single_precision_file_is_read_in_double(tmp_path):
    spec = SPECS["mlp"][0]
    model = spec.build(FEATURES, key=jax.random.key(3))
    single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf, model)
    header = {"kind": "mlp", "spec": spec.model_dump(), "features": [{"name": n} for n in FEATURES], "context": []}
    save(tmp_path / "m.eqx", single, header)
    loaded, _ = load_model(tmp_path / "m.eqx")
    assert loaded.last_layer.dtype == jnp.float64
    assert np.array_equal(loaded.last_layer, single.last_layer)


def test_damage_is_noticed(tmp_path):
    path = tmp_path / "m.eqx"
    write(path, "mlp")
    good = path.read_bytes()
    flipped = bytearray(good)
    flipped[-1] ^= 1
    for bad in (flipped, good[:-8], good + b"x", b"no header\n" + good, b"[]\n", b"", b"\xff\xfe\n"):
        path.write_bytes(bad)
        with pytest.raises(ModelError):
            load_model(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "m.eqx"
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(path)
    path.write_text(json.dumps({"format": "saggiatore-leaves", "format_version": 99}) + "\n")
    with pytest.raises(ModelError, match="expected"):
        load_model(path)
    write(path, "mlp", spec={"kind": "mlp", "width": 5, "odd_in": ["b"]})
    with pytest.raises(ModelError, match="arrays"):
        load_model(path)
    write(path, "mlp", kind="perceptron")
    with pytest.raises(ModelError, match="perceptron"):
        load_model(path)
