"""Which function reads the numbers of which table."""

from collections.abc import Callable

from saggiatore.table_numbers import densities, formulas, limits, scores, simulation, training
from saggiatore.table_numbers.entry import Named
from saggiatore.tables import Table

TABLES: dict[str, Callable[[str, Table, str], Named]] = {
    "integral": simulation.integral,
    "sample": simulation.sample,
    "history": training.history,
    "diagnostics": training.diagnostics,
    "calibration": scores.calibration,
    "information": scores.information,
    "agreement": scores.agreement,
    "score_posteriors": scores.score_posteriors,
    "refits": formulas.refits,
    "structures": formulas.structures,
    "constants": formulas.constants,
    "band": formulas.band,
    "limits": limits.limits,
    "coverage": limits.coverage,
    "sensitivity": limits.sensitivity,
    "ratios": densities.ratios,
    "accuracy": densities.accuracy,
    "control": densities.control,
    "marginals": densities.marginals,
    "reliability": densities.reliability,
    "clusters": densities.clusters,
    "predictive": densities.predictive,
    "amplification": densities.amplification,
}


def table_numbers(name: str, label: str, table: Table, artefact: str) -> Named:
    """Numbers of the table `name` of the section `label`, which the file `artefact` holds.

    Example:
        dict(table_numbers("information", "main", table, "tables/main.information.parquet"))
    """
    yield from TABLES[name](label, table, artefact)
