"""Training on several devices: each computes its part of a batch, and the mean over all of them is one update.

Model, optimiser and events lie on every device; only the events of a batch are divided. The compiler adds the sums over
devices (https://docs.jax.dev/en/latest/sharded-computation.html), so that losses differ from those of one device by
rounding alone.
"""

import logging
from typing import TypeVar

import equinox as eqx
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

log = logging.getLogger(__name__)
_EVENT = "event"  # name of the mesh's axis
Tree = TypeVar("Tree")


def mesh_of(batch_size: int) -> Mesh | None:
    """As many of the devices that this process sees as divide a batch into equal parts; None if that is one."""
    devices = jax.local_devices()
    n_devices = next(n for n in range(len(devices), 0, -1) if batch_size % n == 0)
    if n_devices < len(devices):
        log.warning("of %d devices %d are used: batch_size is %d.", len(devices), n_devices, batch_size)
    if n_devices == 1:
        return None
    log.info("each batch is divided among %d devices", n_devices)
    return Mesh(np.array(devices[:n_devices]), (_EVENT,))


def replicated(tree: Tree, mesh: Mesh | None) -> Tree:
    """The tree with its arrays on every device of the mesh."""
    if mesh is None:
        return tree
    arrays, rest = eqx.partition(tree, eqx.is_array)
    placed: Tree = eqx.combine(jax.device_put(arrays, NamedSharding(mesh, PartitionSpec())), rest)
    return placed


def divided(tree: Tree, mesh: Mesh | None) -> Tree:
    """The tree, inside of compiled code, with the first axis of its arrays divided among the mesh's devices."""
    if mesh is None:
        return tree
    constrained: Tree = jax.lax.with_sharding_constraint(tree, NamedSharding(mesh, PartitionSpec(_EVENT)))
    return constrained
