"""Rates of a process at theory variations, at the momenta and flavours of its events."""

from collections.abc import Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp

from saggiatore.physics.process import AbstractProcess, Channel
from saggiatore.types import Array, Float, Momenta, Theta


class Variants(eqx.Module):
    """One process with several settings of what its rate depends on: only what differs is kept several times.

    What is the same for all, such as amplitudes, is computed once: the others alone are mapped over.
    """

    settings: AbstractProcess  # leaves of `is_varied` have a leading axis, the others are the process's own
    is_varied: tuple[bool, ...] = eqx.field(static=True)  # of each leaf
    names: tuple[str, ...] = eqx.field(static=True)

    def ratios(self, process: AbstractProcess, momenta: Momenta, channel: Channel, theta: Theta) -> dict[str, Array]:
        """Rate of the event's flavour channel at each variation over that of `process`."""
        axes = jax.tree.unflatten(jax.tree.structure(self.settings), [0 if each else None for each in self.is_varied])
        rates: Float[Array, " variation"] = jax.vmap(
            lambda settings: settings.channel_rate(momenta, channel, theta), in_axes=(axes,), axis_size=len(self.names)
        )(self.settings)
        ratios = rates / process.channel_rate(momenta, channel, theta)
        return dict(zip(self.names, ratios, strict=True))


def variants(processes: Mapping[str, AbstractProcess]) -> Variants | None:
    """The `processes`, by the names of their variations, as one; None if there are none.

    Raises:
        ValueError: if they differ in more than numbers.
    """
    if not processes:
        return None
    structures = {jax.tree.structure(process) for process in processes.values()}
    if len(structures) > 1:
        raise ValueError("the variations of a process differ in more than numbers; expected one structure.")
    leaves = list(zip(*(jax.tree.leaves(process) for process in processes.values()), strict=True))
    is_varied = tuple(not _are_equal(several) for several in leaves)
    merged = [jnp.stack(several) if varied else several[0] for several, varied in zip(leaves, is_varied, strict=True)]
    return Variants(jax.tree.unflatten(structures.pop(), merged), is_varied, tuple(processes))


def _are_equal(several: Sequence[Array]) -> bool:
    return all(bool(jnp.array_equal(several[0], other)) for other in several[1:])
