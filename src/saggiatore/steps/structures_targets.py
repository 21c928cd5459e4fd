"""The scores of single posterior draws on the rows that formulas are searched and fitted on: the only part with jax."""

from itertools import islice
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from saggiatore.distill.teacher import Teacher
from saggiatore.errors import StudyError
from saggiatore.infer.base import CHAIN, DRAW, AbstractDrawScores, draw_rows, draw_scores
from saggiatore.infer.batches import WEIGHT, model_features
from saggiatore.job import Job
from saggiatore.models.store import load_model
from saggiatore.provenance import provenance
from saggiatore.steps.structures_draw import FIT_WEIGHT, SEARCH_WEIGHT, StructuresSection
from saggiatore.tables import Column, Table, TableSchema, iterate_table, read_table, write_table
from saggiatore.types import Array, Float

_BATCH = 8192  # rows of one evaluation


def run(
    job: Job[StructuresSection], *, code: str, teacher: Path, model: Path, draws: Path, train: Path, out: Path
) -> None:
    """Write rows of the teacher and of `train` with the scores of as many draws as constants are fitted to.

    Raises:
        StudyError: if the posterior has fewer draws.
        SchemaError: if the events lack a feature.
    """
    section, taught = job.section, Teacher.read(teacher)
    network, header = load_model(model)
    features = model_features(header)
    table = read_table(draws, "draws", require=(CHAIN, DRAW))
    chosen = _chosen(job, table)
    x, weight = _events(train, features, section.n_rows)
    every = np.concatenate([taught.problem.x, x])
    scores = _scores(draw_scores(network, table, chosen), every)
    n_taught = len(taught.problem.y)
    columns = dict(zip([feature.name for feature in features], every.T, strict=True)) | {
        SEARCH_WEIGHT.name: np.concatenate([taught.problem.weight, np.zeros(len(x))]),
        FIT_WEIGHT.name: np.concatenate([np.zeros(n_taught), weight]),
    }
    names = [f"score_draw_{place}" for place in range(len(chosen))]
    stated = table.data.iloc[draw_rows(table)[chosen, 0]][[CHAIN.name, DRAW.name]].to_numpy().tolist()
    meanings = [f"score of draw {draw} of chain {chain}" for chain, draw in stated]
    schema = TableSchema(
        "targets",
        1,
        (
            *taught.features,
            SEARCH_WEIGHT,
            FIT_WEIGHT,
            *(Column(name, "1", meaning) for name, meaning in zip(names, meanings, strict=True)),
        ),
    )
    made = provenance(job.model_dump(mode="json"), code) | {"parameter": taught.parameter, "draws": stated}
    write_table(out, schema, columns | dict(zip(names, scores.T, strict=True)), made)


def _chosen(job: Job[StructuresSection], draws: Table) -> list[int]:
    """Draws in a random order, without repetition: the first of them are as good a sample as all."""
    n_found, n_needed = len(draw_rows(draws)), job.section.n_fits
    if n_found < n_needed:
        raise StudyError(
            f"structures.{job.label}: the posterior has {n_found} draws, n_fits asks for {n_needed}. Lower n_fits, or "
            "draw more."
        )
    return np.random.default_rng(job.stream("draws")).permutation(n_found)[:n_needed].tolist()


def _events(
    path: Path, features: tuple[Column, ...], n_rows: int
) -> tuple[Float[np.ndarray, "event feature"], Float[np.ndarray, " event"]]:
    """Features and weights of the first `n_rows` events, or of all."""
    names = [feature.name for feature in features]
    batches = iterate_table(path, "events", _BATCH, require=(*features, WEIGHT))
    parts = [batch[[*names, WEIGHT.name]].to_numpy(float) for batch in islice(batches, -(-n_rows // _BATCH))]
    found = np.concatenate(parts)[:n_rows]
    return found[:, :-1], found[:, -1]


def _scores(posterior: AbstractDrawScores, x: Float[np.ndarray, "row feature"]) -> Float[np.ndarray, "row draw"]:
    starts = tqdm(range(0, len(x), _BATCH), "scores of draws", unit="batch", mininterval=1)
    return np.concatenate([np.asarray(_batch(posterior, jnp.asarray(x[start : start + _BATCH]))) for start in starts])


@eqx.filter_jit
def _batch(posterior: AbstractDrawScores, x: Float[Array, "row feature"]) -> Float[Array, "row draw"]:
    return jax.vmap(posterior)(x)
