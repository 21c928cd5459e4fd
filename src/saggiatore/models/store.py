"""Models on disk: one file, a JSON header line and then the leaves as NumPy arrays. Nothing in it can run code."""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.errors import ModelError, StudyError
from saggiatore.files import atomic
from saggiatore.models.base import AbstractModel
from saggiatore.registry import load

FORMAT = "saggiatore-leaves"
FORMAT_VERSION = 1
Tree = TypeVar("Tree")


def save(path: Path, model: AbstractModel, header: Mapping[str, Any]) -> None:
    """Write a model atomically.

    `header` holds kind, spec, features and context (lists of {name, unit, label}), parameters, task, precision and
    provenance; `load_model` needs the first four.
    """
    write_leaves(path, model, header)


def load_model(path: Path) -> tuple[Any, dict]:
    """Model and header of a file; the leaves take the precision of the running process.

    Raises:
        ModelError: if the file is missing, damaged or not a model.
    """
    header, body = _read(path)
    try:
        spec = load("model", header["kind"]).model_validate(header["spec"])
        names = tuple(tuple(column["name"] for column in header[field]) for field in ("features", "context"))
        skeleton = eqx.filter_eval_shape(spec.build, *names, key=jax.random.key(0))
    except (KeyError, TypeError, ValueError, StudyError) as error:
        raise ModelError(f"{path}: its header builds no model ({error}). Re-run the rule `models`.") from None
    return _fill(path, body, skeleton), header


def write_leaves(path: Path, tree: object, header: Mapping[str, Any]) -> None:
    """Write the arrays of `tree` after a header line that carries their SHA-256."""
    body = io.BytesIO()
    eqx.tree_serialise_leaves(body, tree)
    content = body.getvalue()
    own = {"format": FORMAT, "format_version": FORMAT_VERSION, "sha256": hashlib.sha256(content).hexdigest()}
    line = json.dumps({**header, **own}, sort_keys=True, allow_nan=False)
    with atomic(path) as temporary, open(temporary, "wb") as stream:
        stream.write(line.encode() + b"\n" + content)


def read_leaves(path: Path, like: Tree) -> tuple[Tree, dict]:
    """Arrays of a file in the structure of `like`, and the header.

    Raises:
        ModelError: if the file is missing or damaged, or its arrays are not those of `like`.
    """
    header, body = _read(path)
    return _fill(path, body, like), header


def _read(path: Path) -> tuple[dict, bytes]:
    try:
        line, _, body = Path(path).read_bytes().partition(b"\n")
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}). Check the path, or run the rule.") from None
    try:
        header = json.loads(line)
        found = header["format"], header["format_version"]
    except (ValueError, KeyError, TypeError):
        raise ModelError(
            f"{path}: no header of a model; expected a file made by the rule `models`.", damaged=Path(path)
        ) from None
    if found != (FORMAT, FORMAT_VERSION):
        raise ModelError(f"{path}: format {found}, expected {(FORMAT, FORMAT_VERSION)}. Re-run the rule `models`.")
    if hashlib.sha256(body).hexdigest() != header.get("sha256"):
        raise ModelError(
            f"{path}: damaged: its content does not have the SHA-256 of its header. Copy or make it again.",
            damaged=Path(path),
        )
    return header, body


def _fill(path: Path, body: bytes, like: Tree) -> Tree:
    stream = io.BytesIO(body)
    try:
        filled: Tree = eqx.tree_deserialise_leaves(stream, like, filter_spec=_leaf)
        rest = stream.read(1)
    except (ValueError, EOFError, RuntimeError) as error:
        raise ModelError(f"{path}: its arrays are not those of its header ({error}). Re-run the rule.") from None
    if rest:
        raise ModelError(f"{path}: holds more arrays than its header says. Re-run the rule.")
    return filled


def _leaf(stream: BinaryIO, like: Any) -> Any:
    if not isinstance(like, jax.Array | jax.ShapeDtypeStruct):
        return eqx.default_deserialise_filter_spec(stream, like)
    value = np.load(stream, allow_pickle=False)
    if value.shape != like.shape or value.dtype.kind != np.dtype(like.dtype).kind:
        raise ValueError(f"an array {value.dtype}{value.shape} where {like.dtype}{like.shape} was expected")
    return jnp.asarray(value, like.dtype)
