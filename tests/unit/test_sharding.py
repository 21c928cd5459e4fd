"""One training on two devices, which XLA simulates on the CPU: the losses of one device, to rounding."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = """
import json, sys
import jax, jax.numpy as jnp, numpy as np
from saggiatore.learn import sharding
from saggiatore.learn.loop import TrainingSpec, train
from saggiatore.models.base import Event
from saggiatore.models.mlp import MLPSpec
from saggiatore.tasks.joint_score import JointScoreSpec

def history(batch_size):
    x = np.random.default_rng(0).normal(size=(2000, 1))
    columns = (jnp.asarray(each) for each in (x, np.zeros((2000, 0)), np.sin(x), np.ones(2000)))
    events = Event(**dict(zip(("features", "context", "target", "weight"), columns)))
    model = MLPSpec(width=4, depth=1).build(("x",), (), key=jax.random.key(1)).standardise(events)
    spec = TrainingSpec(n_epochs=12, batch_size=batch_size)
    return train(model, JointScoreSpec(parameter="a").build(()), events, spec, seed=3)[1]

mesh = sharding.mesh_of(100)
part = jax.jit(lambda column: sharding.divided(column, mesh))(sharding.replicated(jnp.zeros(100), mesh))
two, odd = history(100), sharding.mesh_of(75)
jax.local_devices = lambda: jax.devices()[:1]
print(json.dumps([[shard.data.shape[0] for shard in part.addressable_shards], odd is None, two, history(100)]))
"""


@pytest.mark.thorough
def test_two_devices_have_the_losses_of_one():
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}
    environment = os.environ | flags | {"PYTHONPATH": str(ROOT / "src")}
    found = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    parts, is_one, two, one = json.loads(found.stdout)
    assert parts == [50, 50]
    assert is_one, "75 events are no two equal parts"
    assert "of 2 devices 1 are used: batch_size is 75" in found.stderr
    assert two["epoch"] == one["epoch"]
    for name in ("train_loss", "validation_loss"):
        assert two[name] == pytest.approx(one[name], rel=1e-9)
