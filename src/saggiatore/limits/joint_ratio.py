r"""Joint likelihood ratios and joint scores of existing events at any theta, from the polynomials of their rates.

$r(z|\theta) = \frac{w(z|\theta)/\sigma(\theta)}{w(z|0)/\sigma(0)}$ and $t = \partial_\theta \log r$ (arXiv:1805.00013,
eqs. 8-10), with rates summed over flavours at the event's momenta z: flavours are averaged over and add no noise. The
ratio of cross sections is the mean of the ratios of rates over events drawn at zero and their images.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from saggiatore.errors import EventError
from saggiatore.integrate.events import legs_of
from saggiatore.limits.rates import Rates
from saggiatore.types import Float


@dataclass(frozen=True)
class CrossSectionRatio:
    """sigma(theta)/sigma(0) as a polynomial."""

    rates: Rates
    coefficients: Float[np.ndarray, " monomial"]

    def __call__(self, theta: Float[np.ndarray, "event theta"]) -> Float[np.ndarray, " event"]:
        """At the theta of each event."""
        return self.rates.morph.each_weight(self._each(theta), theta)

    def log_gradient(self, theta: Float[np.ndarray, "event theta"]) -> Float[np.ndarray, "event theta"]:
        """Derivatives of its logarithm."""
        return self.rates.morph.each_gradient(self._each(theta), theta) / self(theta)[:, None]

    def _each(self, theta: np.ndarray) -> Float[np.ndarray, "event monomial"]:
        return np.broadcast_to(self.coefficients, (len(theta), len(self.coefficients)))


def polynomials(rates: Rates, events: pd.DataFrame) -> Float[np.ndarray, "event monomial"]:
    """Rates of rows of an event table, relative to theta = 0 and summed over flavours.

    Raises:
        EventError: if an event has no rate at theta = 0, or its flavours are none of the process.
    """
    return rates.of(*legs_of(events, len(rates.process.legs))).averaged


def cross_section_ratio(rates: Rates, batches: Iterable[pd.DataFrame]) -> CrossSectionRatio:
    """From events at theta = 0.

    Raises:
        EventError: if an event has no rate there.
    """
    total, size = np.zeros(rates.morph.design.shape[1]), 0.0
    for batch in batches:
        weight = batch["weight"].to_numpy()
        momenta, _ = legs_of(batch, len(rates.process.legs))
        total, size = total + weight @ rates.of_images(momenta), size + weight.sum()
    return CrossSectionRatio(rates, total / size)


def log_ratio_and_score(
    cross_section: CrossSectionRatio,
    found: Float[np.ndarray, "event monomial"],
    theta: Float[np.ndarray, "event theta"],
) -> tuple[Float[np.ndarray, " event"], Float[np.ndarray, "event theta"]]:
    """log r and t of each event at its theta, from the polynomials of the events.

    Raises:
        EventError: if the rate of an event vanishes at its theta.
    """
    morph = cross_section.rates.morph
    weight = morph.each_weight(found, theta)
    if not (weight > 0).all():
        row = int(np.argmin(weight > 0))
        where = dict(zip(morph.parameters, theta[row].tolist(), strict=True))
        raise EventError(
            f"the rate of event {row + 1} vanishes at {where}: it has no likelihood ratio. Choose a smaller range of "
            "theta."
        )
    gradient = morph.each_gradient(found, theta) / weight[:, None]
    return np.log(weight / cross_section(theta)), gradient - cross_section.log_gradient(theta)
