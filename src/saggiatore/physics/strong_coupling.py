r"""The running strong coupling: as a parton-density set tabulates it, or evolved from its value at M_Z.

LHAPDF sets state $\alpha_s$ on a grid of Q in their ``.info`` file (``AlphaS_Qs``, ``AlphaS_Vals``), interpolated by
cubic Hermite polynomials in $\log Q^2$ within subgrids whose slopes are means of finite differences
(arXiv:1412.7420, section 3). Grids that come without that file need a value at M_Z; it runs with
$d\alpha_s/d\log\mu^2 = -\alpha_s^2 (b_0 + b_1 \alpha_s + b_2 \alpha_s^2)$ in the MS-bar scheme with five flavours
(PDG review of QCD, eq. 9.4), which is the running between the masses of the bottom and the top quark.
"""

import math
from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from pydantic import Field

from saggiatore.errors import PartonDensityError
from saggiatore.physics import electroweak as ew
from saggiatore.physics.lhagrid import find_grid
from saggiatore.spec import Spec
from saggiatore.types import Array, Float, Scalar

_N_FLAVOURS = 5
Q_RANGE = (2.0, 1e5)  # GeV, of the evolution
_N_KNOTS = 241


class EvolvedCoupling(Spec):
    """A strong coupling that is evolved from M_Z."""

    at_m_z: float = Field(gt=0, lt=0.3, description="alpha_s(M_Z)")
    loops: int = Field(ge=1, le=3, description="order of the beta function")


class StrongCoupling(eqx.Module):
    """alpha_s(Q) by cubic Hermite interpolation in log Q^2."""

    log_q2: Float[Array, " knot"]
    values: Float[Array, " knot"]
    slopes: Float[Array, " knot"]  # d alpha_s / d log Q^2

    def __call__(self, q: Scalar) -> Scalar:
        """alpha_s at `q` (GeV); NaN outside the table."""
        t = 2 * jnp.log(q)
        found = jnp.searchsorted(self.log_q2, t, side="right") - 1
        place = jnp.minimum(jnp.maximum(found, 0), len(self.log_q2) - 2)
        low, high = self.log_q2[place], self.log_q2[place + 1]
        width = high - low
        s = (t - low) / width
        value = (
            (1 + 2 * s) * (1 - s) ** 2 * self.values[place]
            + s * (1 - s) ** 2 * width * self.slopes[place]
            + s**2 * (3 - 2 * s) * self.values[place + 1]
            - s**2 * (1 - s) * width * self.slopes[place + 1]
        )
        inside = (t >= self.log_q2[0] - 1e-10) & (t <= self.log_q2[-1] + 1e-10)
        return jnp.where(inside, value, jnp.nan)


class FixedCoupling(eqx.Module):
    """The same alpha_s at all scales."""

    value: Scalar

    def __call__(self, q: Scalar) -> Scalar:
        """alpha_s."""
        return self.value


def load(set_name: str, evolved: EvolvedCoupling | None) -> StrongCoupling:
    """The coupling of a parton-density set, or `evolved` if given.

    Raises:
        PartonDensityError: if the set does not state its coupling and none is given.
    """
    return _of_set(find_grid(set_name), set_name) if evolved is None else evolve(evolved.at_m_z, evolved.loops)


def evolve(at_m_z: float, loops: int) -> StrongCoupling:
    """Solve the renormalisation group equation from M_Z to both ends of the range, by Runge-Kutta steps."""
    low, high = (2 * math.log(q) for q in Q_RANGE)
    grid = np.linspace(low, high, _N_KNOTS)
    start = 2 * math.log(ew.M_Z)
    first = int(np.searchsorted(grid, start))
    values = np.empty(_N_KNOTS)
    for places in (range(first, _N_KNOTS), range(first - 1, -1, -1)):
        t, alpha = start, at_m_z
        for place in places:
            alpha = _runge_kutta(alpha, grid[place] - t, loops)
            t, values[place] = grid[place], alpha
    return StrongCoupling(jnp.asarray(grid), jnp.asarray(values), jnp.asarray(_beta(values, loops)))


def _beta(alpha: Any, loops: int) -> Any:
    n = _N_FLAVOURS
    coefficients = (
        (33 - 2 * n) / (12 * math.pi),
        (153 - 19 * n) / (24 * math.pi**2),
        (2857 - 5033 * n / 9 + 325 * n**2 / 27) / (128 * math.pi**3),
    )
    return -(alpha**2) * sum(b * alpha**power for power, b in enumerate(coefficients[:loops]))


def _runge_kutta(alpha: float, step: float, loops: int) -> float:
    one = _beta(alpha, loops)
    two = _beta(alpha + step / 2 * one, loops)
    three = _beta(alpha + step / 2 * two, loops)
    four = _beta(alpha + step * three, loops)
    return alpha + step / 6 * (one + 2 * two + 2 * three + four)


def _of_set(grid: Path, name: str) -> StrongCoupling:
    info = grid.parent / f"{name.partition('/')[0]}.info"
    if not info.is_file():
        raise PartonDensityError(
            f"the set '{name}' comes without {info.name}, which would state its strong coupling (looked for in "
            f"{info.parent}). Give the study a coupling, such as strong_coupling: {{at_m_z: 0.118, loops: 1}}."
        )
    q, values = (_entry(info, key) for key in ("AlphaS_Qs", "AlphaS_Vals"))
    if len(q) != len(values) or len(q) < 2 or not (np.diff(q) >= 0).all() or q[0] <= 0 or not np.isfinite(values).all():
        raise PartonDensityError(
            f"{info}: AlphaS_Qs and AlphaS_Vals are no table of a coupling. Install the set again."
        )
    t = 2 * np.log(q)
    # a doubled knot is a flavour threshold, where a new subgrid with slopes of its own begins
    begins = np.flatnonzero(np.diff(q) == 0) + 1
    slopes = np.concatenate(
        [_slopes(*part) for part in zip(np.split(t, begins), np.split(values, begins), strict=True)]
    )
    return StrongCoupling(jnp.asarray(t), jnp.asarray(values), jnp.asarray(slopes))


def _entry(info: Path, key: str) -> np.ndarray:
    text = info.read_text(encoding="utf-8")
    _, found, rest = text.partition(f"{key}:")
    begin, end = rest.find("["), rest.find("]")
    if not found or begin < 0 or end < begin:
        raise PartonDensityError(
            f"{info}: '{key}' is missing. Give the study a strong_coupling, or install the set again."
        )
    try:
        return np.array([float(part) for part in rest[begin + 1 : end].split(",")])
    except ValueError as error:
        raise PartonDensityError(f"{info}: '{key}' is damaged: {error}. Install the set again.") from None


def _slopes(t: np.ndarray, values: np.ndarray) -> np.ndarray:
    differences = np.diff(values) / np.diff(t)
    return np.concatenate([differences[:1], (differences[1:] + differences[:-1]) / 2, differences[-1:]])
