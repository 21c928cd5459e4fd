r"""Neural importance sampling: a trained map on top of the VEGAS grid of each mapping.

After Heimel et al., arXiv:2212.06172 and arXiv:2311.01548 (MadNIS): one flow for each mapping, which starts from VEGAS;
the loss is the variance of the weights; points are stored with their integrand and used again (buffered training).
Here $u = M_i(G_i(T_i(z)))$, where G is the grid's quantile function through a smooth spline, so that no edge of a bin
is left in the weights, and T a triangular map that starts as the identity. The grid's hypercubes, whose edges T could
not remove, are left out: T takes their place. Channel weights need no network, see `mixture`.

A training that went wrong is not used: on fresh points of the multi-channel VEGAS that it started from the trained
sampler must have a smaller variance than that, which is kept otherwise.
"""

import logging
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from pydantic import Field

from saggiatore.integrate.base import AbstractSampler, AbstractSamplerSpec
from saggiatore.integrate.grid import grid_arrays, require_shape
from saggiatore.integrate.madnis_training import MadnisTraining, draw, relative_std, train
from saggiatore.integrate.multichannel import Multichannel, MultichannelSpec
from saggiatore.integrate.spline_mixture import Flow, SplineMixture
from saggiatore.integrate.triangular import Triangular
from saggiatore.integrate.vegas import VegasSpec
from saggiatore.physics.mapping import AbstractMapping
from saggiatore.physics.process import AbstractProcess
from saggiatore.tables import Table
from saggiatore.types import Array, PRNGKeyArray, Theta

_log = logging.getLogger(__name__)


class MadnisSpec(AbstractSamplerSpec):
    """Neural importance sampling with a flow for each mapping of the process; mappings of one class share theirs."""

    kind: Literal["madnis"] = "madnis"
    start: MultichannelSpec = Field(
        # few bins: the noise of narrow ones would stay in the trained map as wiggles
        MultichannelSpec(
            grid=VegasSpec(n_bins=32, alpha=0.5, n_iterations=6, n_points=32_768, n_cube_points=65_536),
            n_iterations=3,
            n_points=32_768,
        ),
        description="what training starts from, and falls back to",
    )
    n_bins: int = Field(32, ge=2, le=100, description="bins of each coordinate's density")
    width: int = Field(16, ge=1, description="hidden units per layer, for each coordinate")
    depth: int = Field(2, ge=1, description="hidden layers")
    training: MadnisTraining = MadnisTraining()
    n_test: int = Field(65_536, ge=1000, description="fresh points on which the trained sampler must beat its start")

    def adapt(self, process: AbstractProcess, theta: Theta, *, key: PRNGKeyArray) -> AbstractSampler:
        """Train on the fiducial rate of `process` at `theta`; the start itself if that did not help.

        Raises:
            EventError: if the rate is not finite somewhere.
        """
        keys = [jax.random.fold_in(key, i) for i in range(4)]
        start = self.start.adapt(process, theta, key=keys[0])
        untrained = self.build(start, key=keys[1])
        trained = train(process, theta, start, untrained, self.training, key=keys[2])
        fresh = draw(process, theta, start, trained, self.n_test, key=keys[3])
        found, before = relative_std(trained, fresh), float(fresh.weight.std())
        if found < before:  # false for a NaN
            _log.info("madnis: relative standard deviation %.4g after training, %.4g before.", found, before)
            return trained
        _log.warning(
            "madnis: the relative standard deviation is %.4g after training and was %.4g before; the multi-channel "
            "VEGAS that it started from is used instead.",
            found,
            before,
        )
        return start

    def build(self, start: Multichannel, *, key: PRNGKeyArray) -> SplineMixture:
        """The sampler before training: the grids of `start`, smooth and without their hypercubes."""
        return self._untrained(start.mappings, start.classes, start.shares, start.densities.edges, key=key)

    def _untrained(
        self,
        mappings: tuple[AbstractMapping, ...],
        classes: tuple[int, ...],
        shares: Array,
        edges: Array,
        *,
        key: PRNGKeyArray,
    ) -> SplineMixture:
        keys = [jax.random.fold_in(key, i) for i in range(len(shares))]
        maps = [Triangular.build(edges.shape[1], self.width, self.depth, self.n_bins, key=each) for each in keys]
        stacked = jax.tree.map(lambda *parts: jnp.asarray(np.stack(parts)), *maps)
        return SplineMixture(mappings, classes, shares, Flow(edges, stacked))

    def restore(self, table: Table, process: AbstractProcess) -> AbstractSampler:
        """The sampler that `SplineMixture.table` wrote, or `Multichannel.table` where training did not help.

        Raises:
            SchemaError: if the numbers are not those of this process's mappings with these settings.
        """
        arrays = grid_arrays(table)
        if "cumulative" in arrays:
            return self.start.restore_arrays(arrays, process)
        classes = process.mapping_classes
        n_classes = max(classes) + 1
        shares = jnp.asarray(require_shape(arrays, "shares", (n_classes,)))
        edges = require_shape(arrays, "edges", (n_classes, process.dim, self.start.grid_or_none.n_bins + 1))
        like = self._untrained(process.mappings, classes, shares, jnp.asarray(edges), key=jax.random.key(0))
        layers = [
            (
                require_shape(arrays, f"weight_{i}", layer.weight.shape),
                require_shape(arrays, f"bias_{i}", layer.bias.shape),
            )
            for i, layer in enumerate(like.densities.map.layers)
        ]
        leaves = [jnp.asarray(array) for pair in layers for array in pair]
        return eqx.tree_at(lambda s: jax.tree.leaves(s.densities.map), like, leaves)
