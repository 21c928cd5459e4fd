r"""A triangular map of the unit hypercube: each coordinate by a density that depends on those before it.

$v_k = Q_k(z_k; v_1 \dots v_{k-1})$ with a quantile function Q: the Knothe-Rosenblatt map, which exists for every
density. A small network for each coordinate gives the logarithms of a frequency polygon (`polygon`). Both directions
evaluate every network once, side by side where v is known, one after the other where it is not. Before any training the
map is the identity. A point may have an axis of events behind its coordinates, as in `polygon`.
"""

from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.integrate import polygon
from saggiatore.types import Array, Float, PRNGKeyArray

Points = Float[Array, "dim *event"]
Values = Float[Array, "*event"]


class Layer(eqx.Module):
    """An affine map for each coordinate."""

    weight: Float[Array, "dim out in"]
    bias: Float[Array, "dim out"]


class Triangular(eqx.Module):
    """A density for each coordinate, given the coordinates before it."""

    layers: tuple[Layer, ...]

    @staticmethod
    def build(dim: int, width: int, depth: int, n_bins: int, *, key: PRNGKeyArray) -> "Triangular":
        """The identity, with `depth` hidden layers of `width` for each of `dim` coordinates."""
        sizes = [dim, *[width] * depth, n_bins + 1]
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))  # numpy has nothing to compile
        layers = []
        for i, (n_in, n_out) in enumerate(pairwise(sizes)):
            is_last = i == depth
            # the first coordinates have fewer inputs, hence their own variance
            n_used = np.maximum(np.arange(dim), 1)[:, None, None] if i == 0 else n_in
            normal = rng.normal(size=(dim, n_out, n_in)) * (2 / n_used) ** 0.5
            weight = np.zeros((dim, n_out, n_in)) if is_last else normal
            layers.append(Layer(jnp.asarray(weight), jnp.asarray(np.zeros((dim, n_out)))))
        return Triangular(tuple(layers))

    @property
    def dim(self) -> int:
        """Number of coordinates."""
        return self.layers[0].bias.shape[0]

    def forward(self, z: Points) -> tuple[Points, Values]:
        """Map z to v, with log|dv/dz|."""

        def step(v: Points, k: Array) -> tuple[Points, Values]:
            numbers = _network(jax.tree.map(lambda a: a[k], self.layers), v, k)
            value, log_slope = polygon.quantile(polygon.from_numbers(numbers), z[k])
            return v.at[k].set(value), log_slope

        v, logs = jax.lax.scan(step, jnp.zeros_like(z), jnp.arange(self.dim))
        return v, logs.sum(axis=0)

    def log_density(self, v: Points) -> Values:
        """Logarithm of the density at `v`: log|dz/dv| of the z that is mapped there."""

        def coordinate(layers: tuple[Layer, ...], k: Array, value: Values) -> Values:
            return polygon.log_density(polygon.from_numbers(_network(layers, v, k)), value)

        return jax.vmap(coordinate)(self.layers, jnp.arange(self.dim), v).sum(axis=0)


def _network(layers: tuple[Layer, ...], v: Points, k: Array) -> Float[Array, "knot *event"]:
    """The numbers of density `k`; the coordinates from `k` on are hidden from it."""
    ones = (1,) * (v.ndim - 1)
    hidden = jnp.where(jnp.arange(len(v)).reshape(-1, *ones) < k, 2 * v - 1, 0.0)
    for layer in layers[:-1]:
        hidden = jax.nn.silu(layer.weight @ hidden + layer.bias.reshape(-1, *ones))
    return layers[-1].weight @ hidden + layers[-1].bias.reshape(-1, *ones)
