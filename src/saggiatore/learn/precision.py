"""Single or double precision for a block of code: a posterior repeats a training as it was, in any job."""

import contextlib
from typing import Literal, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

Precision = Literal["float32", "float64"]
Tree = TypeVar("Tree")


def computing_in(precision: Precision | None) -> contextlib.AbstractContextManager[object]:
    """A block in which new arrays have `precision`; None leaves that of the process."""
    return jax.enable_x64(precision == "float64") if precision else contextlib.nullcontext()


def rounded(tree: Tree, precision: Precision | None) -> Tree:
    """The same with all arrays of numbers in `precision`, within a block that computes in it."""
    if precision is None:
        return tree
    numbers, rest = eqx.partition(tree, eqx.is_inexact_array)
    found: Tree = eqx.combine(jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf, precision)), numbers), rest)
    return found
