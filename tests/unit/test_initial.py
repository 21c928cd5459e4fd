"""Initial weights are those that jax would draw, bit by bit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.random import threefry2x32_p

from saggiatore.compilation import ONCE_AND_SHORT
from saggiatore.models.initial import initial, threefry


def weights(features: tuple[str, ...], context: tuple[str, ...], *, key: jax.Array) -> jax.Array:
    one, other = jax.random.split(key)
    return jnp.append(jax.random.uniform(one, (3,)), jax.random.normal(jax.random.fold_in(other, 5)))


def test_one_key_or_many_give_what_jax_draws():
    keys = jax.random.split(jax.random.key(3), 2)
    plain = jax.jit(jax.vmap(lambda key: weights((), (), key=key)), compiler_options=ONCE_AND_SHORT)(keys)
    many = initial(lambda *names, key: jax.vmap(lambda k: weights((), (), key=k))(key), (), (), key=keys)
    np.testing.assert_array_equal(many, plain)
    np.testing.assert_array_equal(initial(weights, (), (), key=keys[0]), plain[0])


@pytest.mark.parametrize("count", [0, 2**31 + 5])
def test_random_words_are_those_of_jax(count):
    key, first, second = np.array([11, 2**32 - 3], np.uint32), np.array([1, 2], np.uint32), np.array([count, 9])
    second = second.astype(np.uint32)
    expected = threefry2x32_p.bind(*map(jnp.asarray, (key[:1].repeat(2), key[1:].repeat(2), first, second)))
    np.testing.assert_array_equal(threefry(key, first, second), expected)
