r"""Sum of |M|^2 over all flavour channels of $q q' \to q q' h$, weighted with the parton densities.

With massless quarks and no widths, an amplitude depends on flavours only through the couplings of its two lines. A line
has one of four neutral couplings, those of u_L, u_R, d_L, d_R (an antiquark's current carries the chirality that its
coupling does not, see `electroweak`), so 4 x 4 neutral *classes* and one charged class serve all channels; each is the
coherent sum over boson pairs. Amplitudes with both chiralities flipped are complex conjugates and count by their weights.
A test holds this against the explicit sum over channels of `wbf_channel`.
"""

import jax.numpy as jnp

from saggiatore.physics import electroweak as ew
from saggiatore.physics.helicity import EQUAL
from saggiatore.types import Array, Float, Scalar

COLOUR_INTERFERENCE = 1 / 3
SPIN_AVERAGE = 1 / 4  # the colour average, 9/81 x 9, is one

Densities = Float[Array, "generation species"]  # species: up, down, anti-up, anti-down
Amplitudes = Float[Array, "part helicity pair"]  # reduced, with propagators and without couplings; real and imaginary
_UP, _DOWN, _ANTI_UP, _ANTI_DOWN = range(4)


def flavour_sum(first: Densities, second: Densities, t: Amplitudes, u: Amplitudes) -> Scalar:
    """Sum over flavours of f_1 f_2 |M|^2 for two legs in a fixed order, so that every final state is met once."""
    neutral_t, neutral_u = _neutral_classes(t), _neutral_classes(u)
    charged_t, charged_u = ew.G**2 / 2 * t[:, :, -1], ew.G**2 / 2 * u[:, :, -1]
    species_1, species_2 = first.sum(axis=0), second.sum(axis=0)
    neutral = _neutral_weights(species_1, species_2) * (neutral_t**2 + neutral_u**2).sum(axis=0)
    charged = _charged_weights(species_1, species_2) * (charged_t**2 + charged_u**2).sum(axis=0)
    interference = _identical(first, second, neutral_t[:, EQUAL], neutral_u[:, EQUAL])
    interference += _mixed(first, second, neutral_t[:, EQUAL], charged_u[:, EQUAL])
    interference += _mixed(first, second, neutral_u[:, EQUAL], charged_t[:, EQUAL])
    return SPIN_AVERAGE * (neutral.sum() + charged.sum() + 2 * COLOUR_INTERFERENCE * interference)


def _neutral_classes(amplitudes: Amplitudes) -> Float[Array, "part helicity class class"]:
    couplings = jnp.array([*ew.neutral_couplings(2), *ew.neutral_couplings(1)])  # (class, boson): u_L, u_R, d_L, d_R
    pairs = (couplings[:, None, :, None] * couplings[None, :, None, :]).reshape(16, 4)
    return (amplitudes[:, :, :4] @ pairs.T).reshape(2, 2, 4, 4)


def _by_class(species: Float[Array, " species"]) -> Float[Array, "chirality class"]:
    """Density of the partons whose current of given chirality has the coupling of each class."""
    up, down, anti_up, anti_down = species
    return jnp.stack([jnp.stack([up, anti_up, down, anti_down]), jnp.stack([anti_up, up, anti_down, down])])


def _neutral_weights(first: Float[Array, " species"], second: Float[Array, " species"]) -> Float[Array, "helicity 4 4"]:
    one, two = _by_class(first)[:, :, None], _by_class(second)[:, None, :]
    return jnp.stack([(one * two).sum(axis=0), (one * two[::-1]).sum(axis=0)])


def _charged_weights(first: Float[Array, " species"], second: Float[Array, " species"]) -> Float[Array, " helicity"]:
    """Density of pairs of which one emits a W+, the other a W-."""
    equal = first[_UP] * second[_DOWN] + first[_DOWN] * second[_UP]
    equal += first[_ANTI_UP] * second[_ANTI_DOWN] + first[_ANTI_DOWN] * second[_ANTI_UP]
    opposite = first[_UP] * second[_ANTI_UP] + first[_ANTI_UP] * second[_UP]
    opposite += first[_DOWN] * second[_ANTI_DOWN] + first[_ANTI_DOWN] * second[_DOWN]
    return jnp.stack([equal, opposite])


def _identical(first: Densities, second: Densities, t: Array, u: Array) -> Scalar:
    """Interference of the two assignments of identical quarks: classes (u_L, u_L), (u_R, u_R), and so for d."""
    same = (first * second).sum(axis=0)
    up, down = same[_UP] + same[_ANTI_UP], same[_DOWN] + same[_ANTI_DOWN]
    products = (t * u).sum(axis=0)
    return up * (products[0, 0] + products[1, 1]) + down * (products[2, 2] + products[3, 3])


def _mixed(first: Densities, second: Densities, neutral: Array, charged: Array) -> Scalar:
    """Interference of Z and photon exchange with W exchange in u d -> u d: classes (u_L, d_L) and (d_L, u_L)."""
    up_down = (first[:, _UP] * second[:, _DOWN] + first[:, _ANTI_UP] * second[:, _ANTI_DOWN]).sum()
    down_up = (first[:, _DOWN] * second[:, _UP] + first[:, _ANTI_DOWN] * second[:, _ANTI_UP]).sum()
    products = (neutral * charged[:, None, None]).sum(axis=0)
    return up_down * products[0, 2] + down_up * products[2, 0]
