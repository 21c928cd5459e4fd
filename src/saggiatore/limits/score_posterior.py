r"""What a posterior says about a score: its mean over the draws, its spread, and what a single draw is worth.

The score of a conditional density is $\partial_\theta \log p(x|\theta)$; each draw of the density's weights has one.
The spread over the draws, event by event, is the statistical error of the score; the spread of the information that a
draw keeps is the error of what one training is worth. Where the events carry the exact score the stated error is held
against the true one: pulls are (mean - exact)/spread.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from saggiatore.limits import fisher
from saggiatore.limits.information import JOINT
from saggiatore.limits.statistic import Columns, Statistic
from saggiatore.tables import Column, TableSchema
from saggiatore.types import Float

Draws = Float[np.ndarray, "event draw"]
SCORE_POSTERIORS = TableSchema(
    "score_posteriors",
    2,
    (
        Column("name", "1", "name of the posterior", kind="str"),
        Column("reference", "1", "joint_score, or the name of the score that draws are held against", kind="str"),
        Column("n_draws", "1", "draws of the weights", kind="int"),
        Column("information", "1", "share of the joint information that one draw keeps, mean over draws"),
        Column("information_std", "1", "its standard deviation over draws"),
        Column("correlation", "1", "correlation of one draw with the reference, mean over draws"),
        Column("correlation_std", "1", "its standard deviation over draws"),
        Column("slope", "1", "slope of one draw along the reference, mean over draws"),
        Column("slope_std", "1", "its standard deviation over draws"),
        Column("spread", "1", "root mean square over events of the standard deviation over draws, over that of t"),
    ),
)
WITH_EXACT = (
    Column("error", "1", "root mean square of mean over draws minus exact score, over that of the joint score t"),
    Column("within_1", "1", "share of the events whose exact score is less than one spread from the mean"),
    Column("within_2", "1", "the same for two spreads; 0.683 and 0.954 of a normal distribution with many draws"),
)


def posteriors_table(
    posteriors: Sequence["ScorePosterior"], references: Sequence[str], has_exact: bool
) -> tuple[TableSchema, dict[str, list]]:
    """The table [score_posteriors] of several, with the columns [WITH_EXACT] where events carry the exact score."""
    rows = [row for posterior in posteriors for row in posterior.rows(references)]
    columns = (*SCORE_POSTERIORS.columns, *(WITH_EXACT if has_exact else ()))
    schema = TableSchema(SCORE_POSTERIORS.name, SCORE_POSTERIORS.version, columns)
    return schema, {column.name: [row[column.name] for row in rows] for column in columns}


class JointScore(NamedTuple):
    """The joint score of a batch of events: its mean and variance over flavours, and the events' weights."""

    mean: Float[np.ndarray, " event"]
    variance: Float[np.ndarray, " event"]
    weight: Float[np.ndarray, " event"]


class ScorePosterior:
    """The scores of all draws, and the sums over test events that its rows of the table are made of.

    Args:
        name: of the mean over draws among the statistics.
        draws: scores of events by every draw.
    """

    def __init__(self, name: str, draws: Callable[[Columns], Draws]):
        self.draws = draws
        self._name = name
        self._sums: np.ndarray = np.zeros(1)
        self._against_exact = np.zeros(4)  # spread squared, error squared, events within one and two spreads
        self._n_draws = 0

    @property
    def statistic(self) -> Statistic:
        """The mean over draws."""
        return Statistic(self._name, "posterior", lambda events: self.draws(events).mean(axis=1))

    def add(
        self,
        drawn: Draws,
        references: Float[np.ndarray, "event reference"],
        joint: JointScore,
        exact: Float[np.ndarray, " event"] | None,
    ) -> Float[np.ndarray, " event"]:
        """Add the draws of a batch of test events; the standard deviation over draws of each."""
        mean, spread = drawn.mean(axis=1), drawn.std(axis=1, ddof=1)
        self._n_draws = drawn.shape[1]
        scores = np.concatenate([drawn, references], axis=1)
        terms = fisher.score_terms(scores, joint.mean, joint.variance, joint.weight)
        products = fisher.agreement_terms(scores, range(self._n_draws, scores.shape[1]), joint.weight)
        self._sums = self._sums + np.concatenate([terms, products], axis=1).sum(axis=0)
        away = np.zeros_like(mean) if exact is None else np.abs(mean - exact)
        self._against_exact += joint.weight @ np.stack([spread**2, away**2, away < spread, away < 2 * spread], axis=1)
        return spread

    def rows(self, references: Sequence[str]) -> Iterator[dict[str, object]]:
        """Rows of the table against the joint score and each reference, with the columns [WITH_EXACT]."""
        sums, n = self._sums[None], self._n_draws
        n_scores = n + len(references)
        kept = fisher.information_kept(sums[:, : 2 + 2 * n_scores])[0, :n]
        found = fisher.agreement(sums, n_scores, range(n, n_scores))[0, :, :, :n]
        spread, error, *within = self._against_exact / self._sums[[1, 1, 0, 0]]
        exact = dict(zip((column.name for column in WITH_EXACT), (error**0.5, *within), strict=True))
        for reference, (correlation, slope) in zip((JOINT, *references), np.swapaxes(found, 0, 1), strict=True):
            row: dict[str, object] = {"name": self._name, "reference": reference, "n_draws": n}
            for name, values in (("information", kept), ("correlation", correlation), ("slope", slope)):
                row |= {name: values.mean(), f"{name}_std": values.std(ddof=1)}
            yield row | {"spread": spread**0.5} | exact
