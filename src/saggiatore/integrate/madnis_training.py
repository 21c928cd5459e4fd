r"""The training of `madnis`: draw, store, and descend the variance of the weights on what was stored.

With stored points u of density q and integrand f, of integral one, the variance of the weights under the mixture g is
$\langle (f/q)(f/g) \rangle_q - 1$ (buffered training of arXiv:2212.06172: q may be an older sampler), whose gradient
needs neither f's derivatives nor new values of it. The noise of that gradient does not end where g is f: there it is
the mean of derivatives of log g, zero but for the fluctuations of the sample. As $\int g = 1$, the variance is also
$\langle (f - g)^2/(q\,g) \rangle_q$, Pearson's chi squared, of which every term and its derivative vanish where g is f:
a density is learned as a function whose values are known. Points outside the cuts count too, they tell how much of g
lies there.

A stored point keeps where each mapping's grid has it, so that a step of training evaluates networks and interpolations
alone. Shares are trained together with the flows.
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

from saggiatore.compilation import RUN_ONCE
from saggiatore.errors import EmptyRegionError
from saggiatore.integrate.base import BATCH, n_batches, require_finite
from saggiatore.integrate.mixture import AbstractMixture, by_mapping, class_sizes
from saggiatore.integrate.mixture_batch import draw_batch
from saggiatore.integrate.spline_mixture import SplineMixture, log_networks, to_grids
from saggiatore.physics.process import AbstractProcess
from saggiatore.spec import Spec
from saggiatore.types import Array, Float, Int, PRNGKeyArray, Scalar, Theta

_log = logging.getLogger(__name__)
_MOST_FAILURES = 20  # in a row


class MadnisTraining(Spec):
    """How the flows are trained."""

    n_rounds: int = Field(2, ge=1, description="times that points are drawn with the current sampler")
    n_points: int = Field(131_072, ge=1000, description="points of each round; those of earlier rounds are kept")
    n_steps: int = Field(1500, ge=1, description="steps of each round")
    batch_size: int = Field(256, ge=1, description="stored points of each step")
    learning_rate: float = Field(0.04, gt=0, description="at the start; it falls to zero as a cosine")


class Stored(NamedTuple):
    """Points that training uses again, in single precision."""

    v: Float[np.ndarray, "mapping dim event"]  # in the grid of each mapping
    log_ratio: Float[np.ndarray, "mapping event"]  # log|dv/du| - log q
    weight: Float[np.ndarray, " event"]  # f/q, with f over its integral; zero outside the cuts


class Trainable(NamedTuple):
    """What the loss is differentiated in, in single precision."""

    logits: Float[Array, " class"] | Float[np.ndarray, " class"]  # of the shares
    maps: Any  # a Triangular, whose arrays have the class as first axis


def train(
    process: AbstractProcess,
    theta: Theta,
    start: AbstractMixture,
    sampler: SplineMixture,
    settings: MadnisTraining,
    *,
    key: PRNGKeyArray,
) -> SplineMixture:
    """Train `sampler` on points that `start` draws first and itself later.

    Raises:
        EventError: if the rate is not finite somewhere.
        EmptyRegionError: if no point passes the cuts.
    """
    trainable = jax.tree.map(_single, Trainable(np.log(sampler.shares), sampler.densities.map))
    state = _begin(trainable, settings)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    kept: list[Stored] = []
    source: AbstractMixture = start
    bar = tqdm(range(settings.n_rounds), "madnis", unit="round", mininterval=1.0)
    for number in bar:
        stream = jax.random.fold_in(key, number)
        kept.append(draw(process, theta, source, sampler, settings.n_points, key=stream))
        stored, n_stored = _padded(kept, settings.n_rounds * n_batches(settings.n_points) * BATCH)
        rows = rng.integers(n_stored, size=(settings.n_steps, settings.batch_size), dtype=np.int32)
        trainable, state, losses = _descend(trainable, state, stored, rows, settings, sampler.classes)
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(trainable)):
            _log.warning("madnis: the training diverged in round %d; what it had before that is kept.", number + 1)
            break
        last = np.asarray(losses)[-max(settings.n_steps // 10, 1) :]
        bar.set_postfix(relative_std=f"{np.expm1(np.nanmean(last)) ** 0.5:.4f}")
        source = sampler = _double(sampler, trainable)
    return sampler


def draw(
    process: AbstractProcess,
    theta: Theta,
    source: AbstractMixture,
    sampler: SplineMixture,
    n_points: int,
    *,
    key: PRNGKeyArray,
) -> Stored:
    """Points of `source`, and where the grids of `sampler` have them.

    Raises:
        EventError: if the rate is not finite somewhere.
        EmptyRegionError: if no point passes the cuts.
    """
    parts = []
    for number in range(n_batches(n_points)):
        drawn = draw_batch(process, theta, source, key, number)
        v, log_grid = to_grids(sampler, drawn.points)
        parts.append((v, log_grid + drawn.points.log_jacobian - drawn.log_mixture[:, None], drawn.weight))
    v, log_ratio, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
    mean = weight.mean()
    require_finite(mean)
    if not mean > 0:
        raise EmptyRegionError(f"none of {len(weight)} points passes the cuts. Widen the cuts of the process.")
    columns = (np.moveaxis(v, 0, -1), log_ratio.T, weight / mean)
    return Stored(*(column.astype(np.float32) for column in columns))


def relative_std(sampler: SplineMixture, stored: Stored) -> float:
    """Standard deviation of the weights under `sampler` over their mean, from points of another one.

    A region that the sampler has nearly left is met more often by points that do not come from it.
    """
    shares = np.asarray(sampler.shares) / class_sizes(sampler.classes)
    log_shares = np.log(shares)[list(sampler.classes)]
    logs = log_networks(sampler, np.moveaxis(stored.v, -1, 0)) + stored.log_ratio.T
    ratio = np.exp(np.logaddexp.reduce(log_shares + logs, axis=1))
    return float(np.mean((stored.weight - ratio) ** 2 / ratio) ** 0.5)


def _padded(kept: list[Stored], capacity: int) -> tuple[Stored, int]:
    """All points in arrays of one size for all rounds, so that training is compiled once, and their number."""
    whole = [np.concatenate(column, axis=-1) for column in zip(*kept, strict=True)]
    n_stored = whole[-1].shape[-1]
    empty = [[(0, 0)] * (column.ndim - 1) + [(0, capacity - n_stored)] for column in whole]
    padded = Stored(*(np.pad(column, rows) for column, rows in zip(whole, empty, strict=True)))
    return padded, n_stored


@eqx.filter_jit(compiler_options=RUN_ONCE)  # type: ignore[call-overload]
def _begin(trainable: Trainable, settings: MadnisTraining) -> Any:
    return _optimiser(settings).init(trainable)


@eqx.filter_jit
def _descend(
    trainable: Trainable,
    state: Any,
    stored: Stored,
    rows: Int[np.ndarray, "step event"],
    settings: MadnisTraining,
    classes: tuple[int, ...],
) -> tuple[Trainable, Any, Float[Array, " step"]]:
    """The steps of one round, each on its `rows` of the stored points, and their losses."""
    optimiser = _optimiser(settings)

    def step(carry: tuple[Trainable, Any], rows: Array) -> tuple[tuple[Trainable, Any], Scalar]:
        trainable, state = carry
        batch = jax.tree.map(lambda column: column[..., rows], stored)
        loss, slope = jax.value_and_grad(_loss)(trainable, batch, classes)
        update, state = optimiser.update(slope, state)
        return (optax.apply_updates(trainable, update), state), loss

    (trainable, state), losses = jax.lax.scan(step, (trainable, state), jnp.asarray(rows))
    return trainable, state, losses


def _loss(trainable: Trainable, batch: Stored, classes: tuple[int, ...]) -> Scalar:
    """Logarithm of one plus the mean of (f - g)^2/(q g): its gradient does not grow with the largest weight of a batch.

    Up to noise one plus that mean is the mean of squared weights over the square of their mean.
    """
    log_shares = by_mapping(jax.nn.log_softmax(trainable.logits) - jnp.log(jnp.array(class_sizes(classes))), classes)
    logs = jax.vmap(lambda each, points: each.log_density(points))(by_mapping(trainable.maps, classes), batch.v)
    ratio = jnp.exp(jax.nn.logsumexp(log_shares[:, None] + logs + batch.log_ratio, axis=0))
    return jnp.log1p(jnp.mean((batch.weight - ratio) ** 2 / ratio))


def _optimiser(settings: MadnisTraining) -> optax.GradientTransformation:
    """Adam, which leaves out a step whose gradient is not finite; on one long array, which is quick to compile."""
    n_steps = settings.n_rounds * settings.n_steps
    adam = optax.adam(optax.cosine_decay_schedule(settings.learning_rate, n_steps))
    return optax.flatten(optax.apply_if_finite(adam, max_consecutive_errors=_MOST_FAILURES))


def _single(array: Array) -> np.ndarray:
    return np.asarray(array, np.float32)


def _double(sampler: SplineMixture, trainable: Trainable) -> SplineMixture:
    """The sampler with the trained numbers, in its own precision."""
    shares = np.exp(np.asarray(trainable.logits, sampler.shares.dtype))
    maps = jax.tree.map(lambda new, old: jnp.asarray(np.asarray(new, old.dtype)), trainable.maps, sampler.densities.map)
    return eqx.tree_at(lambda s: (s.shares, s.densities.map), sampler, (jnp.asarray(shares / shares.sum()), maps))
