"""Intermediate particles of event records, and a shower that accepts decayed top pairs."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pylhe
import pytest
import pythia8mc

from saggiatore.formats.lhe import Event, Run, write_lhe
from saggiatore.physics import electroweak as ew
from saggiatore.physics.colour_flow import line_numbers
from saggiatore.physics.intermediate import record
from saggiatore.physics.top_pair import TopPairSpec
from saggiatore.physics.top_pair_decays import INTERMEDIATES, hadronic, semileptonic

N_EVENTS = 200
PROCESS = {
    "kind": "top_pair",
    "sqrt_s": "13 TeV",
    "parton_density": "NNPDF31_lo_as_0118",
    "strong_coupling": {"at_m_z": 0.118, "loops": 1},
    "scale": {"choice": "mt"},
    "decays": {"channel": "semileptonic"},
    "parameters": {"c_tg": {"c_tg": "1 TeV^-2"}},
}


def test_an_event_without_intermediates_is_its_legs():
    momenta = np.arange(16.0).reshape(4, 4)
    found = record((), np.array([1, -1, 6, -6]), momenta, np.array([[1, 0], [0, 2], [1, 0], [0, 2]]))
    assert found.status.tolist() == [-1, -1, 1, 1]
    assert found.mothers.tolist() == [[0, 0], [0, 0], [1, 2], [1, 2]]
    np.testing.assert_array_equal(found.momenta, momenta)


@pytest.mark.parametrize(
    ("states", "charge"), [(semileptonic(("mu",)), 1), (semileptonic(("mu",)), -1), (hadronic(), 1)]
)
def test_intermediates_have_the_charges_and_colours_of_what_they_become(states, charge):
    """Charge is conserved at each vertex, and so is colour."""
    final = next(legs for legs in states.channels if legs[0] * charge > 0)
    pdg = np.array([21, 21, *final])
    flow = states.flows[0] if charge > 0 else states.flows[4]
    found = record(INTERMEDIATES, pdg, np.ones((8, 4)), line_numbers(flow, pdg))
    assert found.pdg[2:6].tolist() == [6 * charge, 24 * charge, -6 * charge, -24 * charge]
    assert found.mothers[2:].tolist() == [
        [1, 2],
        [3, 3],
        [1, 2],
        [5, 5],
        [3, 3],
        [4, 4],
        [4, 4],
        [5, 5],
        [6, 6],
        [6, 6],
    ]
    for mother in (3, 4, 5, 6):
        daughters = found.colour[(found.mothers == mother).all(axis=1)]
        net = {int(number) for row in daughters for number in row if number} ^ {
            int(number) for number in found.colour[mother - 1] if number
        }
        joined = [n for n in net if (daughters[:, 0] == n).any() and (daughters[:, 1] == n).any()]
        assert net == set(joined)
    np.testing.assert_array_equal(found.momenta[2], [3, 3, 3, 3])


@pytest.mark.thorough
def test_pythia_showers_decayed_tops(tmp_path):
    """Both charges, gluons and quarks: tops and W bosons are in the file, and every event is read."""
    process = TopPairSpec.model_validate(PROCESS).build()
    u = jax.random.uniform(jax.random.key(2), (N_EVENTS, process.dim))
    channels = jnp.arange(N_EVENTS) * 7 % len(process.channels)

    @jax.jit
    @jax.vmap
    def evaluate(point, channel):
        momenta, _ = process.momenta(point)
        return momenta, process.colour_rates(momenta, channel, jnp.zeros(1))

    rows = zip(channels.tolist(), *(np.asarray(part) for part in evaluate(u, channels)), strict=True)
    events = []
    for channel, momenta, rates in rows:
        pdg = np.array(process.channels[channel])
        colour = line_numbers(process.colour_flows[rates.argmax()], pdg)
        particles = record(process.intermediates, pdg, momenta, colour)
        events.append(Event(1.0, ew.M_TOP, 0.108, particles, np.zeros(0)))
    write_lhe(tmp_path / "events.lhe", Run((2212, 2212), 6500.0, 1.0, 0.01, ew.ALPHA, {}, {}, "test"), events)
    found = list(pylhe.LHEFile.fromfile(tmp_path / "events.lhe").events)
    assert {event.particles[0].id for event in found} > {21}
    assert {event.particles[2].id for event in found} == {6, -6}
    for event in found:
        tops = [each for each in event.particles if abs(each.id) == 6]
        assert [each.status for each in tops] == [2, 2]
        np.testing.assert_allclose([each.m for each in tops], ew.M_TOP, rtol=1e-9)
    generator = pythia8mc.Pythia("", False)
    for setting in ("Beams:frameType = 4", f"Beams:LHEF = {tmp_path / 'events.lhe'}", "Print:quiet = on"):
        generator.readString(setting)
    assert generator.init()
    n_read = 0
    for _ in itertools.takewhile(bool, iter(generator.next, None)):
        n_read += 1
        intermediate = [each for each in generator.process if each.status() == -22]
        assert sorted(abs(each.id()) for each in intermediate) == [6, 6, 24, 24]
    assert n_read == N_EVENTS
