"""What a sampler is: a density on the unit hypercube that follows the integrand, adapted once and kept."""

import abc
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TypeVar

import equinox as eqx
import jax
import numpy as np
from tqdm import tqdm

from saggiatore.compilation import QUICK
from saggiatore.errors import EventError
from saggiatore.physics.process import AbstractProcess, weight
from saggiatore.spec import Spec
from saggiatore.tables import Table, TableSchema
from saggiatore.types import Array, Float, PRNGKeyArray, Scalar, Theta, UnitPoint

BATCH = 16384  # points that one compiled call handles; memory grows with it, not with the number of points
CHUNK = 1024  # points that are in flight at once inside a call: intermediate results stay in the cache

Row = TypeVar("Row")


class AbstractSampler(eqx.Module):
    """A density on the unit hypercube, given by a map from uniform points."""

    @property
    @abc.abstractmethod
    def dim(self) -> int:
        """Dimension of the hypercube."""

    @abc.abstractmethod
    def propose(self, v: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """Map a uniform point `v` to a point `u` of the sampler's density g, with -log g(u).

        Where the map can be inverted that is log|du/dv|; a mixture of densities has no such inverse.
        """

    @abc.abstractmethod
    def log_density(self, u: UnitPoint) -> Scalar:
        """Logarithm of the sampler's density at any point `u`."""

    @abc.abstractmethod
    def table(self) -> tuple[TableSchema, Mapping[str, np.ndarray]]:
        """The adapted sampler as a table, from which the `restore` of its Spec builds it again."""


class AbstractSamplerSpec(Spec):
    """What the Spec of every sampler offers; `kind` is its name in the registry."""

    @abc.abstractmethod
    def adapt(self, process: AbstractProcess, theta: Theta, *, key: PRNGKeyArray) -> AbstractSampler:
        """A sampler that follows the fiducial rate of `process` at `theta`."""

    @abc.abstractmethod
    def restore(self, table: Table, process: AbstractProcess) -> AbstractSampler:
        """The sampler that was adapted to `process` and written as `table`.

        Raises:
            SchemaError: if the table holds something else, or is of another process.
        """


def proposed_weight(
    process: AbstractProcess, sampler: AbstractSampler, v: UnitPoint, theta: Theta
) -> tuple[UnitPoint, Scalar]:
    """The point that `v` maps to and its Monte Carlo weight under the sampler's density, in pb."""
    u, log_det = sampler.propose(v)
    return u, weight(process, u, theta) * jax.numpy.exp(log_det)


@eqx.filter_jit
def weigh_batch(
    process: AbstractProcess, theta: Theta, u: Float[Array, "event dim"] | Float[np.ndarray, "event dim"]
) -> Float[Array, " event"]:
    """Monte Carlo weights under the uniform density, pb; compiled apart from any sampler, hence once a process."""
    return over_events(lambda point: weight(process, point, theta), jax.numpy.asarray(u))


def uniform_batch(key: PRNGKeyArray, number: Array, dim: int) -> Array:
    """Batch `number` of the stream `key`: uniform points, shape (`BATCH`, dim)."""
    return jax.random.uniform(jax.random.fold_in(key, number), (BATCH, dim))


@partial(jax.jit, static_argnums=2, compiler_options=QUICK)
def uniform_points(key: PRNGKeyArray, number: Array, dim: int) -> Array:
    """`uniform_batch` by itself, for what numpy does with it."""
    return uniform_batch(key, number, dim)


def over_events(function: Callable[..., Row], *batches: Array) -> Row:
    """Apply a function of one event to all rows of `batches`, `CHUNK` at a time."""
    return jax.lax.map(lambda row: function(*row), batches, batch_size=CHUNK)


@eqx.filter_jit
def propose_batch(
    sampler: AbstractSampler, key: PRNGKeyArray, number: Array
) -> tuple[Float[Array, "event dim"], Float[Array, "event dim"], Float[Array, " event"]]:
    """Batch `number` of a stream: uniform points, what they are mapped to, and -log of the density there."""
    v = uniform_batch(key, number, sampler.dim)
    return v, *over_events(sampler.propose, v)


def weighted_batch(
    process: AbstractProcess, theta: Theta, sampler: AbstractSampler, key: PRNGKeyArray, number: int
) -> tuple[Float[Array, "event dim"], Float[Array, " event"], Float[Array, " event"]]:
    """Points of a sampler, their weights under it (pb), and the logarithm of its density."""
    _, u, log_inverse = propose_batch(sampler, key, jax.numpy.asarray(number))
    return u, weigh_batch(process, theta, u) * jax.numpy.exp(log_inverse), -log_inverse


def sample_weights(
    process: AbstractProcess, theta: Theta, sampler: AbstractSampler, n_points: int, *, key: PRNGKeyArray
) -> Float[np.ndarray, " event"]:
    """Weights under a sampler, pb, of at least `n_points` points."""
    batches = range(n_batches(n_points))
    return np.concatenate([weighted_batch(process, theta, sampler, key, number)[1] for number in batches])


def require_finite(sums: Float[np.ndarray, "..."] | float) -> None:
    """Check sums over points of phase space: one point without a finite rate shows in them.

    Raises:
        EventError: if a number is not finite, with what it usually is.
    """
    if not np.isfinite(sums).all():
        raise EventError(
            "the rate is no finite number at some point of phase space. Either the scale of an event lies outside the "
            "grid of the parton densities or the range of the strong coupling: tighten the cuts, or fix the scale. Or "
            "the process divides by zero inside its cuts: evaluate `weight` at random points, and see where."
        )


def n_batches(n_points: int) -> int:
    """Batches that hold at least `n_points`."""
    return -(-n_points // BATCH)


def progress(rows: Iterable[Row], total: int, what: str) -> Iterator[Row]:
    """`rows` with a bar on stderr."""
    yield from tqdm(rows, total=total, desc=what, mininterval=1.0, unit="batch")
