r"""A mapping that follows both t-channel propagators of weak-boson fusion, in the rapidity of the Higgs boson.

With jet 3 from parton 1 and jet 4 from parton 2, the virtualities depend on $w = e^y$ alone once the jets are known:
$M^2 - q_1^2 = A + B w$ and $M^2 - q_2^2 = C + D/w$, where
$A = M^2 + p_{T3}^2 + p_{T3} p_{T4} e^{-\Delta\eta}$, $B = p_{T3} m_T e^{-\eta_3}$,
$C = M^2 + p_{T4}^2 + p_{T3} p_{T4} e^{-\Delta\eta}$, $D = p_{T4} m_T e^{\eta_4}$.
The density in y is $\propto 1/((A + B w)(C + D/w))$, whose integral
$\frac{1}{AC - BD} \log\frac{C w + D}{A + B w}$ is solved for w. Transverse momenta follow $q_i^2$ in the coordinates of
`phase_space` already.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from saggiatore.physics.mapping import AbstractMapping
from saggiatore.physics.phase_space import JetRegion, JetVariables, jet_variables, rapidity_range, recoil_squared
from saggiatore.types import Scalar, UnitPoint

_HIGGS = 6  # place of the rapidity in the point
_SMALL = 1e-9


class FusionMapping(AbstractMapping):
    """The last coordinate, linear in the Higgs boson's rapidity, follows the propagators of both exchanged bosons."""

    region: JetRegion = eqx.field(static=True)
    higgs_mass: float = eqx.field(static=True)  # GeV
    boson_mass: float = eqx.field(static=True)  # GeV

    def forward(self, y: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """The rapidity at which the fraction `y` of the density lies below."""
        curve = self._curve(y)
        w = curve.point(y[_HIGGS])
        place = (jnp.log(w) - curve.low) / curve.span
        # rounding may carry the ends of the range out of it, here and below
        return y.at[_HIGGS].set(jnp.clip(place, 0.0, 1.0)), -curve.log_density(w)

    def inverse(self, u: UnitPoint) -> tuple[UnitPoint, Scalar]:
        """The fraction of the density below this rapidity."""
        curve = self._curve(u)
        w = jnp.exp(curve.low + curve.span * u[_HIGGS])
        return u.at[_HIGGS].set(jnp.clip(curve.fraction(w), 0.0, 1.0)), curve.log_density(w)

    def _curve(self, point: UnitPoint) -> "_Curve":
        jets, _ = jet_variables(self.region, point[:_HIGGS])
        low, high = rapidity_range(self.region.sqrt_s, self.higgs_mass, jets)
        possible = high > low
        # where there is no event any range will do
        return _curve(
            jets, self.higgs_mass, self.boson_mass, jnp.where(possible, low, 0.0), jnp.where(possible, high, 1.0)
        )


class _Curve(NamedTuple):
    """The density between two rapidities."""

    a: Scalar
    b: Scalar
    c: Scalar
    d: Scalar
    low: Scalar
    span: Scalar

    def fraction(self, w: Scalar) -> Scalar:
        """Part of the density below log w."""
        return self._integral(w) / self._integral(jnp.exp(self.low + self.span))

    def point(self, fraction: Scalar) -> Scalar:
        """The w below which a part of the density lies."""
        wanted = fraction * self._integral(jnp.exp(self.low + self.span))
        determinant, begin = self.a * self.c - self.b * self.d, jnp.exp(self.low)
        is_flat = jnp.abs(determinant * wanted) < _SMALL
        step = jnp.where(is_flat, wanted, jnp.expm1(determinant * wanted) / jnp.where(is_flat, 1.0, determinant))
        weight = step * (self.c * begin + self.d)
        return (begin + self.a * weight) / (1 - self.b * weight)

    def log_density(self, w: Scalar) -> Scalar:
        """Logarithm of the density in units of the span."""
        total = self._integral(jnp.exp(self.low + self.span))
        return jnp.log(self.span / (total * (self.a + self.b * w) * (self.c + self.d / w)))

    def _integral(self, w: Scalar) -> Scalar:
        """Of the density, from the lower end to log w; regular where AC = BD."""
        begin = jnp.exp(self.low)
        distance = (w - begin) / ((self.a + self.b * w) * (self.c * begin + self.d))
        shift = (self.a * self.c - self.b * self.d) * distance
        is_flat = jnp.abs(shift) < _SMALL
        return distance * jnp.where(is_flat, 1.0, jnp.log1p(shift) / jnp.where(is_flat, 1.0, shift))


def _curve(jets: JetVariables, higgs_mass: float, boson_mass: float, low: Scalar, high: Scalar) -> _Curve:
    mt = jnp.sqrt(higgs_mass**2 + recoil_squared(jets))
    eta_3, eta_4 = jets.mean_eta + jets.delta_eta / 2, jets.mean_eta - jets.delta_eta / 2
    shared = jets.pt_3 * jets.pt_4 * jnp.exp(-jets.delta_eta)
    return _Curve(
        a=boson_mass**2 + jets.pt_3**2 + shared,
        b=jets.pt_3 * mt * jnp.exp(-eta_3),
        c=boson_mass**2 + jets.pt_4**2 + shared,
        d=jets.pt_4 * mt * jnp.exp(eta_4),
        low=low,
        span=high - low,
    )
