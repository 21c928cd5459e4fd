r"""Squared amplitudes of $g g \to t \bar t$ and $q \bar q \to t \bar t$, with a chromomagnetic moment of the top quark.

All tree diagrams of QCD (three and one) and those with one insertion of
$\mathcal{L} = \frac{c_{tG}}{\Lambda^2} g_s \frac{v}{\sqrt 2}\, \bar t \sigma^{\mu\nu} T^A t\, G^A_{\mu\nu}$, with
$D = \partial - i g_s T^A G^A$ (the operator $O_{tG}$ of arXiv:2008.11743): its $t \bar t g$ and $t \bar t g g$
vertices. A test holds the linear terms against arXiv:1010.6304, where $c_{hg} = g_s c_{tG}$. Its insertion in
$g g \to h \to t \bar t$ and electroweak production are left out. Light quarks are massless.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from saggiatore.physics import colour, weyl
from saggiatore.physics import electroweak as ew
from saggiatore.physics.recursion import Wave, amplitudes
from saggiatore.physics.recursion_plan import Leg, Plan, plan
from saggiatore.physics.weyl import HELICITIES
from saggiatore.types import Array, Float, Momenta, Scalar

_KAPPA = ew.VEV / 2**0.5 * 1e-6  # 1/GeV, at c_tG = 1 TeV^-2
_GLUON_AVERAGE = 1 / 256
_QUARK_AVERAGE = 1 / 36
GLUON_FLOWS = ((2, 0, 1, 3), (2, 1, 0, 3))  # top quark, gluons, antitop quark
_SIGNS = (-1.0, -1.0, 1.0, 1.0)  # of the legs' momenta, all outgoing


class Squares(NamedTuple):
    """|M|^2, averaged over incoming and summed over outgoing spins and colours, over g_s^4."""

    gluons: Scalar
    quarks: Scalar  # of either beam: the tops may change places with each other


def squares(momenta: Momenta, c_tg: Scalar, width: float = 0.0) -> Squares:
    """Both squares at `momenta` of partons 1, 2, top and antitop; c_tG in TeV^-2, the width (GeV) in propagators."""
    return Squares(
        _GLUON_AVERAGE * _square(_gluon_waves(momenta), _gluon_plan(width), momenta, c_tg),
        # the other chirality of the light quarks gives the same, by parity
        2 * _QUARK_AVERAGE * _square(_quark_waves(momenta), _quark_plan(width), momenta, c_tg),
    )


def gluon_flows(momenta: Momenta, c_tg: Scalar) -> Float[Array, " flow"]:
    """Squares of the two colour flows of gluons, up to a factor: along `GLUON_FLOWS`."""
    steps, order = _gluon_plan(0.0)
    places = {leg: place for place, leg in enumerate(order)}
    strings = [colour.string(tuple(places[leg] for leg in line)) for line in GLUON_FLOWS]
    total = _amplitudes(_gluon_waves(momenta), (steps, order), momenta, c_tg)
    rows = colour.projection(steps.tensors, strings)
    found = (sum((weight * each for weight, each in zip(row, total, strict=True)), jnp.zeros(())) for row in rows)
    return jnp.stack([jnp.sum(each.real**2 + each.imag**2) for each in found])


def _top(kind: str, width: float) -> Leg:
    return Leg(kind, 1, ew.M_TOP, width, dipole=True)


def _gluon_plan(width: float) -> tuple[Plan, tuple[int, ...]]:
    legs = (_top("quark", width), Leg("gluon"), Leg("gluon"), _top("antiquark", width))
    return plan(legs), (2, 0, 1, 3)


def _quark_plan(width: float) -> tuple[Plan, tuple[int, ...]]:
    legs = (_top("quark", width), Leg("antiquark", 2), Leg("quark", 2), _top("antiquark", width))
    return plan(legs), (2, 0, 1, 3)


def _gluon_waves(momenta: Momenta) -> list[Wave]:
    gluons: list[Wave] = [_on_axis(weyl.gluon(momenta[leg]), axis) for axis, leg in enumerate((0, 1))]
    return [*gluons, *_top_waves(momenta)]


def _quark_waves(momenta: Momenta) -> list[Wave]:
    """The incoming quark is the outgoing antiquark."""
    chirality = HELICITIES[0]
    pair: list[Wave] = [weyl.massless_column(momenta[0], chirality), weyl.massless_row(momenta[1], chirality)]
    return [*pair, *_top_waves(momenta)]


def _top_waves(momenta: Momenta) -> list[Wave]:
    top = _on_axis(weyl.massive_row(momenta[2], ew.M_TOP), 2)
    return [top, _on_axis(weyl.massive_column(momenta[3], ew.M_TOP), 3)]


def _on_axis(wave: Any, axis: int) -> Any:
    """The first axis of a wave becomes one of the four of the amplitude, those of the legs."""
    return jax.tree.map(lambda entry: entry.reshape(*(1,) * axis, -1, *(1,) * (3 - axis)), wave)


def _square(waves: list[Wave], steps: tuple[Plan, tuple[int, ...]], momenta: Momenta, c_tg: Scalar) -> Scalar:
    """Sum over spins and colours of |M|^2."""
    total = _amplitudes(waves, steps, momenta, c_tg)
    gram = colour.gram_matrix(steps[0].tensors, steps[0].tensors)
    return sum(
        (gram[i, j] * jnp.sum((total[i].conj() * total[j]).real) for i in range(len(total)) for j in range(len(total))),
        jnp.zeros(()),
    )


def _amplitudes(waves: list[Wave], steps: tuple[Plan, tuple[int, ...]], momenta: Momenta, c_tg: Scalar) -> list[Array]:
    """M_0 + c M_1 of each colour: at most one insertion."""
    tree, order = steps
    vectors = [weyl.massless(p) for p in momenta[:2]] + [weyl.from_real(p) for p in momenta[2:]]
    signed = [weyl.scale(_SIGNS[leg], vectors[leg]) for leg in order]

    def amplitude(kappa: Scalar) -> list[Array]:
        return amplitudes(tree, [waves[leg] for leg in order], signed, kappa)

    value, slope = jax.jvp(amplitude, (jnp.zeros(()),), (jnp.asarray(_KAPPA),))
    return [zero + c_tg * one for zero, one in zip(value, slope, strict=True)]
