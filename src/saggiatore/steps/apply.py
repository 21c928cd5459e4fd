"""Command `apply`: the score of a trained model or of a formula, for a user's own table of observables."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from saggiatore.compilation import fill
from saggiatore.distill.formula import Formula
from saggiatore.errors import EventError, StudyError
from saggiatore.infer.base import posterior_score
from saggiatore.models.base import AbstractRegression
from saggiatore.models.store import load_model
from saggiatore.provenance import package_versions
from saggiatore.tables import Column, TableSchema, iterate_columns, read_table, write_batches
from saggiatore.types import Array, Features, Float

ROWS = 8192
log = logging.getLogger(__name__)


class Scorer(NamedTuple):
    """A function of one event's features, with the columns that it reads and writes."""

    reads: tuple[Column, ...]
    writes: tuple[Column, ...]
    function: Callable[[Features], Float[Array, " column"]]
    origin: dict


def run(
    *, events: Path, out: Path, model: Path | None = None, formula: Path | None = None, draws: Path | None = None
) -> None:
    """Write the score of every event, and its standard deviation.

    Raises:
        StudyError: unless exactly one of `model` and `formula` is given, and `draws` only with a model.
        SchemaError: if the table lacks a feature, or holds a NaN.
        EventError: if the score of an event is not finite.
    """
    if (model is None) == (formula is None):
        raise StudyError("give either --model or --formula: a file models/LABEL.eqx or formulas/LABEL.formula.json.")
    if draws is not None and model is None:
        raise StudyError("--draws belongs to a model: give --model too, or leave it out.")
    scorer = _of_model(model, draws) if model is not None else _of_formula(formula)  # type: ignore[arg-type]
    sources = {"model": model, "formula": formula, "draws": draws}
    origin = {"applied": {name: path.name for name, path in sources.items() if path is not None}}
    origin |= {"source": scorer.origin, "versions": package_versions()}
    write_batches(out, TableSchema("applied", 1, scorer.writes), _evaluate(scorer, events), origin)


def _of_model(path: Path, draws: Path | None) -> Scorer:
    model, header = load_model(path)
    reads = tuple(Column(f["name"], f["unit"], "feature of the model", f["label"]) for f in header["features"])
    names = header["parameters"]
    if not names:
        raise StudyError(
            f"{path}: its task is {header['task']['kind']}, with no context of theory parameters: it states no "
            "score. Name another."
        )
    writes = tuple(_score_column(name, f"score d/d{name} log p(x | {name}) of the model {path.name}") for name in names)
    origin = header["provenance"]
    if draws is not None:
        posterior = posterior_score(model, read_table(draws, "draws"))
        meaning = f"posterior standard deviation of the score, from {draws.name}: the statistical error of the network"

        def estimate(x: Features) -> Float[Array, " 2"]:
            found = posterior(x)
            return jnp.stack([found.mean, jnp.sqrt(found.var_stat)])

        return Scorer(reads, (*writes, _std_column(names[0], meaning)), estimate, origin)
    if isinstance(model, AbstractRegression):
        meaning = "standard deviation of the joint score about the score: what the features do not tell, not an error"
        return Scorer(
            reads,
            (*writes, _std_column(names[0], meaning)),
            lambda x: jnp.stack([model.score(x), jnp.sqrt(model.noise(x))]),
            origin,
        )
    log.warning("%s: such a model has no standard deviation of its score; that column is left out.", path)
    return Scorer(reads, writes, lambda x: jnp.atleast_1d(model.score(x)), origin)


def _of_formula(path: Path) -> Scorer:
    formula = Formula.read(path)
    value, std = formula.function(), formula.std()
    writes = (
        _score_column(formula.name, f"score in {formula.name} of the formula {path.name}"),
        _std_column(formula.name, "standard deviation of the formula, from the covariance of its constants"),
    )
    reads = tuple(Column(f.name, f.unit, "feature of the formula", f.label) for f in formula.features)
    return Scorer(reads, writes, lambda x: jnp.stack([value(x), std(x)]), formula.provenance)


def _score_column(parameter: str, meaning: str) -> Column:
    return Column(f"score_{parameter}", "1", meaning, "score")


def _std_column(parameter: str, meaning: str) -> Column:
    return Column(f"score_{parameter}_std", "1", meaning, r"$\sigma$(score)")


def _evaluate(scorer: Scorer, events: Path) -> Iterator[dict[str, np.ndarray]]:
    function = jax.jit(jax.vmap(scorer.function))
    names = [column.name for column in scorer.writes]
    n_before = 0
    for data in tqdm(iterate_columns(events, scorer.reads, ROWS), desc="events", unit="batch", mininterval=1):
        features = data.to_numpy()
        padded = fill(features, ROWS)
        values = np.asarray(function(jnp.asarray(padded)))[: len(features)]
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            row = int(np.argmax(bad))
            raise EventError(
                f"{events}: row {n_before + row} ({data.iloc[row].to_dict()}) has no finite score: it lies outside the "
                "region where the model or formula is defined. Remove such rows, or check the columns' units."
            )
        n_before += len(features)
        yield dict(zip(names, values.T, strict=True))
