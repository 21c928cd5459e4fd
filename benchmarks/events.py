"""How fast a study's events are made: ``python benchmarks/events.py [STUDY.yaml]``. One core: prefix ``taskset -c 0``.

Prints, in seconds of processor time, compilation and adaptation, weights a second, the cross section, the unweighting
efficiency and the unweighted events a second, with observables and joint score.
"""

import os
import resource
import sys
import time
from pathlib import Path

os.environ["JAX_ENABLE_X64"] = "1"

import equinox as eqx
import jax
import jax.numpy as jnp
import yaml

from saggiatore.integrate.base import BATCH
from saggiatore.integrate.events import Draw, generate, try_batch
from saggiatore.integrate.integral import CrossSection, measure
from saggiatore.physics.process import n_theta
from saggiatore.registry import load
from saggiatore.steps.sampler import SamplerSection

N_BATCHES = 32
N_EVENTS = 40_000
STUDY = Path(__file__).parents[1] / "config" / "studies" / "quick.yaml"


def main(path: Path) -> None:
    """Time every part of making events for the study at `path`."""
    study = yaml.safe_load(path.read_text(encoding="utf-8"))
    process = load("process", study["process"]["kind"]).model_validate(study["process"]).build()
    section = SamplerSection.model_validate(next(iter(study["sampler"].values())))
    start = time.process_time()
    sampler = section.sampler.adapt(process, jnp.zeros(n_theta(process)), key=jax.random.key(1))
    print(f"adaptation           {time.process_time() - start:8.2f} s, compilation included")
    start = time.process_time()
    row = measure(process, sampler, section.n_integral, section.overweight, key=jax.random.key(2))
    if row is None:
        sys.exit("no point passes the cuts")
    print(
        f"integral             {time.process_time() - start:8.2f} s, compilation included, {section.n_integral} points"
    )
    sigma = row["cross_section"][0]
    print(f"cross section        {sigma:10.5f} +- {row['cross_section_error'][0]:.5f} pb")
    for name in ("relative_std", "cut_efficiency", "unweighting_efficiency", "overweight_rate"):
        print(f"{name:20s} {row[name][0]:10.5f}")
    _time_events(_draw(process, sampler, row))
    print(f"peak memory          {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:8.2f} GiB")


def _draw(process, sampler, row) -> Draw:
    zeros = jnp.zeros(n_theta(process))
    sigma = jnp.asarray(row["cross_section"][0])
    curve = CrossSection(sigma, zeros, jnp.zeros((len(zeros), len(zeros))))
    ratio, kept = jnp.asarray(row["max_weight"][0]) / sigma, jnp.asarray(row["kept_fraction"][0])
    return Draw(process, sampler, curve, zeros, zeros, ratio, kept)


def _time_events(draw: Draw) -> None:
    start = time.process_time()
    key = jax.random.key(3)
    jax.block_until_ready(eqx.filter(try_batch(draw, key, jnp.asarray(0)), eqx.is_array))
    print(f"compile accept-reject {time.process_time() - start:7.2f} s")
    start = time.process_time()
    for number in range(N_BATCHES):
        jax.block_until_ready(try_batch(draw, key, jnp.asarray(number)).ratio)
    print(f"weights a second     {N_BATCHES * BATCH / (time.process_time() - start):10.0f}")
    start = time.process_time()
    events = generate(draw, N_EVENTS, N_EVENTS, key=key)
    next(events)
    print(f"first block of events {time.process_time() - start:7.2f} s, compilation included")
    start = time.process_time()
    n_rows = sum(len(block["weight"]) for block in events)
    print(f"events a second      {n_rows / (time.process_time() - start):10.0f}, unweighted, with joint score")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else STUDY)
