r"""What a score is worth: the Fisher information that it keeps.

The joint score t of the events carries the information I = E[t t^T] per event on the parameters, the most that anyone
could have who saw the whole event, latent variables included. (The score of the observables carries E[t*^2] <= E[t^2].)
A statistic s(x), used as an optimal observable, measures the parameter with the variance of the Cramer-Rao bound of the
information (dE[s]/dtheta)^2 / E[s^2] per event. At the events' own parameters dE[s]/dtheta = E[s t], so it keeps

    information = E[s t]^2 / (E[s^2] E[t^2])   <= 1,

which no rescaling of s changes: the slope of s against t is calibrated away in a fit, its noise is not. s is taken as
it is, not centred: a good score has E[s] = 0 like t. Only shapes count; t has no contribution of the total rate.
Sources: Brehmer et al., arXiv:1805.00013 (sec. IV); Butter et al., arXiv:2109.10414 (sec. 3).
"""

from collections.abc import Sequence

import numpy as np

from saggiatore.types import Float


def fisher_information(
    scores: Float[np.ndarray, "event theta"], weights: Float[np.ndarray, " event"]
) -> Float[np.ndarray, "theta theta"]:
    """Information per event, E[t t^T] with the events' weights."""
    return np.einsum("ei,ej,e->ij", scores, scores, weights) / weights.sum()


def score_terms(
    statistics: Float[np.ndarray, "event statistic"],
    parton_score: Float[np.ndarray, " event"],
    flavour_variance: Float[np.ndarray, " event"],
    weights: Float[np.ndarray, " event"],
) -> Float[np.ndarray, "event term"]:
    """What each event adds to the sums: w, w t^2, then w s t of every statistic, then w s^2 of every statistic.

    The joint score t enters through its mean and variance over flavours at the event's momenta: the same expectation
    as with the drawn flavour's, without its noise.
    """
    w, t, variance = weights[:, None], parton_score[:, None], flavour_variance[:, None]
    return np.concatenate([w, w * (t**2 + variance), w * statistics * t, w * statistics**2], axis=1)


def agreement_terms(
    statistics: Float[np.ndarray, "event statistic"],
    references: Sequence[int],
    weights: Float[np.ndarray, " event"],
) -> Float[np.ndarray, "event term"]:
    """What each event adds to the sums behind `score_terms`: w s r of every statistic, for each reference r in turn."""
    products = statistics[:, list(references), None] * statistics[:, None, :]
    return weights[:, None] * products.reshape(len(statistics), -1)


def mean_squared_score(sums: Float[np.ndarray, "replica term"]) -> Float[np.ndarray, " replica"]:
    """E[t^2]."""
    return sums[:, 1] / sums[:, 0]


def mean_squared_error(sums: Float[np.ndarray, "replica term"]) -> Float[np.ndarray, "replica statistic"]:
    """E[(s - t)^2] of each statistic."""
    cross, square = np.split(sums[:, 2:], 2, axis=1)
    return (square - 2 * cross + sums[:, 1:2]) / sums[:, :1]


def information_kept(sums: Float[np.ndarray, "replica term"]) -> Float[np.ndarray, "replica statistic"]:
    """E[s t]^2 / (E[s^2] E[t^2]) of each statistic."""
    cross, square = np.split(sums[:, 2:], 2, axis=1)
    return cross**2 / (square * sums[:, 1:2])


def information_behind(sums: Float[np.ndarray, "replica term"]) -> Float[np.ndarray, "replica statistic"]:
    """Information of the best statistic (best on the events as they are) minus that of each."""
    kept = information_kept(sums)
    return kept[:, [int(np.argmax(kept[0]))]] - kept


def agreement(
    sums: Float[np.ndarray, "replica term"], n_statistics: int, references: Sequence[int]
) -> Float[np.ndarray, "replica quantity reference statistic"]:
    r"""Correlation and slope of every statistic with the joint score and, behind it, each reference.

    Correlations are not centred, $E[s r] / \sqrt{E[s^2] E[r^2]}$: with the joint score it is the root of the
    information kept. The slope of s along r is $E[s r] / E[r^2]$: below one, s is too flat; along the joint score that
    of a perfect score is the information kept.
    """
    cross, square, products = np.split(sums[:, 2:], [n_statistics, 2 * n_statistics], axis=1)
    sizes = np.concatenate([sums[:, 1:2], square[:, list(references)]], axis=1)[:, :, None]
    shared = np.concatenate([cross, products], axis=1).reshape(len(sums), -1, n_statistics)
    return np.stack([shared / np.sqrt(sizes * square[:, None]), shared / sizes], axis=1)
