r"""Squared amplitudes of $g g \to t \bar t$ and $q \bar q \to t \bar t$, with a chromomagnetic moment of the top quark.

All tree diagrams of QCD (three and one) and those with one insertion of
$\mathcal{L} = \frac{c_{tG}}{\Lambda^2} g_s \frac{v}{\sqrt 2}\, \bar t \sigma^{\mu\nu} T^A t\, G^A_{\mu\nu}$, with
$D = \partial - i g_s T^A G^A$ (the operator $O_{tG}$ of arXiv:2008.11743): its $t \bar t g$ and $t \bar t g g$
vertices. A test holds the linear terms against arXiv:1010.6304, where $c_{hg} = g_s c_{tG}$. Its insertion in
$g g \to h \to t \bar t$ and electroweak production are left out. Light quarks are massless.

Legs are partons 1, 2, then top and antitop quark or the three products of each, in the order of `top_decay`: then the
amplitude is that of the doubly resonant diagrams without the denominators of the two top propagators.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from saggiatore.physics import colour, weyl
from saggiatore.physics import electroweak as ew
from saggiatore.physics.kinematics import mass_squared
from saggiatore.physics.recursion import Wave, amplitudes
from saggiatore.physics.recursion_plan import Leg, Plan, plan
from saggiatore.physics.top_decay import antitop_column, strength, top_row
from saggiatore.types import Array, Float, Momenta, Scalar

_KAPPA = ew.VEV / 2**0.5 * 1e-6  # 1/GeV, at c_tG = 1 TeV^-2
_GLUON_AVERAGE = 1 / 256
_QUARK_AVERAGE = 1 / 36
_QUARK_COLOUR = 1 / 2  # tr T^a T^b of the light quarks
GLUON_FLOWS = ((2, 0, 1, 3), (2, 1, 0, 3))  # top quark, gluons, antitop quark
PRODUCTS = (slice(2, 5), slice(5, 8))  # legs of what became of the top and of the antitop quark
_UNDECAYED = 4  # legs


class Squares(NamedTuple):
    """|M|^2, averaged over incoming and summed over outgoing spins and colours, over g_s^4."""

    gluons: Scalar
    quarks: Scalar  # of either beam, since both chiralities are summed


def squares(momenta: Momenta, c_tg: Scalar, width: float = 0.0) -> Squares:
    """Both squares at `momenta` of an event; c_tG in TeV^-2, the width (GeV) in propagators of exchanged tops."""
    # without decays the other helicity of the first parton gives the same, by parity
    decays = strength(momenta[PRODUCTS[0]]) * strength(momenta[PRODUCTS[1]]) if is_decayed(momenta) else 2.0
    return Squares(
        decays * _GLUON_AVERAGE * _square(_gluon_waves(momenta), _gluon_plan(width), momenta, c_tg),
        decays * _QUARK_AVERAGE * _QUARK_COLOUR * _square(_quark_waves(momenta), _quark_plan(), momenta, c_tg),
    )


def is_decayed(momenta: Momenta) -> bool:
    """Whether the legs are products of the top quarks."""
    return len(momenta) > _UNDECAYED


def top_momenta(momenta: Momenta) -> Float[Array, "2 4"]:
    """Momenta of top and antitop quark."""
    return jnp.stack([momenta[legs].sum(axis=0) for legs in PRODUCTS]) if is_decayed(momenta) else momenta[2:]


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


def _quark_plan() -> tuple[Plan, tuple[int, ...]]:
    """The light quarks are a virtual gluon."""
    return plan((_top("quark", 0.0), Leg("gluon"), _top("antiquark", 0.0))), (1, 0, 2)


def _gluon_waves(momenta: Momenta) -> list[Wave]:
    gluons: list[Wave] = [_on_axis(weyl.gluon(momenta[leg]), axis) for axis, leg in enumerate((0, 1))]
    return [_first(gluons[0], momenta), gluons[1], *_top_waves(momenta)]


def _quark_waves(momenta: Momenta) -> list[Wave]:
    """The field of both incoming quarks, of either chirality: the incoming quark is the outgoing antiquark."""
    inverse = 1 / mass_squared(momenta[0] + momenta[1])
    field = _on_axis(weyl.scale(inverse, weyl.lepton_current(momenta[1], momenta[0])), 0)
    return [_first(field, momenta), *_top_waves(momenta)]


def _first(wave: Any, momenta: Momenta) -> Any:
    """Both helicities, or the first alone where the spins of the tops are summed."""
    return wave if is_decayed(momenta) else jax.tree.map(lambda entry: entry[:1], wave)


def _top_waves(momenta: Momenta) -> list[Wave]:
    if is_decayed(momenta):
        return [top_row(momenta[PRODUCTS[0]]), antitop_column(momenta[PRODUCTS[1]])]
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
    incoming = [weyl.massless(p) for p in momenta[:2]]
    if len(waves) == len(_quark_plan()[1]):
        incoming = [weyl.add(*incoming)]
    vectors = [*(weyl.scale(-1.0, p) for p in incoming), *(weyl.from_real(p) for p in top_momenta(momenta))]
    signed = [vectors[leg] for leg in order]

    # a polynomial of degree two in the moment: three values give the term linear in it, and compile in a third of the
    # time that a derivative takes
    moments = _KAPPA * jnp.arange(-1.0, 2.0).reshape(-1, 1, 1, 1, 1)
    found = amplitudes(tree, [waves[leg] for leg in order], signed, moments)
    return [zero + c_tg * (plus - minus) / 2 for minus, zero, plus in found]
