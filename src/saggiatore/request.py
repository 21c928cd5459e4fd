"""What the jobs of a rule ask a scheduler for: what the study's section says, and else the rule's default.

No job runs again when these change. A profile has the last word (`set-resources`): the site knows its nodes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from saggiatore.units import parse_quantity


class Default(NamedTuple):
    """What the first attempt asks for, and the stage whose sections may say otherwise."""

    stage: str
    memory: str
    time: str
    cores: int = 1
    gpu: int = 0


DEFAULTS = {
    "sampler": Default("sampler", "4 GB", "1 h", cores=2),
    "integrator_comparison": Default("sampler", "1 GB", "10 min"),
    "events_shard": Default("events", "4 GB", "2 h", cores=2),
    "events_file": Default("events", "4 GB", "2 h"),
    "events_model": Default("events", "8 GB", "1 h", cores=2, gpu=1),
    "events_ratio": Default("events", "8 GB", "1 h", cores=2),
    "events_merged": Default("events", "8 GB", "30 min"),
    "events_detector": Default("events", "8 GB", "30 min"),
    "events_amplitude": Default("events", "8 GB", "1 h", cores=2),
    "events": Default("events", "4 GB", "30 min"),
    "models": Default("models", "16 GB", "4 h", cores=2, gpu=1),
    "draws": Default("draws", "8 GB", "2 h", cores=2),
    "teachers": Default("teachers", "4 GB", "30 min"),
    "distill_island": Default("formulas", "8 GB", "4 h", cores=2),
    "distill": Default("formulas", "8 GB", "30 min"),
    "formulas": Default("formulas", "8 GB", "2 h", cores=2),
    "structures_targets": Default("structures", "8 GB", "1 h", cores=2),
    "structures_draw": Default("structures", "8 GB", "4 h", cores=2),
    "structures": Default("structures", "8 GB", "2 h", cores=2),
    "information": Default("information", "8 GB", "1 h", cores=2),
    "score_comparison": Default("information", "8 GB", "30 min", cores=2),
    "limits": Default("limits", "8 GB", "2 h", cores=2),
    "ratios": Default("ratios", "8 GB", "1 h", cores=2),
    "generator_comparison": Default("control", "8 GB", "30 min", gpu=1),
    "accuracy": Default("accuracy", "8 GB", "1 h", cores=2),
    "control": Default("control", "8 GB", "1 h", cores=2),
    "densities": Default("densities", "16 GB", "4 h", cores=2, gpu=1),
    "predictive": Default("predictive", "8 GB", "1 h", cores=2),
    "amplification": Default("amplification", "8 GB", "2 h", cores=2, gpu=1),
    "figures": Default("figures", "1 GB", "10 min"),
    "hepdata": Default("", "2 GB", "10 min"),
    "numbers": Default("", "1 GB", "10 min"),
    "report": Default("", "1 GB", "10 min"),
    "bundle": Default("", "2 GB", "30 min"),
}


class Job(Protocol):
    """The wildcards of a job, as Snakemake hands them to a function."""

    study: str
    label: str


class Study(Protocol):
    """Where sections are looked up."""

    def section(self, stage: str, label: str) -> dict:
        """The section `label` of `stage`."""


class Request:
    """The resources of one rule, as functions that Snakemake calls for every job and attempt."""

    def __init__(self, study: Callable[[str], Study], rule: str):
        self._study = study
        self._default = DEFAULTS[rule]

    def mem_mb(self, wildcards: Job, attempt: int) -> int:
        """Memory in MB; each retry asks for as much again."""
        return attempt * round(1000 * parse_quantity("GB", self._value(wildcards, "memory")))

    def runtime(self, wildcards: Job, attempt: int) -> int:
        """Time limit in minutes; each retry asks for as much again."""
        return attempt * max(1, round(60 * parse_quantity("h", self._value(wildcards, "time"))))

    def cpus_per_task(self, wildcards: Job) -> int:
        """Cores on a cluster. On one machine jobs share what there is, as their libraries do."""
        return int(self._value(wildcards, "cores"))

    def gpu(self, wildcards: Job) -> int:
        """Number of GPUs."""
        return int(self._value(wildcards, "gpu"))

    def _value(self, wildcards: Job, name: str) -> Any:
        stage = self._default.stage
        section = (
            self._study(wildcards.study).section(stage, wildcards.label)
            if stage and hasattr(wildcards, "label")
            else {}
        )
        said = section.get("resources") or {}
        return getattr(self._default, name) if said.get(name) is None else said[name]
