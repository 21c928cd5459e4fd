"""Hold the samplers of a study against one another: adapt each anew, in one run on one machine, and measure.

The only artefact with a clock in it, and for that reason in no bundle: times differ from run to run, all other columns
do not. It is made on request, `snakemake results/NAME/tables/integrator_comparison.parquet`.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from saggiatore.errors import EmptyRegionError, StudyError
from saggiatore.files import atomic
from saggiatore.integrate.base import AbstractSampler, n_batches, sample_weights, weighted_batch
from saggiatore.integrate.unweight import Spectrum
from saggiatore.job import Job, read_job
from saggiatore.number import rounded
from saggiatore.physics.process import AbstractProcess, n_theta
from saggiatore.provenance import provenance
from saggiatore.steps.sampler import SamplerSection
from saggiatore.tables import Column, TableSchema, write_table
from saggiatore.tabular import tabular

_OVERWEIGHTS = {"max": 0.0, "0_1": 0.001, "1": 0.01}  # name in the column -> fraction of the rate above the cap
_MILLION = 1_000_000

COMPARISON = TableSchema(
    "integrator_comparison",
    1,
    (
        Column("sampler", "1", "label of the sampler in the study", "sampler", "str"),
        Column("kind", "1", "what it is", "kind", "str"),
        Column("used", "1", "what its adaptation ended with: another kind where a training fell back", "used", "str"),
        Column("cross_section", "pb", "fiducial cross section at theta = 0", r"$\sigma$ [pb]"),
        Column("cross_section_error", "pb", "standard error of the cross section"),
        Column(
            "relative_std", "1", "standard deviation of the weights over their mean", r"$\sigma_w/\langle w \rangle$"
        ),
        Column("efficiency_max", "1", "unweighting efficiency with the largest weight as maximum", r"$\epsilon_{0}$"),
        Column("efficiency_0_1", "1", "the same with 0.1 % of the rate above the maximum", r"$\epsilon_{0.1\,\%}$"),
        Column("efficiency_1", "1", "the same with 1 % of the rate above the maximum", r"$\epsilon_{1\,\%}$"),
        Column("n_points", "1", "points that all this was measured on", "points", "int"),
        Column("adaptation_time", "s", "time of adaptation and training, compilation included", "adaptation [s]"),
        Column("million_time", "s", "time for a million unweighted points at 0.1 % overweight", r"$10^6$ events [s]"),
    ),
)
_SHOWN = ("relative_std", "efficiency_max", "efficiency_0_1", "efficiency_1", "adaptation_time", "million_time")


def run(*, study: str, code: str, specs: list[Path], out: Path, latex: Path) -> None:
    """Write the table of all samplers of a study, and the same for a paper.

    Raises:
        StudyError: if a spec is not the job of a sampler of the study.
        EmptyRegionError: if no point of phase space passes the cuts.
        EventError: if the rate is not finite.
    """
    jobs = [_job(path, study) for path in specs]
    rows = [_row(job) for job in jobs]
    columns = {name: [row[name] for row in rows] for name in COMPARISON.names}
    header = provenance({"study": study, "samplers": [job.model_dump(mode="json") for job in jobs]}, code)
    write_table(out, COMPARISON, columns, header)
    with atomic(latex) as temporary:
        temporary.write_text(_latex(rows), encoding="utf-8")


def _job(path: Path, study: str) -> Job[SamplerSection]:
    job = read_job(Job[SamplerSection], path)
    if (job.study, job.stage) != (study, "sampler"):
        raise StudyError(
            f"{path}: the job {job.stage}.{job.label} of study '{job.study}' came, expected a sampler of '{study}'."
        )
    return job


def _row(job: Job[SamplerSection]) -> Mapping[str, object]:
    """Adapt as the rule `sampler` does, from the same stream, and measure on points of another."""
    process = job.process_spec().build()
    theta = jnp.zeros(n_theta(process))
    start = time.perf_counter()
    sampler = job.section.sampler.adapt(process, theta, key=jax.random.key(job.stream("adapt")))
    adaptation = time.perf_counter() - start
    weights, seconds = _weights(process, sampler, job.section.n_integral, job.stream("compare"))
    if not weights.any():
        raise EmptyRegionError(f"none of {len(weights)} points passes the cuts. Widen the cuts of the process.")
    mean, std = weights.mean(), weights.std()
    efficiency = efficiencies(weights)
    return {
        "sampler": job.label,
        "kind": job.section.sampler.kind,
        "used": type(sampler).__name__,
        "cross_section": mean,
        "cross_section_error": std / len(weights) ** 0.5,
        "relative_std": std / mean,
        **{f"efficiency_{name}": value for name, value in efficiency.items()},
        "n_points": len(weights),
        "adaptation_time": adaptation,
        "million_time": _MILLION / efficiency["0_1"] * seconds / len(weights),
    }


def efficiencies(weights: np.ndarray) -> dict[str, float]:
    """Unweighting efficiency at each overweight: mean of min(w, maximum) over the maximum."""
    spectrum = Spectrum.empty().add(jnp.asarray(weights))
    found = {}
    for name, overweight in _OVERWEIGHTS.items():
        maximum = spectrum.max_weight(overweight) if overweight else float(weights.max())
        found[name] = float(np.minimum(weights, maximum).mean() / maximum)
    return found


def _weights(process: AbstractProcess, sampler: AbstractSampler, n_points: int, seed: int) -> tuple[np.ndarray, float]:
    """Weights of at least `n_points` points, pb, and the seconds that they took once compiled."""
    theta, key = jnp.zeros(n_theta(process)), jax.random.key(seed)
    jax.block_until_ready(weighted_batch(process, theta, sampler, key, n_batches(n_points)))
    start = time.perf_counter()
    weights = sample_weights(process, theta, sampler, n_points, key=key)
    return weights, time.perf_counter() - start


def _latex(rows: Sequence[Mapping[str, object]]) -> str:
    """A tabular, one row a sampler."""
    labels = {column.name: column.label for column in COMPARISON.columns}
    cells = []
    for row in rows:
        names = [str(row[name]).replace("_", r"\_") for name in ("sampler", "kind")]
        value, error = rounded(float(str(row["cross_section"])), float(str(row["cross_section_error"])))
        shown = value if error is None else rf"${value} \pm {error}$"
        cells.append([*names, shown, *(f"{row[name]:.3g}" for name in _SHOWN)])
    header = [labels[name] for name in ("sampler", "kind", "cross_section", *_SHOWN)]
    return tabular("ll" + "r" * (1 + len(_SHOWN)), header, cells)
