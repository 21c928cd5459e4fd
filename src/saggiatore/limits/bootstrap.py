"""Bootstrap of quantities that are functions of sums over events, streamed.

Each event enters each replica with a Poisson(1) multiplicity (Chamandy et al. 2012): for many events this is Efron's
bootstrap without knowing their number beforehand. All sums of a replica share the multiplicities, so a difference of
two quantities on the same events has a paired error.
"""

from collections.abc import Callable

import numpy as np

from saggiatore.types import Float


class Bootstrap:
    """Sums of `n_terms` numbers an event, as they are and in `n_replicas` resamplings; memory is constant."""

    def __init__(self, n_replicas: int, n_terms: int, seed: int):
        self.sums = np.zeros((1 + n_replicas, n_terms))  # row 0: the events as they are
        self._random = np.random.default_rng(seed)

    def add(self, terms: Float[np.ndarray, "event term"]) -> None:
        """Add a batch of events."""
        multiplicity = self._random.poisson(1.0, (len(self.sums) - 1, len(terms)))
        self.sums[0] += terms.sum(axis=0)
        self.sums[1:] += multiplicity.astype(float) @ terms


def estimate(
    function: Callable[[Float[np.ndarray, "replica term"]], Float[np.ndarray, "replica *quantity"]],
    sums: Float[np.ndarray, "replica term"],
) -> tuple[Float[np.ndarray, "*quantity"], Float[np.ndarray, "*quantity"]]:
    """Value and bootstrap error of a function of the sums."""
    values = function(sums)
    return values[0], values[1:].std(axis=0, ddof=1)
