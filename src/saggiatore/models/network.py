"""The variance of a regression: a network, two layers of tanh of half the width of the mean's, or a number."""

import equinox as eqx
import jax.numpy as jnp

from saggiatore.types import Array, Float, PRNGKeyArray, Scalar

_END = 20.0  # from here on tanh is one to the last digit, in double precision too


def variance_network(n_inputs: int, width: int, *, key: PRNGKeyArray) -> eqx.nn.MLP:
    """A network from `n_inputs` numbers to the logarithm of a variance, beside one of the mean of that `width`."""
    return eqx.nn.MLP(n_inputs, "scalar", max(width // 2, 1), 2, jnp.tanh, key=key)


def while_trained(network: eqx.nn.MLP) -> eqx.nn.MLP:
    """The same network, bit by bit in a training, whose program compiles and runs faster.

    Elsewhere it would be fused with other things, and round in other places: posteriors would change.
    """
    return eqx.tree_at(lambda net: net.activation, network, _tanh)


class ConstantVariance(eqx.Module):
    """One logarithm of the variance for all events."""

    log: Scalar

    def __call__(self, inputs: Float[Array, " input"]) -> Scalar:
        return self.log


def _tanh(x: Array) -> Array:
    """tanh, bit by bit: of a layer of 32 LLVM would unroll it, for 0.1 s a layer, were it cheap enough to be tempting.

    Unrolled it also takes twice as long to run.
    """
    return jnp.tanh(jnp.clip(x, -_END, _END))
