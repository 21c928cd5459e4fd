r"""The posterior predictive of a density: points that stand for each draw's density, and what lies in a bin.

A point x_i carries one share for each draw d, such that the integral of g over the density p_d is
sum_i share_di g(x_i). Where a histogram spans all features of a model, the points are those of Gauss-Legendre rules in
its bins, and share_di = volume_i p_d(x_i): nothing is random. Else they are M events of the predictive
$\bar p = \langle p_d\rangle$, as many from each draw, and share_di = p_d(x_i) / (M \bar p(x_i)): events with one weight
a draw, which are bounded by the number of draws and are nearly one where the posterior is narrow, so that differences
between draws are known far better than counts of their own events would be.
"""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp

from saggiatore.errors import StudyError
from saggiatore.infer.density_draws import DensityDraws
from saggiatore.types import Float, PRNGKeyArray

_BLOCK = 4096  # points that are evaluated at once
_N_NODES = 128  # points of the rules along a feature, at least, in all its bins
_N_NODES_BIN = 4  # in each bin, at least

Edges = Float[np.ndarray, " edge"]


class Points(NamedTuple):
    """Points with one share for each draw; `n_sampled` is 0 where nothing is random."""

    features: Float[np.ndarray, "point feature"]
    shares: Float[np.ndarray, "draw point"]
    n_sampled: int


class Bins(NamedTuple):
    """Probability of each bin: mean and standard deviation over the posterior, and the mean's sampling error."""

    mean: Float[np.ndarray, " bin"]
    std: Float[np.ndarray, " bin"]
    sampling_error: Float[np.ndarray, " bin"]


def nodes(edges: Sequence[Edges]) -> tuple[Float[np.ndarray, "point feature"], Float[np.ndarray, " point"]]:
    """Points of Gauss-Legendre rules in the bins along every feature, and the volume that each stands for."""
    rules = [_rule(each) for each in edges]
    places = np.meshgrid(*(x for x, _ in rules), indexing="ij")
    volumes = np.meshgrid(*(w for _, w in rules), indexing="ij")
    return np.stack(places, axis=-1).reshape(-1, len(rules)), np.prod(volumes, axis=0).reshape(-1)


def _rule(edges: Edges) -> tuple[np.ndarray, np.ndarray]:
    n = max(_N_NODES_BIN, -(-_N_NODES // (len(edges) - 1)))
    x, w = np.polynomial.legendre.leggauss(n)
    half, middle = np.diff(edges) / 2, (edges[1:] + edges[:-1]) / 2
    return (middle[:, None] + half[:, None] * x).reshape(-1), (half[:, None] * w).reshape(-1)


def by_quadrature(draws: DensityDraws, edges: Sequence[Edges], context: Sequence[float] = ()) -> Points:
    """Points of a density, at its context if it has one, in bins along all its features, in the model's order."""
    features, volume = nodes(edges)
    log_prob = _log_prob(draws, features, np.broadcast_to(context, (len(features), len(context))))
    return Points(features, volume * np.exp(log_prob), 0)


def by_sampling(
    draws: DensityDraws, context: Float[np.ndarray, "event context"], n_events: int, *, key: PRNGKeyArray
) -> Points:
    """Events of the predictive, their contexts drawn from those that are given."""
    n_each = -(-n_events // draws.n_draws)
    at, to_events = jax.random.split(key)
    rows = jax.random.randint(at, (draws.n_draws, n_each), 0, len(context))
    contexts = jnp.asarray(context)[rows]
    features = np.asarray(eqx.filter_jit(draws.sample)(contexts, key=to_events))
    log_prob = _log_prob(draws, features, np.asarray(contexts).reshape(len(features), -1))
    log_mean = np.asarray(logsumexp(log_prob, axis=0)) - np.log(draws.n_draws)
    return Points(features, np.exp(log_prob - log_mean) / len(features), len(features))


def _log_prob(
    draws: DensityDraws, features: Float[np.ndarray, "point feature"], context: Float[np.ndarray, "point context"]
) -> Float[np.ndarray, "draw point"]:
    evaluate, n_points = eqx.filter_jit(draws.log_prob), len(features)
    parts = []
    for first in range(0, n_points, _BLOCK):
        rows = np.arange(first, first + _BLOCK) % n_points  # one shape: the last block begins again
        parts.append(np.asarray(evaluate(jnp.asarray(features[rows]), jnp.asarray(context[rows])), dtype=float))
    return np.concatenate(parts, axis=1)[:, :n_points]


def in_bins(points: Points, positions: Sequence[int], edges: Sequence[Edges]) -> Bins:
    """Probabilities of the bins along the features at `positions`, the last of them running fastest."""
    columns = points.features[:, list(positions)]
    each = np.stack([np.histogramdd(columns, edges, weights=share)[0].reshape(-1) for share in points.shares])
    mean = each.mean(axis=0)
    sampling = np.sqrt(mean * (1 - mean) / points.n_sampled) if points.n_sampled else np.zeros_like(mean)
    return Bins(mean, each.std(axis=0, ddof=1), sampling)


def averaged(bins: Sequence[Bins]) -> tuple[Bins, Float[np.ndarray, " bin"]]:
    """Bins at several values of a nuisance: their mean, and the standard deviation of the means over the values.

    The mean has the variance over the posterior that it has on average.
    """
    mean, std, sampling = (np.stack(each) for each in zip(*bins, strict=True))
    found = Bins(mean.mean(axis=0), np.sqrt((std**2).mean(axis=0)), np.sqrt((sampling**2).sum(axis=0)) / len(bins))
    return found, mean.std(axis=0, ddof=1)


def polynomial_std(
    edges: Sequence[Edges], truth: Float[np.ndarray, " bin"], n_events: float, degree: int
) -> Float[np.ndarray, " bin"]:
    r"""Standard deviation of each bin's probability by a fit to `n_events` events: truth plus a polynomial.

    The polynomial has no integral, so that `degree` coefficients are free, along the one feature with several bins.
    With the counts' Poisson errors their covariance is $C = (A^T V^{-1} A)^{-1}$, for A the integrals over the bins
    and V = truth/n_events, and the bins' is $A C A^T$ (the reasoning of arXiv:2104.04543, sec. 3.1).

    Raises:
        StudyError: if several features have several bins, or there are no more bins than coefficients.
    """
    free = [each for each in edges if len(each) > 2]
    if len(free) != 1 or len(truth) <= degree:
        raise StudyError(
            f"fit_degrees: a polynomial of degree {degree} is fitted along one feature with more bins than that; "
            f"{len(free)} features have several bins, of which there are {len(truth)}."
        )
    scaled = np.interp(free[0], free[0][[0, -1]], [-1.0, 1.0])
    integrals = [np.diff(np.polynomial.Legendre.basis(k).integ()(scaled)) for k in range(1, degree + 1)]
    basis = np.stack(integrals, axis=1)
    covariance = np.linalg.inv(basis.T @ (basis * (n_events / truth)[:, None]))
    return np.sqrt(np.einsum("bi,ij,bj->b", basis, covariance, basis))
