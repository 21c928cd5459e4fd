r"""Accept-reject with a stated overweight: a fraction `overweight` of the rate lies above the maximum weight.

The rule: among all points, $\sum_{w > w_\mathrm{max}} w \le \mathrm{overweight} \cdot \sum w$, with the smallest such
$w_\mathrm{max}$. A point is accepted with probability $\min(1, w/w_\mathrm{max})$; one above the maximum is always
accepted and keeps the excess as its weight, $\max(1, w/w_\mathrm{max})$, so that nothing is lost and nothing biased.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from saggiatore.types import Array, Flag, Float, Scalar

_OCTAVES = 64  # weights between 2^-64 and 2^64 are resolved
_PER_OCTAVE = 512  # bins: the maximum weight is known to 0.14 %


class Spectrum(eqx.Module):
    """How the rate is spread over the weights, in logarithmic bins: constant memory for any number of points."""

    number: Float[Array, " bin"]
    rate: Float[Array, " bin"]  # sum of the weights in the bin

    @staticmethod
    def empty() -> "Spectrum":
        """No weights yet."""
        zeros = jnp.zeros(2 * _OCTAVES * _PER_OCTAVE)
        return Spectrum(zeros, zeros)

    def add(self, weights: Float[Array, " event"]) -> "Spectrum":
        """With further weights; those that are not positive cannot be accepted and are left out."""
        positive = weights > 0
        logarithm = jnp.log2(jnp.where(positive, weights, 1.0))
        position = ((logarithm + _OCTAVES) * _PER_OCTAVE).astype(int)
        bins = jnp.minimum(jnp.maximum(position, 0), len(self.rate) - 1)  # the outermost bins hold all beyond them
        return Spectrum(
            self.number.at[bins].add(jnp.where(positive, 1.0, 0.0)),
            self.rate.at[bins].add(jnp.where(positive, weights, 0.0)),
        )

    def max_weight(self, overweight: float) -> float:
        """The smallest bin edge above which no more than the fraction `overweight` of the rate lies."""
        rate = np.asarray(self.rate)
        above = np.cumsum(rate[::-1])[::-1]  # in this bin and those above it
        last = int(np.flatnonzero(above > overweight * above[0])[-1])
        return float(2.0 ** ((last + 1) / _PER_OCTAVE - _OCTAVES))

    def kept_fraction(self, max_weight: float) -> float:
        """Fraction of the rate below the maximum weight: <min(w, w_max)>/<w>."""
        rate, number = np.asarray(self.rate), np.asarray(self.number)
        return float(np.minimum(rate, number * max_weight).sum() / rate.sum())

    def overweight_rate(self, max_weight: float) -> float:
        """Fraction of the rate that lies in weights above the maximum."""
        edges = 2.0 ** (np.arange(len(self.rate)) / _PER_OCTAVE - _OCTAVES)
        rate = np.asarray(self.rate)
        return float(rate[edges >= max_weight].sum() / rate.sum())


def accept(ratio: Scalar, chance: Scalar) -> Flag:
    """Whether a point of weight `ratio` times the maximum is accepted; `chance` is uniform in [0, 1)."""
    return chance < ratio


def excess(ratio: Scalar) -> Scalar:
    """Weight that an accepted point keeps: 1, or more above the maximum."""
    return jnp.maximum(ratio, 1.0)
