"""How fast matrix elements are: ``python benchmarks/matrix_elements.py``. One core: prefix ``taskset -c 0``.

Prints, for each channel, the seconds of compilation and the microseconds of processor time a point, at each batch size.
MadGraph5_aMC@NLO's compiled code needs 2.0 us for u d > u d h and 12 us with dimension-six vertices, 6.7 us for
u u~ > z g, 52 us for g g > z u u~ and 400 us for g g > z u u~ g, one channel at a time. Rows of one channel of jets
evaluate its one assignment of legs; `all channels` evaluates every assignment, from which the rates of all flavours
follow. Name rows (as `3 jets`) to measure those alone.
"""

import os
import sys
import time
from pathlib import Path

os.environ["JAX_ENABLE_X64"] = "1"

import jax
import jax.numpy as jnp
import numpy as np
import yaml

from saggiatore.physics import electroweak as ew
from saggiatore.physics.boson_jets import on_shell, products
from saggiatore.physics.jet_amplitude import one_line, one_line_assignments
from saggiatore.physics.jet_phase_space import Region, event
from saggiatore.physics.top_decay import DECAY_NUMBERS, decay
from saggiatore.physics.top_pair_amplitude import squares
from saggiatore.registry import load

BATCHES = (256, 1024, 4096)
SECONDS = 2.0  # of processor time for each number
STUDY = Path(__file__).parents[1] / "config" / "studies" / "quick.yaml"


def z_momenta(n_jets: int, n_points: int) -> jax.Array:
    """Events with a Z boson and jets of pT above 20 GeV."""
    u = jax.random.uniform(jax.random.key(1), (n_points, 3 * n_jets + 1))
    region = Region(13_000.0, n_jets, 20.0, 4.0)
    return jax.vmap(lambda row: event(region, jnp.asarray(ew.M_Z**2), row)[0])(u)


def fusion_momenta(n_points: int) -> jax.Array:
    """Events of weak-boson fusion in the region of the study `quick`."""
    process = load("process", "wbf_higgs").model_validate(yaml.safe_load(STUDY.read_text())["process"]).build()
    u = jax.random.uniform(jax.random.key(4), (n_points, process.dim))
    return jax.vmap(lambda row: process.momenta(row)[0])(u)


def fusion(coefficients: list[float]):
    """|M|^2 of u d > u d h with W and Z exchange, and that of photons where coefficients are not zero."""
    function = load("process", "wbf_higgs").matrix_element("2,1,2,1,25", False).function
    return lambda momenta: function(momenta, np.array(coefficients))


def single_channel(n_jets: int, ends: tuple[int, int]):
    """|M|^2 of one quark line with the given outgoing quark and antiquark, couplings left out."""
    chosen = [legs for legs in one_line_assignments(2 + n_jets) if legs[:2] == ends]

    def function(momenta: jax.Array) -> jax.Array:
        return one_line(momenta[:-1], on_shell(momenta[-1], ew.M_Z), tuple(chosen)).square.sum()

    return function


def every_channel(momenta: jax.Array):
    """All products of an event, from which the channels follow."""
    return products(momenta[:-1], on_shell(momenta[-1], ew.M_Z))


def top_momenta(n_points: int) -> jax.Array:
    """Top pairs in the rest frame of the collision."""
    energy, cos = jax.random.uniform(jax.random.key(2), (2, n_points)) * jnp.array([[1000.0], [2.0]])
    energy, cos = energy + ew.M_TOP + 10, cos - 1
    momentum, zero = jnp.sqrt(energy**2 - ew.M_TOP**2), jnp.zeros(n_points)
    side, along = momentum * jnp.sqrt(1 - cos**2), momentum * cos
    rows = [[energy, zero, zero, energy], [energy, zero, zero, -energy]]
    rows += [[energy, side, zero, along], [energy, -side, zero, -along]]
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=1)


def decayed_momenta(n_points: int) -> jax.Array:
    """The same with the products of both tops."""
    pairs, u = top_momenta(n_points), jax.random.uniform(jax.random.key(3), (n_points, 2 * DECAY_NUMBERS))

    def decayed(pair: jax.Array, point: jax.Array) -> jax.Array:
        one, two = decay(pair[2], point[:DECAY_NUMBERS])[0], decay(pair[3], point[DECAY_NUMBERS:])[0]
        return jnp.concatenate([pair[:2], one, two])

    return jax.vmap(decayed)(pairs, u)


def measure(name: str, function, momenta: jax.Array) -> None:
    """Print one row, if it was asked for."""
    if sys.argv[1:] and not any(part in name for part in sys.argv[1:]):
        return
    text = f"{name:32s}"
    for batch in BATCHES:
        points = momenta[:batch]
        start = time.process_time()
        compiled = jax.jit(jax.vmap(function)).lower(points).compile()
        compilation = time.process_time() - start
        jax.block_until_ready(compiled(points))
        times: list[float] = []
        while sum(times) < SECONDS:
            start = time.process_time()
            jax.block_until_ready(compiled(points))
            times.append(time.process_time() - start)
        text += f"  {compilation:5.1f} s {np.median(times) / batch * 1e6:8.2f} us"
    print(text, flush=True)


if __name__ == "__main__":
    print(f"{'batch':32s}" + "".join(f"{batch:>20d}" for batch in BATCHES))
    print(f"{'':32s}" + "     compile   a point" * len(BATCHES))
    measure("u d > u d h", fusion([0.0] * 6), fusion_momenta(max(BATCHES)))
    measure("the same with f_w ... f_bbt", fusion([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), fusion_momenta(max(BATCHES)))
    measure("u u~ > z g", single_channel(1, (1, 0)), z_momenta(1, max(BATCHES)))
    measure("g g > z u u~", single_channel(2, (2, 3)), z_momenta(2, max(BATCHES)))
    measure("g g > z u u~ g (3 jets)", single_channel(3, (2, 3)), z_momenta(3, max(BATCHES)))
    measure("z + 1 jet, all channels", every_channel, z_momenta(1, max(BATCHES)))
    measure("z + 2 jets, all channels", every_channel, z_momenta(2, max(BATCHES)))
    measure("g g, q q~ > t t~ with c_tG", lambda p: squares(p, jnp.asarray(0.5)), top_momenta(max(BATCHES)))
    decays = decayed_momenta(max(BATCHES))
    measure("the same with decays of both tops", lambda p: squares(p, jnp.asarray(0.5)), decays)
