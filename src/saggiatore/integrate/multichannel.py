r"""Multi-channel integration: a VEGAS grid for each mapping of a process, and adaptive shares.

Kleiss and Pittau, hep-ph/9405257: the shares $a_i$ of the mixture $g = \sum_i a_i g_i$ have the smallest variance where
$W_i = \int f^2 g_i / g^2\, du$ is the same for all i, and $a_i \propto a_i \sqrt{W_i}$ leads there. Before that, each
mapping's grid is adapted to its own part of the integrand, $f q_i / \sum_j q_j$ with the densities $q_i$ of the bare
mappings: a partition that stays as it is while grids move.
"""

from collections.abc import Mapping
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field

from saggiatore.errors import SchemaError
from saggiatore.integrate import vegas_batch
from saggiatore.integrate.base import AbstractSamplerSpec, n_batches, require_finite, uniform_points, weigh_batch
from saggiatore.integrate.grid import GRID, grid_arrays, grid_columns, require_shape
from saggiatore.integrate.mixture import AbstractMixture, Mapped, class_sizes
from saggiatore.integrate.mixture_batch import Drawn, draw_batch, map_batch
from saggiatore.integrate.vegas import Vegas, VegasSpec, require_partition
from saggiatore.physics.mapping import AbstractMapping
from saggiatore.physics.process import AbstractProcess
from saggiatore.tables import Table, TableSchema
from saggiatore.types import Array, Float, PRNGKeyArray, Theta

_LEAST_SHARE = 0.01  # of an equal share: no mapping is shut out because few of its points met the integrand


class Multichannel(AbstractMixture):
    """A VEGAS grid on top of each class of mappings."""

    mappings: tuple[AbstractMapping, ...]
    classes: tuple[int, ...] = eqx.field(static=True)
    shares: Float[Array, " class"]
    densities: Vegas

    def place(self, number: int, v: Float[np.ndarray, "event dim"]) -> Float[np.ndarray, "event dim"]:
        """The y's of a batch of uniform points."""
        return vegas_batch.propose(self._grid(number), v)[0]

    def log_densities(self, points: Mapped) -> Float[np.ndarray, "event mapping"]:
        """Logarithm of each mapping's density in its own y."""
        columns = [vegas_batch.log_density(self._grid(i), points.y[:, place]) for place, i in enumerate(self.classes)]
        return np.stack(columns, axis=1)

    def _grid(self, number: int) -> Vegas:
        return jax.tree.map(lambda array: np.asarray(array)[number], self.densities)

    def table(self) -> tuple[TableSchema, Mapping[str, np.ndarray]]:
        """Shares, edges and cumulative probabilities."""
        return GRID, grid_columns(self.arrays())

    def arrays(self) -> dict[str, np.ndarray]:
        """All numbers of the sampler, by name."""
        found = {"shares": self.shares, "edges": self.densities.edges, "cumulative": self.densities.cumulative}
        return {name: np.asarray(array) for name, array in found.items()}


class MultichannelSpec(AbstractSamplerSpec):
    """A mixture of the process's mappings, each with a VEGAS grid; mappings of one class share theirs.

    The grid's numbers of points are for each class.
    """

    kind: Literal["multichannel"] = "multichannel"
    grid: VegasSpec | None = Field(VegasSpec(), description="of each mapping; without it the bare mappings are mixed")
    n_iterations: int = Field(5, ge=0, description="refinements of the shares; none: equal shares")
    n_points: int = Field(65_536, ge=1000, description="points of each refinement of the shares")

    @property
    def grid_or_none(self) -> VegasSpec:
        """The grid, or one that changes nothing."""
        return self.grid or _NO_GRID

    def adapt(self, process: AbstractProcess, theta: Theta, *, key: PRNGKeyArray) -> Multichannel:
        """Adapt the grids, then the shares, to the fiducial rate of `process` at `theta`.

        Raises:
            EventError: if the rate is not finite somewhere.
        """
        classes = process.mapping_classes
        n_classes = max(classes) + 1
        grids = [self._adapt_grid(process, theta, number, key) for number in range(n_classes)]
        stacked = jax.tree.map(lambda *parts: jnp.asarray(np.stack(parts)), *grids)
        sampler = Multichannel(
            process.mappings, classes, jnp.asarray(np.array(class_sizes(classes)) / len(classes)), stacked
        )
        if n_classes == 1:
            return sampler
        for iteration in range(self.n_iterations):
            stream = jax.random.fold_in(key, n_classes + iteration)
            found = [
                _moments(classes, draw_batch(process, theta, sampler, stream, number))
                for number in range(n_batches(self.n_points))
            ]
            sampler = eqx.tree_at(lambda s: s.shares, sampler, improve(sampler.shares, np.mean(found, axis=0)))
        return sampler

    def _adapt_grid(self, process: AbstractProcess, theta: Theta, number: int, key: PRNGKeyArray) -> Vegas:
        """The grid of a class, from the part of its first mapping."""
        mappings, mapping = process.mappings, process.mapping_classes.index(number)

        def weigh(grid: Vegas, key: PRNGKeyArray, batch: Array) -> tuple[np.ndarray, np.ndarray]:
            v = np.asarray(uniform_points(key, batch, process.dim))
            y, log_det = vegas_batch.propose(grid, v)
            found = map_batch(mappings, np.full(len(v), mapping), y)
            rate = np.asarray(weigh_batch(process, theta, found.u))
            return v, rate * np.exp(log_det - np.logaddexp.reduce(found.log_jacobian, axis=1))

        if self.grid is None:
            return self.grid_or_none.build(process.dim)
        what = f"mapping {mapping + 1}/{len(mappings)}, vegas"
        return self.grid.adapt_to(weigh, process.dim, what, key=jax.random.fold_in(key, number))

    def restore(self, table: Table, process: AbstractProcess) -> Multichannel:
        """The sampler that `Multichannel.table` wrote.

        Raises:
            SchemaError: if the numbers are not those of this process's mappings with these settings.
        """
        return self.restore_arrays(grid_arrays(table), process)

    def restore_arrays(self, arrays: Mapping[str, np.ndarray], process: AbstractProcess) -> Multichannel:
        """The sampler of `Multichannel.arrays`; see `restore`."""
        grid = self.grid_or_none
        n_classes, n_strata = max(process.mapping_classes) + 1, grid.n_strata(process.dim)
        shares = require_shape(arrays, "shares", (n_classes,))
        edges = require_shape(arrays, "edges", (n_classes, process.dim, grid.n_bins + 1))
        cumulative = require_shape(arrays, "cumulative", (n_classes, n_strata**process.dim + 1))
        require_partition(*edges.reshape(-1, grid.n_bins + 1), *cumulative)
        if not ((shares > 0).all() and np.isclose(shares.sum(), 1)):
            raise SchemaError(
                f"the shares of the mappings are {shares.tolist()}, expected positive numbers that sum "
                "to one. Re-run the sampler."
            )
        grids = Vegas(jnp.asarray(edges), jnp.asarray(cumulative), n_strata)
        return Multichannel(process.mappings, process.mapping_classes, jnp.asarray(shares), grids)


_NO_GRID = VegasSpec(n_bins=2, n_iterations=0, max_cubes=1)


def improve(shares: Float[Array, " class"], moments: np.ndarray) -> Float[Array, " class"]:
    r"""The next shares, $\propto a_i \sqrt{W_i}$ (Kleiss and Pittau), none below a hundredth of equal ones.

    Raises:
        EventError: if a moment is not finite.
    """
    require_finite(moments)
    load = np.asarray(shares) * np.sqrt(moments)
    if not load.any():
        return shares
    load = load / load.sum()
    return jnp.asarray((1 - _LEAST_SHARE) * load + _LEAST_SHARE / len(load))


def _moments(classes: tuple[int, ...], drawn: Drawn) -> Float[np.ndarray, " class"]:
    """W_i of the shares; of a class, the mean over its mappings."""
    terms = drawn.weight[:, None] ** 2 * np.exp(drawn.log_components - drawn.log_mixture[:, None])
    return np.bincount(classes, terms.mean(axis=0)) / class_sizes(classes)
