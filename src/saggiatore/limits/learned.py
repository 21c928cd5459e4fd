r"""Components of a likelihood from trained models: scores, and likelihood ratios at fixed values of a parameter.

Rates are polynomials of degree two in theta, so that $p(x|\theta)/p(x|0)$ is one, up to the cross section, of two
unknown functions of x; log r at two values of theta determines them, and is sufficient for every other theta.
Binned, a learned ratio is calibrated by the simulation: a wrong one loses information and misses no coverage.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.errors import StudyError
from saggiatore.infer.base import AbstractDrawScores as DrawScores
from saggiatore.infer.base import draw_rows, draw_scores, regression, spread_draws
from saggiatore.infer.batches import (
    feature_names,
    learned_column,
    model_features,
    parameter_position,
    target_batches,
)
from saggiatore.infer.coupling import Drawn, coupled
from saggiatore.infer.last_layer import LastLayerDraws
from saggiatore.infer.ratio import RatioDraws, ratio_draws
from saggiatore.limits.observable import Component, evaluated, of_statistic
from saggiatore.limits.statistic import Columns, feature_matrix, of_model
from saggiatore.models.base import AbstractModel
from saggiatore.models.ratio import AbstractRatio, log_ratios_at
from saggiatore.models.store import load_model
from saggiatore.tables import Table, read_header, read_table
from saggiatore.types import Float, Theta


def score_components(
    models: Mapping[str, Path], draws: Sequence[Path], order: Sequence[str], n_members: int, train: Path | None = None
) -> Iterator[Component]:
    """The score of each model, in the parameters of `order` in turn, with members of its posterior if there is one.

    With `train`, the events that all of `draws` were drawn from, members of one observable go along with each other.

    Raises:
        StudyError: if a model has another score, or draws are of other events than `train`.
        ModelError: if draws are of another model, or the covariance between them is not known.
    """
    loaded = {label: load_model(path) for label, path in models.items()}
    tables = [read_table(path, "draws") for path in draws]
    members: list[DrawScores | None] = [None] * len(models)
    if tables:
        rows = [spread_draws(table, n_members) for table in tables]
        found = zip(loaded.values(), tables, rows, strict=True)
        members = (
            _coupled(loaded, tables, rows, len(order), train)
            if train and not _are_resampled(tables, train)
            else [draw_scores(model, table, chosen) for (model, _), table, chosen in found]
        )
    for place, ((label, (model, header)), member) in enumerate(zip(loaded.items(), members, strict=True)):
        position = parameter_position(header, order[place % len(order)])
        features = feature_names(header)
        drawn = None if member is None else evaluated(jax.jit(jax.vmap(member)), label, features)
        yield of_statistic(of_model(label, model, features, position), drawn)


def _are_resampled(tables: Sequence[Table], train: Path) -> bool:
    """Whether all draws are replicas on bootstrapped events: those of one number saw the same ones and vary together.

    Raises:
        StudyError: if draws are of other events than `train`.
    """
    label = read_header(train, "events")[1]["spec"]["label"]
    others = {table.provenance["spec"]["section"]["train"] for table in tables} - {label}
    if others:
        raise StudyError(
            f"is_coupled: posteriors were drawn from the events {', '.join(sorted(others))}, `train` is {label}; name "
            "the same events, or leave is_coupled out."
        )
    methods = [dict(table.provenance["method"]) for table in tables]
    is_resampled = all(method["kind"] == "replicas" and method["is_bootstrapped"] for method in methods)
    return is_resampled and len({len(draw_rows(table)) for table in tables}) == 1


def _coupled(
    loaded: Mapping[str, tuple[AbstractModel, dict]],
    tables: Sequence[Table],
    rows: Sequence[list[int]],
    n_together: int,
    train: Path,
) -> list[DrawScores | None]:
    """The draws of each model, those of `n_together` models in a row with the covariance between them."""
    drawn = [
        Drawn(regression(model), table, partial(target_batches, train, model_features(header), learned_column(header)))
        for (model, header), table in zip(loaded.values(), tables, strict=True)
    ]
    found = [each for at in range(0, len(drawn), n_together) for each in coupled(drawn[at : at + n_together])]
    return [
        LastLayerDraws(each.model, each.weights[np.array(chosen)]) for each, chosen in zip(found, rows, strict=True)
    ]


def ratio_components(
    models: Mapping[str, Path], draws: Sequence[Path], parameter: str, at: Sequence[float], n_members: int
) -> Iterator[tuple[Component, ...]]:
    """log r of each model at the values `at` of the parameter, binned together, with members of its posterior if any.

    Raises:
        StudyError: if a model is no likelihood ratio, or none in the parameter, or draws are of none of the models.
    """
    posteriors = {read_header(path, "draws")[1]["spec"]["section"]["model"]: path for path in draws}
    if strangers := sorted(posteriors.keys() - models.keys()):
        raise StudyError(
            f"ratio_posteriors: got posteriors of {', '.join(strangers)}; expected some of {', '.join(models)}."
        )
    for label, path in models.items():
        model, header = load_model(path)
        if not isinstance(model, AbstractRatio):
            raise StudyError(
                f"ratios: '{label}' is a {header['kind']}, expected a likelihood ratio; name it in `models`."
            )
        place, features = parameter_position(header, parameter), feature_names(header)
        thetas = [jnp.zeros_like(model.scale).at[place].set(value) for value in at]
        drawn = _drawn(model, posteriors[label], n_members) if label in posteriors else None
        yield tuple(_of_ratio(label, model, features, theta, drawn) for theta in thetas)


def _drawn(model: AbstractRatio, path: Path, n_members: int) -> RatioDraws:
    table = read_table(path, "draws")
    return ratio_draws(model, table, spread_draws(table, n_members))


def _of_ratio(
    label: str, model: AbstractRatio, features: list[str], theta: Theta, drawn: RatioDraws | None
) -> Component:
    members = None
    if drawn is not None:
        members = evaluated(jax.jit(jax.vmap(partial(drawn, theta=theta))), label, features)
    return Component(label, "ratio", partial(_log_ratio, label, model, features, theta), members)


def _log_ratio(
    label: str, model: AbstractRatio, features: list[str], theta: Theta, events: Columns
) -> Float[np.ndarray, " event"]:
    return log_ratios_at(model, feature_matrix(label, events, features), theta)
