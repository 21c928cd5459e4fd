"""Laws of tree amplitudes: gauge invariance, and channels against a direct sum over helicities and pairings."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saggiatore.physics import colour, weyl
from saggiatore.physics import electroweak as ew
from saggiatore.physics.boson_jets import on_shell, products
from saggiatore.physics.jet_channel import (
    charged_channels,
    charged_features,
    neutral_channels,
    neutral_features,
    squares,
)
from saggiatore.physics.jet_phase_space import Region, event
from saggiatore.physics.neutral_coupling import COEFFICIENTS, pole_couplings
from saggiatore.physics.recursion import amplitudes
from saggiatore.physics.recursion_plan import Leg, plan

pytestmark = pytest.mark.thorough

GLUON = 21
POLARISATIONS = (0, 1, 2)


def z_event(n_jets, seed):
    """Partons, then a Z boson."""
    u = jax.random.uniform(jax.random.key(seed), (3 * n_jets + 1,))
    return event(Region(13_000.0, n_jets, 20.0, 3.0), jnp.asarray(ew.M_Z**2), u)[0]


def outgoing(place, momentum, is_massless=True):
    vector = weyl.massless(momentum) if is_massless else weyl.from_real(momentum)
    return weyl.scale(-1.0 if place < 2 else 1.0, vector)


def fermion(kind, momentum, chirality):
    return (weyl.massless_row if kind == "quark" else weyl.massless_column)(momentum, chirality)


def massless_amplitudes(kinds, momenta, chiralities, emitter, longitudinal=None):
    """Amplitudes for the first gluon polarisations; the gluon `longitudinal` has its momentum for a wave.

    `kinds` are (kind, line, place) of all partons, a quark first and the antiquark of line 1 last, before which the
    boson is put; its polarisation is the first.
    """
    steps = plan((*(Leg(kind, line) for kind, line, _ in kinds[:-1]), Leg("boson"), Leg("antiquark", 1)), emitter)
    waves, vectors = [], []
    for kind, line, place in kinds:
        momentum = momenta[place]
        vectors.append(outgoing(place, momentum))
        if kind != "gluon":
            waves.append(fermion(kind, momentum, chiralities[line]))
        elif place == longitudinal:
            waves.append(weyl.scale(1 / momentum[0], weyl.massless(momentum)))
        else:
            waves.append(weyl.Vector(*(entry[0] for entry in weyl.gluon(momentum))))
    boson = on_shell(momenta[-1], ew.M_Z)
    waves.insert(-1, weyl.Vector(*(entry[0] for entry in boson.wave)))
    vectors.insert(-1, boson.momentum)
    return steps, jnp.stack(amplitudes(steps, waves, vectors))


ONE_LINE = (("quark", 1, 0), ("gluon", 0, 1), ("gluon", 0, 2), ("gluon", 0, 3), ("antiquark", 1, 4))
TWO_LINES = (("quark", 1, 0), ("quark", 2, 1), ("antiquark", 2, 2), ("gluon", 0, 3), ("antiquark", 1, 4))


@pytest.mark.parametrize(("kinds", "gluon", "emitter"), [(ONE_LINE, 2, 1), (TWO_LINES, 3, 1), (TWO_LINES, 3, 2)])
def test_amplitudes_with_three_jets_are_gauge_invariant(kinds, gluon, emitter):
    """Every colour's amplitude vanishes when a gluon's polarisation is its momentum."""
    momenta = z_event(3, 5)
    chiralities = {1: -1, 2: 1}
    _, physical = massless_amplitudes(kinds, momenta, chiralities, emitter)
    _, pure_gauge = massless_amplitudes(kinds, momenta, chiralities, emitter, gluon)
    assert jnp.all(jnp.abs(pure_gauge) < 1e-10 * jnp.abs(physical).max())


def test_a_chromomagnetic_moment_is_gauge_invariant():
    """g g -> t t~ with its t t g g vertex, to all orders in the moment."""
    top = ew.M_TOP
    direction = 300 * jnp.array([0.6, 0.0, 0.8])
    energy = jnp.sqrt(top**2 + 300.0**2)
    beam = jnp.array([0.0, 0.0, energy])
    rows = [(energy, beam), (energy, -beam), (energy, direction), (energy, -direction)]
    momenta = jnp.stack([jnp.concatenate([e[None], p]) for e, p in rows])
    steps = plan((Leg("quark", 1, top, dipole=True), Leg("gluon"), Leg("gluon"), Leg("antiquark", 1, top, dipole=True)))
    vectors = [outgoing(2, momenta[2], False), *(outgoing(i, momenta[i]) for i in (0, 1))]
    vectors.append(outgoing(3, momenta[3], False))
    quark = jax.tree.map(lambda x: x[0], weyl.massive_row(momenta[2], top))
    antiquark = jax.tree.map(lambda x: x[1], weyl.massive_column(momenta[3], top))
    transverse = jax.tree.map(lambda x: x[0], weyl.gluon(momenta[0]))
    longitudinal = weyl.scale(1 / momenta[0, 0], weyl.massless(momenta[0]))
    other = jax.tree.map(lambda x: x[1], weyl.gluon(momenta[1]))
    for moment in (0.0, 0.01):
        physical, pure_gauge = (
            jnp.stack(amplitudes(steps, [quark, gluon, other, antiquark], vectors, moment))
            for gluon in (transverse, longitudinal)
        )
        assert jnp.all(jnp.abs(pure_gauge) < 1e-12 * jnp.abs(physical).max())


def direct_square(partons, momenta, coupling, changes):
    """|M|^2 by explicit sums over pairings of quarks and antiquarks, helicities and colours; no 1/n!, no average.

    `coupling` is that of a quark line by flavour and chirality; a line that emits goes from `changes(flavour)`.
    """
    flavours = [-p if place < 2 and p != GLUON else p for place, p in enumerate(partons)]
    quarks = [i for i, p in enumerate(flavours) if 0 < p < GLUON]
    antiquarks = [i for i, p in enumerate(flavours) if p < 0]
    gluons = [i for i, p in enumerate(flavours) if p == GLUON]
    amplitudes_of = {}
    for n_swaps, ends in enumerate(itertools.permutations(antiquarks)):
        for emitter, chis in itertools.product(range(len(quarks)), itertools.product((-1, 1), repeat=len(quarks))):
            lines = list(zip(quarks, ends, strict=True))
            wanted = [flavours[q] if i != emitter else changes(flavours[q]) for i, (q, _) in enumerate(lines)]
            g = coupling(flavours[quarks[emitter]], chis[emitter])
            if g == 0 or [-flavours[a] for _, a in lines] != wanted:
                continue
            helicities = tuple(sorted([(q, c) for (q, _), c in zip(lines, chis, strict=True)]))
            helicities += tuple(sorted([(a, c) for (_, a), c in zip(lines, chis, strict=True)]))
            found = _amplitudes(lines, gluons, momenta, chis, emitter + 1)
            amplitudes_of.setdefault(helicities, []).append(((-1) ** n_swaps * g, *found))
    total = 0.0
    for parts in amplitudes_of.values():
        for (g, one, a), (h, two, b) in itertools.product(parts, parts):
            gram = colour.gram_matrix(one, two)
            total += g * h * np.einsum("ci,cd,di->", a.conj(), gram, b).real
    return total


def _amplitudes(lines, gluons, momenta, chis, emitter):
    n_axes = 1 + len(gluons)
    order, legs, waves = [], [], []
    for number, (quark, antiquark) in enumerate(lines, start=1):
        for kind, place in (("quark", quark), ("antiquark", antiquark)):
            order.append(place)
            legs.append(Leg(kind, number))
            waves.append(fermion(kind, momenta[place], chis[number - 1]))
    root = order.pop(1), legs.pop(1), waves.pop(1)
    for axis, place in enumerate(gluons, start=1):
        order.append(place)
        legs.append(Leg("gluon"))
        waves.append(_on_axis(weyl.gluon(momenta[place]), axis, n_axes))
    boson = on_shell(momenta[-1], ew.M_Z)
    order += [len(momenta) - 1, root[0]]
    legs += [Leg("boson"), root[1]]
    waves += [_on_axis(boson.wave, 0, n_axes), root[2]]
    vectors = [outgoing(place, momenta[place], place != len(momenta) - 1) for place in order]
    steps = plan(tuple(legs), emitter)
    found = np.stack([np.asarray(a).ravel() for a in amplitudes(steps, waves, vectors)])
    return [colour.relabelled(tensor, order) for tensor in steps.tensors], found


def _on_axis(wave, axis, n_axes):
    return jax.tree.map(lambda x: x.reshape(*(1,) * axis, -1, *(1,) * (n_axes - axis - 1)), wave)


@pytest.fixture(scope="module")
def two_jets():
    momenta = z_event(2, 8)
    return momenta, jax.jit(lambda p: products(p[:-1], on_shell(p[-1], ew.M_Z)))(momenta)


def chosen(channels, n):
    """Some channels, among them those with two pairings."""
    twice = [i for i, terms in enumerate(channels.terms) if len(set(terms)) == 3]
    stream = np.random.default_rng(3)
    return [*stream.choice(len(channels.partons), n, replace=False), *stream.choice(twice, n, replace=False)]


def test_neutral_channels_are_their_diagrams(two_jets):
    momenta, found = two_jets
    channels = neutral_channels(2)
    couplings = pole_couplings(jnp.zeros(len(COEFFICIENTS)))
    all_squares = squares(channels, neutral_features(found.one, found.two, couplings, POLARISATIONS))

    def coupling(flavour, chirality):
        return ew.neutral_couplings(flavour)[(chirality + 1) // 2][1]

    for row in chosen(channels, 8):
        partons = channels.partons[row]
        expected = channels.average[row] * direct_square(partons, momenta, coupling, lambda flavour: flavour)
        np.testing.assert_allclose(all_squares[row], expected, rtol=1e-9, err_msg=str(partons))


@pytest.mark.parametrize("charge", [-1, 1])
def test_charged_channels_are_their_diagrams(two_jets, charge):
    momenta, found = two_jets
    channels = charged_channels(2, charge)
    all_squares = squares(channels, charged_features(found.one, found.two, POLARISATIONS, POLARISATIONS))

    def coupling(flavour, chirality):
        return 1.0 if chirality < 0 and ew.is_up_type(flavour) == (charge < 0) else 0.0

    for row in chosen(channels, 8):
        partons = channels.partons[row]
        expected = channels.average[row] * direct_square(partons, momenta, coupling, ew.partner)
        np.testing.assert_allclose(all_squares[row], expected, rtol=1e-9, err_msg=str(partons))
