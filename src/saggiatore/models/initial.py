"""Random initial weights in a fraction of a second: NumPy works out the random bits, XLA compiles what reads them.

A network draws each array with a key of its own, and a compiler turns every draw into some hundred operations: that
takes as long as half of a short training. The bits are those of `jax.random`, Threefry-2x32 (Salmon et al., SC'11,
doi:10.1145/2063384.2063405) counted as in ``jax_threefry_partitionable``: a model is the same with either, bit by bit.
"""

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.random import define_prng_impl

from saggiatore.compilation import ONCE_AND_SHORT
from saggiatore.models.base import AbstractModel
from saggiatore.types import Array, PRNGKeyArray

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)
Words = np.ndarray  # unsigned integers of 32 bits


def initial(
    build: Callable[..., AbstractModel], features: tuple[str, ...], context: tuple[str, ...], *, key: PRNGKeyArray
) -> AbstractModel:
    """The model that a spec's `build` makes of a key of jax's default kind, quickly."""
    key = jax.random.wrap_key_data(jax.random.key_data(key), impl=_THREEFRY)
    # equinox passes on jax.jit's options, its overloads do not say so
    quick = eqx.filter_jit(build, compiler_options=ONCE_AND_SHORT)  # type: ignore[call-overload]
    model: AbstractModel = quick(features, context, key=key)
    return model


def threefry(key: Words, first: Words, second: Words) -> tuple[Words, Words]:
    """Threefry-2x32 with 20 rounds: pairs of counts to pairs of random words; `key` has two words on its last axis."""
    words = [np.asarray(word)[..., None] for word in (key[..., 0], key[..., 1], key[..., 0] ^ key[..., 1] ^ _PARITY)]
    first, second = first + words[0], second + words[1]
    for group in range(5):
        for turn in _ROTATIONS[group % 2]:
            first = first + second
            second = first ^ ((second << np.uint32(turn)) | (second >> np.uint32(32 - turn)))
        first = first + words[(group + 1) % 3]
        second = second + words[(group + 2) % 3] + np.uint32(group + 1)
    return first, second


def _counted(shape: tuple[int, ...], key: Words) -> tuple[Words, Words]:
    """Two random words for each entry of an array."""
    count = np.arange(np.prod(shape, dtype=np.uint64), dtype=np.uint64)
    return threefry(np.asarray(key), (count >> np.uint64(32)).astype(np.uint32), count.astype(np.uint32))


def _bits(bit_width: int, shape: tuple[int, ...], key: Words) -> np.ndarray:
    first, second = _counted(shape, key)
    found = first.astype(np.uint64) << np.uint64(32) | second if bit_width == 64 else first ^ second
    return found.reshape((*np.shape(key)[:-1], *shape))


def _keys(shape: tuple[int, ...], key: Words) -> Words:
    return np.stack(_counted(shape, key), axis=-1).reshape((*np.shape(key)[:-1], *shape, 2))


def _random_bits(key: Array, bit_width: int, shape: tuple[int, ...]) -> Array:
    assert bit_width in (32, 64)
    like = jax.ShapeDtypeStruct(shape, np.dtype(f"uint{bit_width}"))
    bits: Array = jax.pure_callback(partial(_bits, bit_width, shape), like, key, vmap_method="broadcast_all")
    return bits


def _split(key: Array, shape: tuple[int, ...]) -> Array:
    like = jax.ShapeDtypeStruct((*shape, 2), np.uint32)
    keys: Array = jax.pure_callback(partial(_keys, shape), like, key, vmap_method="broadcast_all")
    return keys


def _seed(seed: Array) -> Array:
    return jax.random.key_data(jax.random.key(seed))


def _fold_in(key: Array, number: int) -> Array:
    return jax.random.key_data(jax.random.fold_in(jax.random.wrap_key_data(jnp.asarray(key)), number))


_THREEFRY = define_prng_impl(
    key_shape=(2,),
    seed=_seed,
    split=_split,
    random_bits=_random_bits,
    fold_in=_fold_in,
    name="threefry2x32 by NumPy",
    tag="numpy",
)
