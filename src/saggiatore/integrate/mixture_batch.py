"""Batches of points of a mixture, for its adaptation and training.

Mappings and rate stay as they are while grids, networks and shares change: these two are compiled once, each by itself,
and not into the proposal of every sampler on the way, which takes seconds for each.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from saggiatore.compilation import QUICK
from saggiatore.integrate.base import over_events, uniform_points, weigh_batch
from saggiatore.integrate.mixture import AbstractMixture, Mapped, class_sizes, inverses
from saggiatore.physics.mapping import AbstractMapping
from saggiatore.physics.process import AbstractProcess
from saggiatore.types import Array, Float, Int, PRNGKeyArray, Theta, UnitPoint

Points = Float[np.ndarray, "event dim"]
Logs = Float[np.ndarray, "event mapping"]


class Drawn(NamedTuple):
    """Points of a mixture."""

    points: Mapped
    weight: Float[np.ndarray, " event"]  # pb, under the mixture
    log_components: Logs  # of the density of each mapping in u
    log_mixture: Float[np.ndarray, " event"]


def draw_batch(
    process: AbstractProcess, theta: Theta, sampler: AbstractMixture, key: PRNGKeyArray, number: int
) -> Drawn:
    """What `weighted_batch` draws, with all that adaptation and training ask for."""
    classes = np.array(sampler.classes)
    v = np.asarray(uniform_points(key, jnp.asarray(number), sampler.dim))
    shares = (np.asarray(sampler.shares) / class_sizes(sampler.classes))[classes]
    mapping, rest = choose(shares, v)
    y = np.empty_like(rest)
    for i in range(len(sampler.shares)):
        rows = classes[mapping] == i
        y[rows] = sampler.place(i, rest[rows])
    points = map_batch(sampler.mappings, mapping, y)
    log_components = sampler.log_densities(points) + points.log_jacobian
    log_mixture = np.logaddexp.reduce(np.log(shares) + log_components, axis=1)
    weight = np.asarray(weigh_batch(process, theta, points.u)) / np.exp(log_mixture)
    return Drawn(points, weight, log_components, log_mixture)


def map_batch(mappings: tuple[AbstractMapping, ...], number: Int[np.ndarray, " event"], y: Points) -> Mapped:
    """The points that the mapping of each `number` makes of `y`."""
    return Mapped(*map(np.asarray, _map_batch(mappings, number, y)))


@eqx.filter_jit(compiler_options=QUICK)  # type: ignore[call-overload]
def _map_batch(mappings: tuple[AbstractMapping, ...], number: Array, y: Array) -> tuple[Array, Array, Array]:
    def place(number: Int[Array, ""], y: UnitPoint) -> tuple[Array, Array, Array]:
        u = jnp.stack([mapping.forward(y)[0] for mapping in mappings])[number]
        return u, *inverses(mappings, u)

    return over_events(place, number, y)


def choose(shares: Float[np.ndarray, " mapping"], v: Points) -> tuple[Int[np.ndarray, " event"], Points]:
    """What `AbstractMixture.choose` gives for each row of `v`."""
    edges = np.concatenate([[0.0], np.cumsum(shares)[:-1]])
    mapping = np.searchsorted(edges[1:], v[:, 0], side="right")
    remainder = np.clip((v[:, 0] - edges[mapping]) / shares[mapping], 0.0, 1 - np.finfo(v.dtype).epsneg)
    return mapping, np.concatenate([remainder[:, None], v[:, 1:]], axis=1)
