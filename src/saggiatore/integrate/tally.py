"""What a sample of another generator amounts to: sums over its events, read once, and what is reported of them."""

from dataclasses import dataclass, field

import numpy as np

from saggiatore.errors import EmptyRegionError, EventError
from saggiatore.tables import Column, TableSchema
from saggiatore.types import Bool, Float, Int

_SHOWN = 10  # events that an error locates
_COLUMNS = (
    Column("n_read", "1", "events that were read from the file", kind="int"),
    Column("n_passed", "1", "events of these that pass the cuts", kind="int"),
    Column("passed_fraction", "1", "fraction of the events that pass the cuts"),
    Column("negative_fraction", "1", "fraction of the events inside the cuts with negative weights"),
    Column("negative_weight_fraction", "1", "the same by the size of their weights"),
    Column("ess_weights", "1", "effective sample size (sum w)^2 / sum w^2 inside the cuts"),
    Column("residual", "1", "relative distance of the weights from polynomials in theta, root mean square"),
    Column("cross_section", "pb", "fiducial cross section at the table's theta", r"$\sigma$"),
)
_MORPHING = (
    Column("n_spare_benchmarks", "1", "benchmarks beyond those that the polynomials need", kind="int"),
    Column("condition", "1", "condition number of the benchmarks' design"),
    Column("amplification", "1", "root of the summed squares of the benchmarks' shares in a weight"),
)


def sample_schema(is_morphed: bool) -> TableSchema:
    """Columns of the one row that describes a sample."""
    return TableSchema("sample", 1, (*_COLUMNS, *(_MORPHING if is_morphed else ())))


@dataclass
class Tally:
    """Sums over the events that were read; `weights` in the file's unit."""

    n_read: int = 0
    n_passed: int = 0
    read: float = 0.0  # sum of own weights before the cuts
    passed: float = 0.0  # sums of the weights at the point that is wanted, inside the cuts
    passed_squared: float = 0.0
    negative: float = 0.0  # sum of the sizes of negative ones
    n_negative: int = 0
    slope: Float[np.ndarray, " theta"] | float = 0.0  # sum of the derivatives of these weights
    residual: float = 0.0  # sum of squared distances from the polynomial
    scale: float = 0.0  # sum of squares of what they are distances from
    n_bad: int = 0
    bad: list[int] = field(default_factory=list)  # numbers of the first events whose weights are not finite

    def add_bad(self, numbers: Int[np.ndarray, " event"]) -> None:
        """Note events whose weights are NaN or infinite."""
        self.n_bad += len(numbers)
        self.bad += numbers[: _SHOWN - len(self.bad)].tolist()

    def add_read(self, own: Float[np.ndarray, " event"], passed: Bool[np.ndarray, " event"]) -> None:
        """Add events, whether they pass the cuts or not."""
        self.n_read += len(own)
        self.n_passed += int(passed.sum())
        self.read += float(own.sum())

    def add_passed(self, weight: Float[np.ndarray, " event"], slope: Float[np.ndarray, "event theta"]) -> None:
        """Add events inside the cuts."""
        self.passed += float(weight.sum())
        self.passed_squared += float((weight**2).sum())
        self.negative -= float(weight[weight < 0].sum())
        self.n_negative += int((weight < 0).sum())
        self.slope = self.slope + slope.sum(axis=0)

    def add_residual(
        self, weights: Float[np.ndarray, "event benchmark"], fitted: Float[np.ndarray, "event benchmark"]
    ) -> None:
        """Add the distance of weights at benchmarks from their polynomial."""
        self.residual += float(((weights - fitted) ** 2).sum())
        self.scale += float((weights**2).sum())

    @property
    def relative_residual(self) -> float:
        """Root mean square distance of the weights from polynomials over the root mean square weight."""
        return (self.residual / self.scale) ** 0.5 if self.scale > 0 else 0.0

    @property
    def log_gradient(self) -> Float[np.ndarray, " theta"]:
        """Derivative of the logarithm of the fiducial cross section, as the sample has it."""
        return np.asarray(self.slope / self.passed)

    def require_sound(self, max_residual: float) -> None:
        """Refuse a sample that cannot be used.

        Raises:
            EventError: if a weight is not finite, the sum is not positive, or the weights are no polynomials.
            EmptyRegionError: if no event passes the cuts.
        """
        if self.n_bad:
            more = ", ..." if self.n_bad > len(self.bad) else ""
            raise EventError(
                f"{self.n_bad} of {self.n_read + self.n_bad} events have a weight that is NaN or infinite, at theta or "
                f"at a benchmark: events {', '.join(map(str, self.bad))}{more} of the file. Every weight must be "
                "finite: find out why the generator made them, or remove these events knowingly."
            )
        if self.n_passed == 0:
            raise EmptyRegionError(
                f"none of {self.n_read} events passes the cuts of the process. Widen the cuts, or read other events."
            )
        if not (self.read > 0 and self.passed > 0):
            raise EventError(
                f"the weights sum up to {self.read:g} before and {self.passed:g} inside the cuts, expected positive "
                f"numbers ({self.n_negative} of {self.n_passed} are negative): no cross section. Read more events."
            )
        if self.relative_residual > max_residual:
            raise EventError(
                f"the weights lie {self.relative_residual:.3g} (root mean square, relative) from polynomials of degree "
                f"two in theta, at most {max_residual:g} is allowed: a benchmark has other parameters than the study "
                "says, or the weight is no such polynomial. Check benchmarks and theta, or raise max_residual."
            )

    def report(self, factor: float) -> dict[str, float]:
        """What is worth knowing of the sample; `factor` turns its weights into pb. Columns of `sample_schema`."""
        return {
            "n_read": self.n_read,
            "n_passed": self.n_passed,
            "passed_fraction": self.n_passed / self.n_read,
            "negative_fraction": self.n_negative / self.n_passed,
            "negative_weight_fraction": self.negative / (self.passed + 2 * self.negative),
            "ess_weights": self.passed**2 / self.passed_squared,
            "residual": self.relative_residual,
            "cross_section": factor * self.passed,
        }
