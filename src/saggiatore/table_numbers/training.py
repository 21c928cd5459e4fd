"""What trainings and draws of posteriors have to tell."""

from saggiatore.number import Number
from saggiatore.table_numbers.entry import Named, entry
from saggiatore.tables import Table


def diagnostics(label: str, table: Table, artefact: str) -> Named:
    rows = table.data
    worst = {
        "rhat": (rows["rhat"].max(), "largest rank-normalised split R-hat of the posterior's quantities"),
        "ess": (rows["ess"].min(), "smallest bulk effective sample size of the posterior's quantities"),
        "n_divergent": (rows["n_divergent"].max(), "divergent transitions after warm-up, all chains"),
    }
    for name, (value, meaning) in worst.items():
        yield f"{name}.{label}", Number(float(value), None, "1", artefact, meaning)


def kept_row(history: Table) -> int:
    """Row of the epoch whose weights a training kept: the best, unless its spec asked for the last."""
    training = history.provenance["spec"]["section"].get("training", {})
    if training.get("keep") == "last":
        return len(history.data) - 1
    return int(history.data["validation_loss"].to_numpy().argmin())


def history(label: str, table: Table, artefact: str) -> Named:
    row = table.data.iloc[kept_row(table)]
    meaning = "loss on validation events of the weights that are used"
    yield f"validation_loss.{label}", entry(table, row, "validation_loss", artefact, meaning)
    yield f"best_epoch.{label}", entry(table, row, "epoch", artefact, "epoch whose weights are used")
