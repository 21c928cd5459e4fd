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
from saggiatore.infer.base import spread_draws
from saggiatore.infer.batches import feature_names, parameter_position
from saggiatore.infer.ratio import RatioDraws, ratio_draws
from saggiatore.limits.observable import Component, evaluated, model_members, of_statistic
from saggiatore.limits.statistic import Columns, feature_matrix, of_model
from saggiatore.models.ratio import AbstractRatio, log_ratios_at
from saggiatore.models.store import load_model
from saggiatore.tables import read_header, read_table
from saggiatore.types import Float, Theta


def score_components(
    models: Mapping[str, Path], draws: Sequence[Path], order: Sequence[str], n_members: int
) -> Iterator[Component]:
    """The score of each model, in the parameters of `order` in turn, with members of its posterior if there is one."""
    for place, (label, path) in enumerate(models.items()):
        model, header = load_model(path)
        position = parameter_position(header, order[place % len(order)])
        features = feature_names(header)
        members = None
        if draws:
            members = model_members(label, model, features, read_table(draws[place], "draws"), n_members)
        yield of_statistic(of_model(label, model, features, position), members)


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
