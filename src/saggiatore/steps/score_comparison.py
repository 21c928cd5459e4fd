"""Scores of models side by side: what they are worth, with posterior errors, and what they cost; table and figure.

It holds a clock and is for that reason in no bundle: times differ from run to run, all other columns do not. It is made
on request, `snakemake results/NAME/tables/LABEL.score_comparison.tex` for the section LABEL of `information`.
"""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from saggiatore.errors import StudyError
from saggiatore.figures.base import Inputs, save
from saggiatore.figures.score_comparison import ScoreComparisonFigure
from saggiatore.figures.style import style
from saggiatore.files import atomic
from saggiatore.infer.batches import feature_names
from saggiatore.infer.weights import flatten
from saggiatore.job import Job
from saggiatore.limits.information import JOINT
from saggiatore.models.base import AbstractModel, scores
from saggiatore.models.store import load_model
from saggiatore.number import rounded
from saggiatore.provenance import provenance
from saggiatore.record import training_record
from saggiatore.steps.information import InformationSection
from saggiatore.tables import Column, TableSchema, read_header, read_table, write_table
from saggiatore.tabular import tabular, two_digits

_OF = "correlation with the reference", "slope along the reference"
COMPARISON = TableSchema(
    "score_comparison",
    1,
    (
        Column("name", "1", "name of the model", kind="str"),
        Column("kind", "1", "kind of model", kind="str"),
        Column("task", "1", "what it learned", kind="str"),
        Column("n_parameters", "1", "trained numbers", "parameters", "int"),
        Column("information", "1", "share of the joint information kept", "information kept"),
        Column("information_error", "1", "bootstrap error of information"),
        Column("slope_joint", "1", "slope along the joint score; of a perfect score the information"),
        Column("slope_joint_error", "1", "bootstrap error of slope_joint"),
        Column("reference", "1", "the first score that the section names as a reference, or joint_score", kind="str"),
        Column("correlation", "1", _OF[0], "correlation"),
        Column("correlation_error", "1", "bootstrap error of correlation"),
        Column("slope", "1", _OF[1], "slope"),
        Column("slope_error", "1", "bootstrap error of slope"),
        Column("posterior", "1", "posterior of this model in the section, if there is one", kind="str"),
        Column("n_draws", "1", "its draws; 0, as all that follows, without one", kind="int"),
        Column("draws_information", "1", "information of one draw, mean over draws"),
        Column("draws_information_std", "1", "its standard deviation over draws"),
        Column("draws_slope_joint", "1", "slope of one draw along the joint score, mean over draws"),
        Column("draws_slope_joint_std", "1", "its standard deviation over draws"),
        Column("draws_correlation", "1", f"{_OF[0]} of one draw, mean over draws"),
        Column("draws_correlation_std", "1", "its standard deviation over draws"),
        Column("draws_slope", "1", f"{_OF[1]} of one draw, mean over draws"),
        Column("draws_slope_std", "1", "its standard deviation over draws"),
        Column("spread", "1", "standard deviation of an event's score over draws, over that of the joint score"),
        Column("error", "1", "mean over draws minus exact score, in the same unit; 0 where that is not known"),
        Column("within_1", "1", "share of the events whose exact score is within one spread; 0 where not known"),
        Column("training_time", "s", "time of the training's job, compilation included", "training"),
        Column("machine", "1", "accelerator, or number of cores, that the training's job could use", kind="str"),
        Column("score_rate", "s^-1", "scores a second in double precision, once compiled", "scores"),
    ),
)
_NONE: dict[str, object] = {column.name: "" if column.kind == "str" else 0 for column in COMPARISON.columns}
Rows = dict[tuple[str, ...], dict]  # of a table, by what identifies them
_LEAST_TIME = 1.0  # s of scores that a rate is measured on
_BATCH = 4096


def run(
    job: Job[InformationSection],
    *,
    code: str,
    scores: Path,
    information: Path,
    agreement: Path,
    posteriors: Path,
    models: list[Path],
    logs: list[Path],
    draws: list[Path],
    out: Path,
    latex: Path,
    pdf: Path,
    png: Path,
) -> None:
    """Write table and figure; `logs` are those of the trainings of `models`, `draws` those of the posteriors.

    Raises:
        StudyError: if the log of a training has no record, or the section compares no models.
    """
    section = job.section
    if not section.models:
        raise StudyError(f"information.{job.label} compares no models; name some, or ask for another section's table.")
    worth = _rows(information, "information", "name"), _rows(agreement, "agreement", "name", "reference")
    rows = _compared(section, worth, _costs(section, scores, models, logs), _posteriors(section, posteriors, draws))
    made = provenance(job.model_dump(mode="json"), code)
    write_table(out, COMPARISON, {name: [row[name] for row in rows] for name in COMPARISON.names}, made)
    with atomic(latex) as temporary:
        temporary.write_text(_latex(rows), encoding="utf-8")
    with style():
        figure = ScoreComparisonFigure()
        drawn = figure.draw(Inputs({"scores": read_table(out, COMPARISON.name)}, {}))
        title = f"{job.study}: scores of {job.label}"
        save(drawn, pdf, png, title=title, caption=figure.caption(), provenance=made)


def reference_of(section: InformationSection) -> str:
    """The score that the table holds all others against."""
    return section.references[0] if section.references else JOINT


def _rows(path: Path, schema: str, *key: str) -> Rows:
    """The rows of a table by what identifies them."""
    return {tuple(str(row[name]) for name in key): row for row in read_table(path, schema).data.to_dict("records")}


def _worth(label: str, reference: str, information: Rows, agreement: Rows) -> dict[str, object]:
    """What the tables of a section say of one score."""
    kept, joint, other = information[label,], agreement[label, JOINT], agreement[label, reference]
    found: dict[str, object] = {"name": label, "reference": reference}
    for end in ("", "_error"):
        found |= {f"information{end}": kept[f"information{end}"], f"slope_joint{end}": joint[f"slope{end}"]}
        found |= {f"{name}{end}": other[f"{name}{end}"] for name in ("correlation", "slope")}
    return found


def _posteriors(section: InformationSection, table: Path, draws: list[Path]) -> list[tuple[str, dict[str, object]]]:
    """The model behind each posterior, and its columns."""
    rows, reference = _rows(table, "score_posteriors", "name", "reference"), reference_of(section)
    return [
        (_model_of(path), {"posterior": label} | _over_draws(rows[label, JOINT], rows[label, reference]))
        for label, path in zip(section.posteriors, draws, strict=True)
    ]


def _model_of(draws: Path) -> str:
    """The label of the model whose posterior was drawn."""
    return str(read_header(draws, "draws")[1]["spec"]["section"]["model"])


def _over_draws(joint: Mapping, other: Mapping) -> dict[str, object]:
    """Columns of a posterior from its rows against the joint score and the reference."""
    found: dict[str, object] = {"n_draws": int(joint["n_draws"]), "spread": joint["spread"]}
    for end in ("", "_std"):
        found |= {
            f"draws_information{end}": joint[f"information{end}"],
            f"draws_slope_joint{end}": joint[f"slope{end}"],
        }
        found |= {f"draws_{name}{end}": other[f"{name}{end}"] for name in ("correlation", "slope")}
    return found | {name: joint[name] for name in ("error", "within_1") if name in joint}


def _compared(
    section: InformationSection,
    worth: tuple[Rows, Rows],
    costs: dict[str, dict[str, object]],
    posteriors: list[tuple[str, dict[str, object]]],
) -> list[dict[str, object]]:
    """One row a model, or one for each of its posteriors."""
    rows = []
    for label, cost in costs.items():
        found = _NONE | _worth(label, reference_of(section), *worth) | cost
        rows += [found | drawn for drawn in [each for of, each in posteriors if of == label] or [{}]]
    return rows


def _costs(
    section: InformationSection, scores: Path, models: list[Path], logs: list[Path]
) -> dict[str, dict[str, object]]:
    """What each model is, and what it costs."""
    events = read_table(scores, "scores").data
    named = zip(section.models, models, logs, strict=True)
    return {label: _cost(model, log, events) for label, model, log in named}


def _cost(path: Path, log: Path, events: pd.DataFrame) -> dict[str, object]:
    model, header = load_model(path)
    record = training_record(log)
    return {
        "kind": header["kind"],
        "task": header["task"]["kind"],
        "n_parameters": flatten(model).size,
        "training_time": record.seconds,
        "machine": record.machine,
        "score_rate": score_rate(model, events[feature_names(header)].to_numpy(float)),
    }


def score_rate(model: AbstractModel, features: np.ndarray) -> float:
    """Scores of such events a second, once compiled and for a second at least."""
    rows = np.resize(features, (_BATCH, features.shape[1]))
    scores(model, rows)
    start, n_batches = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < _LEAST_TIME:
        n_batches += 1
        scores(model, rows)
    return n_batches * _BATCH / elapsed


def _latex(rows: list[dict]) -> str:
    """A tabular, one row a score and posterior: errors of the test events, and deviations over draws."""
    columns = ["information kept", "correlation", "slope"]
    header = ["", "kind", "task", *columns, *(f"{name} of draws" for name in columns), "spread"]
    return tabular("lll" + "r" * 9, [*header, "training [s]", "scores [1/s]"], [list(_cells(row)) for row in rows])


def _cells(row: dict) -> Iterator[str]:
    yield from (str(row[name]).replace("_", r"\_") for name in ("name", "kind", "task"))
    names = ("information", "correlation", "slope")
    yield from (_with_error(row[name], row[f"{name}_error"]) for name in names)
    drawn = [f"draws_{name}" for name in names]
    yield from (_with_error(row[name], row[f"{name}_std"]) if row["n_draws"] else "--" for name in drawn)
    yield f"{row['spread']:.2g}" if row["n_draws"] else "--"
    yield from (two_digits(row[name]) for name in ("training_time", "score_rate"))


def _with_error(value: float, error: float) -> str:
    """The reference agrees with itself, without an error."""
    shown, uncertainty = rounded(value, error if error > 1e-9 else None)
    return f"${shown}$" if uncertainty is None else rf"${shown} \pm {uncertainty}$"
