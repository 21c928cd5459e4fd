r"""Components of a likelihood from trained models: scores, and likelihood ratios at fixed values of a parameter.

Rates are polynomials of degree two in theta, so that $p(x|\theta)/p(x|0)$ is one, up to the cross section, of two
unknown functions of x; log r at two values of theta determines them, and is sufficient for every other theta.
Binned, a learned ratio is calibrated by the simulation: a wrong one loses information and misses no coverage.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from saggiatore.errors import StudyError
from saggiatore.infer.batches import feature_names, parameter_position
from saggiatore.limits.observable import Component, model_members, of_statistic
from saggiatore.limits.statistic import Columns, feature_matrix, of_model
from saggiatore.models.ratio import AbstractRatio, log_ratios_at
from saggiatore.models.store import load_model
from saggiatore.tables import read_table
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
    models: Mapping[str, Path], parameter: str, at: Sequence[float]
) -> Iterator[tuple[Component, ...]]:
    """log r of each model at the values `at` of the parameter, binned together.

    Raises:
        StudyError: if a model is no likelihood ratio, or none in the parameter.
    """
    for label, path in models.items():
        model, header = load_model(path)
        if not isinstance(model, AbstractRatio):
            raise StudyError(
                f"ratios: '{label}' is a {header['kind']}, expected a likelihood ratio; name it in `models`."
            )
        place, features = parameter_position(header, parameter), feature_names(header)
        thetas = [jnp.zeros_like(model.scale).at[place].set(value) for value in at]
        yield tuple(Component(label, "ratio", partial(_log_ratio, label, model, features, theta)) for theta in thetas)


def _log_ratio(
    label: str, model: AbstractRatio, features: list[str], theta: Theta, events: Columns
) -> Float[np.ndarray, " event"]:
    return log_ratios_at(model, feature_matrix(label, events, features), theta)
