"""A training, or Markov chains, that were interrupted: all that is needed to go on as if nothing had happened."""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import equinox as eqx
import jax
import numpy as np

from saggiatore.errors import ModelError
from saggiatore.models.store import read_leaves, write_leaves

State = TypeVar("State")
log = logging.getLogger(__name__)


def save_checkpoint(path: Path, state: object, identity: str, progress: Mapping[str, Any]) -> None:
    """Write `state` (arrays) and `progress` (plain numbers) atomically; `identity` names the job it belongs to."""
    write_leaves(path, state, {"identity": identity, "progress": dict(progress)})


def load_checkpoint(path: Path | None, like: State, identity: str) -> tuple[State, dict] | None:
    """State and progress, or None where there is nothing to go on from.

    A checkpoint of another job (other data, spec or code) or a damaged one is left alone with a note in the log:
    the job starts anew and overwrites it.
    """
    if path is None or not path.exists():
        return None
    try:
        state, header = read_leaves(path, like)
    except ModelError as error:
        log.warning("starting anew: %s", error)
        return None
    if header["identity"] != identity:
        log.warning("starting anew: %s belongs to a job with other data, spec or code.", path)
        return None
    return state, header["progress"]


def identity_of(tree: object, text: str) -> str:
    """SHA-256 of `text` and of all arrays of a tree, random keys included."""
    digest = hashlib.sha256(text.encode())
    for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array)):
        is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        digest.update(np.asarray(jax.random.key_data(leaf) if is_key else leaf).tobytes())
    return digest.hexdigest()
