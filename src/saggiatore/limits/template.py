"""Expected numbers of events in the bins of an observable, at any theta, with what is uncertain about them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from saggiatore.errors import LikelihoodError
from saggiatore.integrate.morphing import Morphing, monomials, slopes
from saggiatore.types import Float

KEPT_VARIANCE = 0.99  # of several variations, by the nuisance parameters that stand for them


@dataclass(frozen=True)
class Template:
    """Expected events in each bin: polynomials of degree two in theta, exact as far as the simulated events go.

    `shifts` are what one standard deviation of each nuisance parameter adds to the coefficients; `names` name them.

    Raises:
        LikelihoodError: if a bin expects no events at theta = 0.
    """

    morph: Morphing
    coefficients: Float[np.ndarray, "bin monomial"]
    variance: Float[np.ndarray, " bin"]  # of the expectation at theta = 0, from the number of simulated events
    shifts: Float[np.ndarray, "nuisance bin monomial"] = field(default_factory=lambda: np.zeros((0, 0, 0)))
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        expected = self.expected(np.zeros(len(self.morph.parameters)))
        if not (expected > 0).all():
            place = int(np.argmin(expected > 0))
            raise LikelihoodError(
                f"bin {place + 1} of {len(expected)} expects {expected[place]:.3g} events at theta = 0: its likelihood "
                "is not defined. Use fewer bins, or more simulated events."
            )

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return len(self.coefficients)

    def monomials(self, theta: Float[np.ndarray, "*point theta"]) -> Float[np.ndarray, "*point monomial"]:
        """The monomials that the coefficients belong to."""
        return monomials((theta - self.morph.centre) / self.morph.width)

    def expected(self, theta: Float[np.ndarray, "*point theta"]) -> Float[np.ndarray, "*point bin"]:
        """Expected events in each bin."""
        return self.monomials(theta) @ self.coefficients.T

    def require_positive(self, points: Float[np.ndarray, "point theta"]) -> Float[np.ndarray, "point bin"]:
        """Expected events at many points.

        Raises:
            LikelihoodError: if a bin expects none somewhere.
        """
        expected = self.expected(points)
        if not (expected > 0).all():
            point, place = np.argwhere(~(expected > 0))[0]
            where = dict(zip(self.morph.parameters, points[point].tolist(), strict=True))
            raise LikelihoodError(
                f"bin {place + 1} of {self.n_bins} expects {expected[point, place]:.3g} events at {where}: its "
                "likelihood is not defined. Use fewer bins, a smaller range of the parameters, or events without "
                "negative weights."
            )
        return expected

    def natural(self) -> Float[np.ndarray, "bin monomial"]:
        """Coefficients in the monomials of theta itself: events for each unit of it."""
        return self.coefficients / _units(self.morph)

    def natural_shifts(self) -> Float[np.ndarray, "nuisance bin monomial"]:
        """The shifts in the monomials of theta itself."""
        return self.shifts.reshape(-1, *self.coefficients.shape) / _units(self.morph)

    def slopes(self, theta: Float[np.ndarray, "*point theta"]) -> Float[np.ndarray, "*point bin theta"]:
        """Derivatives of the expected events by the parameters."""
        x = (theta - self.morph.centre) / self.morph.width
        return np.einsum("bm,...mi->...bi", self.coefficients, slopes(x) / self.morph.width)

    def information(self, theta: Float[np.ndarray, " theta"], with_rate: bool) -> Float[np.ndarray, "theta theta"]:
        """Fisher information of all events together."""
        expected, slopes = self.expected(theta), self.slopes(theta)
        found = np.einsum("bi,bj,b->ij", slopes, slopes, 1 / expected)
        total = slopes.sum(axis=0)
        return found if with_rate else found - np.outer(total, total) / expected.sum()


def _units(morph: Morphing) -> Float[np.ndarray, " monomial"]:
    """The monomials of the widths, for a morphing whose benchmarks are centred at zero."""
    assert not morph.centre.any()
    return monomials(morph.width)


def principal_shifts(
    varied: Sequence[Float[np.ndarray, "bin monomial"]], centre: Float[np.ndarray, "bin monomial"], n_free: int
) -> Float[np.ndarray, "nuisance bin monomial"]:
    """Independent shifts of unit standard deviation that have `KEPT_VARIANCE` of the variance of `varied`.

    Args:
        varied: coefficients of several variations, such as draws of a posterior.
        centre: what they are measured from.
        n_free: divisor of the sum of squares: their number, or one less where `centre` is their mean.
    """
    deviations = np.stack([each - centre for each in varied])
    flat = deviations.reshape(len(deviations), -1)
    # relative to the Poisson error of each bin, so that no bin decides by its size
    errors = np.sqrt(np.abs(centre[:, 0]))
    scale = np.repeat(
        np.where(errors > 0, errors, 1.0), centre.shape[1]
    )  # a bin that nothing falls into shifts nowhere
    _, sizes, rows = np.linalg.svd(flat / scale, full_matrices=False)
    total = (sizes**2).sum()
    if not total > 0:
        return np.zeros((0, *centre.shape))
    n_kept = 1 + int(np.searchsorted(np.cumsum(sizes**2) / total, KEPT_VARIANCE))
    kept = (sizes[:n_kept, None] / n_free**0.5) * rows[:n_kept] * scale
    return kept.reshape(-1, *centre.shape)
