"""A mixture whose densities are trained maps on top of smooth VEGAS grids; `madnis` trains it."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.compilation import QUICK, fill
from saggiatore.integrate import spline
from saggiatore.integrate.base import over_events
from saggiatore.integrate.grid import GRID, grid_columns
from saggiatore.integrate.mixture import AbstractMixture, Mapped
from saggiatore.integrate.triangular import Triangular
from saggiatore.physics.mapping import AbstractMapping
from saggiatore.tables import TableSchema
from saggiatore.types import Array, Float, Scalar, UnitPoint

_ROWS = 4096  # events whose networks are evaluated at once


class Flow(eqx.Module):
    """The density of one mapping in its own y: a triangular map, then the smooth grid."""

    edges: Float[Array, "dim edge"]
    map: Triangular

    def propose(self, v: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """Map a uniform point to y, with minus the logarithm of the density there."""
        v, log_map = self.map.forward(v)
        y, logs = jax.vmap(spline.smooth_forward)(self.edges, v)
        return y, log_map + logs.sum()

    def log_density(self, u: UnitPoint) -> Scalar:
        """Logarithm of the density at a y."""
        v, log_grid = self.to_grid(u)
        return self.map.log_density(v) + log_grid

    def to_grid(self, y: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """The v that the grid maps to `y`, with log|dv/dy|."""
        v, logs = jax.vmap(spline.smooth_inverse)(self.edges, y)
        return v, logs.sum()


@eqx.filter_jit(compiler_options=QUICK)  # type: ignore[call-overload]
def _place(flow: Flow, v: Float[Array, "event dim"]) -> Float[Array, "event dim"]:
    return over_events(lambda point: flow.propose(point)[0], v)


def to_grids(
    sampler: "SplineMixture", points: Mapped
) -> tuple[Float[np.ndarray, "event mapping dim"], Float[np.ndarray, "event mapping"]]:
    """Where the grid of each mapping has a batch of points, with log|dv/dy|."""
    edges = np.asarray(sampler.densities.edges)[list(sampler.classes)]
    v, logs = _to_grids(edges, points.y)
    return np.asarray(v), np.asarray(logs)


@eqx.filter_jit(compiler_options=QUICK)  # type: ignore[call-overload]
def _to_grids(
    edges: Float[Array, "mapping dim edge"], y: Float[Array, "event mapping dim"]
) -> tuple[Float[Array, "event mapping dim"], Float[Array, "event mapping"]]:
    def place(y: Float[Array, "mapping dim"]) -> tuple[Array, Array]:
        v, logs = jax.vmap(jax.vmap(spline.smooth_inverse))(edges, y)
        return v, logs.sum(axis=-1)

    return over_events(place, y)


def log_networks(
    sampler: "SplineMixture", v: Float[np.ndarray, "event mapping dim"]
) -> Float[np.ndarray, "event mapping"]:
    """Logarithm of the density of each mapping's triangular map, in the precision of `v`."""
    maps = jax.tree.map(lambda array: np.asarray(array, v.dtype)[list(sampler.classes)], sampler.densities.map)
    blocks = np.split(v, range(_ROWS, len(v), _ROWS))
    found = [np.asarray(_log_networks(maps, fill(block, _ROWS)))[: len(block)] for block in blocks]
    return np.concatenate(found)


@eqx.filter_jit(compiler_options=QUICK)  # type: ignore[call-overload]
def _log_networks(maps: Triangular, v: Float[Array, "event mapping dim"]) -> Float[Array, "event mapping"]:
    return jax.vmap(lambda each, points: each.log_density(points))(maps, jnp.moveaxis(v, 0, -1)).T


class SplineMixture(AbstractMixture):
    """A trained flow on top of each class of mappings."""

    mappings: tuple[AbstractMapping, ...]
    classes: tuple[int, ...] = eqx.field(static=True)
    shares: Float[Array, " class"]
    densities: Flow

    def place(self, number: int, v: Float[np.ndarray, "event dim"]) -> Float[np.ndarray, "event dim"]:
        """The y's of a batch of uniform points; the last block is filled up, for there is one compiled size."""
        flow = jax.tree.map(lambda array: np.asarray(array)[number], self.densities)
        blocks = np.split(v, range(_ROWS, len(v), _ROWS)) if len(v) else []
        found = [np.asarray(_place(flow, fill(block, _ROWS)))[: len(block)] for block in blocks]
        return np.concatenate([v[:0], *found])

    def log_densities(self, points: Mapped) -> Float[np.ndarray, "event mapping"]:
        """Logarithm of each mapping's density in its own y, in single precision."""
        v, log_grid = to_grids(self, points)
        return log_networks(self, v.astype(np.float32)) + log_grid

    def table(self) -> tuple[TableSchema, Mapping[str, np.ndarray]]:
        """Shares, edges and the networks' parameters."""
        arrays = {"shares": np.asarray(self.shares), "edges": np.asarray(self.densities.edges)}
        for i, layer in enumerate(self.densities.map.layers):
            arrays |= {f"weight_{i}": np.asarray(layer.weight), f"bias_{i}": np.asarray(layer.bias)}
        return GRID, grid_columns(arrays)
