r"""Events with their joint score, batch by batch.

An event is drawn from p(theta) p(u, k|theta): theta from the study's ranges, then u by accept-reject in proportion to
w(u|theta) / sigma(theta), then the flavour channel k in proportion to its share of w. The joint score and the
observables are computed for accepted events only. Weighted events skip accept-reject: each point inside the cuts keeps
w / sigma as its weight. The sampler goes further into the tails than the rate does, so that expectation values of
quantities that grow there need fewer of them.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pandas as pd
from tqdm import tqdm

from saggiatore.compilation import fill
from saggiatore.errors import EmptyRegionError, EventError
from saggiatore.integrate.base import BATCH, AbstractSampler, over_events, proposed_weight, uniform_batch
from saggiatore.integrate.integral import CrossSection
from saggiatore.integrate.unweight import Spectrum, accept, excess
from saggiatore.integrate.variants import Variants
from saggiatore.physics.flavours import flavours
from saggiatore.physics.kinematics import COMPONENTS
from saggiatore.physics.process import AbstractProcess, measure
from saggiatore.tables import Column, TableSchema
from saggiatore.types import Array, Float, Int, PRNGKeyArray, Scalar, Theta, UnitPoint

VARIED = "weight_"  # begins the name of a column of weights at a theory variation
ROWS = 4096  # events that are read, described and written at once
_PATIENCE = 64  # batches after which a region without acceptance is given up
_HOPELESS = 1e-5  # unweighting efficiency below which it is one
_SURVEY = 16  # batches that find the maximum weight away from the reference


class Draw(eqx.Module):
    """What events are drawn from; the same in every shard of a study."""

    process: AbstractProcess
    sampler: AbstractSampler
    cross_section: CrossSection
    low: Theta
    high: Theta
    max_ratio: Scalar  # maximum of w(u|theta) / sigma(theta); its mean inside the cuts for weighted events
    kept_fraction: Scalar  # of the rate, below the maximum; 1 for weighted events
    is_weighted: bool = eqx.field(static=True, default=False)
    variants: Variants | None = None  # theory variations, whose weights are written along
    marginal: tuple[str, ...] = eqx.field(static=True, default=())  # observables whose marginal score is written along

    def weighted(self, inside_fraction: Scalar) -> "Draw":
        """The same without accept-reject, given the fraction of all points that pass the cuts."""
        return replace(self, max_ratio=1 / jnp.asarray(inside_fraction), kept_fraction=jnp.ones(()), is_weighted=True)


class Trials(eqx.Module):
    """One batch of proposals; `ratio` is the weight over `Draw.max_ratio`."""

    u: Float[Array, "event dim"]
    theta: Float[Array, "event theta"]
    ratio: Float[Array, " event"]
    lot: Float[Array, " event"]  # uniform, draws the flavour channel
    is_accepted: Array


def events_schema(
    process: AbstractProcess, variations: Sequence[str] = (), marginal: Sequence[str] = ()
) -> TableSchema:
    """Columns of the events of `process`, with a weight at each of the named `variations`.

    With the observables `marginal`, also the score of their distribution.
    """
    columns = [Column("weight", "pb", "share of the fiducial cross section at the event's theta")]
    columns += [Column(f"{VARIED}{name}", "pb", f"the weight at the theory variation {name}") for name in variations]
    for name in process.parameters:
        columns += [
            Column(f"theta_{name}", "1", f"theory parameter {name} that the event was drawn at"),
            Column(f"joint_score_{name}", "1", f"d log p(x, z | theta) / d {name} at the event's theta"),
            Column(f"parton_score_{name}", "1", "mean of the joint score over flavours at the event's momenta"),
            Column(f"flavour_variance_{name}", "1", "variance of the joint score over flavours at its momenta"),
        ]
        if marginal:
            meaning = f"score in {name} of the distribution of {', '.join(marginal)} alone"
            columns.append(Column(f"marginal_score_{name}", "1", meaning))
    for name, observable in process.observables.items():
        columns.append(Column(name, observable.unit, observable.meaning, observable.label))
    for i, leg in enumerate(process.legs):
        columns.append(Column(f"leg{i}_pdg", "1", f"PDG number of leg {i}, {leg}", kind="int"))
        columns += [Column(f"leg{i}_{part}", "GeV", f"{part} of leg {i}, {leg}") for part in COMPONENTS]
    return TableSchema("events", 1, tuple(columns))


def legs_of(events: pd.DataFrame, n_legs: int) -> tuple[Float[np.ndarray, "event leg 4"], Int[np.ndarray, "event leg"]]:
    """Momenta (GeV) and PDG numbers of the legs that rows of an event table hold."""
    names = [f"leg{leg}_{part}" for leg in range(n_legs) for part in COMPONENTS]
    pdg = events[[f"leg{leg}_pdg" for leg in range(n_legs)]].to_numpy(int)
    return events[names].to_numpy(float).reshape(-1, n_legs, 4), pdg


def survey(draw: Draw, overweight: float | None, *, key: PRNGKeyArray) -> Draw:
    """`draw` with its maximum measured on weights over the whole range of theta; weighted if `overweight` is None.

    Raises:
        EventError: if the cross section is not positive somewhere in the range.
        EmptyRegionError: if no point passes the cuts.
    """
    trial = eqx.tree_at(lambda d: d.max_ratio, draw, jnp.ones(()))
    spectrum = Spectrum.empty()
    for number in range(_SURVEY):
        spectrum = spectrum.add(_checked(try_batch(trial, key, jnp.asarray(number))).ratio)
    if not float(spectrum.rate.sum()) > 0:
        raise EmptyRegionError("no point of the survey passes the cuts. Widen the cuts, or check the theta range.")
    if overweight is None:
        return draw.weighted(spectrum.number.sum() / (_SURVEY * BATCH))
    maximum = spectrum.max_weight(overweight)
    kept = spectrum.kept_fraction(maximum)
    return eqx.tree_at(
        lambda d: (d.max_ratio, d.kept_fraction), draw, (jnp.asarray(maximum, float), jnp.asarray(kept, float))
    )


def generate(draw: Draw, n_events: int, n_total: int, *, key: PRNGKeyArray) -> Iterator[Mapping[str, np.ndarray]]:
    """Yield exactly `n_events` events, up to `ROWS` at a time, each weighing its share of `n_total`.

    Raises:
        EmptyRegionError: if next to nothing is accepted.
        EventError: if the cross section is not positive at some theta of the range.
    """
    held: list[tuple[np.ndarray, ...]] = []
    n_held = n_done = n_over = 0
    with tqdm(total=n_events, desc="events", mininterval=1.0, unit="event") as bar:
        for number, found in enumerate(_accepted(draw, key)):
            held.append(found)
            n_held += len(found[0])
            _check_patience(number + 1, n_done + n_held)
            while n_held and (n_held >= ROWS or n_done + n_held >= n_events):
                rows = [np.concatenate(column) for column in zip(*held, strict=True)]
                n_now = min(ROWS, n_events - n_done)
                n_over += int((rows[2][:n_now] > 1).sum())
                yield _describe_rows(draw, [column[:n_now] for column in rows], n_total)
                held, n_held = [tuple(column[n_now:] for column in rows)], n_held - n_now
                n_done += n_now
                bar.update(n_now)
                if n_done == n_events:
                    text = f"{n_over} of {n_events} events lie above the maximum weight and keep the excess"
                    bar.write("" if draw.is_weighted else text, file=sys.stderr)
                    return


def _accepted(draw: Draw, key: PRNGKeyArray) -> Iterator[tuple[np.ndarray, ...]]:
    number = 0
    while True:
        trials = _checked(try_batch(draw, key, jnp.asarray(number)))
        rows = np.flatnonzero(np.asarray(trials.is_accepted))
        yield tuple(np.asarray(column)[rows] for column in (trials.u, trials.theta, trials.ratio, trials.lot))
        number += 1


@eqx.filter_jit
def try_batch(draw: Draw, key: PRNGKeyArray, number: Array) -> Trials:
    """Batch `number` of the proposals of the stream `key`."""
    n_theta = draw.low.shape[0]
    points = uniform_batch(key, number, draw.sampler.dim + n_theta + 2)

    def trial(point: UnitPoint) -> tuple[Array, ...]:
        v, place, chance = jnp.split(point, [draw.sampler.dim, draw.sampler.dim + n_theta])
        theta = draw.low + (draw.high - draw.low) * place
        u, weight = proposed_weight(draw.process, draw.sampler, v, theta)
        ratio = weight / (draw.cross_section(theta) * draw.max_ratio)
        return u, theta, ratio, chance[1], ratio > 0 if draw.is_weighted else accept(ratio, chance[0])

    return Trials(*over_events(trial, points))


def _checked(trials: Trials) -> Trials:
    ratio = np.asarray(trials.ratio)
    if not np.isfinite(ratio).all():
        raise EventError("the rate over the cross section is not finite at some point; check the range of theta.")
    negative = -ratio[ratio < 0].sum()
    if negative > 1e-4 * ratio[ratio > 0].sum():
        worst = np.asarray(trials.theta)[np.argmin(ratio)]
        raise EventError(
            f"the rate is negative at theta = {worst.tolist()}: no events can be drawn there. Choose a range of "
            "theta in which the rate is positive."
        )
    return trials


def _check_patience(batches: int, n_accepted: int) -> None:
    tried = batches * BATCH
    if batches >= _PATIENCE and n_accepted < _HOPELESS * tried:
        raise EmptyRegionError(
            f"{n_accepted} of {tried} points were accepted: the fiducial region is empty, or the sampler was adapted "
            "to another one. Widen the cuts, or re-run the sampler with more points."
        )


def _describe_rows(draw: Draw, rows: list[np.ndarray], n_total: int) -> Mapping[str, np.ndarray]:
    n_rows = len(rows[0])
    described = _describe(draw, jnp.asarray(n_total), *(jnp.asarray(fill(column, ROWS)) for column in rows))
    return {name: np.asarray(column)[:n_rows] for name, column in described.items()}


@eqx.filter_jit
def _describe(draw: Draw, n_total: Array, u: Array, theta: Array, ratio: Array, lot: Array) -> dict[str, Array]:
    process = draw.process

    def describe(u: UnitPoint, theta: Theta, ratio: Scalar, lot: Scalar) -> dict[str, Array]:
        momenta, _ = process.momenta(u)
        channels = flavours(process, momenta, theta, draw.cross_section.log_gradient(theta))
        channel = channels.draw(lot)
        score, mean, variance = channels.score[channel], channels.mean(), channels.variance()
        pdg = jnp.array(process.channels)[channel]
        share = draw.cross_section(theta) * draw.kept_fraction / n_total
        weight = share * (ratio if draw.is_weighted else excess(ratio))
        row = {"weight": weight, **measure(process, momenta)}
        if draw.variants is not None:
            varied = draw.variants.ratios(process, momenta, channel, theta)
            row |= {f"{VARIED}{name}": weight * found for name, found in varied.items()}
        for i, name in enumerate(process.parameters):
            row |= {f"theta_{name}": theta[i], f"joint_score_{name}": score[i]}
            row |= {f"parton_score_{name}": mean[i], f"flavour_variance_{name}": variance[i]}
        if draw.marginal:
            seen = {name: row[name] for name in draw.marginal}
            marginal = process.marginal_score(seen, theta, draw.cross_section.log_gradient(theta))
            row |= {f"marginal_score_{name}": marginal[i] for i, name in enumerate(process.parameters)}
        for i in range(len(process.legs)):
            row |= {f"leg{i}_pdg": pdg[i], **{f"leg{i}_{part}": momenta[i, k] for k, part in enumerate(COMPONENTS)}}
        return row

    return over_events(describe, u, theta, ratio, lot)
