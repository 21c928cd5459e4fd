"""Adapt a sampler to the process, once, and measure the fiducial cross section."""

from pathlib import Path

from pydantic import Field

from saggiatore.job import Job
from saggiatore.registry import SamplerSpec
from saggiatore.spec import Spec


class SamplerSection(Spec):
    """How the unit hypercube is sampled."""

    sampler: SamplerSpec
    n_integral: int = Field(1_000_000, ge=1000, description="points that measure the cross section after adaptation")
    overweight: float = Field(0.001, ge=0, lt=0.5, description="fraction of the rate allowed above the maximum weight")


def run(job: Job[SamplerSection], *, code: str, grid: Path, integral: Path) -> None:
    """Write the adapted grid and the integral table."""
    raise NotImplementedError
