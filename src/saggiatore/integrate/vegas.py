r"""VEGAS: a separable density, piecewise constant along every dimension, adapted by iteration.

Lepage, J. Comput. Phys. 27 (1978) 192, in the form of VEGAS+ (arXiv:2009.05112, section 2): bin edges
$x_0 < \dots < x_N$ of each dimension, the map $u(v) = x_i + (x_{i+1} - x_i)\,(N v - i)$ with
$i = \lfloor N v \rfloor$, and a refinement that equalises the damped, smoothed mean of the squared weights in the bins.
"""

from collections.abc import Mapping
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field

from saggiatore.errors import EventError, SchemaError
from saggiatore.integrate.base import (
    AbstractSampler,
    AbstractSamplerSpec,
    n_batches,
    over_events,
    progress,
    proposed_weight,
    uniform_batch,
)
from saggiatore.physics.process import AbstractProcess
from saggiatore.tables import Column, Table, TableSchema
from saggiatore.types import Array, Float, PRNGKeyArray, Scalar, Theta, UnitPoint

GRID = TableSchema(
    "grid",
    1,
    (
        Column("dimension", "1", "dimension of the unit hypercube", kind="int"),
        Column("edge", "1", "number of the bin edge along this dimension", kind="int"),
        Column("u", "1", "position of the edge"),
    ),
)


class Vegas(AbstractSampler):
    """The density whose bins, along each dimension, have equal probability between neighbouring `edges`."""

    edges: Float[Array, "dim edge"]  # from 0 to 1, increasing

    @property
    def dim(self) -> int:
        """Dimension of the hypercube."""
        return self.edges.shape[0]

    def propose(self, v: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """Map a uniform point, with log|du/dv|."""
        n_bins = self.edges.shape[1] - 1
        position = v * n_bins
        bins = jnp.minimum(position.astype(int), n_bins - 1)
        rows = jnp.arange(self.dim)
        left = self.edges[rows, bins]
        width = self.edges[rows, bins + 1] - left
        return left + width * (position - bins), jnp.log(jnp.prod(width * n_bins))

    def table(self) -> tuple[TableSchema, Mapping[str, np.ndarray]]:
        """The edges, one a row."""
        edges = np.asarray(self.edges)
        dimension, edge = np.indices(edges.shape)
        return GRID, {"dimension": dimension.ravel(), "edge": edge.ravel(), "u": edges.ravel()}


class VegasSpec(AbstractSamplerSpec):
    """The VEGAS map."""

    kind: Literal["vegas"] = "vegas"
    n_bins: int = Field(64, ge=2, description="bins along each dimension")
    n_iterations: int = Field(10, ge=0, description="refinements of the bins")
    n_points: int = Field(100_000, ge=1000, description="points of each refinement")
    alpha: float = Field(0.75, ge=0, le=2, description="how far a refinement goes; 0 leaves the bins as they are")

    def build(self, dim: int) -> Vegas:
        """The map before adaptation, the identity."""
        return Vegas(jnp.tile(jnp.linspace(0.0, 1.0, self.n_bins + 1), (dim, 1)))

    def adapt(self, process: AbstractProcess, theta: Theta, *, key: PRNGKeyArray) -> Vegas:
        """Refine the bins towards the fiducial rate of `process` at `theta`; where there is none they stay.

        Raises:
            EventError: if the rate is not finite somewhere.
        """
        sampler = self.build(process.dim)
        for iteration in range(self.n_iterations):
            stream = jax.random.fold_in(key, iteration)
            moments = jnp.zeros((2, process.dim, self.n_bins))
            batches = range(n_batches(self.n_points))
            for number in progress(batches, len(batches), f"vegas {iteration + 1}/{self.n_iterations}"):
                moments = moments + _moments(process, sampler, theta, stream, jnp.asarray(number))
            if not bool(jnp.isfinite(moments).all()):
                raise EventError(
                    "the rate is not finite at some point of phase space; the process must return numbers."
                )
            sampler = refine(sampler, moments[1] / jnp.maximum(moments[0], 1.0), self.alpha)
        return sampler

    def restore(self, table: Table) -> Vegas:
        """The map that `Vegas.table` wrote.

        Raises:
            SchemaError: if the edges are not those of a VEGAS map.
        """
        n_edges = self.n_bins + 1
        flat = table.array(["u"]).ravel()
        if flat.size == 0 or flat.size % n_edges:
            raise SchemaError(f"a grid of {flat.size} edges came, expected {n_edges} a dimension. Re-run the sampler.")
        edges = flat.reshape(-1, n_edges)
        if edges[:, 0].any() or (edges[:, -1] != 1).any() or (np.diff(edges, axis=1) <= 0).any():
            raise SchemaError("the edges of the grid do not increase from 0 to 1. Re-run the sampler.")
        return Vegas(jnp.asarray(edges))


@eqx.filter_jit
def _moments(
    process: AbstractProcess, sampler: Vegas, theta: Theta, key: PRNGKeyArray, number: Array
) -> Float[Array, "2 dim bin"]:
    """Number of points and sum of squared weights in each bin, of one batch."""
    v = uniform_batch(key, number, sampler.dim)
    square = over_events(lambda point: proposed_weight(process, sampler, point, theta)[1] ** 2, v)
    n_bins = sampler.edges.shape[1] - 1
    bins = jnp.minimum((v * n_bins).astype(int), n_bins - 1)
    rows = jnp.broadcast_to(jnp.arange(sampler.dim), bins.shape)
    empty = jnp.zeros((sampler.dim, n_bins))
    return jnp.stack([empty.at[rows, bins].add(1.0), empty.at[rows, bins].add(square[:, None])])


def refine(sampler: Vegas, mean_square: Float[Array, "dim bin"], alpha: float) -> Vegas:
    """Move the edges so that each bin holds as much of the damped mean square (arXiv:2009.05112, eqs. 15-19)."""
    return Vegas(jax.vmap(_refine_axis, (0, 0, None))(sampler.edges, mean_square, alpha))


def _refine_axis(
    edges: Float[Array, " edge"], mean_square: Float[Array, " bin"], alpha: float
) -> Float[Array, " edge"]:
    n_bins = len(mean_square)
    padded = jnp.pad(mean_square, 1, mode="edge")
    smooth = (padded[:-2] + 6 * mean_square + padded[2:]) / 8
    share = smooth / jnp.where(smooth.sum() > 0, smooth.sum(), 1.0)
    inner = (share > 0) & (share < 1)
    safe = jnp.where(inner, share, 0.5)
    damped = jnp.where(inner, ((1 - safe) / -jnp.log(safe)) ** alpha, jnp.where(share >= 1, 1.0, 0.0))
    # a bin keeps a little even where nothing was seen, so that no part of phase space is ever shut out
    floor = 1e-3 / n_bins
    load = jnp.where(smooth.sum() > 0, damped / jnp.where(damped.sum() > 0, damped.sum(), 1.0) + floor, 1.0)
    cumulative = jnp.concatenate([jnp.zeros(1), jnp.cumsum(load)])
    inside = jnp.interp(jnp.arange(1, n_bins) * (cumulative[-1] / n_bins), cumulative, edges)
    return jnp.concatenate([jnp.zeros(1), inside, jnp.ones(1)])
