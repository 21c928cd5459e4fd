"""The tables that weigh scores: what information each keeps, and how it agrees with others."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from saggiatore.infer.batches import WEIGHT
from saggiatore.limits import fisher
from saggiatore.limits.bootstrap import estimate
from saggiatore.limits.statistic import Statistic
from saggiatore.tables import Column, TableSchema, read_header
from saggiatore.tasks.columns import joint_score_column

INFORMATION = TableSchema(
    "information",
    1,
    (
        Column("name", "1", "name of the score", kind="str"),
        Column(
            "kind",
            "1",
            "model, posterior (mean of its draws), exact, formula, form (refitted), histogram or sign",
            kind="str",
        ),
        Column("expression", "1", "sympy's srepr of the score; empty if it has none", kind="str"),
        Column("complexity", "1", "nodes of the expression; -1 if it has none", "complexity", "int"),
        Column("singular", "1", "part that leaves it without a value somewhere among the test events", kind="str"),
        Column("mse", "1", "E[(s - t)^2] over the test events, t the joint score", "MSE"),
        Column("mse_error", "1", "bootstrap error of mse"),
        Column("e_t2", "1", "E[t^2] of the same events: joint Fisher information per event", "$E[t^2]$"),
        Column("e_t2_error", "1", "bootstrap error of e_t2"),
        Column("information", "1", "share of the joint information, E[s t]^2 / (E[s^2] E[t^2])", "information kept"),
        Column("information_error", "1", "bootstrap error of information"),
        Column("behind", "1", "information of the best score minus this one's", "information behind the best"),
        Column("behind_error", "1", "bootstrap error of the difference, on the same events"),
    ),
)
AGREEMENT = TableSchema(
    "agreement",
    1,
    (
        Column("name", "1", "name of the score", kind="str"),
        Column("reference", "1", "joint_score, or the name of the score that it is held against", kind="str"),
        Column("correlation", "1", "E[s r] / sqrt(E[s^2] E[r^2]), r the reference", "correlation"),
        Column("correlation_error", "1", "bootstrap error of correlation"),
        Column("slope", "1", "E[s r] / E[r^2]: below one, the score is flatter than the reference", "slope"),
        Column("slope_error", "1", "bootstrap error of slope"),
    ),
)
JOINT = "joint_score"


def information_columns(statistics: Sequence[Statistic], sums: np.ndarray, singular: list[str]) -> dict[str, object]:
    """Columns of the table [information] from bootstrapped sums, of which those of `fisher.score_terms` come first."""
    sums = sums[:, : 2 + 2 * len(statistics)]
    mse, mse_error = estimate(fisher.mean_squared_error, sums)
    e_t2, e_t2_error = estimate(fisher.mean_squared_score, sums)
    kept, kept_error = estimate(fisher.information_kept, sums)
    behind, behind_error = estimate(fisher.information_behind, sums)
    return {
        "name": [statistic.name for statistic in statistics],
        "kind": [statistic.kind for statistic in statistics],
        "expression": [statistic.expression for statistic in statistics],
        "complexity": [statistic.complexity for statistic in statistics],
        "singular": singular,
        "mse": mse,
        "mse_error": mse_error,
        "e_t2": np.full(len(statistics), e_t2),
        "e_t2_error": np.full(len(statistics), e_t2_error),
        "information": kept,
        "information_error": kept_error,
        "behind": behind,
        "behind_error": behind_error,
    }


def agreement_columns(
    statistics: Sequence[Statistic], references: Sequence[int], sums: np.ndarray
) -> dict[str, object]:
    """Columns of the table [agreement]: all scores against the joint score, then against each reference."""
    found, error = estimate(lambda each: fisher.agreement(each, len(statistics), references), sums)
    names = [statistic.name for statistic in statistics]
    against = [JOINT, *(names[position] for position in references)]
    return {
        "name": names * len(against),
        "reference": np.repeat(against, len(names)).tolist(),
        "correlation": found[0].reshape(-1),
        "correlation_error": error[0].reshape(-1),
        "slope": found[1].reshape(-1),
        "slope_error": error[1].reshape(-1),
    }


def observable_columns(events: Path) -> list[Column]:
    """Columns of an event table that are observables: neither weight, nor parameters, nor scores, nor momenta."""
    schema, _ = read_header(events, "events")
    others = ("theta_", "joint_score_", "parton_score_", "flavour_variance_", "marginal_score_", "leg", "weight_")
    return [column for column in schema.columns if column.name != WEIGHT.name and not column.name.startswith(others)]


def scores_schema(
    test: Path, parameter: str, statistics: Sequence[Statistic], posteriors: Sequence[str] = ()
) -> TableSchema:
    """Observables of the test events, weight, joint score, every statistic, and the spread of posteriors."""
    truth = Column("joint_score", "1", joint_score_column(parameter).meaning, "joint score $t$")
    columns = [Column(f"score_{s.name}", "1", f"score of the {s.kind} {s.name}", s.name) for s in statistics]
    columns += [Column(f"spread_{name}", "1", f"standard deviation of score_{name} over draws") for name in posteriors]
    return TableSchema("scores", 1, (*observable_columns(test), WEIGHT, truth, *columns))
