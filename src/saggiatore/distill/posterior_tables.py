"""The tables that a posterior over formulas is archived in."""

from collections.abc import Mapping, Sequence

import numpy as np
import sympy

from saggiatore.distill.expression import complexity
from saggiatore.distill.formula_posterior import Found, fraction_error
from saggiatore.distill.latex import latex, quantity
from saggiatore.tables import Column, TableSchema
from saggiatore.tabular import tabular

_NUMBER = Column("structure", "1", "number of the structure, the most probable first", kind="int")
STRUCTURES = TableSchema(
    "structures",
    1,
    (
        _NUMBER,
        Column("text", "1", "the structure; each k is a constant of its own", kind="str"),
        Column("form", "1", "its simplest form, with named constants", kind="str"),
        Column("expression", "1", "sympy's srepr of that form, its constants at their means", kind="str"),
        Column("latex", "1", "the same, its constants with their errors, in LaTeX", kind="str"),
        Column("complexity", "1", "nodes of that form: constants, variables and operators", "complexity", "int"),
        Column("n_free", "1", "independent directions of its constants", kind="int"),
        Column("n_draws", "1", "draws whose own search and selection ended in the structure", kind="int"),
        Column("probability", "1", "fraction of the draws", "probability"),
        Column("probability_error", "1", "its binomial error (Jeffreys)"),
        Column("probability_pooled", "1", "the same, every draw choosing among all structures on resampled events"),
        Column("probability_pooled_error", "1", "its binomial error (Jeffreys, n the draws)"),
        Column("mse_select", "1", "mean squared distance from the joint score of the held-out events", "MSE"),
        Column("mse_select_error", "1", "standard error of mse_select"),
        Column("information_select", "1", "share of the joint information on the same events", "information kept"),
        Column("information_select_error", "1", "standard error of information_select"),
        Column("is_formula", "1", "1 for the structure of the section's formula", kind="int"),
    ),
)
CONSTANTS = TableSchema(
    "constants",
    1,
    (
        _NUMBER,
        Column("name", "1", "name of the constant in the structure's form", kind="str"),
        Column("value", "1", "mean over the posterior"),
        Column("error", "1", "standard deviation: spread over the posterior and error of the fit together"),
        Column("error_draws", "1", "the spread over the posterior alone"),
        Column("error_refit", "1", "the error of the fit at fixed score alone"),
    ),
)
COVARIANCES = TableSchema(
    "covariances",
    1,
    (
        _NUMBER,
        Column("first", "1", "name of a constant", kind="str"),
        Column("second", "1", "name of a constant", kind="str"),
        Column("covariance_draws", "1", "covariance over the posterior"),
        Column("covariance_refit", "1", "covariance of the fit at fixed score"),
    ),
)
DRAWN = TableSchema(
    "drawn",
    1,
    (
        Column("chain", "1", "number of the Markov chain", kind="int"),
        Column("draw", "1", "number of the draw in its chain", kind="int"),
        Column(
            "structure",
            "1",
            "number of the structure that it distils to; -1 if left out",
            kind="int",
        ),
        Column("structure_pooled", "1", "number of the one that it chooses among all; -1 if left out", kind="int"),
        Column("complexity", "1", "nodes of the formula that it found", "complexity", "int"),
        Column("expression", "1", "sympy's srepr of it, its constants fitted to the draw's score", kind="str"),
        Column("mse_select", "1", "its mean squared distance from the joint score of the held-out events", "MSE"),
        Column("mse_select_error", "1", "standard error of mse_select"),
    ),
)
BAND = (
    Column("score", "1", "posterior mean of the network's score", r"$\hat t$"),
    Column("var_stat", "1", "variance of the network's score over the posterior"),
    Column("mean", "1", "mean of the formulas over structures and constants"),
    Column("var_draws", "1", "variance of the formulas by their constants, over the posterior"),
    Column("var_refit", "1", "variance of the formulas by their constants, at fixed score"),
    Column("var_structure", "1", "variance of the formulas between structures"),
)


def structures_columns(found: Sequence[Found], n_draws: int, labels: Mapping[str, str]) -> dict[str, list]:
    """Columns of the table [structures]; `labels` are the features' in LaTeX."""
    return {
        "structure": list(range(len(found))),
        "text": [str(each.key) for each in found],
        "form": [str(each.constants.form.expression) for each in found],
        "expression": [sympy.srepr(each.constants.form.filled) for each in found],
        "latex": [_latex(each, labels) for each in found],
        "complexity": [complexity(each.constants.form.expression) for each in found],
        "n_free": [each.key.n_free for each in found],
        "n_draws": [each.n_draws for each in found],
        "probability": [each.n_draws / n_draws for each in found],
        "probability_error": [fraction_error(each.n_draws / n_draws, n_draws) for each in found],
        "probability_pooled": [each.probability_pooled for each in found],
        "probability_pooled_error": [fraction_error(each.probability_pooled, n_draws) for each in found],
        "mse_select": [each.mse.value for each in found],
        "mse_select_error": [each.mse.error for each in found],
        "information_select": [each.information.value for each in found],
        "information_select_error": [each.information.error for each in found],
        "is_formula": [int(each.is_formula) for each in found],
    }


def constants_columns(found: Sequence[Found]) -> dict[str, list]:
    """Columns of the table [constants]."""
    rows = []
    for number, each in enumerate(found):
        parts = each.constants.covariance, each.constants.covariance_draws, each.constants.covariance_refit
        errors = [np.sqrt(np.diag(part)).tolist() for part in parts]
        rows += [
            (number, name, value, *(error[place] for error in errors))
            for place, (name, value) in enumerate(each.constants.form.values.items())
        ]
    return _transposed(CONSTANTS, rows)


def covariances_columns(found: Sequence[Found]) -> dict[str, list]:
    """Columns of the table [covariances]: every pair of constants of a structure once, each with itself too."""
    rows = []
    for number, each in enumerate(found):
        names = list(each.constants.form.values)
        for one, other in zip(*np.triu_indices(len(names)), strict=True):
            parts = each.constants.covariance_draws, each.constants.covariance_refit
            rows.append((number, names[one], names[other], *(float(part[one, other]) for part in parts)))
    return _transposed(COVARIANCES, rows)


def structures_latex(columns: Mapping[str, list]) -> str:
    """The table [structures] in LaTeX: structure with its constants, both probabilities, information kept."""
    stated = [
        [quantity(*pair) for pair in zip(columns[name], columns[f"{name}_error"], strict=True)]
        for name in ("probability", "probability_pooled", "information_select")
    ]
    rows = [[f"${text}$", *cells] for text, *cells in zip(columns["latex"], *stated, strict=True)]
    return tabular("lrrr", ("structure", "probability", "pooled", "information kept"), rows)


def _latex(found: Found, labels: Mapping[str, str]) -> str:
    form = found.constants.form
    errors = dict(zip(form.values, np.sqrt(np.diag(found.constants.covariance)).tolist(), strict=True))
    return latex(form.expression, form.values, labels, errors)


def _transposed(schema: TableSchema, rows: Sequence[tuple]) -> dict[str, list]:
    return {name: [row[place] for row in rows] for place, name in enumerate(schema.names)}
