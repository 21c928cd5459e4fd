r"""What a number of events is expected to be in each bin at any theta, and what the whole events would tell.

Sums over simulated events, batch by batch. The joint truth is an unbinned likelihood of everything in an event record,
flavours included: q(theta) = 2 sum_e n_e [r_e - 1 - log r_e] with r_e the ratio of the event's rates at theta and at
zero, n_e what it stands for (arXiv:1805.00013, sec. II). No observable can do better: q is a relative entropy, and
falls when events are summarised.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from saggiatore.errors import LikelihoodError
from saggiatore.integrate.events import VARIED, legs_of
from saggiatore.integrate.morphing import monomials
from saggiatore.limits.observable import SCORES, Observable
from saggiatore.limits.rates import Rates, require_agreement
from saggiatore.limits.template import Template, principal_shifts
from saggiatore.tasks.columns import flavour_variance_column, joint_score_column, parton_score_column
from saggiatore.types import Float

_MEMBER = f"{VARIED}member"


class BinSums:
    """Sums in the bins of one observable: of the nominal weights, of members of a posterior, of varied weights."""

    def __init__(self, observable: Observable, n_monomials: int, n_theta: int):
        self.observable = observable
        shape = observable.binning.n_bins, n_monomials
        self.coefficients = np.zeros(shape)
        self.square = np.zeros(shape[0])
        self.members: list[np.ndarray] = []
        self.varied: dict[str, np.ndarray] = {}
        dimension = len(observable.components)
        self.low, self.high = np.full(dimension, np.inf), np.full(dimension, -np.inf)
        self.cross, self.outer = np.zeros((n_theta, dimension)), np.zeros((dimension, dimension))

    def add(
        self,
        events: Mapping[str, np.ndarray],
        polynomials: Float[np.ndarray, "event monomial"],
        score: Float[np.ndarray, "event theta"],
        scale: float,
    ) -> None:
        """Add events, each of which stands for its weight times `scale`."""
        values, weight = self.observable.values(events), scale * events["weight"]
        index = self.observable.binning.index(values)
        self.low, self.high = np.fmin(self.low, values.min(axis=0)), np.fmax(self.high, values.max(axis=0))
        at_zero = weight * polynomials[:, 0]
        self.coefficients += self._binned(index, weight, polynomials)
        self.square += np.bincount(index, at_zero**2, minlength=len(self.square))
        members = [self._binned(each, weight, polynomials) for each in self.observable.member_index(events)]
        self.members = [a + b for a, b in zip(self.members, members, strict=True)] if self.members else members
        for name in (name for name in events if name.startswith(VARIED)):
            found = self._binned(index, scale * events[name], polynomials)
            self.varied[name] = self.varied.get(name, 0.0) + found
        if self.observable.kind in SCORES:
            self.cross += np.einsum("ei,ej,e->ij", score, values, weight)
            self.outer += np.einsum("ei,ej,e->ij", values, values, weight)

    def _binned(self, index: np.ndarray, weight: np.ndarray, polynomials: np.ndarray) -> np.ndarray:
        columns = [np.bincount(index, weight * column, minlength=len(self.coefficients)) for column in polynomials.T]
        return np.stack(columns, axis=1)

    def bounds(self) -> Float[np.ndarray, "bin component 2"]:
        """Edges of the bins; open ones end at the outermost event."""
        bounds = self.observable.binning.bounds()
        ends = np.stack([self.low, self.high], axis=1)
        return np.where(np.isfinite(bounds), bounds, ends)

    def score_information(self) -> Float[np.ndarray, "theta theta"]:
        """Information on the shape that the score keeps as an optimal observable, unbinned; zero if it is no score."""
        if self.observable.kind not in SCORES:
            return np.zeros((len(self.cross), len(self.cross)))
        return self.cross @ np.linalg.solve(self.outer, self.cross.T)

    def template(self, rates: Rates) -> Template:
        """The expectation, with a shift for each direction in which posterior and varied weights move it.

        Raises:
            LikelihoodError: if a bin expects no events.
        """
        shifts, names = [], []
        for group, found in self._groups().items():
            shifts.append(found)
            names += [f"{group}_{number}" for number in range(len(found))]
        together = np.concatenate(shifts) if shifts else np.zeros((0, *self.coefficients.shape))
        return Template(rates.morph, self.coefficients, self.square, together, tuple(names))

    def _groups(self) -> dict[str, Float[np.ndarray, "nuisance bin monomial"]]:
        found = {}
        members = [each for name, each in self.varied.items() if name.startswith(_MEMBER)]
        scales = [each for name, each in self.varied.items() if not name.startswith(_MEMBER)]
        if len(self.members) > 1:
            centre = np.mean(self.members, axis=0)
            found["posterior"] = principal_shifts(self.members, centre, len(self.members) - 1)
        if scales:
            found["scale"] = principal_shifts(scales, self.coefficients, len(scales))
        if len(members) > 1:
            found["parton_density"] = principal_shifts(members, np.mean(members, axis=0), len(members) - 1)
        return found


@dataclass(frozen=True)
class Truth:
    """What the whole events would tell."""

    information: Float[np.ndarray, "theta theta"]  # of all events together, of their distribution alone
    information_rate: Float[np.ndarray, "theta theta"]  # with their number
    q: Float[np.ndarray, " point"]
    q_rate: Float[np.ndarray, " point"]
    n_expected: float  # events at theta = 0


class Expectation:
    """Sums over simulated events.

    Args:
        rates: rates of the events at any theta.
        observables: what is binned.
        points: theta at which the joint truth is evaluated, shape (point, theta).
        scale: expected events in a pb.
    """

    def __init__(self, rates: Rates, observables: Sequence[Observable], points: np.ndarray, scale: float):
        morph = rates.morph
        self._rates, self._scale, self._parameters = rates, scale, morph.parameters
        n_theta, n_monomials = len(morph.parameters), morph.design.shape[1]
        self.bins = [BinSums(each, n_monomials, n_theta) for each in observables]
        self._points, self._monomials = points, monomials((points - morph.centre) / morph.width)
        self._rate, self._log_rate = np.zeros(len(points)), np.zeros(len(points))
        self._information, self._slope = np.zeros((n_theta, n_theta)), np.zeros(n_theta)
        self._offset, self._distance, self._size = np.zeros(n_theta), np.zeros(n_theta), np.zeros(n_theta)
        self._n_expected = 0.0

    def add(self, batch: pd.DataFrame) -> None:
        """Add a batch of events, rows of an event table.

        Raises:
            EventError: if their flavours are none of the process.
            LikelihoodError: if the rate of an event vanishes at one of the points.
        """
        polynomials = self._rates.of(*legs_of(batch, len(self._rates.process.legs)))
        events = {str(name): batch[name].to_numpy() for name in batch.columns}
        weight = self._scale * events["weight"]
        joint, parton, variance = (
            np.stack([events[column(name).name] for name in self._parameters], axis=1)
            for column in (joint_score_column, parton_score_column, flavour_variance_column)
        )
        for sums in self.bins:
            sums.add(events, polynomials.averaged, parton, self._scale)
        self._add_truth(polynomials.own, weight)
        self._n_expected += weight.sum()
        information = np.einsum("ei,ej,e->ij", joint, joint, weight)
        np.fill_diagonal(information, weight @ (parton**2 + variance))  # averaged over flavours: less noise
        self._information += information
        slopes = self._rates.morph.gradient(polynomials.averaged, np.zeros(len(self._parameters)))
        self._slope += weight @ slopes
        self._offset += weight @ (slopes - parton)
        self._distance += weight @ (slopes - parton) ** 2
        self._size += weight @ parton**2

    def truth(self) -> Truth:
        """The joint truth of all events so far.

        Raises:
            EventError: if the events' scores are not those of the process.
        """
        total = self._n_expected
        distance = self._distance - self._offset**2 / total  # the table's scores lack d log sigma, a constant
        require_agreement(float(distance.sum()), float(self._size.sum()), self._parameters)
        q_rate = 2 * (self._rate - total - self._log_rate)
        q = 2 * (total * np.log(self._rate / total) - self._log_rate)
        with_rate = self._information + np.outer(self._slope, self._slope) / total
        return Truth(self._information, with_rate, q, q_rate, total)

    def _add_truth(self, own: Float[np.ndarray, "event monomial"], weight: Float[np.ndarray, " event"]) -> None:
        ratios = own @ self._monomials.T
        if not (ratios > 0).all():
            point = self._points[np.argwhere(~(ratios > 0))[0][1]]
            where = dict(zip(self._parameters, point.tolist(), strict=True))
            raise LikelihoodError(
                f"the rate of an event vanishes at {where}: its likelihood is not defined. Choose a smaller range."
            )
        self._rate += weight @ ratios
        self._log_rate += weight @ np.log(ratios)
