"""What generators cost, beside how close they come: time of training, events a second, parameters; table and figure.

It holds a clock and is for that reason in no bundle: times differ from run to run, all other columns do not. It is made
on request, `snakemake results/NAME/tables/LABEL.generator_comparison.tex` for the section LABEL of `control`.
"""

import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.errors import StudyError
from saggiatore.figures.base import Inputs, save
from saggiatore.figures.generators import GeneratorsFigure
from saggiatore.figures.style import style
from saggiatore.files import atomic
from saggiatore.infer.batches import model_context
from saggiatore.infer.control_tables import CONTROL
from saggiatore.job import Job
from saggiatore.models.density import AbstractDensity
from saggiatore.models.store import load_model
from saggiatore.number import rounded
from saggiatore.provenance import provenance
from saggiatore.record import training_record
from saggiatore.steps.control import ControlSection
from saggiatore.tables import Column, TableSchema, read_table, write_table
from saggiatore.tabular import tabular, two_digits

_SHARED = (
    *("name", "kind", "n_parameters", "wasserstein", "kolmogorov_smirnov", "chi2", "chi2_2d"),
    *("auc", "auc_error", "weight_std", "kept"),
)
COMPARISON = TableSchema(
    "generator_comparison",
    1,
    (
        *(column for column in CONTROL.columns if column.name in _SHARED),
        Column(
            "training_time",
            "s",
            "time of the training's job, compilation included; of its last part, where a scheduler ended it; 0 for "
            "events of the process",
            "training",
        ),
        Column("machine", "1", "accelerator, or number of cores, that the training's job could use", kind="str"),
        Column(
            "event_rate",
            "s^-1",
            "events drawn a second in double precision, once compiled; 0 for events of the process",
            "events drawn",
        ),
    ),
)
_SHOWN = ("n_parameters", "training_time", "event_rate", "wasserstein", "chi2", "chi2_2d", "auc", "weight_std")
_BATCH = 8192
_LEAST_TIME = 2.0  # s of drawing that a rate is measured on


def run(
    job: Job[ControlSection],
    *,
    code: str,
    control: Path,
    events: list[Path],
    models: list[Path],
    logs: list[Path],
    out: Path,
    latex: Path,
    pdf: Path,
    png: Path,
) -> None:
    """Write table and figure; `events`, `models` and `logs` are those of the entries whose events a model generated.

    Raises:
        StudyError: if the log of a training has no record, or there are not as many models as generated entries.
    """
    found = read_table(control, "control").data
    costs = iter([_cost(*paths) for paths in zip(events, models, logs, strict=True)])
    if (found["kind"] != "truth").sum() != len(models):
        raise StudyError(f"{control}: {len(models)} models came for its generators, expected one each.")
    nothing = {"training_time": 0.0, "machine": "", "event_rate": 0.0}
    rows = [
        {name: row[name] for name in _SHARED} | (nothing if row["kind"] == "truth" else next(costs))
        for row in found.to_dict("records")
    ]
    made = provenance(job.model_dump(mode="json"), code)
    write_table(out, COMPARISON, {name: [row[name] for row in rows] for name in COMPARISON.names}, made)
    with atomic(latex) as temporary:
        temporary.write_text(_latex(rows), encoding="utf-8")
    figure = GeneratorsFigure()
    with style():
        drawn = figure.draw(Inputs({"generators": read_table(out, COMPARISON.name)}, {}))
        title = f"{job.study}: generators of {job.label}"
        save(drawn, pdf, png, title=title, caption=figure.caption(), provenance=made)


def _cost(events: Path, model: Path, log: Path) -> dict[str, object]:
    density, header = load_model(model)
    context = model_context(header)
    at = read_table(events, "events", context).array(column.name for column in context)
    record = training_record(log)
    return {"training_time": record.seconds, "machine": record.machine, "event_rate": event_rate(density, at)}


def event_rate(density: AbstractDensity, context: np.ndarray) -> float:
    """Events a second, drawn at each context in turn, once compiled and for two seconds at least."""
    rows = jnp.asarray(np.resize(context, (_BATCH, context.shape[1])))

    @eqx.filter_jit
    def batch(number: jax.Array) -> jax.Array:
        keys = jax.random.split(jax.random.fold_in(jax.random.key(0), number), _BATCH)
        return jax.vmap(lambda c, key: density.sample(c, key=key))(rows, keys)

    jax.block_until_ready(batch(jnp.asarray(0)))
    start, n_batches = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < _LEAST_TIME:
        n_batches += 1
        jax.block_until_ready(batch(jnp.asarray(n_batches)))
    return n_batches * _BATCH / elapsed


def _latex(rows: list[dict]) -> str:
    """A tabular, one row an entry; times to two digits, since they swing from run to run."""
    labels = {column.name: column.label for column in COMPARISON.columns}
    header = ["", labels["kind"]]
    header += [labels[name] for name in _SHOWN]
    header[3] += " [s]"
    header[4] += " [1/s]"
    cells = []
    for row in rows:
        value, error = rounded(row["auc"], row["auc_error"])
        shown = {name: f"{row[name]:.3g}" for name in _SHOWN} | {"auc": rf"${value} \pm {error}$"}
        shown |= {"n_parameters": str(row["n_parameters"])}
        shown |= {name: two_digits(row[name]) for name in ("training_time", "event_rate")}
        if row["kind"] == "truth":
            shown |= dict.fromkeys(("n_parameters", "training_time", "event_rate"), "--")
        cells.append([str(row[name]).replace("_", r"\_") for name in ("name", "kind")] + list(shown.values()))
    return tabular("ll" + "r" * len(_SHOWN), header, cells)
