"""Learned likelihood ratios as functions of events and theta: of trained models, and of posteriors over them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.errors import StudyError
from saggiatore.infer.batches import feature_names, parameter_position
from saggiatore.infer.ratio import RatioDraws, ratio_draws
from saggiatore.limits.observable import evaluated
from saggiatore.limits.statistic import Columns, feature_matrix
from saggiatore.models.base import AbstractModel, scores
from saggiatore.models.ratio import AbstractRatio, log_ratios_at
from saggiatore.models.store import load_model
from saggiatore.tables import read_table
from saggiatore.types import Float, Theta


class Estimate(NamedTuple):
    """log r of events, and its standard deviation over draws of a posterior if there is one."""

    value: Float[np.ndarray, " event"]
    spread: Float[np.ndarray, " event"] | None = None


@dataclass(frozen=True)
class Learned:
    """A model as a function of events and of the parameter's value."""

    name: str
    kind: str
    task: str
    log_ratio: Callable[[Columns, float], Estimate]


def learned_ratios(models: Mapping[str, Path], parameter: str) -> Iterator[Learned]:
    """Trained models by their names: ratios, and scores to first order in theta.

    Raises:
        StudyError: if a model has another parameter.
    """
    for name, path in models.items():
        model, header = load_model(path)
        features = feature_names(header)
        place, task = parameter_position(header, parameter), header["task"]["kind"]
        if isinstance(model, AbstractRatio):
            yield Learned(name, "ratio", task, _of_ratio(name, model, features, place))
        else:
            yield Learned(name, "score", task, _of_score(name, model, features, place))


def _of_ratio(name: str, model: AbstractRatio, features: list[str], place: int) -> Callable:
    def log_ratio(events: Columns, value: float) -> Estimate:
        theta: Theta = jnp.zeros_like(model.scale).at[place].set(value)
        return Estimate(log_ratios_at(model, feature_matrix(name, events, features), theta))

    return log_ratio


def ratio_posteriors(posteriors: Mapping[str, tuple[Path, Path]], parameter: str) -> Iterator[Learned]:
    """Mean and spread over the draws of posteriors, given by name as draws and the trained model behind them.

    Raises:
        StudyError: if a model is no ratio, or has another parameter.
        ModelError: if draws are of another model.
    """
    for name, (drawn, path) in posteriors.items():
        model, header = load_model(path)
        if not isinstance(model, AbstractRatio):
            raise StudyError(f"'{name}' is a posterior of a {header['kind']}, expected one of a likelihood ratio.")
        place, features = parameter_position(header, parameter), feature_names(header)
        function = _of_draws(name, ratio_draws(model, read_table(drawn, "draws")), features, place)
        yield Learned(name, "posterior", header["task"]["kind"], function)


def _of_draws(name: str, draws: RatioDraws, features: list[str], place: int) -> Callable:
    each = jax.jit(jax.vmap(draws, (0, None)))

    def log_ratio(events: Columns, value: float) -> Estimate:
        theta: Theta = jnp.zeros_like(draws.ratio.scale).at[place].set(value)
        found = evaluated(lambda x: each(x, theta), name, features)(events)
        return Estimate(found.mean(axis=0), found.std(axis=0, ddof=1))

    return log_ratio


def _of_score(name: str, model: AbstractModel, features: list[str], place: int) -> Callable:
    """The local case: log r to first order in theta."""

    def log_ratio(events: Columns, value: float) -> Estimate:
        found = scores(model, feature_matrix(name, events, features))
        return Estimate(value * np.asarray(found[:, place], dtype=float))

    return log_ratio
