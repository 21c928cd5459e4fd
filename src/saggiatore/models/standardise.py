"""Standardisation inside the model: shift and scale, and encodings that keep a reflection exact.

All of it is fitted to the training events before the first step and is fixed from then on.
"""

from functools import partial
from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.compilation import ONCE_AND_SHORT
from saggiatore.errors import StudyError, TrainingError
from saggiatore.models.base import AbstractFixed, positions
from saggiatore.types import Array, Features, Float

Values = Float[Array, " value"]
Numbers = Float[np.ndarray, "*event value"]


class Affine(AbstractFixed):
    """``(x - shift) / scale``, one value of each a component."""

    shift: Values
    scale: Values

    @classmethod
    def identity(cls, n: int) -> Self:
        """The map that does nothing."""
        return cls(jnp.zeros(n), jnp.ones(n))

    @classmethod
    def fit(cls, values: Float[Array, "event value"], *, is_centred: bool = True) -> Self:
        """Mean zero and variance one over the events; without `is_centred` the shift is zero: signs are kept.

        Raises:
            TrainingError: if a component is constant or not finite: nothing can be learned from it.
        """
        shift, spread = _mean_and_spread(np.asarray(values), is_centred)
        if not (np.isfinite(spread) & (spread > 0)).all():
            raise TrainingError(
                f"the inputs of the model have standard deviations {spread.tolist()}, expected positive numbers: a "
                "feature is constant, or lies outside the region that its option (log, lower, bounded) states."
            )
        return cls(jax.device_put(shift), jax.device_put(spread))

    def __call__(self, values: Values) -> Values:
        return (values - self.shift) / self.scale

    def of_many(self, values: Float[Array, "event value"]) -> Numbers:
        """The same of many events, by NumPy, which has nothing to compile."""
        found: Numbers = (np.asarray(values) - np.asarray(self.shift)) / np.asarray(self.scale)
        return found

    def inverse(self, values: Values) -> Values:
        """The value that is standardised to `values`."""
        return values * self.scale + self.shift

    @property
    def log_det(self) -> Float[Array, ""]:
        """Logarithm of the Jacobian of the forward map."""
        return -jnp.sum(jnp.log(self.scale))


def _mean_and_spread(values: Numbers, is_centred: bool) -> tuple[Numbers, Numbers]:
    """The mean, zero without `is_centred`, and the root mean square about it; NumPy has nothing to compile."""
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is told below
        shift = values.mean(axis=0, dtype=float) if is_centred else np.zeros(values.shape[1:])
        spread = np.sqrt(((values - shift) ** 2).mean(axis=0))
    return shift.astype(values.dtype), spread.astype(values.dtype)


class ParityEncoding(eqx.Module):
    r"""Inputs of a network that is exactly odd (or even) under the reflection of some features.

    The features at `odd` change sign under the reflection. `odd_inputs` then changes sign bit by bit and
    `even_inputs` not at all: an angle $\phi$ gives $\sin\phi$ and $\cos\phi$, and the products $o_i o_j$ of odd inputs
    are even. Any smooth odd function is $\sum_i o_i h_i(e)$ (Hadamard's lemma), so nothing is lost.
    """

    odd: tuple[int, ...] = eqx.field(static=True)
    log: tuple[int, ...] = eqx.field(static=True)  # positive features that also enter as their logarithm
    periodic: tuple[int, ...] = eqx.field(static=True)  # angles, in radians
    n_features: int = eqx.field(static=True)

    @classmethod
    def of(
        cls,
        features: tuple[str, ...],
        context: tuple[str, ...] = (),
        *,
        odd_in: tuple[str, ...],
        log: tuple[str, ...],
        periodic: tuple[str, ...],
    ) -> Self:
        """The encoding of features and, behind them, parameters, by what a model's options name.

        Raises:
            StudyError: if an option names what is not there, or a feature is asked to be two things.
        """
        both = sorted(set(log) & {*odd_in, *periodic})
        if both:
            raise StudyError(f"log: {', '.join(both)} may be negative (odd_in or periodic); leave it out of one.")
        names = (*features, *context)
        return cls(
            positions(odd_in, names, option="odd_in"),
            positions(log, features, option="log"),
            positions(periodic, features, option="periodic"),
            len(names),
        )

    def fit(self, features: Float[Array, "event feature"]) -> tuple[Affine, Affine]:
        """The standardisation of odd inputs, which keeps their signs, and of even inputs.

        Raises:
            TrainingError: if an input is constant or not finite.
        """
        odd, even = self.inputs(features)
        return Affine.fit(odd, is_centred=False), Affine.fit(even)

    def inputs(self, features: Float[Array, "event feature"]) -> tuple[Float[Array, "event value"], ...]:
        """Odd inputs and even inputs of many events."""
        return _inputs(self, features)

    def odd_inputs(self, features: Features) -> Values:
        """One number an odd feature."""
        values = [jnp.sin(features[i]) if i in self.periodic else features[i] for i in self.odd]
        return jnp.array(values, dtype=features.dtype)

    def even_inputs(self, features: Features) -> Values:
        """All that the reflection leaves alone."""
        values = []
        for i in range(self.n_features):
            if i in self.periodic:
                values += [jnp.cos(features[i])] + [jnp.sin(features[i])] * (i not in self.odd)
            elif i not in self.odd:
                values += [features[i]] + [jnp.log(features[i])] * (i in self.log)
        odd = self.odd_inputs(features)
        values += [odd[i] * odd[j] for i in range(len(self.odd)) for j in range(i + 1)]
        return jnp.array(values, dtype=features.dtype)

    def sizes(self) -> tuple[int, int]:
        """Number of odd and of even inputs."""
        example = jax.ShapeDtypeStruct((self.n_features,), jnp.zeros(0).dtype)
        return jax.eval_shape(self.odd_inputs, example).size, jax.eval_shape(self.even_inputs, example).size


class Encoded(eqx.Module):
    """Inputs that a `ParityEncoding` has worked out before: odd ones, then even ones."""

    n_odd: int = eqx.field(static=True)

    @property
    def odd(self) -> tuple[int, ...]:
        """Where the odd ones stand."""
        return tuple(range(self.n_odd))

    def odd_inputs(self, inputs: Values) -> Values:
        """The odd ones of one event."""
        return inputs[: self.n_odd]

    def even_inputs(self, inputs: Values) -> Values:
        """The even ones of one event."""
        return inputs[self.n_odd :]


@partial(jax.jit, static_argnums=0, compiler_options=ONCE_AND_SHORT)
def _inputs(
    encoding: ParityEncoding, features: Float[Array, "event feature"]
) -> tuple[Float[Array, "event value"], Float[Array, "event value"]]:
    return jax.vmap(lambda x: (encoding.odd_inputs(x), encoding.even_inputs(x)))(features)
