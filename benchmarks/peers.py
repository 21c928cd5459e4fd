"""Events of the default study next to two peers, in one run: Pythia 8 and the package vegas.

``pip install vegas==6.4.1`` into an environment of its own on top of this project's, then
``taskset -c 0 python benchmarks/peers.py``. Prints processor seconds of one core: unweighted WBF events a second inside
the study's cuts (Pythia without showers, W and Z fusion without their interference), and what the importance map of
each sampler makes of the same integrand after the same number of calls.
"""

import os
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

os.environ["JAX_ENABLE_X64"] = "1"

import jax
import jax.numpy as jnp
import numpy as np
import pythia8mc
import vegas
import yaml

from saggiatore.integrate.base import proposed_weight
from saggiatore.integrate.vegas import VegasSpec
from saggiatore.physics.process import weight
from saggiatore.registry import load

STUDY = Path(__file__).parents[1] / "config" / "studies" / "quick.yaml"
N_PYTHIA = 20_000
N_CALLS = 1 << 20
N_TEST = 1 << 20
OVERWEIGHT = 0.001
CHUNK = 1 << 14
SETTINGS = (
    "Beams:eCM = 14000",
    "HiggsSM:ff2Hff(t:ZZ) = on",
    "HiggsSM:ff2Hff(t:WW) = on",
    "25:m0 = 125",
    "25:mayDecay = off",
    "PartonLevel:all = off",
    "HadronLevel:all = off",
    "Print:quiet = on",
)


def pythia(cuts: dict) -> None:
    """Parton-level events a second, before and after the study's cuts."""
    generator = pythia8mc.Pythia("", False)
    for setting in SETTINGS:
        generator.readString(setting)
    generator.init()
    start, n_inside = time.process_time(), 0
    for _ in range(N_PYTHIA):
        generator.next()
        jets = [p for p in generator.process if p.status() == 23 and abs(p.id()) <= 5]
        n_inside += len(jets) == 2 and inside(*jets, cuts)
    seconds = time.process_time() - start
    rates = f"{N_PYTHIA / seconds:.0f} events a second, {n_inside / seconds:.0f} of them inside the cuts"
    print(f"pythia {version('pythia8mc'):>13s}            {rates}")


def inside(one: pythia8mc.Particle, two: pythia8mc.Particle, cuts: dict) -> bool:
    """The study's cuts on two jets."""
    pair = one.p() + two.p()
    return (
        min(one.pT(), two.pT()) > cuts["pt_j"]
        and max(abs(one.eta()), abs(two.eta())) < cuts["abs_eta_j"]
        and abs(one.eta() - two.eta()) > cuts["delta_eta_jj"]
        and pair.mCalc() > cuts["m_jj"]
    )


def quality(weights: np.ndarray) -> str:
    """Integral with its error, relative standard deviation, and unweighting efficiency at the stated overweight."""
    mean, std = weights.mean(), weights.std()
    ordered = np.sort(weights)[::-1]
    above = np.cumsum(ordered) - ordered * np.arange(1, len(ordered) + 1)  # excess over a cap at each weight
    cap = ordered[np.searchsorted(above, OVERWEIGHT * weights.sum())]
    return f"{mean:.5f}({std / len(weights) ** 0.5:.5f}) pb   std/mean {std / mean:.3f}   efficiency {mean / cap:.4f}"


def in_chunks(function, points: np.ndarray) -> np.ndarray:
    """`function` of all points, in one compiled shape."""
    n_more = -len(points) % CHUNK
    padded = np.concatenate([points, np.full((n_more, points.shape[1]), 0.5)])
    return np.concatenate([function(part) for part in padded.reshape(-1, CHUNK, points.shape[1])])[: len(points)]


def main() -> None:
    """All of it."""
    study = yaml.safe_load(STUDY.read_text(encoding="utf-8"))
    spec = load("process", study["process"]["kind"]).model_validate(study["process"])
    pythia(spec.cuts.model_dump())
    process = spec.build()
    theta = jnp.zeros(len(process.parameters))
    integrand = jax.jit(jax.vmap(lambda u: weight(process, u, theta)))
    integrand(np.zeros((CHUNK, process.dim)))

    start = time.process_time()
    sampler = VegasSpec().adapt(process, theta, key=jax.random.key(1))
    ours = time.process_time() - start
    proposed = jax.jit(jax.vmap(lambda v: proposed_weight(process, sampler, v, theta)[1]))
    points = np.random.default_rng(2).random((N_TEST, process.dim))
    print(f"saggiatore vegas     {ours:6.1f} s   {quality(in_chunks(proposed, points))}")

    theirs = vegas.Integrator(process.dim * [[0, 1]])
    function = vegas.lbatchintegrand(lambda u: in_chunks(integrand, np.asarray(u)))
    start = time.process_time()
    theirs(function, nitn=10, neval=N_CALLS // 10)
    seconds = time.process_time() - start
    found: list[np.ndarray] = []
    while sum(map(len, found)) < N_TEST:
        points, shares = (np.concatenate(parts) for parts in zip(*_copied(theirs.random_batch()), strict=True))
        found.append(in_chunks(integrand, points) * shares * len(shares))  # shares of one iteration sum to its volume
    print(f"vegas {version('vegas'):>14s} {seconds:6.1f} s   {quality(np.concatenate(found))}")


def _copied(batches: Iterator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """vegas hands out its own buffers."""
    for points, shares in batches:
        yield np.array(points), np.array(shares)


if __name__ == "__main__":
    main()
