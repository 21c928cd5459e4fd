r"""What a likelihood ratio is: a model of log r(x | theta) = log p(x | theta) / p(x | 0), zero at theta = 0."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.compilation import fill
from saggiatore.models.base import AbstractModel
from saggiatore.types import Array, Features, Float, Scalar, Theta

_BATCH = 4096


class AbstractRatio(AbstractModel):
    """A likelihood ratio to theta = 0, parameterised in theta; its gradient there is the score."""

    @property
    @abc.abstractmethod
    def scale(self) -> Theta:
        """Root mean square of each parameter over the training events: its natural unit."""

    @abc.abstractmethod
    def log_ratio(self, features: Features, theta: Theta) -> Scalar:
        """Logarithm of p(x | theta) / p(x | 0)."""

    def score(self, features: Features) -> Theta:
        """Gradient of log r at theta = 0."""
        return jax.grad(self.log_ratio, argnums=1)(features, jnp.zeros_like(self.scale))


def log_ratios_at(
    model: AbstractRatio, features: Float[np.ndarray, "event feature"], theta: Theta
) -> Float[np.ndarray, " event"]:
    """log r of many events at one theta, in batches of one shape."""
    blocks = (features[first : first + _BATCH] for first in range(0, len(features), _BATCH))
    parts = [
        np.asarray(_log_ratios(model, jnp.asarray(fill(block, _BATCH)), theta), float)[: len(block)] for block in blocks
    ]
    return np.concatenate(parts)


@eqx.filter_jit
def _log_ratios(model: AbstractRatio, features: Float[Array, "event feature"], theta: Theta) -> Float[Array, " event"]:
    return jax.vmap(model.log_ratio, (0, None))(features, theta)
