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

    def forward(self, z: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """Map a uniform point z to y, with log|dy/dz|."""
        v, log_map = self.map.forward(z)
        y, logs = jax.vmap(spline.smooth_forward)(self.edges, v)
        return y, log_map + logs.sum()

    def inverse(self, y: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """The z that is mapped to `y`, with log|dz/dy|."""
        v, log_grid = self.to_grid(y)
        z, log_map = self.map.inverse(v)
        return z, log_map + log_grid

    def to_grid(self, y: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """The v that the grid maps to `y`, with log|dv/dy|."""
        v, logs = jax.vmap(spline.smooth_inverse)(self.edges, y)
        return v, logs.sum()


class SplineMixture(AbstractMixture):
    """A trained flow on top of each mapping."""

    mappings: tuple[AbstractMapping, ...]
    shares: Float[Array, " mapping"]
    flows: Flow  # every array has the mapping as a further, first axis

    @property
    def dim(self) -> int:
        """Dimension of the hypercube."""
        return self.flows.edges.shape[1]

    def draw(self, v: UnitPoint) -> Float[Array, "mapping dim"]:
        """The same point through every flow."""
        return jax.vmap(lambda flow: flow.forward(v)[0])(self.flows)

    def log_densities(self, y: Float[Array, "mapping dim"]) -> Float[Array, " mapping"]:
        """Logarithm of the density of each flow."""
        return jax.vmap(lambda flow, point: flow.inverse(point)[1])(self.flows, y)

    def table(self) -> tuple[TableSchema, Mapping[str, np.ndarray]]:
        """Shares, edges and the networks' parameters."""
        arrays = {"shares": np.asarray(self.shares), "edges": np.asarray(self.flows.edges)}
        for i, layer in enumerate(self.flows.map.layers):
            arrays |= {f"weight_{i}": np.asarray(layer.weight), f"bias_{i}": np.asarray(layer.bias)}
        return GRID, grid_columns(arrays)
