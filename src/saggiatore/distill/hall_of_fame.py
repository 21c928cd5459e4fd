"""The table [hall_of_fame]: what an engine found, in a form that is the same for every engine."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import sympy

from saggiatore.distill.engine import Candidate
from saggiatore.distill.expression import complexity, parse
from saggiatore.distill.latex import latex
from saggiatore.distill.parametric import read_parametric
from saggiatore.distill.teacher import Teacher
from saggiatore.errors import FormulaError
from saggiatore.tables import Column, Table, TableSchema, read_table, write_table

HALL_OF_FAME = TableSchema(
    "hall_of_fame",
    1,
    (
        Column("complexity", "1", "nodes of the expression: constants, variables and operators", "complexity", "int"),
        Column("loss", "1", "weighted mean squared distance from the teacher's score", "loss"),
        Column("expression", "1", "sympy's srepr; symbols are features, decimal numbers are constants", kind="str"),
        Column("latex", "1", "the expression in LaTeX", kind="str"),
        Column("engine", "1", "engine that found it", kind="str"),
        Column("engine_version", "1", "version of the engine", kind="str"),
        Column("n_islands", "1", "number of searches on whose front the form stands", kind="int"),
    ),
)
CHI2 = Column("chi2", "1", "mean of (formula - teacher)^2 / (var_stat + var_floor)", r"$\chi^2$ per event")


def write_hall_of_fame(
    path: Path,
    candidates: Sequence[Candidate],
    engine: tuple[str, str],
    taught: Teacher,
    provenance: Mapping,
    n_islands: Sequence[int] = (),
) -> None:
    """Write the candidates, simplest first, with chi2 where the teacher has a posterior.

    `engine` is its name and version, `n_islands` the number of searches that found each, one if it is not given.
    """
    labels = {feature.name: feature.label or rf"\mathrm{{{feature.name}}}" for feature in taught.features}
    chi2 = [taught.chi2_of_loss(candidate.loss) for candidate in candidates]
    columns: dict[str, object] = {
        "complexity": [candidate.complexity for candidate in candidates],
        "loss": [candidate.loss for candidate in candidates],
        "expression": [sympy.srepr(candidate.form.filled) for candidate in candidates],
        "latex": [latex(candidate.form.expression, candidate.form.values, labels) for candidate in candidates],
        "engine": [engine[0]] * len(candidates),
        "engine_version": [engine[1]] * len(candidates),
        "n_islands": list(n_islands) or [1] * len(candidates),
    }
    schema = HALL_OF_FAME
    if None not in chi2:
        columns |= {CHI2.name: chi2}
        schema = TableSchema(schema.name, schema.version, (*schema.columns, CHI2))
    origin = {"features": [vars(feature) for feature in taught.features], "parameter": taught.parameter}
    write_table(path, schema, columns, {**provenance, **origin})


def read_hall_of_fame(path: Path, features: Iterable[str]) -> tuple[Table, list[Candidate]]:
    """Read the table and its candidates.

    Raises:
        SchemaError: if it is no hall of fame.
        FormulaError: if an expression is outside of the language, or has a symbol that is no feature.
    """
    table = read_table(path, "hall_of_fame", require=HALL_OF_FAME.columns)
    names = tuple(features)
    candidates = []
    for nodes, loss, text in table.data[["complexity", "loss", "expression"]].itertuples(index=False):
        form = read_parametric(text, names)
        unknown = {symbol.name for symbol in parse(text).free_symbols} - set(names)
        if unknown or complexity(form.expression) > nodes:
            raise FormulaError(
                f"{path}: '{form.expression}' has {complexity(form.expression)} nodes and the unknown symbols "
                f"{sorted(unknown)}; expected {nodes} nodes of {', '.join(names)}. Re-run the rule that makes it."
            )
        candidates.append(Candidate(int(nodes), float(loss), form))
    return table, candidates
