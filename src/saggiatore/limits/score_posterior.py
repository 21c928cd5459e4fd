r"""What a posterior says about a score: its mean over the draws, its spread, and what a single draw is worth.

The score of a conditional density is $\partial_\theta \log p(x|\theta)$; each draw of the density's weights has one.
The spread over the draws, event by event, is the statistical error of the score; the spread of the information that a
draw keeps is the error of what one training is worth.
"""

from collections.abc import Callable

import numpy as np

from saggiatore.limits import fisher
from saggiatore.limits.statistic import Columns, Statistic
from saggiatore.tables import Column, TableSchema
from saggiatore.types import Float

Draws = Float[np.ndarray, "event draw"]
SCORE_POSTERIORS = TableSchema(
    "score_posteriors",
    1,
    (
        Column("name", "1", "name of the posterior", kind="str"),
        Column("n_draws", "1", "draws of the weights", kind="int"),
        Column("information", "1", "share of the joint information that one draw keeps, mean over draws"),
        Column("information_std", "1", "its standard deviation over draws"),
        Column("correlation", "1", "correlation of one draw with the joint score, mean over draws"),
        Column("correlation_std", "1", "its standard deviation over draws"),
        Column("slope", "1", "slope of one draw along the joint score, mean over draws"),
        Column("slope_std", "1", "its standard deviation over draws"),
        Column("spread", "1", "root mean square over events of the standard deviation over draws, over that of t"),
    ),
)
ERROR = Column("error", "1", "root mean square of mean over draws minus exact score, over that of the joint score t")


class ScorePosterior:
    """The scores of all draws, and the sums over test events that its row of the table is made of.

    Args:
        name: of the mean over draws among the statistics.
        draws: scores of events by every draw.
    """

    def __init__(self, name: str, draws: Callable[[Columns], Draws]):
        self._name, self._draws = name, draws
        self._sums: np.ndarray = np.zeros(1)
        self._squares = np.zeros(2)  # spread squared, error squared
        self._n_draws = 0

    @property
    def statistic(self) -> Statistic:
        """The mean over draws."""
        return Statistic(self._name, "posterior", lambda events: self._draws(events).mean(axis=1))

    def add(
        self,
        events: Columns,
        parton_score: Float[np.ndarray, " event"],
        flavour_variance: Float[np.ndarray, " event"],
        weight: Float[np.ndarray, " event"],
        exact: Float[np.ndarray, " event"] | None,
    ) -> tuple[Float[np.ndarray, " event"], Float[np.ndarray, " event"]]:
        """Add a batch of test events; mean and standard deviation over draws of each."""
        drawn = self._draws(events)
        mean, spread = drawn.mean(axis=1), drawn.std(axis=1, ddof=1)
        self._n_draws = drawn.shape[1]
        self._sums = self._sums + fisher.score_terms(drawn, parton_score, flavour_variance, weight).sum(axis=0)
        error = 0.0 if exact is None else weight @ (mean - exact) ** 2
        self._squares += np.array([weight @ spread**2, error])
        return mean, spread

    def row(self) -> dict[str, object]:
        """The row of the table, its error as well."""
        sums = self._sums[None]
        correlation, slope = fisher.agreement(sums, self._n_draws, ())[0][:, 0]
        each = {"information": fisher.information_kept(sums)[0], "correlation": correlation, "slope": slope}
        found: dict[str, object] = {"name": self._name, "n_draws": self._n_draws}
        for name, values in each.items():
            found |= {name: values.mean(), f"{name}_std": values.std(ddof=1)}
        spread, error = np.sqrt(self._squares / self._sums[1])
        return found | {"spread": spread, ERROR.name: error}
