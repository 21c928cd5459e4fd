"""Samplers on the same integrands: this project's, the package vegas, and the package madnis.

``pip install vegas==6.4.1 madnis==1.0.0 torch`` into an environment of its own on top of this project's, then
``taskset -c 0 python benchmarks/integrators.py drell_yan`` (or ``wjets``, ``wbf_higgs``, which leave the packages out).
Packages that are missing are left out. Seconds are processor seconds of one core, with compilation (given apart).

Of weights w under each sampler's density: the plain relative standard deviation std(w)/mean(w) of points drawn
independently, as events are; the stratified one, sum_i a_i std_i(w) / mean(w) over the mappings i with shares a_i, that
of an integral whose points are spread over the mappings as is best for it; and the efficiency mean(w)/cap with the cap
above which the excess of the weights is 0.1 % of their sum.
"""

import os
import sys
import time
from pathlib import Path

os.environ["JAX_ENABLE_X64"] = "1"

import integrator_peers
import jax
import jax.numpy as jnp
import numpy as np
import yaml

from saggiatore.integrate.base import BATCH, AbstractSampler, n_batches, propose_batch, sample_weights, weigh_batch
from saggiatore.integrate.mixture import AbstractMixture
from saggiatore.physics.process import AbstractProcess, n_theta
from saggiatore.registry import load

STUDIES = Path(__file__).parents[1] / "config" / "studies"
TOY = {
    "kind": "drell_yan",
    "sqrt_s": "13 TeV",
    "parton_density": "NNPDF31_lo_as_0118",
    "factorisation_scale": "91.188 GeV",
    "z_prime": {"mass": "400 GeV", "width": "0.5 GeV", "coupling": 1},
    "cuts": {"m_ll": "15 GeV"},
    "parameters": {"mixing": {"sin2_theta_w": 0.01}},
}
SHORT = {"n_test": 32_768, "training": {"n_rounds": 1, "n_points": 65_536, "n_steps": 600}}
SHORTEST = {"n_test": 16_384, "training": {"n_rounds": 1, "n_points": 32_768, "n_steps": 200}}
SAMPLERS = {
    "vegas": ("vegas", {}),
    "multichannel": ("multichannel", {}),
    "madnis, shortest": ("madnis", SHORTEST),
    "madnis, short": ("madnis", SHORT),
    "madnis": ("madnis", {}),
}
N_TEST = 1 << 19
OVERWEIGHT = 0.001


def quality(weights: np.ndarray, mapping: np.ndarray, n_mappings: int) -> str:
    """Integral, relative standard deviations and efficiency, as above."""
    mean, std = weights.mean(), weights.std()
    parts = [weights[mapping == i] for i in range(n_mappings)]
    stratified = sum(len(part) / len(weights) * part.std() for part in parts if len(part))
    ordered = np.sort(weights)[::-1]
    above = np.cumsum(ordered) - ordered * np.arange(1, len(ordered) + 1)  # excess over a cap at each weight
    cap = ordered[np.searchsorted(above, OVERWEIGHT * weights.sum())]
    return (
        f"{mean:.5g}({std / len(weights) ** 0.5:.2g}) pb  std/mean {std / mean:.4f}  "
        f"stratified {stratified / mean:.4f}  efficiency {mean / cap:.4f}"
    )


def ours(process: AbstractProcess, name: str, n_test: int) -> None:
    """One of this project's samplers, by its name in `SAMPLERS`."""
    kind, settings = SAMPLERS[name]
    theta = jnp.zeros(n_theta(process))
    spec = load("sampler", kind).model_validate(settings)
    seconds = []
    for _ in range(2):  # the second time everything is compiled
        start = time.process_time()
        sampler = spec.adapt(process, theta, key=jax.random.key(1))
        seconds.append(time.process_time() - start)
    key = jax.random.key(2)
    weights = sample_weights(process, theta, sampler, n_test, key=key)
    mappings = [chosen(sampler, key, i) for i in range(n_batches(n_test))]
    start = time.process_time()
    jax.block_until_ready(propose_batch(sampler, key, jnp.asarray(0)))
    cost = (time.process_time() - start) / BATCH * 1e6
    print(
        f"{name:16s} {seconds[0]:6.1f} s, {seconds[0] - seconds[1]:4.1f} of them compilation   "
        f"{quality(weights, np.concatenate(mappings), len(process.mappings))}   {cost:.1f} us a point",
        flush=True,
    )


def chosen(sampler: AbstractSampler, key: jax.Array, number: int) -> np.ndarray:
    """The mapping that each point of a batch came from."""
    if not isinstance(sampler, AbstractMixture):
        return np.zeros(BATCH, int)
    v, _, _ = propose_batch(sampler, key, jnp.asarray(number))
    return np.asarray(jax.jit(jax.vmap(lambda point: sampler.choose(point)[0]))(v))


def main(name: str) -> None:
    """All samplers on one integrand."""
    content = TOY
    if name != "drell_yan":
        study = {"wjets": "wjj", "wbf_higgs": "quick"}[name]
        content = yaml.safe_load((STUDIES / f"{study}.yaml").read_text(encoding="utf-8"))["process"]
    process = load("process", content["kind"]).model_validate(content).build()
    points = jnp.full((BATCH, process.dim), 0.5, float)
    chosen_ones = [each for each in sys.argv[2:] if each in SAMPLERS] or (SAMPLERS if len(sys.argv) < 3 else [])
    for sampler in chosen_ones:
        jax.clear_caches()  # each compiles all of its own, but for the integrand: that is done before the clock starts
        weigh_batch(process, jnp.zeros(n_theta(process)), points).block_until_ready()
        ours(process, sampler, N_TEST if name == "drell_yan" else N_TEST // 4)
    if name == "drell_yan" and (len(sys.argv) < 3 or "peers" in sys.argv):
        integrator_peers.measure_all(process, N_TEST, quality)


if __name__ == "__main__":
    main(sys.argv[1])
