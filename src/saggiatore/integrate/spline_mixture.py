"""A mixture whose densities are trained maps on top of smooth VEGAS grids; `madnis` trains it."""

from collections.abc import Mapping

import equinox as eqx
import jax
import numpy as np

from saggiatore.integrate import spline
from saggiatore.integrate.grid import GRID, grid_columns
from saggiatore.integrate.mixture import AbstractMixture
from saggiatore.integrate.triangular import Triangular
from saggiatore.physics.mapping import AbstractMapping
from saggiatore.tables import TableSchema
from saggiatore.types import Array, Float, Scalar, UnitPoint


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


class SplineMixture(AbstractMixture):
    """A trained flow on top of each class of mappings."""

    mappings: tuple[AbstractMapping, ...]
    classes: tuple[int, ...] = eqx.field(static=True)
    shares: Float[Array, " class"]
    densities: Flow

    def table(self) -> tuple[TableSchema, Mapping[str, np.ndarray]]:
        """Shares, edges and the networks' parameters."""
        arrays = {"shares": np.asarray(self.shares), "edges": np.asarray(self.densities.edges)}
        for i, layer in enumerate(self.densities.map.layers):
            arrays |= {f"weight_{i}": np.asarray(layer.weight), f"bias_{i}": np.asarray(layer.bias)}
        return GRID, grid_columns(arrays)
