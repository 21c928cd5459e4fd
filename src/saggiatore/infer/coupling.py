r"""The joint posterior of several scores: last layers that were drawn one by one, with the covariance between them.

Scores in several parameters are learned from the same events, and what the joint score of one misses of its mean goes
along with what that of another does, e.g. by the flavours that both do not see. Regressions whose residuals are
correlated are seemingly unrelated (Zellner, J. Am. Stat. Assoc. 57 (1962) 348). With u_k = h_k / sqrt(s_k v_k) in the
notation of `last_layer`, P_k = sum a u_k u_k^T + prior the precision of the weights of component k, and rho_kl the
correlation of the standardised residuals over events,

    cov(w_k, w_l) = rho_kl P_k^-1 (sum a u_k u_l^T) P_l^-1.

Draws of each component are independent unit normals z_k after a shift and P_k^1/2, up to the spread of the scales; they
are multiplied by the Cholesky factor of the correlations between them. Each component keeps its own posterior, and the
matrix is positive definite, being a Gram matrix times a matrix of correlations (Schur) plus the prior.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.errors import ModelError
from saggiatore.infer.base import drawn_weights
from saggiatore.infer.batches import Batch, padded
from saggiatore.infer.laplace import Basis, last_features, moments, sum_events, whiten
from saggiatore.infer.last_layer import LastLayerDraws, LastLayerSpec
from saggiatore.models.base import AbstractRegression
from saggiatore.tables import Table
from saggiatore.types import Array, Float

Batches = Callable[[], Iterator[Batch]]


class Drawn(NamedTuple):
    """A component: its network, its draws of the last layer, and the events that it was drawn from."""

    model: AbstractRegression
    draws: Table
    batches: Batches


class _Component(NamedTuple):
    """Weights of one component in coordinates in which its posterior is a unit normal."""

    basis: Basis
    mean: Float[np.ndarray, " weight"]  # of the draws, in the eigenbasis
    curvature: Float[np.ndarray, " weight"]  # of the posterior there
    noise_scale: float
    z: Float[np.ndarray, "draw weight"]

    def weights(self, z: Float[np.ndarray, "draw weight"]) -> Float[np.ndarray, "draw weight"]:
        """Weights of the last layer at coordinates `z`."""
        return (self.mean + z / np.sqrt(self.curvature)) @ np.asarray(self.basis.rotation).T


def coupled(components: Sequence[Drawn]) -> list[LastLayerDraws]:
    """The scores of all draws of each component, draw i of one belonging to draw i of another.

    Args:
        components: networks with draws of `last_layer`, as many of each; the batches hold the same events in one order.

    Raises:
        ModelError: if draws are of another method or number, or their prior is no Gaussian.
    """
    found = [_component(each) for each in components]
    if len({len(each.z) for each in found}) > 1:
        raise ModelError(f"posteriors of {[len(each.z) for each in found]} draws, expected as many of each component.")
    factor = np.linalg.cholesky(correlation(components, found))
    z = np.concatenate([each.z for each in found], axis=1) @ factor.T
    parts = np.split(z, np.cumsum([each.z.shape[1] for each in found])[:-1], axis=1)
    return [
        LastLayerDraws(drawn.model, jnp.asarray(each.weights(part)))
        for drawn, each, part in zip(components, found, parts, strict=True)
    ]


def _component(drawn: Drawn) -> _Component:
    method = dict(drawn.draws.provenance["method"])
    if method["kind"] != "last_layer" or method.get("prior", "gaussian") != "gaussian":
        raise ModelError(
            f"a posterior by {method['kind']} with the prior '{method.get('prior', 'gaussian')}', expected all by "
            "last_layer with a gaussian one, or all by as many replicas on bootstrapped events: the covariance between "
            "components is known for these. Leave is_coupled out."
        )
    spec = LastLayerSpec.model_validate(method)
    basis = whiten(sum_events(moments, drawn.model, drawn.batches()), spec.prior_scale)
    hyper = drawn.draws.data[["log_noise_scale", "log_prior_scale"]].to_numpy().mean(axis=0)
    curvature = np.asarray(basis.conditional(jnp.asarray(hyper))[1])
    weights = drawn_weights(drawn.draws, drawn.model.last_layer.size) @ np.asarray(basis.rotation)
    mean = weights.mean(axis=0)
    return _Component(basis, mean, curvature, float(np.exp(hyper[0])), (weights - mean) * np.sqrt(curvature))


class _Products(NamedTuple):
    """Sums over events of products between components, with the events' weights as they are."""

    features: Float[Array, "weight weight"]  # of all components, over the root of the noise
    residuals: Float[Array, "component component"]
    weight: Float[Array, ""]
    weight_squared: Float[Array, ""]


def correlation(components: Sequence[Drawn], found: Sequence[_Component]) -> Float[np.ndarray, "weight weight"]:
    """Of the coordinates of all components; each block on the diagonal is one."""
    models = [each.model for each in components]
    means = [jnp.asarray(each.weights(np.zeros((1, len(each.mean))))[0]) for each in found]
    total: _Products | None = None
    for batches in zip(*(each.batches() for each in components), strict=True):
        part = jax.tree.map(np.asarray, _products(models, means, [padded(batch) for batch in batches]))
        total = part if total is None else jax.tree.map(np.add, total, part)
    assert total is not None  # whiten refuses a table without events
    sizes = np.sqrt(np.diag(total.residuals))
    rho = total.residuals / np.outer(sizes, sizes)
    owner = np.repeat(np.arange(len(found)), [len(each.mean) for each in found])
    turn = [
        np.asarray(each.basis.rotation) / np.sqrt(each.curvature * each.noise_scale) for each in found
    ]  # from coordinates to weights, over the root of the noise's scale
    blocks = np.zeros((len(owner), len(owner)))
    for place, each in enumerate(turn):
        blocks[np.ix_(owner == place, owner == place)] = each
    gram = blocks.T @ total.features @ blocks * (total.weight / total.weight_squared)
    is_own = owner[:, None] == owner
    return np.where(is_own, np.eye(len(owner)), rho[np.ix_(owner, owner)] * gram)


@eqx.filter_jit
def _products(
    models: list[AbstractRegression], means: list[Float[Array, " weight"]], batches: list[Batch]
) -> _Products:
    a = jnp.asarray(batches[0].weight)
    features, residuals = [], []
    for model, mean, batch in zip(models, means, batches, strict=True):
        x = jnp.asarray(batch.features)
        h, deviation = jax.vmap(partial(last_features, model))(x), jnp.sqrt(jax.vmap(model.noise)(x))
        features.append(h / deviation[:, None])
        residuals.append((jnp.asarray(batch.score) - h @ mean) / deviation)
    u, r = jnp.concatenate(features, axis=1), jnp.stack(residuals, axis=1)
    return _Products((u.T * a) @ u, (r.T * a) @ r, jnp.sum(a), jnp.sum(a**2))
