r"""VEGAS: a separable density, piecewise constant along every dimension, and a probability for each hypercube on top.

Lepage, J. Comput. Phys. 27 (1978) 192, in the form of VEGAS+ (arXiv:2009.05112, sections 2 and 3): bin edges
$x_0 < \dots < x_N$ of each dimension, the map $u(y) = x_i + (x_{i+1} - x_i)\,(N y - i)$ with $i = \lfloor N y \rfloor$,
and a refinement that equalises the damped, smoothed mean of the squared weights in the bins. The hypercubes of y-space
follow what is not separable. VEGAS+ spreads its points over them; here a cube is drawn with a probability instead, so
that every point is independent and events can be unweighted.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import reduce
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field

from saggiatore.errors import SchemaError
from saggiatore.integrate.base import (
    AbstractSampler,
    AbstractSamplerSpec,
    n_batches,
    over_events,
    progress,
    proposed_weight,
    require_finite,
    uniform_batch,
)
from saggiatore.integrate.grid import GRID, grid_arrays, grid_columns, require_shape
from saggiatore.physics.process import AbstractProcess
from saggiatore.tables import Table, TableSchema
from saggiatore.types import Array, Float, Int, PRNGKeyArray, Scalar, Theta, UnitPoint

# Unweighting pays for the largest weights, the variance for the squares: a cube counts by its mean of w^4, to the 1/4.
_POWER = 4
_LEAST = 0.1  # of a cube's share: no cube is shut out because few points met it

# A batch of uniform points for a map, of a stream and its number, with the weights of what they are mapped to.
Weigh = Callable[["Vegas", PRNGKeyArray, Array], tuple[Array | np.ndarray, Array | np.ndarray]]
_Points = Float[np.ndarray, "event dim"]
_Weights = Float[np.ndarray, " event"]


class Vegas(AbstractSampler):
    """Bins of equal probability between neighbouring `edges`, and hypercubes, `n_strata` along each dimension."""

    edges: Float[Array, "dim edge"]  # from 0 to 1, increasing
    cumulative: Float[Array, " cube_edge"]  # probability of all cubes before, from 0 to 1
    n_strata: int = eqx.field(static=True)

    @property
    def dim(self) -> int:
        """Dimension of the hypercube."""
        return self.edges.shape[0]

    def propose(self, v: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """Map a uniform point, with log|du/dv|: its first number chooses the cube, and its remainder is used again."""
        cube = jnp.searchsorted(self.cumulative, v[0], side="right") - 1
        probability = self.cumulative[cube + 1] - self.cumulative[cube]
        place = v.at[0].set((v[0] - self.cumulative[cube]) / probability)
        digits = cube // self.n_strata ** jnp.arange(self.dim) % self.n_strata
        n_bins = self.edges.shape[1] - 1
        position = (digits + place) * (n_bins / self.n_strata)
        bins = jnp.minimum(position.astype(int), n_bins - 1)
        rows = jnp.arange(self.dim)
        left = self.edges[rows, bins]
        width = self.edges[rows, bins + 1] - left
        volume = jnp.prod(width * n_bins) / (probability * (len(self.cumulative) - 1))
        return left + width * (position - bins), jnp.log(volume)

    def log_density(self, u: UnitPoint) -> Scalar:
        """Logarithm of the density at `u`: minus the log|du/dv| of the point that is mapped there."""
        n_bins = self.edges.shape[1] - 1
        bins = jax.vmap(lambda edges, x: jnp.searchsorted(edges[1:-1], x, side="right", method="compare_all"))(
            self.edges, u
        )
        rows = jnp.arange(self.dim)
        left = self.edges[rows, bins]
        width = self.edges[rows, bins + 1] - left
        strata = ((bins + (u - left) / width) * (self.n_strata / n_bins)).astype(int)
        cube = jnp.minimum(strata, self.n_strata - 1) @ self.n_strata ** jnp.arange(self.dim)
        probability = self.cumulative[cube + 1] - self.cumulative[cube]
        return jnp.log(probability * (len(self.cumulative) - 1)) - jnp.log(jnp.prod(width * n_bins))

    def table(self) -> tuple[TableSchema, Mapping[str, np.ndarray]]:
        """Edges and cumulative probabilities, one number a row."""
        return GRID, grid_columns({"edges": np.asarray(self.edges), "cumulative": np.asarray(self.cumulative)[None]})


class VegasSpec(AbstractSamplerSpec):
    """The VEGAS map with weighted hypercubes. Numbers of points are rounded up to whole batches."""

    kind: Literal["vegas"] = "vegas"
    n_bins: int = Field(64, ge=2, le=100_000, description="bins along each dimension")
    n_iterations: int = Field(10, ge=0, description="refinements of the bins")
    n_points: int = Field(65_536, ge=1000, description="points of each refinement")
    alpha: float = Field(0.3, ge=0, le=2, description="how far a refinement goes; 0 leaves the bins as they are")
    max_cubes: int = Field(4096, ge=1, description="most hypercubes; there are as many along each dimension")
    n_cube_points: int = Field(300_000, ge=1000, description="points that weigh the hypercubes, after the refinements")

    def build(self, dim: int) -> Vegas:
        """The map before adaptation, the identity."""
        edges = np.tile(np.linspace(0.0, 1.0, self.n_bins + 1), (dim, 1))
        return Vegas(jnp.asarray(edges), jnp.asarray([0.0, 1.0]), 1)

    def n_strata(self, dim: int) -> int:
        """The largest number of strata along each of `dim` dimensions with no more than `max_cubes` hypercubes."""
        n_strata = 1
        while (n_strata + 1) ** dim <= self.max_cubes:
            n_strata += 1
        return n_strata

    def adapt(self, process: AbstractProcess, theta: Theta, *, key: PRNGKeyArray) -> Vegas:
        """Adapt bins, then hypercubes, to the fiducial rate of `process` at `theta`; where there is none they stay.

        Raises:
            EventError: if the rate is not finite somewhere.
        """

        def weigh(sampler: Vegas, key: PRNGKeyArray, number: Array) -> tuple[Array, Array]:
            return _weigh(process, sampler, theta, key, number)

        return self.adapt_to(weigh, process.dim, "vegas", key=key)

    def adapt_to(self, weigh: "Weigh", dim: int, what: str, *, key: PRNGKeyArray) -> Vegas:
        """Adapt to weights of any origin: `weigh` draws a batch of uniform points and weighs what they map to.

        Raises:
            EventError: if a weight is not finite.
        """
        sampler = self.build(dim)
        for iteration in range(self.n_iterations):
            stream, text = jax.random.fold_in(key, iteration), f"{what} {iteration + 1}/{self.n_iterations}"
            points = _points(weigh, sampler, stream, self.n_points, text)
            sampler = refine(sampler, _mean(points, _bin_moments, self.n_bins), self.alpha)
        n_strata = self.n_strata(dim)
        if n_strata == 1:
            return sampler
        points = _points(
            weigh, sampler, jax.random.fold_in(key, self.n_iterations), self.n_cube_points, f"{what} cubes"
        )
        return weigh_cubes(sampler, _mean(points, _cube_moments, n_strata), n_strata)

    def restore(self, table: Table, process: AbstractProcess) -> Vegas:
        """The map that `Vegas.table` wrote.

        Raises:
            SchemaError: if the numbers are not those of a VEGAS map of this process.
        """
        arrays = grid_arrays(table)
        edges = require_shape(arrays, "edges", (process.dim, self.n_bins + 1))
        n_strata = self.n_strata(process.dim)
        cumulative = require_shape(arrays, "cumulative", (n_strata**process.dim + 1,))
        require_partition(*edges, cumulative)
        return Vegas(jnp.asarray(edges), jnp.asarray(cumulative), n_strata)


def refine(sampler: Vegas, mean_square: np.ndarray, alpha: float) -> Vegas:
    """Move the edges so that each bin holds as much of the damped `mean_square`, shape (dim, bin).

    See arXiv:2009.05112, eqs. 15-19.
    """
    axes = zip(np.asarray(sampler.edges), mean_square, strict=True)
    edges = np.stack([_refine_axis(old, square, alpha) for old, square in axes])
    return Vegas(jnp.asarray(edges), sampler.cumulative, sampler.n_strata)


def weigh_cubes(sampler: Vegas, mean_power: np.ndarray, n_strata: int) -> Vegas:
    """Give each hypercube a probability from its mean of w^`_POWER`."""
    load = mean_power ** (1 / _POWER)
    share = load / load.sum() if load.any() else np.full(len(load), 1 / len(load))
    cumulative = np.concatenate([[0.0], np.cumsum((1 - _LEAST) * share + _LEAST / len(load))])
    return Vegas(sampler.edges, jnp.asarray(cumulative / cumulative[-1]), n_strata)


def _points(
    weigh: Weigh, sampler: Vegas, key: PRNGKeyArray, n_points: int, what: str
) -> Iterator[tuple[_Points, _Weights]]:
    """Batches of uniform points with their weights."""
    batches = range(n_batches(n_points))
    for number in progress(batches, len(batches), what):
        v, weights = weigh(sampler, key, jnp.asarray(number))
        yield np.asarray(v), np.asarray(weights)


@eqx.filter_jit
def _weigh(
    process: AbstractProcess, sampler: Vegas, theta: Theta, key: PRNGKeyArray, number: Array
) -> tuple[Float[Array, "event dim"], Float[Array, " event"]]:
    v = uniform_batch(key, number, sampler.dim)
    return v, over_events(lambda point: proposed_weight(process, sampler, point, theta)[1], v)


def _mean(
    points: Iterable[tuple[_Points, _Weights]], moments: Callable[[_Points, _Weights, int], np.ndarray], n: int
) -> np.ndarray:
    """Mean over points of a moment of the weights in each cell; `moments` gives numbers of points and sums.

    In numpy, which adds in the order of the points as XLA does on a CPU, and has nothing to compile.
    """
    total = reduce(operator.add, (moments(v, weights, n) for v, weights in points))
    require_finite(total)
    return total[1] / np.maximum(total[0], 1.0)


def _bin_moments(v: _Points, weights: _Weights, n_bins: int) -> Float[np.ndarray, "2 dim bin"]:
    dim = v.shape[1]
    cells = (_cells(v, n_bins) + n_bins * np.arange(dim)).ravel()
    squares = np.repeat(weights**2, dim)
    return np.stack([np.bincount(cells, each, n_bins * dim) for each in (None, squares)]).reshape(2, dim, n_bins)


def _cube_moments(v: _Points, weights: _Weights, n_strata: int) -> Float[np.ndarray, "2 cube"]:
    dim = v.shape[1]
    cubes = _cells(v, n_strata) @ n_strata ** np.arange(dim)
    powers = (weights**2) ** (_POWER // 2)  # as XLA multiplies
    return np.stack([np.bincount(cubes, each, n_strata**dim) for each in (None, powers)])


def _cells(v: _Points, n: int) -> Int[np.ndarray, "event dim"]:
    return np.minimum((v * n).astype(int), n - 1)


def _refine_axis(edges: np.ndarray, mean_square: np.ndarray, alpha: float) -> np.ndarray:
    if not mean_square.any():
        return edges
    padded = np.pad(mean_square, 1, mode="edge")
    smooth = (padded[:-2] + 6 * mean_square + padded[2:]) / 8
    share = smooth / smooth.sum()
    damped = (share == 1).astype(float)  # the limits of the damping function at 0 and 1 are 0 and 1
    inner = (share > 0) & (share < 1)
    damped[inner] = ((1 - share[inner]) / -np.log(share[inner])) ** alpha
    # a bin keeps a little even where nothing was seen, so that no part of phase space is ever shut out
    load = damped / damped.sum() + 1e-3 / len(mean_square)
    cumulative = np.concatenate([[0.0], np.cumsum(load)])
    inside = np.interp(np.arange(1, len(load)) * (cumulative[-1] / len(load)), cumulative, edges)
    return np.concatenate([[0.0], inside, [1.0]])


def require_partition(*rows: np.ndarray) -> None:
    """Check that each row rises from 0 to 1.

    Raises:
        SchemaError: if one does not.
    """
    if not all(row[0] == 0 and row[-1] == 1 and (np.diff(row) > 0).all() for row in rows):
        raise SchemaError("the grid does not divide the hypercube into bins and cubes. Re-run the sampler.")
