r"""The training of `madnis`: draw, store, and descend the variance of the weights on what was stored.

With stored points u of density q and integrand f the variance of the weights under the mixture g is, up to constants,
$\langle (f/q)(f/g) \rangle_q$ (buffered training of arXiv:2212.06172: q may be an older sampler), whose gradient
needs neither f's derivatives nor new values of it. A stored point keeps where each mapping's grid has it,
so that a step of training evaluates splines and networks alone. Shares are trained together with the flows.
"""

import logging
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from pydantic import Field
from tqdm import tqdm

from saggiatore.errors import EmptyRegionError, EventError
from saggiatore.integrate.base import BATCH, AbstractSampler, n_batches, over_events, weighted_batch
from saggiatore.integrate.mixture import by_mapping, class_sizes, inverses
from saggiatore.integrate.spline_mixture import SplineMixture
from saggiatore.physics.process import AbstractProcess
from saggiatore.spec import Spec
from saggiatore.types import Array, Float, PRNGKeyArray, Scalar, Theta, UnitPoint

_log = logging.getLogger(__name__)
_MOST_FAILURES = 20  # in a row


class MadnisTraining(Spec):
    """How the flows are trained."""

    n_rounds: int = Field(2, ge=1, description="times that points are drawn with the current sampler")
    n_points: int = Field(131_072, ge=1000, description="points of each round; those of earlier rounds are kept")
    n_steps: int = Field(2000, ge=1, description="steps of each round")
    batch_size: int = Field(256, ge=1, description="stored points of each step")
    learning_rate: float = Field(0.02, gt=0, description="at the start; it falls to zero as a cosine")


class Stored(NamedTuple):
    """Points inside the cuts that training uses again, in single precision."""

    v: Float[Array, "mapping dim event"]  # in the grid of each mapping
    log_grid: Float[Array, "mapping event"]  # log|dv/du|
    log_square: Float[Array, " event"]  # of f^2/q, with f over its integral


class Trainable(NamedTuple):
    """What the loss is differentiated in, in single precision."""

    logits: Float[Array, " class"]  # of the shares
    maps: Any  # a Triangular, whose arrays have the class as first axis


def train(
    process: AbstractProcess,
    theta: Theta,
    start: AbstractSampler,
    sampler: SplineMixture,
    settings: MadnisTraining,
    *,
    key: PRNGKeyArray,
) -> SplineMixture:
    """Train `sampler` on points that `start` draws first and itself later.

    Raises:
        EventError: if the rate is not finite somewhere.
    """
    trainable = jax.tree.map(_single, Trainable(jnp.log(sampler.shares), sampler.densities.map))
    state = _optimiser(settings).init(trainable)
    kept: list[Stored] = []
    source: AbstractSampler = start
    bar = tqdm(range(settings.n_rounds), "madnis", unit="round", mininterval=1.0)
    for number in bar:
        stream = jax.random.fold_in(key, number)
        kept.append(_draw(process, theta, source, sampler, settings.n_points, key=stream))
        stored, n_stored = _padded(kept, settings.n_rounds * n_batches(settings.n_points) * BATCH)
        steps = jax.random.fold_in(key, settings.n_rounds + number)
        trainable, state, loss = _descend(trainable, state, stored, n_stored, settings, sampler.classes, steps)
        if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(trainable)):
            _log.warning("madnis: the training diverged in round %d; what it had before that is kept.", number + 1)
            break
        bar.set_postfix(relative_std=f"{float(jnp.maximum(jnp.exp(loss) - 1, 0)) ** 0.5:.4f}")
        source = sampler = _double(sampler, trainable)
    return sampler


def _draw(
    process: AbstractProcess,
    theta: Theta,
    source: AbstractSampler,
    sampler: SplineMixture,
    n_points: int,
    *,
    key: PRNGKeyArray,
) -> Stored:
    """Points of `source`, those outside the cuts left out."""
    parts, total = [], 0.0
    for number in range(n_batches(n_points)):
        u, weights, log_q = weighted_batch(process, theta, source, key, number)
        total += float(weights.sum())
        parts.append([np.asarray(column) for column in (*_to_grids(sampler, u), weights, log_q)])
    if not np.isfinite(total):
        raise EventError("the rate is not finite at some point of phase space; the process must return numbers.")
    v, log_grid, weight, log_density = (np.concatenate(column) for column in zip(*parts, strict=True))
    inside = weight > 0
    if not inside.any():
        raise EmptyRegionError(f"none of {len(weight)} points passes the cuts. Widen the cuts of the process.")
    log_square = 2 * np.log(weight[inside] * len(weight) / total) + log_density[inside] + np.log(inside.mean())
    columns = (np.moveaxis(v[inside], 0, -1), log_grid[inside].T, log_square)
    return Stored(*(jnp.asarray(column, jnp.float32) for column in columns))


def _padded(kept: list[Stored], capacity: int) -> tuple[Stored, Array]:
    """All points in arrays of one size for all rounds, so that training is compiled once, and their number."""
    whole = [np.concatenate(column, axis=-1) for column in zip(*kept, strict=True)]
    n_stored = whole[-1].shape[-1]
    empty = [[(0, 0)] * (column.ndim - 1) + [(0, capacity - n_stored)] for column in whole]
    padded = Stored(*(jnp.asarray(np.pad(column, rows)) for column, rows in zip(whole, empty, strict=True)))
    return padded, jnp.asarray(n_stored)


@eqx.filter_jit
def _to_grids(
    sampler: SplineMixture, u: Float[Array, "event dim"]
) -> tuple[Float[Array, "event mapping dim"], Float[Array, "event mapping"]]:
    def place(point: UnitPoint) -> tuple[Array, Array]:
        y, log_jacobian = inverses(sampler.mappings, point)
        flows = by_mapping(sampler.densities, sampler.classes)
        v, log_grid = jax.vmap(lambda flow, each: flow.to_grid(each))(flows, y)
        return v, log_grid + log_jacobian

    return over_events(place, u)


@eqx.filter_jit
def _descend(
    trainable: Trainable,
    state: Any,
    stored: Stored,
    n_stored: Array,
    settings: MadnisTraining,
    classes: tuple[int, ...],
    key: PRNGKeyArray,
) -> tuple[Trainable, Any, Scalar]:
    """The steps of one round, and the mean loss of its last tenth."""
    optimiser = _optimiser(settings)

    def step(carry: tuple[Trainable, Any], key: PRNGKeyArray) -> tuple[tuple[Trainable, Any], Scalar]:
        trainable, state = carry
        rows = jax.random.randint(key, (settings.batch_size,), 0, n_stored)
        batch = jax.tree.map(lambda column: column[..., rows], stored)
        loss, slope = jax.value_and_grad(_loss)(trainable, batch, classes)
        update, state = optimiser.update(slope, state)
        return (optax.apply_updates(trainable, update), state), loss

    keys = jax.random.split(key, settings.n_steps)
    (trainable, state), losses = jax.lax.scan(step, (trainable, state), keys)
    return trainable, state, jnp.nanmean(losses[-max(settings.n_steps // 10, 1) :])


def _loss(trainable: Trainable, batch: Stored, classes: tuple[int, ...]) -> Scalar:
    """Logarithm of the mean of (f/q)(f/g): its gradient does not grow with the largest weight of a batch."""
    log_shares = by_mapping(jax.nn.log_softmax(trainable.logits) - jnp.log(jnp.array(class_sizes(classes))), classes)
    logs = jax.vmap(lambda each, points: each.inverse(points)[1])(by_mapping(trainable.maps, classes), batch.v)
    log_density = jax.nn.logsumexp(log_shares[:, None] + logs + batch.log_grid, axis=0)
    return jax.nn.logsumexp(batch.log_square - log_density) - jnp.log(len(batch.log_square))


def _optimiser(settings: MadnisTraining) -> optax.GradientTransformation:
    """Adam, which leaves out a step whose gradient is not finite: single precision may fail at the end of a bin."""
    n_steps = settings.n_rounds * settings.n_steps
    adam = optax.adam(optax.cosine_decay_schedule(settings.learning_rate, n_steps))
    return optax.apply_if_finite(adam, max_consecutive_errors=_MOST_FAILURES)


def _single(array: Array) -> Array:
    return array.astype(jnp.float32)


def _double(sampler: SplineMixture, trainable: Trainable) -> SplineMixture:
    """The sampler with the trained numbers, in its own precision."""
    shares = jax.nn.softmax(trainable.logits.astype(sampler.shares.dtype))
    maps = jax.tree.map(lambda new, old: new.astype(old.dtype), trainable.maps, sampler.densities.map)
    return eqx.tree_at(lambda s: (s.shares, s.densities.map), sampler, (shares, maps))
