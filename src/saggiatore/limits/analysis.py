"""Limits of every observable of a study by every method: Fisher information, expected data, pseudo-experiments."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from saggiatore.limits.expectation import BinSums, Expectation, Truth
from saggiatore.limits.interval import Interval, fisher_interval, interval, profile
from saggiatore.limits.likelihood import asimov, profiled_asimov
from saggiatore.limits.pseudo import Experiments, experiments
from saggiatore.limits.rates import Rates
from saggiatore.limits.template import Template
from saggiatore.types import Float

_POINTS = {1: 401, 2: 51}  # along each parameter, by their number
_STRETCH = 3.0  # the values of a parameter are uniform in asinh(_STRETCH * value / end): denser around zero
_REACH = 8.0  # standard deviations on each side in which experiments are looked at more closely
TRUTH = "truth"
Stream = Callable[..., int]


@dataclass(frozen=True)
class Settings:
    """The parameters, the grid of their values, and what is asked of it."""

    parameters: tuple[str, ...]
    axes: tuple[Float[np.ndarray, " value"], ...]
    levels: tuple[float, ...]
    max_nonlinearity: float

    @classmethod
    def of(
        cls,
        ranges: Mapping[str, tuple[float, float]],
        levels: tuple[float, ...],
        n_points: int,
        max_nonlinearity: float,
    ) -> "Settings":
        """A grid with zero in the middle of `n_points` values of each parameter (made odd; 0: as many as is usual)."""
        n = n_points or _POINTS[len(ranges)]
        share = np.sinh(_STRETCH * np.linspace(0, 1, n // 2 + 1)) / np.sinh(_STRETCH)
        axes = tuple(np.concatenate([low * share[:0:-1], high * share]) for low, high in ranges.values())
        return cls(tuple(ranges), axes, tuple(levels), max_nonlinearity)

    @property
    def points(self) -> Float[np.ndarray, "point theta"]:
        """All points of the grid, the last parameter fastest."""
        return np.array(list(product(*self.axes)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Values along each parameter."""
        return tuple(len(axis) for axis in self.axes)


@dataclass(frozen=True)
class Limit:
    """An interval of one parameter, the other one free if there are two."""

    name: str
    kind: str
    parameter: str
    with_rate: bool
    method: str  # fisher, expected, profiled or experiments
    level: float
    interval: Interval
    errors: tuple[float, float] = (0.0, 0.0)
    nonlinearity: float = 0.0


@dataclass(frozen=True)
class Reach:
    """One likelihood: of one observable, with the rate or without."""

    name: str
    kind: str
    with_rate: bool
    information: Float[np.ndarray, "theta theta"]
    q: Float[np.ndarray, " point"]  # of the expected data
    score_information: Float[np.ndarray, "theta theta"]  # unbinned, of the shape alone; zero if it is no score
    template: Template | None = None  # None: the joint truth
    member_q: tuple[Float[np.ndarray, " point"], ...] = ()
    profiled_q: Float[np.ndarray, " point"] | None = None
    experiments: Experiments | None = None


class Analysis:
    """All likelihoods of a study.

    Args:
        expectation: sums over all events.
        rates: what they were made with.
        settings: parameters and grid.
        n_experiments: pseudo-experiments for each likelihood.
        stream: seed of the random numbers of what its arguments name.
    """

    def __init__(self, expectation: Expectation, rates: Rates, settings: Settings, n_experiments: int, stream: Stream):
        self.settings, self.truth = settings, expectation.truth()
        self.bins = {sums.observable.name: sums for sums in expectation.bins}
        self.templates = {name: sums.template(rates) for name, sums in self.bins.items()}
        self._rates, self._n, self._stream = rates, n_experiments, stream
        self.reaches = [*self._of_truth(), *(each for name in self.bins for each in self._of_bins(name))]

    @cached_property
    def limits(self) -> list[Limit]:
        """Intervals by every method."""
        places = range(len(self.settings.parameters))
        asked = product(self.reaches, places, self.settings.levels)
        return [limit for reach, place, level in asked for limit in self._limits_of(reach, place, level)]

    def _limits_of(self, reach: Reach, place: int, level: float) -> Iterator[Limit]:
        def limit(method: str, found: Interval, errors: tuple[float, float] = (0.0, 0.0), far: float = 0.0) -> Limit:
            parameter = self.settings.parameters[place]
            return Limit(reach.name, reach.kind, parameter, reach.with_rate, method, level, found, errors, far)

        expected = self._interval(reach.q, place, level)
        linear = self._linear(reach, place, level)
        yield limit("fisher", linear, far=distance(linear, expected))
        yield limit("expected", expected, self._spread(reach, place, level))
        if reach.profiled_q is not None:
            yield limit("profiled", self._interval(reach.profiled_q, place, level))
        if reach.experiments is not None and reach.experiments.ends.shape[1]:
            ends = reach.experiments.ends[:, self.settings.levels.index(level)]
            axis = self.settings.axes[place]
            low, high = np.median(ends, axis=0).tolist()
            quantiles = np.quantile(ends, [0.16, 0.84], axis=0)
            is_bounded = low > axis[0] and high < axis[-1]
            errors = tuple((np.diff(quantiles, axis=0)[0] / 2).tolist())
            yield limit("experiments", Interval(low, high, is_bounded, True), errors)

    def _interval(self, q: np.ndarray, place: int, level: float) -> Interval:
        axes = self.settings.axes
        return interval(axes[place], profile(axes, q.reshape(self.settings.shape), place), 0.0, level)

    def _linear(self, reach: Reach, place: int, level: float) -> Interval:
        """By the information, as if q were quadratic; no further than the grid."""
        axis = self.settings.axes[place]
        width = fisher_interval(reach.information, place, level)
        is_bounded = bool(-width >= axis[0] and width <= axis[-1])
        return Interval(max(-width, float(axis[0])), min(width, float(axis[-1])), is_bounded, True)

    def _spread(self, reach: Reach, place: int, level: float) -> tuple[float, float]:
        """Standard deviations of both ends over the members of the posterior."""
        if len(reach.member_q) < 2:
            return 0.0, 0.0
        found = [self._interval(q, place, level) for q in reach.member_q]
        low, high = np.std([(each.low, each.high) for each in found], axis=0, ddof=1).tolist()
        return low, high

    def _of_truth(self) -> Iterator[Reach]:
        found: Truth = self.truth
        none = np.zeros_like(found.information)
        yield Reach(TRUTH, TRUTH, False, found.information, found.q, none)
        yield Reach(TRUTH, TRUTH, True, found.information_rate, found.q_rate, none)

    def _of_bins(self, name: str) -> Iterator[Reach]:
        sums, template, points = self.bins[name], self.templates[name], self.settings.points
        zero = np.zeros(points.shape[1])
        for with_rate in (False, True):
            if template.n_bins == 1 and not with_rate:
                continue  # no shape
            members = (self._member(sums, each) for each in sums.members)
            information = template.information(zero, with_rate)
            yield Reach(
                name,
                sums.observable.kind,
                with_rate,
                information,
                asimov(template, points, with_rate),
                sums.score_information(),
                template,
                tuple(asimov(member, points, with_rate) for member in members),
                profiled_asimov(template, points, with_rate),
                self._experiments(name, template, information, with_rate),
            )

    def _member(self, sums: BinSums, coefficients: np.ndarray) -> Template:
        """Of one draw, without the bins that none of its events falls into at any theta."""
        is_reached = (coefficients != 0).any(axis=1)
        return Template(self._rates.morph, coefficients[is_reached], sums.square[is_reached])

    def _experiments(
        self, name: str, template: Template, information: np.ndarray, with_rate: bool
    ) -> Experiments | None:
        if self._n == 0:
            return None
        axes = [self._close(axis, information, place) for place, axis in enumerate(self.settings.axes)]
        seed = self._stream("experiments", name, with_rate)
        zero = np.zeros(len(axes))
        return experiments(
            template, zero, np.array(list(product(*axes))), self.settings.levels, self._n, with_rate, seed
        )

    def _close(self, axis: np.ndarray, information: np.ndarray, place: int) -> np.ndarray:
        """Values of the grid, and as many more within some standard deviations of zero."""
        width = _REACH * fisher_interval(information, place, 0.6827)
        low, high = max(axis[0], -width), min(axis[-1], width)
        return np.union1d(axis, np.linspace(low, high, len(axis)))


def distance(one: Interval, other: Interval) -> float:
    """Largest distance of the ends of two intervals, over the larger of the two."""
    pairs = ((one.low, other.low), (one.high, other.high))
    return max(abs(a - b) / max(abs(a), abs(b)) for a, b in pairs)
