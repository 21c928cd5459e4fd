"""Events from a trained density: drawn from it, or smeared by its noise."""

from functools import partial, singledispatch
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.compilation import WIDE
from saggiatore.errors import StudyError
from saggiatore.infer.batches import model_context, model_features
from saggiatore.job import Job
from saggiatore.models.base import trainable
from saggiatore.models.density import AbstractDensity
from saggiatore.models.diffusion import Diffusion
from saggiatore.models.store import load_model
from saggiatore.provenance import provenance
from saggiatore.spec import Spec
from saggiatore.steps.events import ModelEvents, SmearedEvents
from saggiatore.tables import Column, Table, TableSchema, read_table, write_table
from saggiatore.tasks.columns import (
    data_parameter,
    flavour_variance_column,
    joint_score_column,
    parton_score_column,
)
from saggiatore.types import Array, Context, Features, Float, PRNGKeyArray, Scalar

_BATCH = 8192
_IN_CACHE = 256  # events whose layers a core's cache holds; networks then draw up to twice as fast
_WEIGHT = Column("weight", "pb", "share of the fiducial cross section of the events that these are like")
Made = tuple[tuple[Column, ...], dict[str, np.ndarray]]


def run(job: Job[ModelEvents | SmearedEvents], *, code: str, model: Path, like: Path, out: Path) -> None:
    """Write the events, all of one weight.

    Raises:
        StudyError: if the model is no density, or no diffusion where noise is asked for, or there are too few events.
    """
    density, header = load_model(model)
    if not isinstance(density, AbstractDensity):
        raise StudyError(
            f"events.{job.label}: events are drawn from densities, the model is a {header['kind']}. Name another one."
        )
    columns, data = _made(job.section, density, header, read_table(like, "events"), job.stream("draw"))
    n_parameters = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(density, trainable(density))))
    about = {"shard": 0, "generator": {"kind": header["kind"], "n_parameters": n_parameters}}
    schema = TableSchema("events", 1, (_WEIGHT, *columns))
    write_table(out, schema, data, provenance(job.model_dump(mode="json"), code) | about)


@singledispatch
def _made(section: Spec, density: AbstractDensity, header: dict, like: Table, seed: int) -> Made:
    raise TypeError(f"{type(section).__name__} is no section of events from a model.")


@_made.register
def _drawn(section: ModelEvents, density: AbstractDensity, header: dict, like: Table, seed: int) -> Made:
    """Each event at the context of one that it is like, drawn in proportion to its weight."""
    features = model_features(header)
    context = model_context(header)
    weight = like.data["weight"].to_numpy()
    rows = np.random.default_rng(seed).choice(len(weight), section.n_events, p=weight / weight.sum())
    at = like.array(column.name for column in context)[rows]
    found = draw(density, at, key=jax.random.key(seed))
    data = _weights(weight, section.n_events) | {c.name: values for c, values in zip(context, at.T, strict=True)}
    return (*context, *features), data | {c.name: values for c, values in zip(features, found.T, strict=True)}


@_made.register
def _smeared(section: SmearedEvents, density: AbstractDensity, header: dict, like: Table, seed: int) -> Made:
    """The first events of `like`, which must not weigh differently, with the joint data score of each feature."""
    if not isinstance(density, Diffusion):
        raise StudyError(f"smeared events have the noise of a diffusion, the model is a {header['kind']}.")
    if header["context"]:
        raise StudyError("smeared events are those of one density; train the diffusion without a context.")
    features, weight = model_features(header), like.data["weight"].to_numpy()
    if len(weight) < section.n_events:
        raise StudyError(f"{len(weight)} events came, expected {section.n_events}. Lower n_events.")
    clean = like.array(column.name for column in features)[: section.n_events]
    smear = partial(density.smeared, time=jnp.asarray(section.time))
    there, score = _in_batches(lambda x, key: smear(x, key=key), clean, key=jax.random.key(seed))
    data = {"weight": weight[: section.n_events] * weight.sum() / weight[: section.n_events].sum()}
    columns = list(features)
    for i, feature in enumerate(features):
        name = data_parameter(feature.name)
        joint, mean, variance = (c(name) for c in (joint_score_column, parton_score_column, flavour_variance_column))
        columns += [joint, mean, variance]
        data |= {feature.name: there[:, i], joint.name: score[:, i], mean.name: score[:, i]}
        data[variance.name] = np.zeros(section.n_events)
    return tuple(columns), data


def draw(
    density: AbstractDensity, context: Float[np.ndarray, "event context"], *, key: PRNGKeyArray
) -> Float[np.ndarray, "event feature"]:
    """An event at each context, in batches of one shape."""
    (found,) = _in_batches(lambda c, k: (density.sample(c, key=k),), context, key=key)
    return found


def _in_batches(
    function: Any, rows: Float[np.ndarray, "event value"], *, key: PRNGKeyArray
) -> tuple[Float[np.ndarray, "event value"], ...]:
    """`function` of every row and a key of its own."""

    @partial(jax.jit, compiler_options=WIDE if jax.default_backend() == "cpu" else {})
    def batch(rows: Array, number: Scalar) -> tuple[Features | Context, ...]:
        keys = jax.random.split(jax.random.fold_in(key, number), _BATCH)
        at_once = _IN_CACHE if jax.default_backend() == "cpu" else _BATCH
        found: tuple[Array, ...] = jax.lax.map(lambda pair: function(*pair), (rows, keys), batch_size=at_once)
        return found

    parts = []
    for number, first in enumerate(range(0, len(rows), _BATCH)):
        part = rows[first : first + _BATCH]
        padded = jnp.asarray(np.concatenate([part, np.repeat(part[:1], _BATCH - len(part), axis=0)]))
        parts.append([np.asarray(column)[: len(part)] for column in batch(padded, jnp.asarray(number))])
    return tuple(np.concatenate(column).astype(float) for column in zip(*parts, strict=True))


def _weights(weight: Float[np.ndarray, " event"], n_events: int) -> dict[str, np.ndarray]:
    return {"weight": np.full(n_events, weight.sum() / n_events)}
